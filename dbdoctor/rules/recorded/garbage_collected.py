"""A connection was not returned by the program: the garbage collector did

What it means
    The last reference to a checked-out connection went away without `close()`. SQLAlchemy noticed when Python collected the
    object as garbage, and took the connection back.

Why it matters
    When that happens is nobody's decision. A reference cycle, an exception that is kept (its traceback holds every local
    variable), a cache or another interpreter delays it for seconds or for ever; until then the connection is out, with its
    transaction and locks. Of an asyncio engine it cannot even be returned: SQLAlchemy warns, and closes it.

What to do
    Return it in the code that took it:

        with engine.connect() as connection:
            ...
        async with engine.connect() as connection:
            ...

    The lines named are where it was taken. Sessions and connections kept in generators and in instance attributes are the
    usual places.
"""

from __future__ import annotations

from collections.abc import Iterator

from dbdoctor.model.duration import format_duration
from dbdoctor.model.finding import Finding, Severity
from dbdoctor.model.recorded_summary import SiteSummary, Summary
from dbdoctor.rules._common import count
from dbdoctor.rules.recorded._words import MOST_ROWS, WITH_BLOCK, from_where, site_evidence

CODES = ("garbage-collected",)


def judge(summary: Summary) -> Iterator[Finding]:
    """The lines whose connections the garbage collector returned, those with most first."""
    sites = sorted((site for site in summary.sites if site.collected), key=lambda site: -site.collected)
    if not sites:
        return
    every = sum(site.collected for site in sites)
    first = summary.names[sites[0].frames]
    most = "most of them " if len(sites) > 1 else ""
    yield Finding(
        code="garbage-collected",
        severity=Severity.WARNING,
        title=f"{count(every, 'checkout')} returned by the garbage collector alone, {most}taken at {first}",
        why="when it comes is nobody's decision: one reference that lives on, as in a kept traceback, makes a leak of it",
        fix="return it in the code that took it",
        command=WITH_BLOCK,
        rows=tuple(_row(site) for site in sites)[:MOST_ROWS],
        evidence={
            "checkouts": every,
            "sites": [site_evidence(site, site.collected, site.longest_collected) for site in sites[:MOST_ROWS]],
        },
    )


def _row(site: SiteSummary) -> str:
    return f"{from_where(site.frames)}: {site.collected:,}, out for up to {format_duration(site.longest_collected)}"
