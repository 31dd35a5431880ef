"""A connection was checked out and never returned

What it means
    The recorder saw these lines of code take a connection from the pool, and never saw it come back: it was still out when
    the process ended, or it has been out for longer than --leak-after and is so still.

Why it matters
    Nobody else can use a connection that is out. A line that forgets one now and then takes the pool away piece by
    piece, until every request waits for pool_timeout and fails with `QueuePool limit ... reached`; on the server each is
    a session that holds a slot and, if a transaction was begun, its locks.

What to do
    Return it on every way out of the function, errors included. A `with` block does:

        with engine.connect() as connection:
            ...
        with Session(engine) as session:
            ...

    Where a session lives as long as a request, end it where requests end: `scoped_session.remove()` in a teardown handler,
    a dependency that yields and then closes. In pytest, `--dbdoctor-leaks` finds the test that leaves one behind.
    If the connection is meant to be held for ever (a listener, a lock that elects a leader), give it an engine of its own
    with `poolclass=NullPool`, so that it takes nothing from the others.
"""

from __future__ import annotations

from collections.abc import Iterator

from dbdoctor.model.duration import format_duration
from dbdoctor.model.finding import Finding, Severity
from dbdoctor.model.recorded_summary import SiteSummary, Summary
from dbdoctor.rules._common import count
from dbdoctor.rules.recorded._words import MOST_ROWS, WITH_BLOCK, from_where, holder, site_evidence

CODES = ("never-returned",)


def judge(summary: Summary) -> Iterator[Finding]:
    """The lines that keep what they take, those that keep most first."""
    sites = sorted((site for site in summary.sites if site.out), key=lambda site: (-site.out, -site.longest_out))
    if not sites:
        return
    every = sum(site.out for site in sites)
    # One at the end of a short program may be nothing but its last line.
    grave = any(site.out_overdue or site.out > 1 for site in sites)
    mine = f"{sites[0].out} of them" if len(sites) > 1 else "all" if every > 1 else "it was"
    yield Finding(
        code="never-returned",
        severity=Severity.ERROR if grave else Severity.WARNING,
        title=f"{count(every, 'checkout')} never returned, {mine} taken at {summary.names[sites[0].frames]}",
        why="nobody else can use a connection that is out; when all of the pool are, requests wait for pool_timeout and fail",
        fix="return it on every way out, errors included",
        command=WITH_BLOCK,
        rows=tuple(_row(site) for site in sites)[:MOST_ROWS],
        evidence={
            "checkouts": every,
            "sites": [
                {
                    **site_evidence(site, site.out, site.longest_out),
                    "overdue": site.out_overdue,
                    "held": [
                        {
                            "process": still.process,
                            "session": still.session,
                            "thread": still.thread,
                            "held_seconds": still.held,
                            "at_least": still.at_least,
                        }
                        for still in site.examples
                    ],
                }
                for site in sites[:MOST_ROWS]
            ],
        },
    )


def _row(site: SiteSummary) -> str:
    longest = site.examples[0]
    held = f"{'at least ' if longest.at_least else ''}{format_duration(longest.held)}"
    which = "" if site.out == 1 else f"{site.out:,}, the longest "
    return f"{from_where(site.frames)}: {which}for {held} ({holder(longest)})"
