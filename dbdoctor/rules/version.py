"""This version of the server gets no more fixes, or soon will not

What it means
    The PostgreSQL project maintains a major version for five years. After its final release there are no more fixes,
    not for security holes either. A warning is a version past that date by the server's own clock; information is one
    within six months of it. The dates are those of https://www.postgresql.org/support/versioning/ as of 2025-11.

    Microsoft gives SQL Server security fixes for ten years, to the end of extended support; the dates are those of
    https://learn.microsoft.com/lifecycle/products/ as of 2025-11. Azure keeps its databases at the newest version.

    Relatives and managed services have calendars of their own, often longer ones that cost extra.

Why it matters
    Holes found from now on stay open, drivers stop testing against it, and managed services upgrade or charge on their
    own schedule.

What to do
    Plan the upgrade to a supported major version. PostgreSQL: pg_upgrade in place, or logical replication for a short
    pause. SQL Server: an upgrade in place, or a secondary of the new version that takes over.

        pg_upgrade --check -b OLD/bin -B NEW/bin -d OLD_DATA -D NEW_DATA
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime
from types import MappingProxyType
from typing import NamedTuple

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

EXTENDED_SUPPORT = {
    11: date(2022, 7, 12),
    12: date(2024, 7, 9),
    13: date(2026, 7, 14),
    14: date(2027, 10, 12),
    15: date(2030, 1, 8),
    16: date(2033, 1, 11),
    17: date(2036, 1, 6),
}
"""The end of extended support of each major version of SQL Server: https://learn.microsoft.com/lifecycle/, as of 2025-11."""


class Calendar(NamedTuple):
    """When each major version of a product gets its last fixes, how that is said of the past and of the future.

    `names` are what people call the versions that are not called by their number.
    """

    ends: Mapping[int, date]
    had: str
    has: str
    names: Mapping[int, str] = MappingProxyType({})

    def end_of(self, major: int) -> date | None:
        """The last fixes of this version; of one older than all known ones, those of the oldest."""
        oldest = min(self.ends)
        return self.ends.get(major) if major > oldest else self.ends[oldest]

    def name_of(self, major: int, version: str) -> str:
        """The version as people say it."""
        return self.names.get(major) or (version if major < 10 else str(major))


CALENDARS = {
    "PostgreSQL": Calendar(FINAL_RELEASES, "had its final release on", "has its final release on"),
    "SQL Server": Calendar(
        EXTENDED_SUPPORT,
        "has been without security fixes since",
        "gets its last security fixes on",
        {11: "2012", 12: "2014", 13: "2016", 14: "2017", 15: "2019", 16: "2022", 17: "2025"},
    ),
}
"""By the product's name; what is not here has a calendar that is not known."""

_SOON_DAYS = 183


def judge(facts: ServerFacts, target: Target) -> Iterator[Finding | Skipped]:  # noqa: ARG001 - every rule's shape
    """The last fixes of this major version against the server's clock."""
    calendar = CALENDARS.get(facts.product)
    if calendar is None:
        reason = f"{facts.product} has its own support calendar, which is not known here"
        yield Skipped("version-unsupported", reason, "see the vendor's page on supported versions")
        return
    major = facts.version_number // 10000
    final = calendar.end_of(major)
    if final is None or not facts.version_number:
        return
    if facts.server_time is None:
        yield Skipped("version-unsupported", "the server's clock could not be read")
        return
    days = (final - datetime.fromtimestamp(facts.server_time, UTC).date()).days
    if days <= _SOON_DAYS:
        yield _finding(facts, calendar, major, final, days)


def _finding(facts: ServerFacts, calendar: Calendar, major: int, final: date, days: int) -> Finding:
    past = days < 0
    name = f"{facts.product} {calendar.name_of(major, facts.version)}"
    newest = max(calendar.ends)
    return Finding(
        code="version-unsupported",
        severity=Severity.WARNING if past else Severity.INFO,
        title=f"{name} {calendar.had if past else calendar.has} {final}",
        why=f"holes found in the {-days} days since then stay open here"
        if past
        else f"in {days} days fixes end, for security holes too",
        fix=f"plan the upgrade to a supported major version; {calendar.name_of(newest, '')} is supported until "
        f"{calendar.ends[newest]}",
        evidence={"version": facts.version, "final_release": final.isoformat(), "days_left": days},
    )
