"""This PostgreSQL version gets no more fixes, or soon will not

What it means
    The PostgreSQL project maintains a major version for five years. After its final release there are no more fixes,
    not for security holes either. A warning is a version past that date by the server's own clock; information is one
    within six months of it. The dates are those of https://www.postgresql.org/support/versioning/ as of 2025-11.

    Relatives of PostgreSQL and managed services have calendars of their own, often longer ones that cost extra.

Why it matters
    Holes found from now on stay open, drivers stop testing against it, and managed services upgrade or charge on their
    own schedule.

What to do
    Plan the upgrade to a supported major version: pg_upgrade in place, or logical replication for a short pause.

        pg_upgrade --check -b OLD/bin -B NEW/bin -d OLD_DATA -D NEW_DATA
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime

from dbdoctor.model.finding import Finding, Severity, Skipped
from dbdoctor.model.server import ServerFacts
from dbdoctor.model.target import Target

CODES = ("version-unsupported",)

FINAL_RELEASES = {
    9: date(2021, 11, 11),
    10: date(2022, 11, 10),
    11: date(2023, 11, 9),
    12: date(2024, 11, 21),
    13: date(2025, 11, 13),
    14: date(2026, 11, 12),
    15: date(2027, 11, 11),
    16: date(2028, 11, 9),
    17: date(2029, 11, 8),
    18: date(2030, 11, 14),
}
"""The final release of each major version (9 is 9.6): https://www.postgresql.org/support/versioning/, as of 2025-11."""

_SOON_DAYS = 183


def judge(facts: ServerFacts, target: Target) -> Iterator[Finding | Skipped]:  # noqa: ARG001 - every rule's shape
    """The final release of this major version against the server's clock."""
    if facts.product != "PostgreSQL":
        reason = f"{facts.product} has its own support calendar, which is not known here"
        yield Skipped("version-unsupported", reason, "see the vendor's page on supported versions")
        return
    major = facts.version_number // 10000
    final = FINAL_RELEASES.get(major) if major > min(FINAL_RELEASES) else FINAL_RELEASES[min(FINAL_RELEASES)]
    if final is None or not facts.version_number:
        return
    if facts.server_time is None:
        yield Skipped("version-unsupported", "the server's clock could not be read")
        return
    days = (final - datetime.fromtimestamp(facts.server_time, UTC).date()).days
    if days <= _SOON_DAYS:
        yield _finding(facts, major, final, days)


def _finding(facts: ServerFacts, major: int, final: date, days: int) -> Finding:
    past = days < 0
    name = f"PostgreSQL {facts.version if major < 10 else major}"
    newest = max(FINAL_RELEASES)
    return Finding(
        code="version-unsupported",
        severity=Severity.WARNING if past else Severity.INFO,
        title=f"{name} had its final release on {final}" if past else f"{name} has its final release on {final}",
        why=f"holes found in the {-days} days since then stay open here"
        if past
        else f"in {days} days fixes end, for security holes too",
        fix=f"plan the upgrade to a supported major version; {newest} is supported until {FINAL_RELEASES[newest]}",
        evidence={"version": facts.version, "final_release": final.isoformat(), "days_left": days},
    )
