"""Carries what is recorded to the file, twice a second, in a thread that the program does not see.

It also finds out what no event tells: which checkouts are still out, and which have been out for too long.
"""

from __future__ import annotations

import os
import time
from _thread import allocate_lock, start_new_thread
from typing import Any

from dbdoctor.recorder.file import RecordFile
from dbdoctor.recorder.lines import Clock, header, line
from dbdoctor.recorder.places import file_name
from dbdoctor.recorder.recorder import GARBAGE, LOST, Entry, Finished, Recorder
from dbdoctor.recorder.reports import Reports

PAUSE = 0.5  # seconds between two writes: what a kill -9 can lose
_STILL_OUT = 250_000_000  # nanoseconds: a checkout that is out for so long is written as open
_LONGEST_PAUSE_FOR_FORK = 1.0
_ORDINARY = 6  # fields of a finished checkout that is like any other


class Writer:
    """The thread and its file. `wake` starts it, `pause` and `resume` are for forks, `finish` for the end."""

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder
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
        self._sites = 1  # how many are in the file; the first is never written
        self._lost = 0
        # The open ones in the file, by when they were asked for and their connection, with their numbers there.
        self._written: dict[tuple[int, int], tuple[int, Entry]] = {}
        self._held: set[tuple[int, int]] = set()
        self._opened = 0
        self._known: dict[tuple[str, int], str] = {}  # lines of live pools and connections, told again in a new part
        self._starting = allocate_lock()
        self._flushing = allocate_lock()
        self._sleep = allocate_lock()
        self._sleep.acquire()
        self._running = allocate_lock()
        self._is_stopping = False
        self.reports.begin()

    # --- the thread

    def wake(self) -> None:
        """Start the thread if it does not run."""
        recorder = self._recorder
        if not recorder.asleep or not self._starting.acquire(False):
            return
        try:
            if recorder.asleep and not recorder.off:
                self._is_stopping = False
                recorder.asleep = False
                start_new_thread(self._run, ())
        except RuntimeError as error:  # no more threads here, or the interpreter is ending
            recorder.disable(error)
        finally:
            self._starting.release()

    def pause(self) -> None:
        """Before a fork: end the thread, which would not live on in the child, and write what there is."""
        if self._recorder.asleep:
            return
        self._stop()

    def resume(self) -> None:
        """After a fork, in the parent: nothing to do, for the next event wakes the thread; but open ones must be watched."""
        if self._recorder.opened or self._recorder.finished or self._recorder.events:
            self.wake()

    def finish(self) -> None:
        """At the end of the process: write everything and say that it ended orderly."""
        recorder = self._recorder
        if os.getpid() != recorder.process:
            return
        self._stop()
        try:
            if recorder.off or not (self._file.is_begun or recorder.events or recorder.opened or recorder.finished):
                return
            self.flush()
            self._file.append(line(end=self._clock.tick(time.perf_counter_ns()), how="exit"))
        except Exception as error:
            recorder.disable(error)
        recorder.off = True

    def _stop(self) -> None:
        self._is_stopping = True
        if self._sleep.locked():
            try:
                self._sleep.release()
            except RuntimeError:  # the thread took it just now
                pass
        if self._running.acquire(True, _LONGEST_PAUSE_FOR_FORK):
            self._running.release()
        self._recorder.asleep = True
        self._sleep.acquire(False)

    def _run(self) -> None:
        with self._running:
            try:
                while not self._is_stopping and not self._recorder.off:
                    self._sleep.acquire(True, PAUSE)
                    self.flush()
            except Exception as error:
                self._recorder.disable(error)
            if self._recorder.disabled:
                self._say_disabled()

    def _say_disabled(self) -> None:
        why = str(self._recorder.disabled)
        try:
            written = self._file.is_begun and self._file.append(
                line(disabled=why, at=self._clock.tick(time.perf_counter_ns()))
            )
        except OSError:
            written = False
        self.reports.disabled(why, written)

    # --- what it writes

    def flush(self) -> None:
        """Write everything that happened since the last time. Raises OSError."""
        with self._flushing:  # the thread, or the end of the process; the application never waits for it
            text = self._gather(time.perf_counter_ns())
            if not text:
                self._file.touch()
            elif not self._file.is_begun or self._file.is_full or not self._file.append(text):
                self._begin_part(text)

    def _begin_part(self, text: str) -> None:
        self._part += 1
        again = []
        if self._part > 1:
            again = [self._site_lines(1, self._sites), *self._known.values()]
            again += [self._open_line(number, entry) for number, entry in self._written.values()]
            again += [line(held=self._written[key][0], at=0) for key in self._held if key in self._written]
        self._file.begin("".join([header(self._recorder, self._part), *again]))
        if not self._file.append(text):
            raise FileNotFoundError(self._file.path)

    def _gather(self, now: int) -> str:
        recorder = self._recorder
        finished = _drained(recorder.finished)
        opened = list(recorder.opened.values())
        events = _drained(recorder.events)
        first, self._sites = self._sites, len(recorder.sites.frames)
        parts = [self._site_lines(first, self._sites)]
        parts += [self._event_line(event) for event in events]
        if self._written:
            finished = self._close(finished, opened, parts)
        parts += self._finished_lines(finished)
        parts += self._open_lines(opened, now)
        if recorder.lost != self._lost:
            parts.append(line(lost=recorder.lost - self._lost, at=self._clock.tick(now)))
            self._lost = recorder.lost
        return "".join(parts)

    def _site_lines(self, first: int, end: int) -> str:
        frames = self._recorder.sites.frames
        return "".join(line(site=number, frames=frames[number]) for number in range(first, end))

    def _event_line(self, event: tuple[Any, ...]) -> str:
        text = self._clock.event(event)
        if event[0] in ("pool", "connection"):
            self._known[event[0], event[1]] = text
        elif event[0] == "event" and event[1] != "soft-invalidate":
            self._known.pop(("connection", event[3]), None)
        elif event[0] == "timeout":
            self.reports.pool_timeout(event)
        return text

    def _finished_lines(self, finished: list[tuple[Any, ...]]) -> list[str]:
        ordinary = [one for one in finished if len(one) == _ORDINARY]
        lines = [self._clock.rows(ordinary)] if ordinary else []
        for one in finished:
            if len(one) != _ORDINARY:
                told = Finished(*one)
                lines.append(self._open(Entry(*told[:2], *told[3:6], None, told.task)))
                lines.append(self._close_line(told))
        return lines

    def _open_lines(self, opened: list[tuple[Any, ...]], now: int) -> list[str]:
        lines = []
        for entry in opened:
            key = entry[0], entry[3]
            if now - entry[1] > _STILL_OUT and key not in self._written:
                lines.append(self._open(Entry(*entry)))
            if now - entry[1] > self._recorder.leak_after and key not in self._held:
                self._held.add(key)
                lines.append(line(held=self._written[key][0], at=self._clock.tick(now)))
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
        gone = [entry for key, (_number, entry) in self._written.items() if key not in there]
        now = time.perf_counter_ns()
        parts += [self._close_line(Finished(*entry[:2], now, *entry[2:5], LOST)) for entry in gone]
        return left

    def _close_line(self, one: Finished) -> str:
        key = one.asked, one.connection
        number, _entry = self._written.pop(key)
        if key in self._held or one.how == GARBAGE:
            self.reports.ended(one)
        self._held.discard(key)
        return line(closed=number, use=(one.back - one.got) // 1000, how=one.how, site=one.returned_at)


def _drained(queue: Any) -> list[tuple[Any, ...]]:
    taken = []
    try:
        for _ in range(len(queue)):
            taken.append(queue.popleft())  # noqa: PERF401 - what is appended meanwhile waits for the next time
    except IndexError:
        pass
    return taken
