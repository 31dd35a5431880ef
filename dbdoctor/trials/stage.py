"""The process in which a simulation happens: relays, and the applications as its children. It is run, not imported.

It is told what to try over the socket whose number is argv[1], tells each record over it, and asks the command over it
for what only an outsider can see. It ends, and its children with it, when that socket does.
"""

from __future__ import annotations

import os
import signal
import socket
import sys
from collections.abc import Callable
from typing import Any

from dbdoctor.faults.fault import no_silence
from dbdoctor.faults.loop import READ, Loop
from dbdoctor.faults.namespace import enter_private_network, may_enter_private_network
from dbdoctor.faults.silence import can_silence
from dbdoctor.model.target import Product
from dbdoctor.model.trial import Ghost, Record
from dbdoctor.trials.dialer import Dial, die_with_parent, direct, through_child
from dbdoctor.trials.orders import Lines, StageOrder, from_json, record_to_json
from dbdoctor.trials.trial import TOO_BUSY, Trial

# At most so long until something is looked at again; everything that matters wakes it earlier (seconds).
_TURN = 1.0
# So long a connection waits at most for the limit of sessions (seconds).
_PATIENCE = 0.5


class Stage:
    """Runs the trials of an order, as many at once as sessions are allowed."""

    def __init__(self, lines: Lines, order: StageOrder, dial: Dial) -> None:
        self._lines = lines
        self._order = order
        self._dial = dial
        self._loop = Loop()
        self._waiting = list(order.trials)
        self._running: dict[int, Trial] = {}
        self._again: set[int] = set()
        self._postponed: list[Callable[[], None]] = []

    def run(self) -> None:
        """Until every trial is over or the command has gone."""
        self._lines.end.setblocking(True)
        self._loop.watch(self._lines, READ, lambda _ready: self._hear())
        try:
            while (self._waiting or self._running) and not self._lines.ended:
                self._connect_postponed()
                self._admit()
                self._loop.turn(_TURN)
        finally:
            for trial in self._running.values():
                trial.abort()

    def _admit(self) -> None:
        while self._waiting:
            first = self._waiting[0]
            if self._running and self._taken() + first.pool.threads > self._order.sessions:
                return
            self._waiting.pop(0)
            self._running[first.number] = Trial(
                first,
                self._order,
                self._loop,
                self._dial,
                look=self._look,
                terminate=self._terminate,
                connect=self._connect,
                ended=self._ended,
            )
            self._lines.send({"event": "began", "number": first.number})

    def _taken(self) -> int:
        return sum(trial.sessions for trial in self._running.values())

    def _connect(self, trial: Trial, go: Callable[[], None]) -> None:
        """Have a trial connect to the server: at once, or when those that it has lost have made room."""
        if not trial.is_warm or self._taken() < self._order.sessions:
            go()
            return
        self._postponed.append(go)
        for each in self._running.values():
            each.look_early()
        self._loop.after(_PATIENCE, lambda: self._go_on(go))

    def _go_on(self, go: Callable[[], None]) -> None:
        """If it waits still: no limit may change a verdict."""
        if go in self._postponed:
            self._postponed.remove(go)
            go()

    def _connect_postponed(self) -> None:
        while self._postponed and self._taken() < self._order.sessions:
            self._go_on(self._postponed[0])

    def _look(self, trial: Trial) -> None:
        self._lines.send({"event": "look", "number": trial.order.number})

    def _terminate(self, trial: Trial) -> None:
        self._lines.send({"event": "terminate", "number": trial.order.number})

    def _ended(self, trial: Trial, record: Record) -> None:
        del self._running[trial.order.number]
        if record.broken == TOO_BUSY and trial.order.number not in self._again:
            self._again.add(trial.order.number)
            self._waiting.append(trial.order)
            return
        self._lines.send({"event": "ended", "number": trial.order.number, "record": record_to_json(record)})

    def _hear(self) -> None:
        for told in self._lines.receive():
            trial = self._running.get(told["number"])
            if trial is not None:
                self._answer(trial, told)

    def _answer(self, trial: Trial, told: dict[str, Any]) -> None:
        if "terminated" in told:
            trial.terminated()
            return
        found = told.get("sessions")
        trial.looked(None if found is None else [Ghost(**one) for one in found])
        self._connect_postponed()


def main() -> None:
    """Read the order, and run it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the command ends us by ending the socket
    signal.pthread_sigmask(signal.SIG_UNBLOCK, (signal.SIGINT, signal.SIGTERM))  # it began us with both held back
    die_with_parent()
    with socket.socket(fileno=int(sys.argv[1])) as end:
        _play(Lines(end))


def _play(lines: Lines) -> None:
    order: StageOrder | None = None
    while order is None and not lines.ended:
        order = next((from_json(told) for told in lines.receive()), None)
    if order is None:
        return
    dial, silent = _prepare(order)
    _import_what_children_need(Product(order.product))
    lines.send({"event": "ready", "silence": silent})
    if not silent:
        order = _without_silent(lines, order)
    Stage(lines, order, dial).run()


def _without_silent(lines: Lines, order: StageOrder) -> StageOrder:
    """The order without what needs lost packets, each told as a trial that could not be made."""
    from dbdoctor.faults.kinds import all_faults

    faults = all_faults()
    left = []
    for trial in order.trials:
        if faults[trial.fault].needs_silence:
            record = Record(trial.fault, trial.pool.name, trial.idle, broken=no_silence())
            lines.send({"event": "ended", "number": trial.number, "record": record_to_json(record)})
        else:
            left.append(trial)
    return order._replace(trials=tuple(left))


def _prepare(order: StageOrder) -> tuple[Dial, bool]:
    """The way to the server, and whether packets can be dropped: here, or else in a network of our own."""
    may = not order.private and can_silence()
    if may or not may_enter_private_network():
        return direct(order.where), may
    dial, _ = through_child(order.where)
    enter_private_network()
    return dial, True


def _import_what_children_need(product: Product) -> None:
    """Once, before the first fork; not more than a fork may inherit: no driver is loaded, no connection made."""
    import sqlalchemy
    import sqlalchemy.dialects.mssql
    import sqlalchemy.dialects.postgresql  # noqa: F401

    if product is Product.POSTGRESQL:
        import psycopg2  # noqa: F401
    os.environ.pop("PGOPTIONS", None)


if __name__ == "__main__":
    main()
