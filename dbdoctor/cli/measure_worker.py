"""The process behind `measure-timeout --background`: takes its order from stdin, and writes how far it is to a file."""

from __future__ import annotations

import contextlib
import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dbdoctor.cli.measure_background import this_process
from dbdoctor.cli.measure_order import Order
from dbdoctor.cli.signals import raise_on_terminate
from dbdoctor.errors import DbdoctorError, ExitCode
from dbdoctor.measure.run import State as Progress
from dbdoctor.measure.state import State, read_state, write_state

if TYPE_CHECKING:
    from dbdoctor.model.session import Identity

# So often at most the file is written while nothing new is known (seconds).
_EVERY = 5.0


class Worker:
    """One measurement whose progress and answer go to `path`."""

    def __init__(self, order: Order, path: Path) -> None:
        self._order = order
        self._path = path
        pid, started = this_process()
        held = read_state(path) or State("", order.options._asdict())
        self._state = held._replace(pid=pid, pid_started=started, exit_code=None)
        self._before = held.elapsed_seconds
        self._next = 0.0
        self._sessions: Callable[[], list[Identity]] = list
        write_state(path, self._state)

    def run(self) -> None:
        """Measure; whatever comes of it is in the file then."""
        try:
            self._measure()
        except DbdoctorError as error:
            said = {"what": error.what, "cause": error.cause, "help": error.help}
            self._write(exit_code=int(error.exit_code), error=said)
        except KeyboardInterrupt:
            self._write(exit_code=int(ExitCode.INTERRUPTED))
        except Exception as error:  # noqa: BLE001 - nobody is there to see a traceback
            what = f"dbdoctor itself failed ({type(error).__name__})"
            again = "run it without `--background`, with `--debug`, and report what it prints"
            self._write(exit_code=int(ExitCode.INTERNAL), error={"what": what, "cause": None, "help": again})

    def _measure(self) -> None:
        from dbdoctor.cli.measure_print import lines_of
        from dbdoctor.cli.measure_run import MeasureRun

        with contextlib.ExitStack() as stack:
            left = [(int(pid), started) for pid, started in self._state.sessions]
            run = MeasureRun(self._order, stack, known=self._state.bracket, left=left, on_state=self._on_state)
            self._sessions = lambda: run.sessions
            answer = run.answer()
            lines = list(lines_of(answer, run.target, wants_json=False, no_color=True))
            whole = "".join(lines_of(answer, run.target, wants_json=True, no_color=True))
            low = answer.measured.bracket.at_least if answer.measured else self._state.at_least_seconds
            self._write(
                exit_code=int(answer.exit_code),
                lines=lines,
                result=json.loads(whole),
                at_least_seconds=low,
                sessions=[],
            )

    def _on_state(self, progress: Progress) -> None:
        now = time.monotonic()
        known = (self._state.at_least_seconds, self._state.at_most_seconds)
        if known == tuple(progress.bracket) and now < self._next:
            return
        self._next = now + _EVERY
        self._write(
            elapsed_seconds=round(self._before + progress.elapsed, 3),
            remaining_seconds=round(progress.remaining, 3),
            at_least_seconds=progress.bracket.at_least,
            at_most_seconds=progress.bracket.at_most,
            sessions=[list(session) for session in self._sessions()],
        )

    def _write(self, **news: Any) -> None:
        self._state = self._state._replace(**news)
        write_state(self._path, self._state)


def main() -> None:
    """Take the order, say so, let go of whoever started us, and measure."""
    raise_on_terminate()
    asked = json.loads(sys.stdin.buffer.read())
    worker = Worker(Order.of(asked["order"]), Path(asked["state"]))
    os.write(1, b"taken\n")
    nowhere = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(nowhere, descriptor)
    worker.run()
    os._exit(0)


if __name__ == "__main__":
    main()
