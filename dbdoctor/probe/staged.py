"""What the probes of all products have in common: they go from stage to stage until one fails, and then say which."""

from __future__ import annotations

from abc import ABC, abstractmethod

from dbdoctor.model.examination import Examination
from dbdoctor.model.finding import Finding, Severity
from dbdoctor.model.server import ServerFacts
from dbdoctor.model.stage import Failure, Timings
from dbdoctor.model.target import Target
from dbdoctor.probe.deadline import Deadline
from dbdoctor.probe.events import OnEvent, StageLog


class StoppedError(Exception):
    """The probe ends here, for this reason."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.code)
        self.failure = failure


class StagedProbe(ABC):
    """One examination of one target; `run` may be called once. What its stages find out is kept here."""

    def __init__(self, target: Target, deadline: Deadline, samples: int, on_event: OnEvent) -> None:
        self.target = target
        self.deadline = deadline
        self.samples = samples
        self.log = StageLog(on_event)
        self.findings: list[Finding] = []
        self.facts: ServerFacts | None = None
        self.timings: Timings | None = None
        self.timings_note: str | None = None
        self.connected = False
        # What failed in our own way of doing it, while the driver may still get through.
        self.doubt: Failure | None = None

    def run(self) -> Examination:
        """Go through the stages until one fails or all are done."""
        try:
            self._go_through_stages()
        except StoppedError as stopped:
            finding = self._find(stopped.failure)
            self.log.end(ok=False, detail=finding.title)
            self.findings.insert(0, finding)
        return Examination(
            target=self.target,
            connected=self.connected,
            seconds=self.deadline.elapsed,
            stages=tuple(self.log.stages),
            facts=self.facts,
            timings=self.timings,
            timings_note=self.timings_note,
            findings=tuple(self.findings),
            notes=self.target.notes,
        )

    @abstractmethod
    def _go_through_stages(self) -> None:
        """All of them; raises StoppedError where one fails."""

    @abstractmethod
    def _find(self, failure: Failure, severity: Severity = Severity.ERROR) -> Finding:
        """The finding for a failure, with what this probe knows of the place."""
