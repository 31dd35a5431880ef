"""The application's own pool does not survive

What it means
    The pool of your application, as its engine or its profile states it, was tried through the chosen faults, and in some
    of them requests failed or hung. Its settings in time (pool_recycle, keepalives) were shortened in the same
    proportion as the path's idle timeout.

Why it matters
    This is what the application would see, with this driver, this server and this host's kernel.

What to do
    Take over the settings that survived all of it, which the finding quotes, and try again:

        dbdoctor simulate-timeout app.db:engine --pool current
"""

from __future__ import annotations

from collections.abc import Iterator

from dbdoctor.model.finding import Finding, Severity
from dbdoctor.rules._common import count
from dbdoctor.rules.trials._tried import CURRENT, Tried

CODES = ("current-pool-fails",)


def judge(tried: Tried) -> Iterator[Finding]:
    """The user's own pool, if it was tried and anything failed."""
    if not tried.is_own:
        return
    hits = list(tried.hits())
    failing = sorted((hit for hit in hits if hit.fails), key=lambda hit: not hit.hangs)
    if not failing:
        return
    hung = sum(hit.hangs for hit in failing)
    how = f", and hangs in {hung}" if hung else ""
    best = next((plan for plan in tried.report.pools if plan.name == tried.report.cheapest), None)
    yield tried.finding(
        "current-pool-fails",
        Severity.ERROR,
        failing,
        title=f"your pool fails in {len(failing)} of {count(len(hits), 'fault')}{how}",
        why="this is what the application would see with its settings as they are",
        fix=f"use the settings of `{best.name}`, the cheapest that survives all of it"
        if best
        else "no pool that was tried survives all of it; the other findings say what helps against which",
        command="\n".join(best.lines) if best and best.name != CURRENT else None,
        evidence={"failing": len(failing), "hanging": hung, "tried": len(hits)},
    )
