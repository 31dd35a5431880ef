"""A connection was held for longer than --leak-after, and then returned

What it means
    The line of code took a connection and gave it back, but only after longer than `--leak-after` (60 s unless another
    time was asked for). It is no leak; for as long, it was one connection less for everybody else.

Why it matters
    A pool of 15 connections serves thousands of requests a second that hold one for 5 ms each, and 15 that hold one for a
    minute. What is held for long is mostly not used for long: the code waits for another service, a lock, a queue or a
    person while it holds the connection, and often a transaction with its locks.

What to do
    Take the connection later and return it earlier: fetch what is needed, return it, then do the slow work, then take
    one again to write. A report or a migration that needs minutes of database work belongs on an engine of its own.
    If such uses are meant here, record with a greater `--leak-after`.
"""

from __future__ import annotations

from collections.abc import Iterator

from dbdoctor.model.duration import format_duration
from dbdoctor.model.finding import Finding, Severity
from dbdoctor.model.recorded_summary import SiteSummary, Summary, shown_site
from dbdoctor.rules._common import count
from dbdoctor.rules.recorded._words import MOST_ROWS, frames_object, from_where, site_evidence

CODES = ("held-long",)


def judge(summary: Summary) -> Iterator[Finding]:
    """The lines that held one for long, the longest first."""
    sites = sorted((site for site in summary.sites if site.overdue), key=lambda site: -site.longest_overdue)
    if not sites:
        return
    every = sum(site.overdue for site in sites)
    yield Finding(
        code="held-long",
        severity=Severity.WARNING,
        title=f"{count(every, 'checkout')} came back only after {format_duration(summary.leak_after)} or more, the longest after "
        f"{format_duration(sites[0].longest_overdue)} at {summary.names[sites[0].frames]}",
        why="for as long, each was one connection less for everybody else, used or not",
        fix="take the connection later and return it earlier: slow work that needs no database before or after",
        rows=tuple(_row(site) for site in sites)[:MOST_ROWS],
        evidence={
            "checkouts": every,
            "leak_after_seconds": summary.leak_after,
            "sites": [
                {
                    **site_evidence(site, site.overdue, site.longest_overdue),
                    "returned_at": frames_object(site.returned_at) or None,
                }
                for site in sites[:MOST_ROWS]
            ],
        },
    )


def _row(site: SiteSummary) -> str:
    back = f", returned at {shown_site(site.returned_at)}" if site.returned_at else ""
    return f"{from_where(site.frames)}: {site.overdue:,}, for up to {format_duration(site.longest_overdue)}{back}"
