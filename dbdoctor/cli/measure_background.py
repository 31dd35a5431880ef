"""`measure-timeout --background FILE`: starts a process of its own, or shows how far the one is that was started before."""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path

from dbdoctor.cli.measure_order import Order
from dbdoctor.errors import CannotLookError, ExitCode, UsageError
from dbdoctor.measure.state import State, read_state, started_ticks, write_state
from dbdoctor.model.duration import format_duration

# How long the new process may take to take the order (an interpreter's start), in seconds.
_TAKES = 20.0
_GLANCE = 0.02


def in_background(order: Order, path: Path) -> int:
    """Start, resume or show; gives the exit code at once."""
    path = path.absolute()
    shown = _shown(order)
    state = read_state(path)
    if state is not None and state.target != shown:
        raise UsageError(
            f"{path.name} belongs to a measurement of {state.target}", help="name another FILE for this target"
        )
    if state is not None and state.options != order.options._asdict():
        raise UsageError(
            f"{path.name} belongs to a measurement with other options", help="name another FILE, or remove this one"
        )
    if state is not None and state.exit_code is not None and state.exit_code != ExitCode.INTERRUPTED:
        return _show_answer(state, order, path)
    if state is not None and state.runs:
        return _show_progress(state, order)
    return _start(order, path, shown, state)


def _shown(order: Order) -> str:
    from dbdoctor.model.target import Target

    target = order.select().targets[0]
    return target.shown if isinstance(target, Target) else "demo"


def _start(order: Order, path: Path, shown: str, before: State | None) -> int:
    """A process that no terminal ends; what it is to do, a password perhaps in it, goes through a pipe."""
    import subprocess

    resumed = before is not None and before.bracket.at_least > 0
    begun = before.started_at if before is not None else time.time()
    kept = before.bracket if before is not None else State("", {}).bracket
    state = State(
        shown,
        order.options._asdict(),
        started_at=begun,
        at_least_seconds=kept.at_least,
        elapsed_seconds=before.elapsed_seconds if before is not None else 0.0,
        sessions=before.sessions if before is not None else [],
    )
    write_state(path, state)
    with subprocess.Popen(
        [sys.executable, "-m", "dbdoctor.cli.measure_worker"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(json.dumps({"order": order.plain(), "state": str(path)}).encode())
        process.stdin.close()
        took = process.stdout.readline().strip() == b"taken"
        if not took:
            process.wait(_TAKES)
            raise CannotLookError("the process in the background did not start")
        process.returncode = 0  # it is not waited for: it outlives us
    what = f"goes on above {format_duration(kept.at_least)}" if resumed else "has begun"
    _say(f"the measurement {what} in the background, process {process.pid}; the same command shows how far it is")
    if order.wants_json:
        _print_json(state._replace(pid=process.pid, pid_started=started_ticks(process.pid)), running=True)
    return ExitCode.OK


def _show_progress(state: State, order: Order) -> int:
    if order.wants_json:
        _print_json(state, running=True)
        return ExitCode.OK
    low, high = state.bracket
    known = f"more than {low:.1f} s" if high is None else f"between {low:.1f} s and {high:.1f} s"
    passed = time.time() - state.started_at
    left = state.remaining_seconds
    waits = (
        "" if left is None else f", at most {format_duration(max(0.0, left - (time.time() - state.written_at)))} left"
    )
    print(f"{state.target}: idle timeout {known}, {format_duration(passed)} passed{waits} (process {state.pid})")
    return ExitCode.OK


def _show_answer(state: State, order: Order, path: Path) -> int:
    """The answer as often as it is asked for; what failed once, so that the same command then begins anew."""
    assert state.exit_code is not None
    if state.result is None or state.exit_code not in {ExitCode.OK, ExitCode.FINDINGS}:
        path.unlink(missing_ok=True)
    if state.error is not None:
        from dbdoctor.cli.main import show_error

        show_error(state.error["what"] or "", cause=state.error["cause"], help=state.error["help"])
    elif order.wants_json:
        print(json.dumps(state.result))
    else:
        for line in state.lines or ():
            print(line)
    return state.exit_code


def _print_json(state: State, *, running: bool) -> None:
    held = {"schema": "dbdoctor.measure-timeout/1", "running": running, "process": state.pid}
    held |= {"target": state.target, "idle_timeout_seconds": None, "at_least_seconds": state.at_least_seconds}
    held |= {"at_most_seconds": state.at_most_seconds, "remaining_seconds": state.remaining_seconds}
    print(json.dumps(held))


def _say(text: str) -> None:
    from dbdoctor.cli.progress import Progress

    Progress().say(text)


def this_process() -> tuple[int, int]:
    """Our id and start."""
    return os.getpid(), started_ticks(os.getpid())
