"""What happens in a run while it goes on: its files read as they grow, and only what somebody should hear of given out.

Memory is bounded by what is checked out for long. Nothing that a file holds is trusted: a line that is none is left out.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from dbdoctor.traces.growing import Lines, aside_of, open_plain

Frame = tuple[str, int, str]
"""File, line, function."""

_CHUNK = 1 << 20
# Of one file at one look: 60 MB a second at two looks is more than a recorder writes.
_MOST_CHUNKS = 32
_MOST_CONNECTIONS = 10_000
_MOST_SITES = 5_000
_MOST_OPEN = 20_000
_LONGEST_TEXT = 300
_SECOND = 1e6
# Rows of finished checkouts, by far the most lines, begin otherwise.
_OBJECT = b"{"


class Held(NamedTuple):
    """A checkout has been out for longer than `--leak-after`. `seconds` until now; `session` where the driver knows it."""

    process: int
    seconds: float
    taken_at: tuple[Frame, ...]
    session: int | None
    thread: str


class Ended(NamedTuple):
    """One that was told as held has ended after `seconds`; `how` is returned, garbage-collected, detached or lost."""

    process: int
    seconds: float
    taken_at: tuple[Frame, ...]
    how: str
    returned_at: tuple[Frame, ...]


class Holder(NamedTuple):
    """Who held a connection of the pool at that moment, for how long (seconds)."""

    taken_at: tuple[Frame, ...]
    seconds: float


class TimedOut(NamedTuple):
    """pool_timeout ran out after `waited` seconds; the holders, longest first, and how many `more` there were."""

    process: int
    waited: float
    wanted_at: tuple[Frame, ...]
    pool: int
    holders: tuple[Holder, ...]
    more: int


class Stopped(NamedTuple):
    """The recorder stopped itself, and why."""

    process: int
    why: str


News = Held | Ended | TimedOut | Stopped


class RunNews:
    """All files of a run."""

    def __init__(self) -> None:
        self._files: dict[Path, _File] = {}

    def read(self, files: Iterable[Path]) -> Iterator[News]:
        """What came since the last time; a file that cannot be read says nothing."""
        for path in files:
            if path.name.endswith(".1.jsonl"):  # what was put aside is read by its successor's
                continue
            yield from self._files.setdefault(path, _File(path)).read()


class _File:
    def __init__(self, path: Path) -> None:
        self._path = path
        self._aside = aside_of(path)
        self._inode: int | None = None
        self._read_to = 0
        self._lines = Lines()
        self._state = _Process()

    def read(self) -> Iterator[News]:
        try:
            yield from self._read()
        except OSError:
            return

    def _read(self) -> Iterator[News]:
        inode = self._path.stat().st_ino
        if self._inode is not None and inode != self._inode:
            if self._aside.stat().st_ino == self._inode:
                yield from self._read_on(self._aside)
            self._read_to = 0
            self._lines.forget()
        self._inode = inode
        yield from self._read_on(self._path)

    def _read_on(self, path: Path) -> Iterator[News]:
        descriptor = open_plain(path)
        try:
            if os.fstat(descriptor).st_ino != self._inode:  # put aside just now; the next look finds it
                return
            for _ in range(_MOST_CHUNKS):
                chunk = os.pread(descriptor, _CHUNK, self._read_to)
                if not chunk:
                    return
                self._read_to += len(chunk)
                yield from self._news_in(chunk)
        finally:
            os.close(descriptor)

    def _news_in(self, chunk: bytes) -> Iterator[News]:
        for line in self._lines.take(chunk):
            if line.startswith(_OBJECT):
                news = self._state.take_line(line)
                if news is not None:
                    yield news


class _Open(NamedTuple):
    got: int
    site: int
    connection: int
    thread: str


class _Process:
    """What has to be known of a process to tell of it."""

    def __init__(self) -> None:
        self._number = 0
        self._sites: dict[int, tuple[Frame, ...]] = {}
        self._sessions: dict[int, int] = {}
        self._open: dict[int, _Open] = {}
        self._held: set[int] = set()

    def take_line(self, line: bytes) -> News | None:
        try:
            value = json.loads(line)
            for name, take in _KINDS.items():
                if name in value:
                    news: News | None = take(self, value)
                    return news
        except (ValueError, TypeError, KeyError, OverflowError, RecursionError):
            return None
        return None

    def _header(self, value: Mapping[str, Any]) -> None:
        self._number = int(value["process"])

    def _site(self, value: Mapping[str, Any]) -> None:
        if len(self._sites) < _MOST_SITES:
            frames = value["frames"][:4]
            self._sites[int(value["site"])] = tuple((_text(file), int(at), _text(name)) for file, at, name in frames)

    def _connection(self, value: Mapping[str, Any]) -> None:
        if isinstance(value.get("session"), int):
            self._sessions[int(value["connection"])] = value["session"]
            if len(self._sessions) > _MOST_CONNECTIONS:
                del self._sessions[next(iter(self._sessions))]

    def _opened(self, value: Mapping[str, Any]) -> None:
        if len(self._open) < _MOST_OPEN:
            got = int(value["at"]) + int(value["wait"])
            thread = _text(value.get("thread_name") or str(value["thread"]))
            self._open[int(value["open"])] = _Open(got, int(value["site"]), int(value["connection"]), thread)

    def _is_held(self, value: Mapping[str, Any]) -> Held | None:
        number = int(value["held"])
        if number in self._held:  # told again at the beginning of a file begun anew
            return None
        self._held.add(number)
        one = self._open[number]
        seconds = (int(value["at"]) - one.got) / _SECOND
        return Held(self._number, seconds, self._frames(one.site), self._sessions.get(one.connection), one.thread)

    def _closed(self, value: Mapping[str, Any]) -> Ended | None:
        number = int(value["closed"])
        one = self._open.pop(number)
        how = _text(value["how"])
        # A connection that was never given back is news, however short it was out.
        if number not in self._held and how != "garbage-collected":
            return None
        self._held.discard(number)
        returned = self._frames(value.get("site"))
        return Ended(self._number, int(value["use"]) / _SECOND, self._frames(one.site), how, returned)

    def _timed_out(self, value: Mapping[str, Any]) -> TimedOut:
        holders = tuple(Holder(self._frames(one[0]), int(one[1]) / _SECOND) for one in value["holders"][:100])
        return TimedOut(
            self._number,
            int(value["wait"]) / _SECOND,
            self._frames(value["site"]),
            int(value["pool"]),
            holders,
            int(value.get("more") or 0),
        )

    def _disabled(self, value: Mapping[str, Any]) -> Stopped:
        return Stopped(self._number, _text(value["disabled"]))

    def _frames(self, site: object) -> tuple[Frame, ...]:
        return self._sites.get(site, ()) if isinstance(site, int) else ()


# In this order, since several of them name a site or a connection, too.
_KINDS: dict[str, Any] = {
    "schema": _Process._header,
    "open": _Process._opened,
    "held": _Process._is_held,
    "closed": _Process._closed,
    "timeout": _Process._timed_out,
    "disabled": _Process._disabled,
    "failed": lambda *_: None,
    "event": lambda *_: None,
    "connection": _Process._connection,
    "site": _Process._site,
}


def _text(value: object) -> str:
    return str(value)[:_LONGEST_TEXT]
