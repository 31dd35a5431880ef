"""The lines of a recording: snapshots, gaps and facts as compact JSON, and back again; nothing here touches a file.

A recording is JSON lines. The first is a header (`schema`, whose server, what was called too long, the names of the columns);
then follow `{"facts": ...}`, `{"gap": ...}` and snapshots. Sessions are rows in the order of the header's columns.

Of every 30 snapshots the first is whole (`"whole": n`); the others (`"like": n`) have, for runs of sessions that are as they
were in that whole one, `[first, how many]` in the place of their rows. So a line that is lost is one snapshot lost, and
nothing more, unless it was a whole one. Statements are written only when asked for; else as their first word, if that is
one of SQL's own, since what a session listens to or fetches from is told by it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from dbdoctor.model.holding import Frame, Holding
from dbdoctor.model.server import Missing, Slots
from dbdoctor.model.session import ClientProcess, Detail, PooledClient, Session, Waiter
from dbdoctor.model.snapshot import EndedSessions, Gap, PreparedTransaction, ReplicationSlot, Snapshot

SCHEMA = "dbdoctor.recording/1"
COLUMNS: Mapping[str, Any] = {
    "session": Session,
    "detail": Detail,
    "process": ClientProcess,
    "pooled_client": PooledClient,
    "holding": Holding,
}
_WHOLE_EVERY = 30
# First words that tell what kind of statement it is, and nothing of what is in the database.
_KEYWORDS = {
    "ABORT", "ALTER", "ANALYZE", "BEGIN", "CALL", "CHECKPOINT", "CLOSE", "CLUSTER", "COMMIT", "COPY", "CREATE",
    "DEALLOCATE", "DECLARE", "DELETE", "DISCARD", "DO", "DROP", "END", "EXECUTE", "EXPLAIN", "FETCH", "GRANT",
    "INSERT", "LISTEN", "LOCK", "MERGE", "MOVE", "NOTIFY", "PREPARE", "REFRESH", "REINDEX", "RELEASE", "RESET",
    "REVOKE", "ROLLBACK", "SAVEPOINT", "SELECT", "SET", "SHOW", "START", "TABLE", "TRUNCATE", "UNLISTEN", "UPDATE",
    "VACUUM", "VALUES", "WITH",
}  # fmt: skip
# What drivers say by themselves when a connection is given back.
_OF_DRIVERS = ("IF @@TRANCOUNT", "SP_RESET_CONNECTION")
_K = TypeVar("_K")
_V = TypeVar("_V")


def keyword(statement: str | None) -> str | None:
    """`FETCH` of `fetch 100 from c`; None when it begins otherwise, "" when there is nothing."""
    if not statement:
        return statement
    begins = statement.lstrip()[:30].upper()
    first = begins.split(None, 1)[0].rstrip(";") if begins else ""
    return first if first in _KEYWORDS else next((text for text in _OF_DRIVERS if begins.startswith(text)), None)


def columns() -> dict[str, list[str]]:
    """The header's names of the columns."""
    return {name: list(kind._fields) for name, kind in COLUMNS.items()}


def gap_line(gap: Gap) -> str:
    """The line of a gap."""
    return _dumped({"gap": list(gap)})


class Encoder:
    """Snapshots into lines. `statements` says whether their text is written, `mask` takes secrets out of a text."""

    def __init__(self, *, statements: bool, mask: Callable[[str], str] = str) -> None:
        self._statements = statements
        self._mask = mask
        self._base: Snapshot | None = None
        self._whole = self._count = 0
        self._where: dict[int, int] = {}

    def line(self, snapshot: Snapshot) -> str:
        """The line of one snapshot."""
        now = self._without_secrets(snapshot)
        base = self._base if self._count % _WHOLE_EVERY else None
        self._count += 1
        if base is None:
            self._base = now
            self._whole += 1
            self._where = {session.id: place for place, session in enumerate(now.sessions)}
        return _dumped({"whole" if base is None else "like": self._whole, **self._object(now, base)})

    def _object(self, now: Snapshot, base: Snapshot | None) -> dict[str, Any]:
        found = {
            "at": now.at,
            "took": now.took,
            "sessions": self._runs(now.sessions, base.sessions) if base else now.sessions,
            "slots": now.slots,
            "details": _changed(now.details, base.details if base else None),
            "processes": _changed(now.processes, base.processes if base else None),
            "pooled_clients": _changed(now.pooled_clients, base.pooled_clients if base else None),
            "holdings": _changed(now.holdings, base.holdings if base else None),
            "waiters": now.waiters,
            "prepared": now.prepared,
            "replication_slots": now.replication_slots,
            "ended": now.ended,
            "clients_gone": sorted(now.clients_gone),
            "missing": now.missing,
        }
        empty: tuple[object, ...] = (None, (), [], {})
        # `prepared` and `replication_slots` tell "none" from "not asked".
        return {
            k: v for k, v in found.items() if v not in empty or (v == () and k in ("prepared", "replication_slots"))
        }

    def _runs(self, sessions: Sequence[Session], base: Sequence[Session]) -> list[Any]:
        rows: list[Any] = []
        run: list[int] | None = None
        for session in sessions:
            place = self._where.get(session.id)
            if place is None or base[place] != session:
                rows.append(session)
                run = None
            elif run and run[0] + run[1] == place:
                run[1] += 1
            else:
                run = [place, 1]
                rows.append(run)
        return rows

    def _without_secrets(self, snapshot: Snapshot) -> Snapshot:
        mask = self._mask
        return snapshot._replace(
            sessions=tuple([self._masked(session) for session in snapshot.sessions]),
            details={id_: self._detail(detail) for id_, detail in snapshot.details.items()},
            processes={
                id_: process._replace(command=process.command and mask(process.command))
                for id_, process in snapshot.processes.items()
            },
        )

    def _masked(self, session: Session) -> Session:
        name = session.application
        masked = name and self._mask(name)
        return session if masked == name else session._replace(application=masked)

    def _detail(self, detail: Detail) -> Detail:
        said = detail.statement
        return detail._replace(statement=(said and self._mask(said)) if self._statements else keyword(said))


class Decoder:
    """Lines into snapshots; for one header's lines, in their order."""

    def __init__(self, columns: Mapping[str, Sequence[str]] | None = None) -> None:
        self._rows = {
            name: (_HoldingRows if kind is Holding else _Rows)(kind, (columns or {}).get(name))
            for name, kind in COLUMNS.items()
        }
        self._base: Snapshot | None = None
        self._whole: object = None

    def snapshot(self, line: Mapping[str, Any]) -> Snapshot:
        """The snapshot of a line. Raises ValueError when the line makes none, also for want of its whole one."""
        try:
            return self._snapshot(line)
        except (TypeError, KeyError, IndexError, AttributeError, OverflowError) as error:
            raise ValueError(f"not a snapshot ({type(error).__name__})") from None

    def _snapshot(self, line: Mapping[str, Any]) -> Snapshot:
        base = None
        if "whole" not in line:
            base = self._base if self._whole == line["like"] else None
            if base is None:
                raise ValueError("the whole snapshot it refers to is lost")
        found = Snapshot(
            at=_number(line["at"]),
            took=_number(line.get("took", 0.0)),
            sessions=tuple(self._sessions(line.get("sessions", []), base)),
            slots=_slots(line.get("slots")),
            details=self._mapping("detail", line.get("details"), base.details if base else None),
            processes=self._mapping("process", line.get("processes"), base.processes if base else None),
            pooled_clients=self._mapping(
                "pooled_client", line.get("pooled_clients"), base.pooled_clients if base else None
            ),
            holdings=self._mapping("holding", line.get("holdings"), base.holdings if base else None),
            waiters=tuple(Waiter(w[0], w[1], tuple(w[2])) for w in line.get("waiters", [])),
            prepared=_optional(PreparedTransaction._make, line.get("prepared")),
            replication_slots=_optional(ReplicationSlot._make, line.get("replication_slots")),
            ended=EndedSessions(*line["ended"]) if line.get("ended") else None,
            clients_gone=frozenset(line.get("clients_gone", [])),
            missing=tuple(Missing(*missing) for missing in line.get("missing", [])),
        )
        if base is None:
            self._base, self._whole = found, line["whole"]
        return found

    def _sessions(self, rows: Sequence[Any], base: Snapshot | None) -> list[Session]:
        found: list[Session] = []
        make = self._rows["session"].make
        for row in rows:
            if len(row) == 2 and base is not None:
                first, count = row
                if first < 0 or not 0 < count <= len(base.sessions) - first:
                    raise ValueError("a run of sessions that are not there")
                found.extend(base.sessions[first : first + count])
            else:
                found.append(make(row))
        return found

    def _mapping(self, kind: str, changed: Mapping[str, Any] | None, base: Mapping[int, Any] | None) -> dict[int, Any]:
        found = dict(base or {})
        if changed is None:
            return found
        for id_ in changed.get("gone", ()):
            found.pop(id_, None)
        make = self._rows[kind].make
        found.update((int(id_), make(row)) for id_, row in changed.get("set", {}).items())
        return found


class _Rows:
    """Rows of one kind of value, whose columns may be fewer or more than ours; their types are looked at."""

    def __init__(self, kind: Any, names: Sequence[str] | None) -> None:
        self._kind = kind
        self._names = list(names or kind._fields)
        self._same = self._names == list(kind._fields)
        self._good: set[tuple[type, ...]] = set()

    def make(self, row: Sequence[Any]) -> Any:
        if len(row) != len(self._names):
            raise ValueError("a row of another length")
        if not self._same:
            known = zip(self._names, row, strict=True)
            value = self._kind(**{name: cell for name, cell in known if name in self._kind._fields})
        else:
            value = self._kind._make(row)
        types = tuple(map(type, value))
        if types not in self._good:
            self._check(types)
            self._good.add(types)
        return value

    def _check(self, types: Sequence[type]) -> None:
        """What the annotations allow, as far as JSON has it; a set of types once seen to be good is not looked at again."""
        for name, type_ in zip(self._kind._fields, types, strict=True):
            annotation = str(self._kind.__annotations__[name])
            allowed = {"float": ("float", "int"), "tuple[Frame, ...]": ("tuple",)}
            words = [part.strip() for part in annotation.replace("ForwardRef", "").strip("('\")").split("|")]
            names = {w for word in words for w in allowed.get(word, (word,))}
            if (type_.__name__ if type_ is not type(None) else "None") not in names:
                raise ValueError(f"{name} is no {annotation}")


class _HoldingRows(_Rows):
    """The same, with lines of code in one of the cells."""

    def make(self, row: Sequence[Any]) -> Any:
        place = self._names.index("taken_at")
        frames = tuple(Frame(str(file), int(line), str(function)) for file, line, function in row[place])
        return super().make([*row[:place], frames, *row[place + 1 :]])


def facts_object(facts: Any) -> dict[str, Any]:
    """Facts of a server as an object for a line of their own."""
    from dataclasses import asdict

    return {"facts": asdict(facts)}


def _changed(now: Mapping[_K, _V], base: Mapping[_K, _V] | None) -> dict[str, Any]:
    if base is None:
        return {"set": now} if now else {}
    changed: dict[str, Any] = {}
    if new := {key: value for key, value in now.items() if base.get(key) != value}:
        changed["set"] = new
    if gone := [key for key in base if key not in now]:
        changed["gone"] = gone
    return changed


def _dumped(value: Mapping[str, Any]) -> str:
    return json.dumps(value, separators=(",", ":"), check_circular=False)


def _number(value: Any) -> float:
    if type(value) not in (int, float) or not abs(value) < 1e12:
        raise ValueError("not a number")
    return float(value)


def _slots(row: Sequence[Any] | None) -> Slots | None:
    return Slots(row[0], row[1], row[2], tuple((u, a, n) for u, a, n in row[3])) if row else None


def _optional(make: Callable[[Any], _V], rows: Sequence[Any] | None) -> tuple[_V, ...] | None:
    return None if rows is None else tuple(make(row) for row in rows)
