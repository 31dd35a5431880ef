"""Turns the recorder on: for everything (`dbdoctor run`, `attach_all`), or for chosen engines (`attach`)."""

from __future__ import annotations

import atexit
import functools
import importlib
import os
import signal
import weakref
from collections.abc import Callable
from typing import Any, NoReturn

from dbdoctor.recorder.hooks import Listeners, around_connect
from dbdoctor.recorder.places import new_run
from dbdoctor.recorder.recorder import Recorder, Settings
from dbdoctor.recorder.writer import Writer

_PATIENCE = 0.5  # seconds that os._exit may wait for a thread that hangs in a write
_ENDING = {getattr(signal, name) for name in ("SIGTERM", "SIGINT", "SIGHUP", "SIGQUIT") if hasattr(signal, name)}
_EVENTS = ("checkin", "connect", "close", "invalidate", "soft_invalidate", "detach")


def hook(recorder: Recorder, wake: Callable[[], None], events: tuple[str, ...] = _EVENTS) -> None:
    """Have SQLAlchemy tell the recorder of every pool's checkouts and of these events. Raises what the import raises."""
    try:
        from sqlalchemy import event
        from sqlalchemy.pool import Pool, SingletonThreadPool

        listeners = Listeners(recorder, wake)
        for name in events:
            event.listen(Pool, name, getattr(listeners, name))
        kinds: tuple[Any, ...] = (Pool, SingletonThreadPool)  # those that define `connect`
        for kind in kinds:
            kind.connect = around_connect(recorder, kind.connect, wake)
    except BaseException:
        recorder.off = True  # what is hooked already does nothing then
        raise


def _finish_before_exit(finish: Callable[[float], None]) -> None:
    """`os._exit`, with which the processes of multiprocessing and celery end, first has the rest written."""
    original = os._exit

    @functools.wraps(original)
    def _exit(status: int) -> NoReturn:
        try:
            finish(_PATIENCE)
        except BaseException:  # whatever comes in between, the process was told to end
            pass
        original(status)

    os._exit = _exit


def _finish_before_signal(finish: Callable[[float], None]) -> None:
    """`signal.raise_signal`, with which uvicorn ends after it has shut down, first has the rest written if it is the end."""
    original = signal.raise_signal

    @functools.wraps(original)
    def raise_signal(number: int, /) -> None:
        try:
            if _ends_us(number):
                finish(_PATIENCE)
        except BaseException:  # as above
            pass
        original(number)

    signal.raise_signal = raise_signal


def _ends_us(number: int) -> bool:
    """Whether this signal to ourselves ends the process, at once and without more ado."""
    if number not in _ENDING or signal.getsignal(number) is not signal.SIG_DFL:
        return False
    return not hasattr(signal, "pthread_sigmask") or number not in signal.pthread_sigmask(signal.SIG_BLOCK, ())


def _is_main_interpreter() -> bool:
    for name in ("_interpreters", "_xxsubinterpreters"):  # the first from Python 3.13 on
        try:
            interpreters = importlib.import_module(name)
            current, main = interpreters.get_current(), interpreters.get_main()
        except Exception:
            continue
        return bool(current == main)
    return True


class Recording:
    """The recorder of this process, its writer, and what was hooked."""

    def __init__(self, settings: Settings) -> None:
        self.recorder = Recorder(settings)
        self.writer = Writer(self.recorder)
        if not _is_main_interpreter():
            # A thread of ours would keep it from ending, and abort the process at its own end.
            self.recorder.disable_for("it does not work in a sub-interpreter")
            self.writer.say_disabled()
            return
        hook(self.recorder, self.writer.wake)
        atexit.register(self.writer.finish)
        if not settings.tell:  # under `dbdoctor run`
            _finish_before_exit(self.writer.finish)
            _finish_before_signal(self.writer.finish)
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(before=self._before_fork, after_in_parent=self._after_fork, after_in_child=self._born)

    def attach(self, engine: Any) -> None:
        """Record this engine's pool too, and the one that follows it when the engine is disposed of."""
        from sqlalchemy import event

        only = self.recorder.only
        if only is None:
            return
        engine = getattr(engine, "sync_engine", engine)
        if engine.pool in only:
            return
        only.add(engine.pool)
        event.listen(engine, "engine_disposed", lambda disposed: only.add(disposed.pool))

    def _before_fork(self) -> None:
        try:
            self.writer.pause()
        except Exception as error:
            self.recorder.disable(error)

    def _after_fork(self) -> None:
        try:
            self.writer.resume()
        except Exception as error:
            self.recorder.disable(error)

    def _born(self) -> None:
        try:
            self.recorder.begin()
            self.writer.begin()
        except Exception as error:
            self.recorder.disable(error)


_recording: Recording | None = None


def start(settings: Settings) -> Recording:
    """Record every pool of this process and of its forks. Once; later calls give the same."""
    global _recording  # noqa: PLW0603 - one recorder a process
    if _recording is None:
        _recording = Recording(settings)
    return _recording


def attach(engine: Any, out: str | None = None, leak_after: float = 60.0, sample: float = 1.0) -> None:
    """Record the checkouts of this engine, sync or async.

    `out` is the directory of the files (default: a new one where `dbdoctor leaks` looks), `leak_after` the seconds after which
    a checkout is reported in the log `dbdoctor.recorder`, `sample` the share of checkouts that is recorded, 0 to 1. The first
    call's settings hold for the process. Raises ValueError for values out of range, OSError when there is nowhere to write.
    """
    _check(leak_after, sample)
    if _recording is None:
        started = start(_settings(out, leak_after, sample))
        started.recorder.only = weakref.WeakSet()
    assert _recording is not None
    _recording.attach(engine)


def attach_all(out: str | None = None, leak_after: float = 60.0, sample: float = 1.0) -> None:
    """Record the checkouts of every engine of this process, those to come included; parameters and errors as for `attach`."""
    _check(leak_after, sample)
    started = start(_settings(out, leak_after, sample)) if _recording is None else _recording
    started.recorder.only = None


def _check(leak_after: float, sample: float) -> None:
    if not 0 < leak_after < float("inf"):
        raise ValueError("leak_after is a number of seconds greater than 0")
    if not 0 < sample <= 1:
        raise ValueError("sample is a share, greater than 0 and at most 1")


def _settings(out: str | None, leak_after: float, sample: float) -> Settings:
    place = os.path.abspath(out) if out else new_run()
    os.makedirs(place, mode=0o700, exist_ok=True)
    return Settings(place, leak_after, sample, tell=True)
