"""One run of `check`: the probes' events go in, text or JSON comes out in the order asked for."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Sequence

from dbdoctor.cli import options
from dbdoctor.cli.judge import judge, with_own_fault
from dbdoctor.cli.output_format import is_ours
from dbdoctor.cli.progress import Progress
from dbdoctor.errors import ExitCode
from dbdoctor.model.examination import Examination
from dbdoctor.model.stage import Stage
from dbdoctor.model.target import Target
from dbdoctor.probe.run import examine_all
from dbdoctor.render.style import Style


class CheckRun:
    """One run of `check`: the probes' events go in, text or JSON comes out in the order asked for.

    In the format of another tool nothing comes out until `print_outcomes`.
    """

    def __init__(self, targets: Sequence[Target], *, output: str, no_color: bool) -> None:
        self.targets = targets
        self.output = output
        self.wants_text = output == "text"
        self.style = Style.of(sys.stdout, no_color=no_color)
        self.progress = Progress(len(targets))
        self.done: dict[int, Examination] = {}
        self.printed = 0
        self.single = len(targets) == 1
        self.own_fault = False

    def say(self, notes: Sequence[str]) -> None:
        """Notes for the user, on stderr, each once."""
        for note in dict.fromkeys([*notes, *(note for target in self.targets for note in target.notes)]):
            self.progress.say(f"note: {note}")

    def examine(self, login_timeout: float | None, samples: int) -> None:
        """Examine all targets, printing what can be printed as soon as it can."""
        try:
            self._examine(login_timeout, samples)
        finally:
            self.progress.clear()

    def _examine(self, login_timeout: float | None, samples: int) -> None:
        started = time.monotonic()
        if self.single and self.wants_text:
            self._print([self.targets[0].shown])
        probes = examine_all(
            self.targets,
            login_timeout=login_timeout,
            samples=samples,
            on_progress=self._on_progress,
            on_tick=self.progress.tick,
            on_fault=self._on_fault,
        )
        for index, examination in probes:
            self.done[index] = self._judge(examination)
            self.progress.finished(index)
            while self.printed in self.done and is_ours(self.output):
                self._print(self._lines(self.done[self.printed]))
                self.printed += 1
        if not self.single and self.wants_text:
            from dbdoctor.render.check_text import fleet_summary

            self._print(["", fleet_summary(list(self.done.values()), time.monotonic() - started, self.style)])

    def exit_code(self, fail_on: options.FailOn) -> int:
        """The worst of all targets: 4 over 3 over 1 over 0."""
        if self.own_fault:
            return ExitCode.INTERNAL
        if any(not examination.connected for examination in self.done.values()):
            return ExitCode.CANNOT_LOOK
        return options.exit_code_for([f for e in self.done.values() for f in e.findings], fail_on)

    def print_outcomes(self, fail_on: options.FailOn) -> int:
        """Everything in the format of another tool; gives the exit code, which may be that tool's."""
        from dbdoctor.cli.outcomes import of_examination, print_outcomes

        outcomes = [of_examination(self.done[index], fail_on) for index in range(len(self.targets))]
        theirs = print_outcomes(self.output, outcomes)
        return self.exit_code(fail_on) if theirs is None else theirs

    def _judge(self, examination: Examination) -> Examination:
        try:
            return judge(examination)
        except Exception as error:  # noqa: BLE001 - a rule's fault must not take the other targets' answers away
            self._on_fault(error)
            return with_own_fault(examination, error)

    def _on_fault(self, error: BaseException) -> None:
        self.own_fault = True
        self.progress.clear()
        options.show_traceback(error)

    def _on_progress(self, index: int, event: object) -> None:
        self.progress.event(index, event)
        if self.single and self.wants_text and isinstance(event, Stage):
            from dbdoctor.render.check_text import stage_lines

            self._print(stage_lines(event, self.style))

    def _lines(self, examination: Examination) -> Iterator[str]:
        if not self.wants_text:
            from dbdoctor.render.check_json import check_json

            yield check_json(examination, indent=2 if self.single and sys.stdout.isatty() else None)
            return
        from dbdoctor.render.check_text import fleet_lines, result_lines

        yield from result_lines(examination, self.style) if self.single else fleet_lines(examination, self.style)

    def _print(self, lines: Sequence[str] | Iterator[str]) -> None:
        self.progress.clear()
        for line in lines:
            print(line)
        sys.stdout.flush()
