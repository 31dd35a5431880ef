"""One file of the recorder, followed while it grows: which connections its process has, and who has each of them now.

Only the present is kept: what was returned and closed is forgotten, so memory is as large as the pools, not as the file.
Nothing that a file holds is trusted: a line that is none is left out, and counted.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from dbdoctor.model.holding import Frame
from dbdoctor.traces.find import FRESH
from dbdoctor.traces.growing import Lines, aside_of, open_plain

_FAMILY = "dbdoctor.recorder/"
_SCHEMA = _FAMILY + "1"
_CHUNK = 1 << 18
_MOST_CONNECTIONS = 20_000
_MOST_SITES = 20_000
_MOST_FRAMES = 4
_LONGEST_NAME = 400
# Fields of a row of one finished checkout, and where in it the site and the connection are.
_ROW, _SITE, _CONNECTION = 6, 3, 4


class Header(NamedTuple):
    """Whose file it is. `began` is this host's clock (Unix seconds); `leak_after` seconds; `sample` 0 to 1."""

    process: int
    began: float
    start_ticks: int | None
    program: str | None
    leak_after: float
    sample: float
    part: int

    @property
    def whose(self) -> tuple[int, float, int | None]:
        """The process, whichever part of its recording this is."""
        return self.process, self.began, self.start_ticks


class Connection:
    """One connection that is open. Times are this host's clock (Unix seconds).

    `opened_at` is None when it was there before the recorder. `since` is when it was checked out, None in its pool.
    `sure` is False when nobody can say any more who has it (it was detached, or its end was lost).
    """

    __slots__ = (
        "database", "number", "opened_at", "pool", "port", "session", "since", "site", "sure", "thread", "took",
    )  # fmt: skip

    def __init__(
        self, number: int, opened_at: float | None, took: float, session: int | None, pool: int | None
    ) -> None:
        self.number = number
        self.opened_at = opened_at
        self.took = took
        self.session = session
        self.pool = pool
        self.port: int | None = None
        self.database: str | None = None
        self.since: float | None = None
        self.site = 0
        self.thread: str | None = None
        self.sure = True


class Follower:
    """A file that is read as far as it has been written, again and again. `close` when it is not followed any more.

    `header` is None until there is a first line. `disabled` says that the recorder stopped itself, `ended` that its process
    did. `complete` is False while lines are left that were not read yet, or connections were too many to be known.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._broken = 0
        self._descriptor = -1
        self._inode = 0
        self._read_to = 0
        self._lines = Lines()
        self._reached_end = False
        self._forget()

    def _forget(self) -> None:
        self.header: Header | None = None
        self.disabled = False
        self.ended = False
        self._overfull = False
        self.connections: dict[int, Connection] = {}
        self._before: dict[int, Connection] = {}
        self._sites: dict[int, tuple[Frame, ...]] = {}
        self._open: dict[int, int] = {}

    @property
    def broken(self) -> int:
        """Lines that were left out."""
        return self._broken + self._lines.left_out

    @property
    def complete(self) -> bool:
        """Whether everything that was written is known."""
        return self._reached_end and not self._overfull

    def frames(self, connection: Connection) -> tuple[Frame, ...]:
        """Where it was taken, or taken last."""
        return self._sites.get(connection.site, ())

    def is_fresh(self, now: float) -> bool:
        """Whether the recorder still renews it; `now` is this host's clock."""
        try:
            return abs(now - self.path.stat().st_mtime) <= FRESH
        except OSError:
            return False

    def close(self) -> None:
        """Leave the file; never raises."""
        if self._descriptor >= 0:
            with contextlib.suppress(OSError):
                os.close(self._descriptor)
        self._descriptor = -1

    # --- reading

    def read(self, until: float) -> None:
        """Read on, to the end or until `until` (CPU time of this thread, seconds); a file that cannot be read says nothing."""
        try:
            if self._descriptor < 0:
                self._open_first()
            self._drain(until)
            if self._reached_end and self._was_replaced():
                self._begin(self.path)
                self._drain(until)
        except OSError:
            self._reached_end = False

    def _open_first(self) -> None:
        """The half that was put aside comes first, since connections of it may be open still."""
        aside = aside_of(self.path)
        self._forget()
        self._begin(aside if aside.exists() else self.path)

    def _begin(self, path: Path) -> None:
        descriptor = open_plain(path)
        self.close()
        self._descriptor, self._inode = descriptor, os.fstat(descriptor).st_ino
        self._read_to, self._reached_end = 0, False
        self._lines.forget()

    def _was_replaced(self) -> bool:
        try:
            there = self.path.stat()
        except OSError:
            return False
        return there.st_ino != self._inode or there.st_size < self._read_to

    def _drain(self, until: float) -> None:
        while True:
            chunk = os.pread(self._descriptor, _CHUNK, self._read_to)
            if not chunk:
                self._reached_end = True
                return
            self._reached_end = False
            self._read_to += len(chunk)
            for line in self._lines.take(chunk):
                self._take_line(line)
            if time.thread_time() >= until:
                return

    def _take_line(self, line: bytes) -> None:
        try:
            if line.startswith(b"["):
                self._take_row(line)
            elif line:
                self._take_object(line)
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
            self._broken += 1

    # --- what lines say

    def _take_row(self, line: bytes) -> None:
        """A finished checkout: only who it was matters now."""
        fields = line.strip(b"[] \r").split(b",")
        if len(fields) != _ROW:
            raise ValueError("not a row")
        connection = self.connections.get(int(fields[_CONNECTION]))
        if connection is not None and connection.since is None:
            connection.site = int(fields[_SITE])

    def _take_object(self, line: bytes) -> None:
        value = json.loads(line, parse_constant=_refused)
        if not isinstance(value, dict):
            raise TypeError("not an object")
        for name, take in _KINDS:
            if name in value:
                take(self, value)
                return

    def _take_header(self, value: Mapping[str, Any]) -> None:
        if value["schema"] != _SCHEMA:
            raise ValueError("another version's")
        header = Header(
            process=_whole(value["process"]),
            began=_number(value["began"]),
            start_ticks=_optional(value.get("start_ticks")),
            program=_text(value.get("program")),
            leak_after=_number(value.get("leak_after_seconds", 60.0)),
            sample=_number(value.get("sample", 1.0)),
            part=_whole(value.get("part", 1)),
        )
        if self.header is None or header.whose != self.header.whose:
            self._forget()
        # Each part tells all that is open anew; only where a connection was taken last is known from the part before.
        self._before, self.connections, self._open = self.connections, {}, {}
        self.header = header

    def _take_site(self, value: Mapping[str, Any]) -> None:
        number = _whole(value["site"])
        if len(self._sites) < _MOST_SITES:
            self._sites[number] = tuple(_frame(frame) for frame in value["frames"][:_MOST_FRAMES])

    def _take_connection(self, value: Mapping[str, Any]) -> None:
        number, at = _whole(value["connection"]), value.get("at")
        if number not in self.connections and len(self.connections) >= _MOST_CONNECTIONS:
            self._overfull = True
            return
        known = self._before.pop(number, None)
        made = Connection(
            number,
            None if at is None else self._time(at),
            (_optional(value.get("took")) or 0) / 1e6,
            _optional(value.get("session")),
            _optional(value.get("pool")),
        )
        server = value.get("server")
        if isinstance(server, dict):
            made.port = _optional(server.get("port"))
            made.database = _text(server.get("database"))
        if known is not None:
            made.site, made.sure = known.site, known.sure
        self.connections[number] = made

    def _take_open(self, value: Mapping[str, Any]) -> None:
        connection = self.connections.get(_whole(value["connection"]))
        if connection is None:
            return
        wait = _optional(value.get("wait")) or 0
        connection.since = self._time(value["at"]) + wait / 1e6
        connection.site = _whole(value["site"])
        connection.thread = _text(value.get("thread_name"))
        self._open[_whole(value["open"])] = connection.number

    def _take_closed(self, value: Mapping[str, Any]) -> None:
        connection = self.connections.get(self._open.pop(_whole(value["closed"]), 0))
        if connection is not None:
            connection.since = connection.thread = None
            connection.sure = value.get("how") in {"returned", "garbage-collected"}

    def _take_event(self, value: Mapping[str, Any]) -> None:
        number = _whole(value["connection"])
        if value["event"] in {"close", "invalidate"}:
            self.connections.pop(number, None)
        elif value["event"] == "detach" and (connection := self.connections.get(number)) is not None:
            connection.since, connection.sure = None, False

    def _take_disabled(self, _: Mapping[str, Any]) -> None:
        self.disabled = True

    def _take_end(self, _: Mapping[str, Any]) -> None:
        self.ended = True

    def _time(self, ticks: object) -> float:
        if self.header is None:
            raise ValueError("before any header")
        return self.header.began + _whole(ticks) / 1e6


_KINDS: tuple[tuple[str, Callable[[Follower, Mapping[str, Any]], None]], ...] = (
    ("open", Follower._take_open),
    ("closed", Follower._take_closed),
    ("event", Follower._take_event),
    ("schema", Follower._take_header),
    ("site", Follower._take_site),
    ("disabled", Follower._take_disabled),
    ("end", Follower._take_end),
    # Others name a site or a connection, too, and are of no concern here.
    ("timeout", lambda follower, value: None),  # noqa: ARG005
    ("failed", lambda follower, value: None),  # noqa: ARG005
    ("connection", Follower._take_connection),
)


def _refused(name: str) -> float:
    raise ValueError(f"{name} is no figure")


def _whole(value: object) -> int:
    if type(value) is not int or abs(value) > 1 << 60:
        raise ValueError("not a whole number")
    return value


def _optional(value: object) -> int | None:
    return None if value is None else _whole(value)


def _number(value: object) -> float:
    if type(value) not in (int, float) or not math.isfinite(value) or abs(value) > 1e12:  # type: ignore[arg-type]
        raise ValueError("not a number")
    return float(value)  # type: ignore[arg-type]


def _text(value: object) -> str | None:
    return value[:_LONGEST_NAME] if isinstance(value, str) else None


def _frame(value: Any) -> Frame:
    file, line, function = value
    return Frame(_text(file) or "?", _whole(line), _text(function) or "?")
