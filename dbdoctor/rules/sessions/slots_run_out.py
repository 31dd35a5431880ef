"""At this rate the server's slots run out

What it means
    Groups that are suspected to leak, or that we may not look into, grow for sure, and the time is when their growth will
    have taken the slots that are free now. The rate comes from the times at which the server says that their sessions
    were opened; the range is where it lies with 95 % confidence. Healthy pools, which stop at their size, do not count.

    Within the hour it is an error, later a warning. A forecast supposes that nothing else changes; a pool with a limit
    will stop there instead and fail with `QueuePool limit ... reached`.

Why it matters
    Then every new session of every application is refused: `FATAL: sorry, too many clients already`.

What to do
    The findings on the groups that grow say what to mend. To gain time, restart the processes that hold the sessions one
    by one, or end leaked sessions: `dbdoctor leaks --terminate-leaks`. Keep one administrator's session open meanwhile.
"""

from __future__ import annotations

from collections.abc import Iterator

from dbdoctor.rules.sessions._watched import Judged, Watched

CODES = ("slots-run-out",)


def judge(watched: Watched) -> Iterator[Judged]:  # noqa: ARG001 - every rule's shape
    """Nothing: the forecast needs the verdicts of all other rules, and is made after them (`_forecast.py`)."""
    return iter(())
