"""The recorder's own thread, which the program does not see: it ends for every fork, and takes no signal."""

from __future__ import annotations

import _thread
import os
import signal
import sys
import time
from typing import TYPE_CHECKING, Any

from dbdoctor.recorder.recorder import Recorder

if TYPE_CHECKING:
    from collections.abc import Callable

_OF_FAULTS = {
    signal.SIGSEGV,
    signal.SIGFPE,
    signal.SIGILL,
    signal.SIGABRT,
    *filter(None, [getattr(signal, "SIGBUS", None)]),
}


class Background:
    """Does `work` every `pause` seconds while the recorder is on, and `say` once it was disabled."""

    def __init__(self, recorder: Recorder, pause: float, work: Callable[[], None], say: Callable[[], None]) -> None:
        self._recorder = recorder
        self._pause = pause
        self._work = work
        self._say = say
        self._new_lock, self._new_thread = native("allocate_lock"), native("start_new_thread")
        self._sleep = self._new_lock()
        self._running = self._new_lock()  # held by whoever starts the thread, and then by the thread
        self._turn = 0  # the number of the thread that may run; another one's has to end
        self._native_id = 0
        self._due = time.perf_counter() + pause  # over all turns: a program may fork more often than that

    def wake(self) -> None:
        """Start the thread if it does not run. Takes no lock that it would have to wait for."""
        recorder = self._recorder
        if not recorder.asleep or not self._running.acquire(False):
            return
        started = False
        try:
            recorder.asleep = False
            self._turn += 1
            self._new_thread(self._run, (self._turn,))
            started = True
        except RuntimeError as error:  # no more threads here
            recorder.disable(error)
            self._say()
        finally:
            if not started:
                self._running.release()

    def stop(self, patience: float) -> None:
        """End the thread; wait so many seconds at the most."""
        self._turn += 1
        try:
            self._sleep.release()
        except RuntimeError:  # it is not waiting
            pass
        if self._running.acquire(True, patience):
            self._await_end()
            self._running.release()
        self._recorder.asleep = True

    def _await_end(self) -> None:
        """Until the kernel has no such thread any more: a fork, or the end of a sub-interpreter, would count it."""
        native_id, self._native_id = self._native_id, 0
        if not native_id:
            return
        place, pause = f"/proc/self/task/{native_id}", self._new_lock()
        pause.acquire()
        for _ in range(200):
            if not os.path.exists(place):
                return
            pause.acquire(True, 0.0002)

    def _run(self, turn: int) -> None:
        try:
            self._native_id = _thread.get_native_id() if hasattr(_thread, "get_native_id") else 0
            _block_signals()
            self._sleep.acquire(False)
            self._work_when_due()
            while turn == self._turn and not self._recorder.off:
                self._sleep.acquire(True, max(0.0, self._due - time.perf_counter()))
                self._work_when_due()
        except Exception as error:
            self._recorder.disable(error)
        finally:
            try:
                if self._recorder.disabled:
                    self._say()
            finally:
                self._end_turn()

    def _work_when_due(self) -> None:
        if time.perf_counter() >= self._due and not self._recorder.off:
            self._work()
            self._due = time.perf_counter() + self._pause

    def _end_turn(self) -> None:
        try:
            self._running.release()
        except RuntimeError:  # a signal handler broke off `wake`, which released it then
            pass


def native(name: str) -> Any:
    """A function of `_thread` itself, also where gevent has put its own in the place: its threads do not run by themselves."""
    gevent: Any = sys.modules.get("gevent.monkey")
    try:
        return gevent.get_original("_thread", name)
    except Exception:
        return getattr(_thread, name)


def _block_signals() -> None:
    """Leave the signals to the application's threads, which may wait for them blocked; those of faults stay."""
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals() - _OF_FAULTS)
