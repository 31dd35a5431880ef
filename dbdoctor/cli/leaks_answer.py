"""What `leaks` has seen, judged, and the answer: the report on stdout and the exit code that goes with it."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NamedTuple

from dbdoctor.cli import options
from dbdoctor.cli.leaks_options import LeaksOptions
from dbdoctor.errors import ExitCode, UsageError
from dbdoctor.history import History
from dbdoctor.model.finding import Finding
from dbdoctor.model.leaks import LeaksReport, WatchOptions
from dbdoctor.model.target import Target
from dbdoctor.watch.loop import Turn

if TYPE_CHECKING:
    from dbdoctor.cli.leaks_terminate import Terminated
    from dbdoctor.model.server import ServerFacts
    from dbdoctor.targets.select import Selection


class Manner(NamedTuple):
    """How the answer is given: as JSON or text, in colour or not, and what makes the exit code 1 (None: not said).

    `other` is the format of another tool, None for text and JSON; `said` whether any format was named.
    """

    wants_json: bool
    no_color: bool
    fail_on: options.FailOn | None
    other: str | None = None
    said: bool = False

    @classmethod
    def of(cls, output: str | None, no_color: bool, fail_on: options.FailOn | None) -> Manner:
        """For the format named, None for none."""
        from dbdoctor.cli.output_format import is_ours

        return cls(output == "json", no_color, fail_on, None if is_ours(output) else output, output is not None)

    def checked(self, *, watches: bool, terminates: bool) -> Manner:
        """Itself. Raises UsageError for what would stand on stdout beside another tool's format."""
        for option, given in (("--watch", watches), ("--terminate", terminates)):
            if self.other and given:
                raise UsageError(
                    f"`--format {self.other}` is one answer at the end, and `{option}` shows more than that",
                    help="leave one of the two away; `--for 5m` watches for a while",
                )
        return self

    def configured(self, selection: Selection) -> Manner:
        """With what the config says where the command line says nothing."""
        said = selection.settings
        return self._replace(
            wants_json=self.wants_json or (not self.said and said.get("format") == "json"),
            fail_on=self.fail_on or options.FailOn(said.get("fail_on", "error")),
        )


class Judged:
    """What was seen, as a history that can be judged at any time.

    `of_application` gives what is wrong with the application's way to the server (its string); asked once, when the first
    report is made.
    """

    def __init__(
        self,
        target: Target,
        watch_options: WatchOptions,
        of_application: Callable[[Target], Sequence[Finding]] | None = None,
    ) -> None:
        self.target = target
        self.history = History(watch_options)
        self.facts: ServerFacts | None = None
        self._of_application = of_application
        self._written_wrong: tuple[Finding, ...] | None = None if of_application else ()

    def take(self, turn: Turn) -> None:
        """The next turn."""
        self.facts = turn.facts or self.facts
        if turn.gap:
            self.history.gap(turn.gap)
        if turn.snapshot:
            self.history.add(turn.snapshot)

    def report(self, *, with_sessions: bool, notes: Sequence[str] = ()) -> LeaksReport:
        """The judgement of what was seen so far; there must be a snapshot."""
        from dbdoctor.rules.sessions import judge_leaks

        assert self.facts is not None
        if self._written_wrong is None:
            self._written_wrong = tuple(self._of_application(self.target)) if self._of_application else ()
        report = judge_leaks(self.history, self.target, self.facts, with_sessions=with_sessions)
        findings = sorted([*report.findings, *self._written_wrong], key=lambda finding: finding.severity.rank)
        return report._replace(findings=tuple(findings), notes=(*report.notes, *notes))


class Answer:
    """The report on stdout, and the exit code that goes with it."""

    def __init__(self, asked: LeaksOptions, manner: Manner) -> None:
        self._asked = asked
        self._manner = manner

    def print(self, report: LeaksReport, terminated: Terminated | None = None) -> None:
        """The whole report."""
        if self._manner.other:
            from dbdoctor.cli.outcomes import of_leaks, print_outcomes

            print_outcomes(self._manner.other, [of_leaks(report, self._manner.fail_on or options.FailOn.ERROR)])
        elif self._manner.wants_json:
            self._print_json(report, terminated)
        else:
            from dbdoctor.render.leaks_text import report_lines
            from dbdoctor.render.style import Style

            style = Style.of(sys.stdout, no_color=self._manner.no_color)
            for line in report_lines(report, style, **self._limits(), queries=self._asked.queries):
                print(line)
        sys.stdout.flush()

    def _limits(self) -> dict[str, int]:
        return {} if self._asked.limit is None else {"limit": self._asked.limit}

    def _print_json(self, report: LeaksReport, terminated: Terminated | None) -> None:
        from dbdoctor.render.leaks_json import leaks_json, leaks_object

        indent = 2 if sys.stdout.isatty() and self._asked.seconds is not None else None
        if terminated is None:
            print(leaks_json(report, indent=indent, queries=self._asked.queries))
            return
        import json

        found = {**leaks_object(report, queries=self._asked.queries), "terminated": terminated.objects()}
        print(json.dumps(found, indent=indent))

    def exit_code(self, report: LeaksReport) -> ExitCode:
        """3 when every session is hidden from us, else by the findings, those of a long watch that are gone included."""
        sessions = sum(group.sessions for group in report.groups)
        if not sessions and report.facts is not None and report.facts.restricted:
            return ExitCode.CANNOT_LOOK
        if sessions and sum(group.hidden for group in report.groups) == sessions:
            return ExitCode.CANNOT_LOOK
        return options.exit_code_for(
            [*report.findings, *(finding for finding, _ in report.earlier)],
            self._manner.fail_on or options.FailOn.ERROR,
        )
