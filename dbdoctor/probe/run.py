"""Many targets at once, each under its own deadline, each in a thread that may be left behind when its driver hangs."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from dbdoctor.model.duration import format_duration
from dbdoctor.model.examination import Examination
from dbdoctor.model.secret import redact
from dbdoctor.model.stage import Failure, Stage, StageName, StageStarted
from dbdoctor.model.target import Product, Target
from dbdoctor.probe.deadline import Deadline, Recall
from dbdoctor.probe.events import Event
from dbdoctor.probe.failures import find

DEFAULT_LOGIN_TIMEOUT = 5.0
# How long past its deadline a probe may take to report; after that its thread is given up.
GRACE = 0.2
# Threads at a time. Beyond it targets wait for a place; a hundred hanging logins cost nothing but memory.
MOST_AT_ONCE = 100

OnProgress = Callable[[int, Event], None]
# How often the caller may redraw what is under way.
TICK = 0.25

_Reports: TypeAlias = "queue.SimpleQueue[tuple[int, Event | Examination | BaseException]]"


@dataclass(slots=True)
class _Running:
    """A probe under way: when it must have reported, and what it has told so far."""

    target: Target
    deadline: Deadline
    stages: list[Stage]
    under_way: StageStarted | None = None
    # Set by its thread: it has ended, and its report is in the queue, perhaps behind many others.
    ended: bool = False

    @property
    def given_up_in(self) -> float:
        """Seconds until it counts as hung."""
        return self.deadline.started + self.deadline.seconds + GRACE - time.monotonic()


def examine_all(
    targets: Sequence[Target],
    *,
    login_timeout: float | None,
    samples: int,
    on_progress: OnProgress,
    on_tick: Callable[[], None],
    on_fault: Callable[[BaseException], None] = lambda _: None,
) -> Iterator[tuple[int, Examination]]:
    """Examine all targets at once; give (position, examination) as each ends, whatever the order.

    `login_timeout` overrides the targets' own (seconds); `on_progress` is called in this thread for each stage,
    `on_tick` every TICK seconds, so that what hangs can be seen to hang.
    A probe whose driver hangs beyond the deadline is reported as such and left behind in its daemon thread. One that
    fails by our own fault gives an Examination with the finding `internal-error`; `on_fault` gets the exception before.
    """
    reports: _Reports = queue.SimpleQueue()
    waiting = list(enumerate(targets))[::-1]
    running: dict[int, _Running] = {}

    def start_more() -> None:
        while waiting and len(running) < MOST_AT_ONCE:
            index, target = waiting.pop()
            seconds = login_timeout or target.login_timeout or DEFAULT_LOGIN_TIMEOUT
            running[index] = _Running(target, Deadline.after(seconds), [])
            _start(index, running[index], samples, reports)

    return _collect(running, reports, start_more, on_progress, on_tick, on_fault)


class Examining:
    """The examination of one target, begun in a thread of its own when this is made; collected, or given up, later."""

    def __init__(self, target: Target, seconds: float, *, samples: int = 1) -> None:
        self._recall = Recall()
        self._reports: _Reports = queue.SimpleQueue()
        self._running = {0: _Running(target, Deadline.after(seconds, self._recall), [])}
        self._thread = _start(0, self._running[0], samples, self._reports)

    def result(self, on_progress: OnProgress, on_tick: Callable[[], None]) -> Examination:
        """Wait for it, until a little after its deadline at most; what it has told until now comes at once."""
        found = _collect(self._running, self._reports, lambda: None, on_progress, on_tick, lambda _: None)
        return next(examination for _, examination in found)

    def give_up(self, seconds: float) -> None:
        """End it: its connections are closed and its driver's process ends. Waits so long at most until that is done."""
        self._recall.ask()
        self._thread.join(seconds)


def _collect(
    running: dict[int, _Running],
    reports: _Reports,
    start_more: Callable[[], None],
    on_progress: OnProgress,
    on_tick: Callable[[], None],
    on_fault: Callable[[BaseException], None],
) -> Iterator[tuple[int, Examination]]:
    next_tick = time.monotonic() + TICK
    while True:
        start_more()
        if not running:
            return
        # Every turn, since the events of the others may leave no pause in which a timeout could strike.
        yield from _give_up_on_late(running)
        if time.monotonic() >= next_tick:
            on_tick()
            next_tick = time.monotonic() + TICK
        try:
            index, report = reports.get(timeout=min(TICK, _patience(running)))
        except queue.Empty:
            continue
        if index not in running:
            continue
        if isinstance(report, (Stage, StageStarted)):
            _note(running[index], report)
            on_progress(index, report)
        elif isinstance(report, Examination):
            del running[index]
            yield index, report
        else:
            on_fault(report)
            yield index, _own_fault(running.pop(index), report)


def _start(index: int, state: _Running, samples: int, reports: _Reports) -> threading.Thread:
    def work() -> None:
        try:
            examine = _probe_of(state.target.product)
            examination = examine(state.target, state.deadline, samples, lambda event: reports.put((index, event)))
        except BaseException as error:  # noqa: BLE001 - carried to the main thread, which alone judges it
            state.ended = True
            reports.put((index, error))
        else:
            state.ended = True
            reports.put((index, examination))

    thread = threading.Thread(target=work, name=f"probe-{index}", daemon=True)
    thread.start()
    return thread


def _probe_of(product: Product) -> Callable[[Target, Deadline, int, Callable[[Event], None]], Examination]:
    if product is Product.POSTGRESQL:
        from dbdoctor.probe import postgresql

        return postgresql.examine
    from dbdoctor.probe import sqlserver

    return sqlserver.examine


def _patience(running: dict[int, _Running]) -> float:
    waits = (state.given_up_in for state in running.values() if not state.ended)
    return max(0.001, min(waits, default=TICK))


def _give_up_on_late(running: dict[int, _Running]) -> Iterator[tuple[int, Examination]]:
    for index, state in list(running.items()):
        if state.ended or state.given_up_in > 0:
            continue
        del running[index]
        values: dict[str, object] = {
            "seconds": format_duration(state.deadline.seconds),
            "waited_seconds": round(state.deadline.elapsed, 3),
        }
        if state.target.endpoints:
            endpoint = state.target.endpoints[0]
            values.update(where=endpoint.shown, host=endpoint.host)
        yield index, _stopped(state, "driver-hung", values)


def _own_fault(state: _Running, error: BaseException) -> Examination:
    return _stopped(state, "internal-error", {"kind": redact(type(error).__name__)})


def _stopped(state: _Running, code: str, values: dict[str, object]) -> Examination:
    """What is known of a probe that gave no examination itself."""
    stage = state.under_way.name if state.under_way else StageName.CONNECT
    finding = find(Failure(code, stage, values=values), product=state.target.product)
    seconds = state.deadline.elapsed
    ended = Stage(stage, ok=False, seconds=seconds, detail=redact(finding.title))
    return Examination(
        state.target,
        connected=False,
        seconds=seconds,
        stages=(*state.stages, ended),
        findings=(finding,),
        notes=state.target.notes,
    )


def _note(state: _Running, event: Event) -> None:
    if isinstance(event, Stage):
        state.stages.append(event)
        state.under_way = None
    else:
        state.under_way = event
