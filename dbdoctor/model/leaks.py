"""What `leaks` says: groups with a verdict, findings, a forecast. Everything a renderer needs, and nothing it must compute."""

from __future__ import annotations

from enum import Enum
from typing import NamedTuple

from dbdoctor.model.finding import Finding, Skipped
from dbdoctor.model.server import ServerFacts, Slots
from dbdoctor.model.session import ClientProcess, Detail, Identity, PooledClient, Session
from dbdoctor.model.snapshot import Gap


class Verdict(str, Enum):
    """What a group of sessions is. `UNKNOWN` is "could not see", never "healthy"."""

    OK = "ok"
    UNKNOWN = "unknown"
    SUSPECT = "suspect"
    LEAK = "leak"

    @property
    def rank(self) -> int:
        """3 for a leak, 2 suspect, 1 unknown, 0 ok."""
        return {"ok": 0, "unknown": 1, "suspect": 2, "leak": 3}[self.value]


class GroupKey(NamedTuple):
    """Whose sessions: what is not grouped by, or not known, is None. `process` is a pid on the client's host."""

    application: str | None = None
    user: str | None = None
    database: str | None = None
    client: str | None = None
    process: int | None = None

    @property
    def shown(self) -> str:
        """`checkout-api app@shop from 10.0.0.5 pid 812`: for a finding's title and the log."""
        name = self.application or "(no application name)"
        where = "@".join(part for part in (self.user, self.database) if part)
        client = f"from {self.client}" if self.client else ""
        process = f"pid {self.process}" if self.process else ""
        return " ".join(part for part in (name, where, client, process) if part)


GROUP_BY = GroupKey._fields
"""The words of `--group-by`."""


class Trend(NamedTuple):
    """Sessions gained a minute, with the range in which it lies with 95 % confidence, and the seconds it was measured over."""

    per_minute: float
    low: float
    high: float
    seconds: float


class Forecast(NamedTuple):
    """In how many seconds the slots run out at the present rate; `latest` is None when the rate may be nothing at all.

    `by` names the groups that grow.
    """

    seconds: float
    earliest: float
    latest: float | None
    by: tuple[str, ...]


class SessionReport(NamedTuple):
    """One session, for `--sessions` and for the rows of evidence. Durations are seconds at the last sample.

    `verdict` is its own; `reason` a short phrase ("idle in transaction for 92 s", "listens").
    """

    session: Session
    verdict: Verdict
    reason: str
    age: float | None
    state_age: float | None
    transaction_age: float | None
    detail: Detail | None = None
    process: ClientProcess | None = None
    pooled_client: PooledClient | None = None


class GroupReport(NamedTuple):
    """One group. `counts` is how many sessions it had, oldest first, at most 60 values, evenly spread; None marks a gap.

    `reasons` are short phrases, the worst first ("3 idle in transaction for up to 92 s"). `opened` and `closed` count
    sessions that began and ended while we watched. `longest_idle` and `oldest_transaction` are seconds.
    `spared` says why it is not judged ("psql: a person at work", "listens", "replication").
    """

    key: GroupKey
    sessions: int
    active: int
    idle: int
    idle_in_transaction: int
    hidden: int
    verdict: Verdict
    reasons: tuple[str, ...] = ()
    trend: Trend | None = None
    counts: tuple[int | None, ...] = ()
    opened: int = 0
    closed: int = 0
    returned: int = 0
    longest_idle: float | None = None
    oldest_transaction: float | None = None
    process: ClientProcess | None = None
    spared: str | None = None

    @property
    def shown(self) -> str:
        """`checkout-api app@shop from 10.0.0.5 pid 812`: for a finding's title and the log."""
        return self.key.shown


class Observed(NamedTuple):
    """What was looked at: server's clock, Unix seconds; the interval is the one reached, not the one asked for."""

    since: float
    until: float
    samples: int
    interval: float
    gaps: tuple[Gap, ...] = ()

    @property
    def seconds(self) -> float:
        """From the first sample to the last."""
        return self.until - self.since


class LeaksReport(NamedTuple):
    """The whole answer. `groups` worst first; `sessions` only when asked for.

    `earlier` is what a long watch found and is not there any more at its end, with when it was last seen (server's clock).
    """

    target: str
    observed: Observed
    slots: Slots | None
    forecast: Forecast | None
    groups: tuple[GroupReport, ...]
    findings: tuple[Finding, ...]
    skipped: tuple[Skipped, ...]
    sessions: tuple[SessionReport, ...] = ()
    facts: ServerFacts | None = None
    notes: tuple[str, ...] = ()
    earlier: tuple[tuple[Finding, float], ...] = ()


class Event(NamedTuple):
    """Something that happened while watching: for the line-per-event output, the screen's log and the JSON lines.

    `kind` is `found`, `gone`, `returned`, `lost`, `reconnected`, `slow`, `forecast` or `note`. `at` is the server's
    clock, or ours while the server is not there.
    """

    at: float
    kind: str
    text: str
    code: str | None = None
    group: GroupKey | None = None
    session: Identity | None = None


class WatchOptions(NamedTuple):
    """What the user calls too long (seconds), and by which words sessions are grouped (a subset of GROUP_BY)."""

    idle: float = 300.0
    idle_in_transaction: float = 60.0
    group_by: tuple[str, ...] = GROUP_BY
