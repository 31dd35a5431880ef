"""One run of `recommend`: where the demand comes from, what bounds it, the answer, and an exit code."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from dbdoctor.cli import options
from dbdoctor.cli.output_format import RECOMMENDED, is_ours
from dbdoctor.cli.progress import Progress
from dbdoctor.cli.recommend_case import Fleet, make_case
from dbdoctor.cli.recommend_judge import judged
from dbdoctor.cli.recommend_options import RecommendOptions
from dbdoctor.errors import CannotLookError, ExitCode
from dbdoctor.model.advice import Advice, SweepRow, WhatIf
from dbdoctor.model.demand import Samples, Stated, Trace
from dbdoctor.model.examination import Examination
from dbdoctor.model.target import Target
from dbdoctor.sizing.case import Case, solve
from dbdoctor.sizing.pooled import at_pooler
from dbdoctor.sizing.relief import relief
from dbdoctor.sizing.server_settings import server_settings

if TYPE_CHECKING:
    from dbdoctor.targets.select import Selection

_DEFAULT_LOGIN_TIMEOUT = 5.0
_SHOWN_AFTER = 1.0  # seconds: off a terminal nothing is said of what ends sooner
_EVERY = 5.0


class Way(NamedTuple):
    """How targets are found and reached."""

    config: Path | None
    use_config: bool
    trust: bool
    login_timeout: float | None


class _NoWayInError(Exception):
    """The examination failed, and has been shown."""


def recommend_for(
    word: str | None,
    asked: RecommendOptions,
    way: Way,
    output: str | None,
    *,
    no_color: bool,
    fail_on: options.FailOn | None,
) -> int:
    """The whole run; gives the exit code."""
    with contextlib.ExitStack() as stack:
        run = RecommendRun(asked, way, output, no_color=no_color, fail_on=fail_on)
        if word is None and (asked.trace is not None or asked.stated is not None):
            return run.answer(None, is_demo=False)
        from dbdoctor.cli.start import start_targets
        from dbdoctor.targets.select import select_targets

        words = [word] if word else []
        selection = select_targets(words, config=way.config, use_config=way.use_config, trust=way.trust)
        run.configure(selection)
        is_demo = bool(selection.targets) and not isinstance(selection.targets[0], Target)
        if is_demo and asked.offline:
            return run.answer(None, is_demo=True)
        run.take_from_profile(selection)
        return run.answer(start_targets(selection, stack)[0], is_demo=is_demo)


class RecommendRun:
    """One answer, from the first login to the exit code."""

    def __init__(
        self, asked: RecommendOptions, way: Way, output: str | None, *, no_color: bool, fail_on: options.FailOn | None
    ) -> None:
        self._asked = asked
        self._way = way
        self._output = output or "text"
        self._said_output = output is not None
        self._no_color = no_color
        self._fail_on = fail_on
        self._login_timeout = way.login_timeout
        self._progress = _Shown()
        self._notes: list[str] = []

    def configure(self, selection: Selection) -> None:
        """What the config says where the command line says nothing."""
        from dbdoctor.cli.start import choose_login_timeout

        if not self._said_output:
            self._output = str(selection.settings.get("format", "text"))
        self._fail_on = self._fail_on or options.FailOn(selection.settings.get("fail_on", "error"))
        self._login_timeout = choose_login_timeout(self._login_timeout, selection)
        self._notes += selection.notes

    def take_from_profile(self, selection: Selection) -> None:
        """The demand that the target's profile states, where the command line states none. Raises UsageError."""
        from dbdoctor.cli.recommend_fleet import with_profile
        from dbdoctor.cli.verify_options import check_demand

        for target in selection.targets:
            if isinstance(target, Target):
                self._asked = with_profile(self._asked, target)
        if self._asked.verify is not None:
            check_demand(there=self._asked.trace is not None or self._asked.stated is not None)

    def answer(self, target: Target | None, *, is_demo: bool) -> int:
        """Everything; gives the exit code."""
        began = time.monotonic()
        for note in dict.fromkeys([*self._notes, *(target.notes if target else ())]):
            self._progress.say(f"note: {note}")
        try:
            trace = self._trace()
            examination = self._examination(target)
            demand, notes = self._demand(trace, target, examination, is_demo=is_demo)
            fleet, unread = self._fleet(target, examination)
            case = make_case(self._asked, demand, target, examination, fleet)
            advice = self._verified(self._solve(case, target, examination, (*notes, *unread)), case, target, is_demo)
        except _NoWayInError:
            return ExitCode.CANNOT_LOOK
        finally:
            self._progress.clear()
        self._print(replace(advice, took=time.monotonic() - began))
        if advice.verified is not None and advice.verified.incomplete:
            return ExitCode.INTERRUPTED
        return options.exit_code_for(advice.findings, self._fail_on or options.FailOn.ERROR)

    # What is known

    def _trace(self) -> Trace | None:
        if self._asked.trace is None:
            return None
        from dbdoctor.cli.recommend_sources import load_trace

        return load_trace(self._asked.trace, self._progress)

    def _examination(self, target: Target | None) -> Examination | None:
        if target is None or not self._asked.connects:
            return None
        from dbdoctor.cli.no_way_in import examine

        examination = examine(target, self._timeout(target))
        if not examination.connected:
            self._no_way_in(examination)
            raise _NoWayInError
        return examination

    def _timeout(self, target: Target) -> float:
        return self._login_timeout or target.login_timeout or _DEFAULT_LOGIN_TIMEOUT

    def _demand(
        self, trace: Trace | None, target: Target | None, examination: Examination | None, *, is_demo: bool
    ) -> tuple[Trace | Samples | Stated | None, tuple[str, ...]]:
        if trace is not None:
            from dbdoctor.cli.recommend_sources import bad_lines

            return trace, (f"{trace.bad_lines} lines could not be read: {bad_lines(trace)}",) if trace.bad_lines else ()
        if self._asked.stated is not None:
            return self._asked.stated, ()
        if target is None or not self._asked.sampling or examination is None:
            return None, ()
        if is_demo and self._asked.seconds is None:
            return None, ("the demo server was just started: there is nobody to sample",)
        return self._sampled(target, examination)

    def _sampled(self, target: Target, examination: Examination) -> tuple[Samples | None, tuple[str, ...]]:
        from dbdoctor.cli.recommend_case import service_of
        from dbdoctor.cli.recommend_live import sample
        from dbdoctor.rules._common import is_near

        facts = examination.facts
        if facts is not None and facts.pooler is not None:
            return None, (f"behind {facts.pooler.name} an application's sessions are not its processes': not sampled",)
        try:
            seen = sample(
                target,
                facts,
                self._asked.sampling,
                login_timeout=self._timeout(target),
                processes=service_of(self._asked, target).workers,
                near=facts is not None and is_near(facts, target),
                progress=self._progress,
            )
        except CannotLookError as error:
            return None, (f"the sessions could not be sampled: {error.what}",)
        return seen.samples, seen.notes

    def _fleet(self, target: Target | None, examination: Examination | None) -> tuple[Fleet, Sequence[str]]:
        """What shares the server, and notes on what of it is not known."""
        if target is None:
            return Fleet(), ()
        from dbdoctor.cli.recommend_fleet import others_of, pooler_limits

        facts = examination.facts if examination else None
        found: Sequence[Target] = ()
        notes: Sequence[str] = ()
        if self._way.use_config:
            from dbdoctor.targets.neighbours import neighbours_of

            found, notes = neighbours_of(target, config=self._way.config)
        others = others_of(target, facts, found, self._progress)
        pooler, unread = pooler_limits(target, facts, found)
        return Fleet(others, found, pooler), (*notes, *others.notes, *unread)

    # The answer

    def _solve(
        self, case: Case, target: Target | None, examination: Examination | None, notes: Sequence[str]
    ) -> Advice:
        found = solve(case, self._progress)
        if found.settings.get("poolclass"):
            found = at_pooler(case, found)
        more = (*found.server_settings, *relief(case, found.budget), *server_settings(case, found))
        found = replace(found, server_settings=more)
        facts = examination.facts if examination else None
        what_ifs: tuple[WhatIf, ...] = ()
        if self._asked.what_if:
            from dbdoctor.sizing.what_if import answer

            what_ifs = tuple(answer(case, found, changes, self._progress) for changes in self._asked.what_if)
        rows: tuple[SweepRow, ...] = ()
        if self._asked.sweep:
            from dbdoctor.sizing.sweep_table import sweep_rows

            rows = sweep_rows(case, found, self._progress)
        findings, skipped = judged(case, found)
        return Advice(
            found,
            target=target.shown if target else None,
            server=f"{facts.product} {facts.version}" if facts else None,
            profile=target.profile if target else None,
            what_ifs=what_ifs,
            sweep=rows,
            findings=findings,
            skipped=skipped,
            notes=tuple(notes),
            arguments=case.around.connect_args or {},
        )

    def _verified(self, advice: Advice, case: Case, target: Target | None, is_demo: bool) -> Advice:
        """With what came of running the demand, where that was asked for."""
        if self._asked.verify is None or target is None:
            return advice
        from dbdoctor.cli.recommend_verify import Say, Verification

        verification = Verification(
            self._asked.verify,
            target,
            case,
            advice.recommendation,
            Say(self._progress.say, self._progress),
            login_timeout=self._timeout(target),
            is_demo=is_demo,
        )
        return replace(advice, verified=verification.run())

    def _print(self, advice: Advice) -> None:
        if not is_ours(self._output, RECOMMENDED):
            from dbdoctor.cli.outcomes import of_advice, print_outcomes

            print_outcomes(self._output, [of_advice(advice, self._fail_on or options.FailOn.ERROR)])
            return
        from dbdoctor.render.recommend_output import lines_of
        from dbdoctor.render.style import Style

        style = Style.of(sys.stdout, no_color=self._no_color)
        wants = (self._output, self._asked.sweep, self._asked.explain_numbers)
        for line in lines_of(advice, style, *wants):
            print(line)
        sys.stdout.flush()

    def _no_way_in(self, examination: Examination) -> None:
        if not is_ours(self._output, RECOMMENDED):
            from dbdoctor.cli.outcomes import of_examination, print_outcomes

            failing = self._fail_on or options.FailOn.ERROR
            print_outcomes(self._output, [of_examination(examination, failing, "recommend")])
            return
        if self._output == "json":
            from dbdoctor.render.recommend_json import failure_json

            print(failure_json(examination.target.shown, examination.findings))
            return
        from dbdoctor.cli.no_way_in import print_examination

        if self._output == "text":
            print_examination(examination, no_color=self._no_color)
            return
        finding = next((one for one in examination.findings if one.severity.value == "error"), None)
        raise CannotLookError(
            f"no way into {examination.target.shown}",
            cause=finding.title if finding else None,
            help="run `dbdoctor check` on it",
        )


class _Shown(Progress):
    """What is being done, on stderr: drawn on a terminal; elsewhere a line now and then of what takes long."""

    def __init__(self) -> None:
        super().__init__()
        self._due = time.monotonic() + _SHOWN_AFTER

    def __call__(self, text: str) -> None:
        self.note(text)
        if not sys.stderr.isatty() and time.monotonic() >= self._due:
            self._due = time.monotonic() + _EVERY
            self.say(text)
