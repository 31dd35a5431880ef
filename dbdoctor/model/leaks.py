"""What `leaks` says: groups with a verdict, findings, a forecast. Everything a renderer needs, and nothing it must compute."""

from __future__ import annotations

from enum import Enum
from typing import Any, NamedTuple

from dbdoctor.model.duration import format_duration
from dbdoctor.model.finding import Finding, Skipped
from dbdoctor.model.holding import Frame, chosen_frame
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


class HeldAt(NamedTuple):
    """Sessions that one line of code took, as the recorder saw it; `taken_at` are its frames, innermost first.

    `longest` is for how long (seconds) the oldest of these checkouts lasts; None when they are over: `rests` says that
    the sessions are back in their pool and this line was the last to have them. Neither: it had them when they paused.
    `beside`: they are of none of the pools that the recorder sees in their process.
    """

    taken_at: tuple[Frame, ...]
    sessions: tuple[Identity, ...]
    processes: tuple[int, ...]
    longest: float | None = None
    rests: bool = False
    beside: bool = False

    @property
    def place(self) -> str:
        """`shop/orders.py:12 take_order`: the line to go to."""
        frame = chosen_frame(self.taken_at)
        return frame.shown if frame is not None else "a line that the recorder could not keep apart from others"

    @property
    def shown(self) -> str:
        """`taken at shop/orders.py:12 take_order: 3 sessions, held for up to 92 s`."""
        number = f"{len(self.sessions)} session{'s' if len(self.sessions) != 1 else ''}"
        if self.beside:
            return f"opened beside the pools that the recorder sees in process {self.processes[0]}: {number}"
        if self.longest is not None:
            upto = "up to " if len(self.sessions) > 1 else ""
            return f"taken at {self.place}: {number}, held for {upto}{format_duration(self.longest)}"
        return f"{'last taken' if self.rests else 'taken'} at {self.place}: {number}{', given back since' if self.rests else ''}"

    def as_object(self) -> dict[str, Any]:
        """For JSON: the whole path, every frame, the sessions' ids."""
        frame = chosen_frame(self.taken_at)
        return {
            "file": frame.file if frame else None,
            "line": frame.line if frame else None,
            "function": frame.function if frame else None,
            "frames": [list(frame) for frame in self.taken_at],
            "sessions": [identity[0] for identity in self.sessions],
            "processes": list(self.processes),
            "checked_out": self.longest is not None,
            "longest_held_seconds": round(self.longest, 3) if self.longest is not None else None,
            "beside_the_pools": self.beside,
            "place": self.place if self.taken_at else None,
            "shown": self.shown,
        }


class RecorderSays(NamedTuple):
    """Of a group's sessions: how many a recorder knows, has out, and has out for longer than `leak_after` (seconds).

    `leaking` are those that are held and a leak by their own verdict, `beside` those that are of no recorded pool.
    """

    known: int
    sessions: int
    out: int
    held_too_long: int
    leaking: int
    leak_after: float
    beside: int = 0


class SessionReport(NamedTuple):
    """One session, for `--sessions` and for the rows of evidence. Durations are seconds at the last sample.

    `verdict` is its own; `reason` a short phrase ("idle in transaction for 92 s", "listens"). `held` is where it was
    taken, if a recorder knows it.
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
    held: HeldAt | None = None


class GroupReport(NamedTuple):
    """One group. `counts` is how many sessions it had, oldest first, at most 60 values, evenly spread; None marks a gap.

    `reasons` are short phrases, the worst first ("3 idle in transaction for up to 92 s"). `opened` and `closed` count
    sessions that began and ended while we watched. `longest_idle` and `oldest_transaction` are seconds.
    `spared` says why it is not judged ("psql: a person at work", "listens", "replication"). `held` are the lines of code
    that took what is not well, `recorder` what recorders say of the sessions as a whole, and `settled` why a suspicion is
    none by their word.
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
    held: tuple[HeldAt, ...] = ()
    recorder: RecorderSays | None = None
    settled: str | None = None

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
    clock, or ours while the server is not there. `taken_at` are the lines of code behind it, ready to be shown.
    """

    at: float
    kind: str
    text: str
    code: str | None = None
    group: GroupKey | None = None
    session: Identity | None = None
    taken_at: tuple[str, ...] = ()


class WatchOptions(NamedTuple):
    """What the user calls too long (seconds), and by which words sessions are grouped (a subset of GROUP_BY)."""

    idle: float = 300.0
    idle_in_transaction: float = 60.0
    group_by: tuple[str, ...] = GROUP_BY
