"""The server's clock and this machine's differ

What it means
    The server's clock_timestamp() was compared with our clock in the middle of one round trip. What is reported is
    the part of the difference that the round trip cannot explain.

Why it matters
    Times in the application's log and in the server's log do not match, so an incident is pieced together wrongly.
    Tokens with a lifetime (IAM logins, certificates) are refused as expired or not yet valid. Ages computed from both
    clocks are off by that much.

What to do
    Let both machines follow a time server, and find out which one is wrong:

        chronyc tracking
        timedatectl timesync-status
"""

from __future__ import annotations

from collections.abc import Iterator

from dbdoctor.model.duration import format_duration
from dbdoctor.model.finding import Finding, Severity, Skipped
from dbdoctor.model.server import ServerFacts
from dbdoctor.model.target import Target
from dbdoctor.rules._common import threshold_of, unseen

CODES = ("clock-skew",)


def judge(facts: ServerFacts, target: Target) -> Iterator[Finding | Skipped]:
    """The difference beyond what the round trip leaves uncertain."""
    if facts.clock_skew is None:
        yield unseen("clock-skew", facts, "the server's clock")
        return
    uncertain = facts.clock_uncertainty or 0.0
    certain = abs(facts.clock_skew) - uncertain
    if certain <= threshold_of(target, "clock_skew_warning"):
        return
    direction = "ahead of" if facts.clock_skew > 0 else "behind"
    yield Finding(
        code="clock-skew",
        severity=Severity.WARNING,
        title=f"the server's clock is {format_duration(abs(facts.clock_skew))} {direction} this machine's",
        why="log lines of the application and of the server do not match, and tokens with a lifetime may be refused",
        fix="let both machines follow a time server; run this on both to see which is wrong",
        command="chronyc tracking || timedatectl timesync-status",
        evidence={"clock_skew_seconds": facts.clock_skew, "uncertainty_seconds": uncertain},
    )
