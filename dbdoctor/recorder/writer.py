"""Carries what is recorded to the file, twice a second, in a thread that the program does not see.

It also finds out what no event tells: which checkouts are still out, and which have been out for too long.
"""

from __future__ import annotations

import os
import time
from typing import Any

from dbdoctor.recorder.background import Background, native
from dbdoctor.recorder.file import RecordFile
from dbdoctor.recorder.lines import Clock, header, line
from dbdoctor.recorder.places import file_name
from dbdoctor.recorder.recorder import GARBAGE, LOST, Entry, Finished, Recorder
from dbdoctor.recorder.reports import Reports
from dbdoctor.recorder.sites import OTHER

PAUSE = 0.5  # seconds between two writes: what a kill -9 can lose
_STILL_OUT = 250_000_000  # nanoseconds: a checkout that is out for so long is written as open
_LONGEST_PAUSE = 1.0  # seconds that a fork or the end waits for a thread that hangs in a write
_ORDINARY = 6  # fields of a finished checkout that is like any other
_ROW, _EVENT = 50, 300  # bytes of a line, roughly


class Writer:
    """The file, and the thread that writes it. `wake` starts it, `pause` and `resume` are for forks, `finish` for the end."""

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder
        recorder.on_disabled = self.wake  # the thread says it, once
        self.reports = Reports(recorder)
        self.begin()

    def begin(self) -> None:
        """Start with no thread and no file, as after a fork."""
        recorder = self._recorder
        self._clock = Clock(recorder.zero)
        self._file = RecordFile(
            recorder.settings.out, file_name(recorder.process, recorder.began), recorder.settings.most_bytes
        )
        self._part = 0
        sites = recorder.sites
        sites.new.clear()
        sites.new.extend(number for number in list(sites.frames) if number != OTHER)
        self._sites: list[int] = []  # those in the file
        self._lost = 0
        # The open ones in the file, by when they were asked for and their connection, with their numbers there.
        self._written: dict[tuple[int, int], tuple[int, Entry]] = {}
        self._held: dict[tuple[int, int], int] = {}  # since when they are told as held for too long
        self._missing: set[tuple[int, int]] = set()  # written as open, and nowhere to be found the last time
        self._opened = 0
        self._known: dict[tuple[str, int], str] = {}  # lines of live pools and connections, told again in a new part
        self._flushing = native("allocate_lock")()
        self._thread = Background(recorder, PAUSE, self.flush, self.say_disabled)
        self.reports.begin()

    # --- the thread

    def wake(self) -> None:
        """Start the thread if it does not run."""
        self._thread.wake()

    def pause(self) -> None:
        """Before a fork: end the thread, which would not live on in the child. What there is stays for the next one."""
        if not self._recorder.asleep:
            self._thread.stop(_LONGEST_PAUSE)

    def resume(self) -> None:
        """After a fork, in the parent: go on, since open ones must be watched and the file must not look abandoned."""
        if not self._recorder.off and (self._file.is_begun or self._has_news()):
            self.wake()

    def finish(self, patience: float = _LONGEST_PAUSE) -> None:
        """At the end of the process: write everything and say that it ended orderly. Waits for nobody for longer than this."""
        recorder = self._recorder
        if os.getpid() != recorder.process:
            return
        try:
            self._thread.stop(patience)
            if not recorder.off and (self._file.is_begun or self._has_news()):
                self._write_end(patience)
        except Exception as error:
            recorder.on_disabled = _nothing
            recorder.disable(error)
        recorder.off = True
        if recorder.disabled:
            self.say_disabled()

    def _write_end(self, patience: float) -> None:
        if not self._flushing.acquire(True, patience):
            return  # the thread hangs in a write; so would we
        try:
            self._flush(still_out=0)
            self._file.append(line(end=self._clock.tick(time.perf_counter_ns()), how="exit"))
        finally:
            self._flushing.release()

    def _has_news(self) -> bool:
        recorder = self._recorder
        return bool(recorder.events or recorder.opened or recorder.finished)

    def say_disabled(self) -> None:
        """Say once that the recorder stopped, and why."""
        if self.reports.has_warned:
            return
        why = str(self._recorder.disabled)
        written = False
        try:
            if self._file.is_begun:
                self._file.append(line(disabled=why, at=self._clock.tick(time.perf_counter_ns())))
                written = True
        except Exception:  # as what disabled it, perhaps
            pass
        self.reports.disabled(why, written)

    # --- what it writes

    def flush(self) -> None:
        """Write everything that happened since the last time. Raises OSError."""
        with self._flushing:  # the thread, or the end of the process; the application never waits for it
            self._flush()

    def _flush(self, still_out: int = _STILL_OUT) -> None:
        if not self._file.is_begun:
            if self._has_news():
                self._begin_part()
        elif not self._file.has_room(self._expected()) or not self._file.touch():
            self._begin_part()
        if not self._file.is_begun:
            return
        text = self._gather(time.perf_counter_ns(), still_out)
        if text:
            self._append(text)

    def _expected(self) -> int:
        recorder = self._recorder
        return _ROW * len(recorder.finished) + _EVENT * (len(recorder.events) + len(recorder.sites.new))

    def _append(self, text: str) -> None:
        try:
            self._file.append(text)
        except FileNotFoundError:  # removed just now
            self._begin_part()
            self._file.append(text)

    def _begin_part(self) -> None:
        """Begin the file, or begin it anew with what one needs to know to read it alone."""
        self._part += 1
        again = [self._site_line(number) for number in self._sites]
        again += self._known.values()
        again += [self._open_line(number, entry) for number, entry in self._written.values()]
        again += [line(held=self._written[key][0], at=at) for key, at in self._held.items() if key in self._written]
        self._file.begin("".join([header(self._recorder, self._part), *again]))

    def _gather(self, now: int, still_out: int) -> str:
        recorder = self._recorder
        finished = _drained(recorder.finished)
        opened = list(recorder.opened.values())
        events = _drained(recorder.events)
        new = _drained(recorder.sites.new)  # after those that name them
        self._sites += new
        parts = [self._site_line(number) for number in new]
        parts += [self._event_line(event) for event in events]
        if self._written:
            finished = self._close(finished, opened, parts)
        parts += self._finished_lines(finished)
        parts += self._open_lines(opened, now, still_out)
        if recorder.lost != self._lost:
            parts.append(line(lost=recorder.lost - self._lost, at=self._clock.tick(now)))
            self._lost = recorder.lost
        return "".join(parts)

    def _site_line(self, number: int) -> str:
        return line(site=number, frames=self._recorder.sites.frames[number])

    def _event_line(self, event: tuple[Any, ...]) -> str:
        text = self._clock.event(event)
        if event[0] in ("pool", "connection"):
            self._known[event[0], event[1]] = text
        elif event[0] == "event" and event[1] != "soft-invalidate":
            self._known.pop(("connection", event[3]), None)
        elif event[0] == "gone":
            self._known.pop(("pool", event[1]), None)
        elif event[0] == "timeout":
            self.reports.pool_timeout(event)
        return text

    def _finished_lines(self, finished: list[tuple[Any, ...]]) -> list[str]:
        ordinary = [one for one in finished if len(one) == _ORDINARY]
        lines = [self._clock.rows(ordinary)] if ordinary else []
        for one in finished if len(ordinary) < len(finished) else ():
            if len(one) != _ORDINARY:
                told = Finished(*one)
                lines.append(self._open(Entry(*told[:2], *told[3:6], None, told.task)))
                lines.append(self._close_line(told))
        return lines

    def _open_lines(self, opened: list[tuple[Any, ...]], now: int, still_out: int) -> list[str]:
        lines = []
        for entry in opened:
            key = entry[0], entry[3]
            if now - entry[1] > min(still_out, self._recorder.leak_after) and key not in self._written:
                lines.append(self._open(Entry(*entry)))
            if now - entry[1] > self._recorder.leak_after and key not in self._held:
                self._held[key] = self._clock.tick(now)
                lines.append(line(held=self._written[key][0], at=self._held[key]))
                self.reports.held(Entry(*entry), now)
        return lines

    def _open(self, entry: Entry) -> str:
        self._opened += 1
        self._written[entry.asked, entry.connection] = self._opened, entry._replace(fairy=None)
        return self._open_line(self._opened, entry)

    def _open_line(self, number: int, entry: Entry) -> str:
        clock = self._clock
        return line(
            open=number,
            at=clock.tick(entry.asked),
            wait=(entry.got - entry.asked) // 1000,
            site=entry.site,
            connection=entry.connection,
            thread=entry.thread,
            thread_name=entry.task or self.reports.thread_name(entry.thread),
        )

    def _close(self, finished: list[tuple[Any, ...]], opened: list[tuple[Any, ...]], parts: list[str]) -> Any:
        """Write the ends of those that are in the file as open; what is left of `finished` are ordinary ones."""
        left = []
        for one in finished:
            if (one[0], one[4]) in self._written:
                parts.append(self._close_line(Finished(*one)))
            else:
                left.append(one)
        recorder = self._recorder
        there = {(entry[0], entry[3]) for entry in (*opened, *list(recorder.opened.values()))}
        there.update((one[0], one[4]) for one in list(recorder.finished))
        # Between its checkin's two steps one is nowhere for a moment; so not before the second time.
        missing = self._written.keys() - there
        gone = [self._written[key][1] for key in missing & self._missing]
        self._missing = missing
        now = time.perf_counter_ns()
        parts += [self._close_line(Finished(*entry[:2], now, *entry[2:5], LOST)) for entry in gone]
        return left

    def _close_line(self, one: Finished) -> str:
        key = one.asked, one.connection
        number, _entry = self._written.pop(key)
        if key in self._held or one.how == GARBAGE:
            self.reports.ended(one)
        self._held.pop(key, None)
        return line(closed=number, use=(one.back - one.got) // 1000, how=one.how, site=one.returned_at)


def _nothing() -> None:
    pass


def _drained(queue: Any) -> list[Any]:
    """What is in it now; what is appended meanwhile waits for the next time."""
    take = queue.popleft
    try:
        return [take() for _ in range(len(queue))]
    except IndexError:  # emptied meanwhile, since nothing is to be written any more
        return []
