"""A simulation from the command's side: starts the stage, answers what only an outsider can see, collects the records."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any, NamedTuple

from dbdoctor.errors import DbdoctorError
from dbdoctor.faults.loop import READ, Loop
from dbdoctor.model.secret import redact
from dbdoctor.model.server import ServerFacts
from dbdoctor.model.trial import Record
from dbdoctor.trials.child_process import child_process
from dbdoctor.trials.observer import Observer
from dbdoctor.trials.orders import Lines, StageOrder, record_from_json, to_json
from dbdoctor.trials.untestable import untestable

# How often `on_turn` is called at least (seconds).
_TURN = 0.2
_WENT_AWAY = "the server itself was gone or was restarted during the trial, which therefore says nothing"
_SPARED = (
    "not testable here, because this login may not end sessions, not even its own; run with a login that may "
    "(SQL Server: GRANT ALTER ANY CONNECTION and VIEW SERVER STATE; Azure SQL Database: GRANT KILL DATABASE CONNECTION)"
)


class Progress(NamedTuple):
    """How far it is: trials that are over, under way, and in all."""

    over: int
    under_way: int
    total: int


class StageLostError(DbdoctorError):
    """The stage ended before its work was done: a fault of ours."""


class Simulation:
    """Runs an order. `silence` tells, once it runs, whether packets can be dropped for real."""

    def __init__(self, order: StageOrder, observer: Observer, on_progress: Callable[[Progress], None]) -> None:
        self._order = order
        self._observer = observer
        self._on_progress = on_progress
        self._records: dict[int, Record] = {}
        self._under_way: set[int] = set()
        self._spared: set[int] = set()
        self._losses_before: dict[int, int] = {}
        self.silence = False

    @property
    def facts(self) -> ServerFacts:
        """What the server says of itself."""
        return self._observer.facts

    @property
    def records(self) -> dict[int, Record]:
        """What has been seen so far, by the trial's number."""
        return dict(self._records)

    def run(self) -> dict[int, Record]:
        """All of it. Whatever ends this, nothing is left behind. Raises StageLostError.

        What cannot be tried on this target is a record that says why.
        """
        passed_over = untestable(self._order, self._observer.facts)
        self._records.update(passed_over)
        trials = tuple(trial for trial in self._order.trials if trial.number not in passed_over)
        if trials:
            self._run(self._order._replace(trials=trials))
        if len(self._records) < len(self._order.trials):
            raise StageLostError("the process that runs the trials ended by itself")
        return self.records

    def _run(self, order: StageOrder) -> None:
        with contextlib.ExitStack() as stack:
            stack.callback(self._observer.end, self._order.prefix)
            ours = stack.enter_context(child_process("dbdoctor.trials.stage"))
            lines = Lines(ours)
            lines.send(to_json(order))
            self._listen(lines)

    def _listen(self, lines: Lines) -> None:
        loop = Loop()
        loop.watch(lines, READ, lambda _ready: self._hear(lines))
        try:
            while not lines.ended and len(self._records) < len(self._order.trials):
                loop.turn(_TURN)
                self._on_progress(Progress(len(self._records), len(self._under_way), len(self._order.trials)))
        finally:
            loop.close()

    def _hear(self, lines: Lines) -> None:
        for told in lines.receive():
            self._take(told, lines)

    def _take(self, told: dict[str, Any], lines: Lines) -> None:
        event = told["event"]
        if event == "ready":
            self.silence = told["silence"]
            return
        number = told["number"]
        name = self._order.application_name(number)
        if event == "began":
            self._under_way.add(number)
            self._losses_before[number] = self._observer.losses
        elif event == "look":
            found = self._observer.look(name)
            sessions = None if found is None else [one._asdict() for one in found]
            lines.send({"number": number, "sessions": sessions})
        elif event == "terminate":
            if not self._observer.end(name):
                self._spared.add(number)
            lines.send({"number": number, "terminated": True})
        elif event == "ended":
            self._under_way.discard(number)
            record = _redacted(record_from_json(told["record"]))
            self._records[number] = record._replace(broken=self._spoilt(number) or record.broken)

    def _spoilt(self, number: int) -> str | None:
        """Why a trial says nothing that only this side knows."""
        if self._observer.losses != self._losses_before.get(number, self._observer.losses):
            return _WENT_AWAY
        return _SPARED if number in self._spared else None


def _redacted(record: Record) -> Record:
    """Without secrets in the driver's words: this process knows them, those of the trials only use them."""
    requests = tuple(
        request._replace(error=request.error._replace(message=redact(request.error.message)))
        if request.error
        else request
        for request in record.requests
    )
    return record._replace(requests=requests, broken=record.broken and redact(record.broken))
