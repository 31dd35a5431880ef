"""One run of `measure-timeout`: a look at the server, the plan said, the measurement, what was left behind cleared away."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NamedTuple

from dbdoctor.cli import options
from dbdoctor.cli.measure_hold import held_signals
from dbdoctor.cli.measure_order import Order
from dbdoctor.cli.measure_progress import MeasureProgress
from dbdoctor.errors import CannotLookError, ExitCode
from dbdoctor.measure.links import Links
from dbdoctor.measure.run import Found, Measurement, State
from dbdoctor.measure.verdict import make_measured, spare_slots
from dbdoctor.measure.ways import Way, way_to
from dbdoctor.model.device import known_timeouts
from dbdoctor.model.duration import format_duration
from dbdoctor.model.measured import Bracket, Drop, Ghosts, Measured, MeasureOptions

if TYPE_CHECKING:
    from dbdoctor.model.examination import Examination
    from dbdoctor.model.finding import Finding
    from dbdoctor.model.session import Identity
    from dbdoctor.model.target import Target

_DEFAULT_LOGIN_TIMEOUT = 5.0
# How long a statement may take, of the login's own time and within these bounds (seconds).
_PATIENCE, _LEAST_PATIENCE, _MOST_PATIENCE = 4.0, 1.0, 5.0
# Of connections that did not answer 2 are listened to a little longer, and one is opened to see whether anybody answers.
_BESIDE = 3
# After an interruption there is not more time than this to clear away.
_HURRY = 2.0


class Answer(NamedTuple):
    """What a run gives: the measurement with its findings, or how the server could not be reached."""

    exit_code: int
    measured: Measured | None = None
    findings: Sequence[Finding] = ()
    failed: Examination | None = None


def measure_now(order: Order) -> int:
    """Measure, print, and give the exit code."""
    with contextlib.ExitStack() as stack:
        run = MeasureRun(order, stack)
        answer = run.answer()
        run.print(answer)
        return answer.exit_code


class MeasureRun:
    """One run. `known` is what an earlier run of it had found, `left` its sessions; `on_state` is told how far it is."""

    def __init__(
        self,
        order: Order,
        stack: contextlib.ExitStack,
        *,
        known: Bracket | None = None,
        left: Sequence[Identity] = (),
        on_state: Callable[[State], None] | None = None,
    ) -> None:
        from dbdoctor.cli.start import choose_login_timeout, start_targets

        selection = order.select()
        self.order = order
        self.progress = MeasureProgress()
        self.target: Target = start_targets(selection, stack)[0]
        said = selection.settings
        self.wants_json = order.wants_json or said.get("format") == "json"
        self._fail_on = options.FailOn(order.fail_on or said.get("fail_on", "error"))
        chosen = choose_login_timeout(order.login_timeout, selection)
        self._login_timeout = chosen or self.target.login_timeout or _DEFAULT_LOGIN_TIMEOUT
        self._known = known
        self._left = left
        self._links: Links | None = None
        self._on_state = on_state or self.progress.state
        for note in dict.fromkeys([*selection.notes, *self.target.notes]):
            self.progress.say(f"note: {note}")

    def answer(self) -> Answer:
        """Look at the server, measure, judge. What was known when it was interrupted is an answer, too."""
        examination = self._examine()
        if not examination.connected:
            return Answer(ExitCode.CANNOT_LOOK, failed=examination)
        way = way_to(self.target, examination.facts, self._login_timeout)
        way.sweep(self._left, self._login_timeout)
        asked = self._affordable(examination)
        try:
            measured = self._measure(way, asked, examination)
        finally:
            self.progress.clear()
        from dbdoctor.rules.measured import judge_measured

        findings = judge_measured(measured)
        code = options.exit_code_for(findings, self._fail_on)
        if measured.interrupted:
            code = ExitCode.INTERRUPTED
        elif not measured.answered:
            code = ExitCode.CANNOT_LOOK
        return Answer(code, measured, findings)

    def print(self, answer: Answer) -> None:
        """The answer on stdout."""
        from dbdoctor.cli.measure_print import lines_of

        indent = 2 if sys.stdout.isatty() else None
        for line in lines_of(
            answer, self.target, wants_json=self.wants_json, no_color=self.order.no_color, indent=indent
        ):
            print(line)
        sys.stdout.flush()
        if answer.measured is not None and answer.measured.interrupted:
            self.progress.say("interrupted")

    @property
    def sessions(self) -> list[Identity]:
        """The sessions that were opened until now, as far as they are known."""
        return self._links.remember() if self._links is not None else []

    # Inside

    def _examine(self) -> Examination:
        from dbdoctor.probe.run import examine_all

        progress = self.progress.stages()
        try:
            probes = examine_all(
                [self.target],
                login_timeout=self._login_timeout,
                samples=3,
                on_progress=progress.event,
                on_tick=progress.tick,
            )
            return next(examination for _, examination in probes)
        finally:
            progress.clear()

    def _affordable(self, examination: Examination) -> MeasureOptions:
        """The options, with no more connections than the server can do without."""
        asked = self.order.options
        spare = spare_slots(examination.facts)
        beside = _BESIDE + (2 if asked.keepalive else 0)
        if spare is None or spare >= asked.connections + beside:
            return asked
        from dbdoctor.rules._common import count

        if spare < beside + 1:
            raise CannotLookError(
                f"{self.target.shown} has too few free sessions for a measurement",
                help="`dbdoctor leaks` shows who holds them",
            )
        self.progress.say(f"note: only {count(spare - beside, 'connection')}, since the server has not more to spare")
        return asked._replace(connections=spare - beside)

    def _measure(self, way: Way, asked: MeasureOptions, examination: Examination) -> Measured:
        timings = examination.timings
        trip = timings.round_trip_median if timings and timings.round_trips else 0.05
        login = timings.login_median if timings and timings.logins else 0.2
        patience = min(_MOST_PATIENCE, max(_LEAST_PATIENCE, _PATIENCE * max(trip, login)))
        links = Links(way.link, login_timeout=self._login_timeout, patience=patience)
        measurement = Measurement(
            links, asked, known_timeouts(), trip=trip, bracket=self._known, on_state=self._on_state
        )
        self._announce(measurement, asked)
        interrupted = False
        notes = ("this is a unix socket: there is no network in between",) if way.is_local else ()
        self._links = links
        try:
            measurement.run()
        except KeyboardInterrupt:
            interrupted = True
        finally:
            with held_signals() as came:
                found = measurement.found
                ghosts = self._clear_away(way, links, found, hurry=interrupted)
        interrupted = interrupted or bool(came)
        return make_measured(
            found, self.target, asked, examination.facts, ghosts=ghosts, interrupted=interrupted, notes=notes
        )

    def _announce(self, measurement: Measurement, asked: MeasureOptions) -> None:
        from dbdoctor.rules._common import count

        kept = " and 2 that TCP keeps alive" if asked.keepalive else ""
        longest = format_duration(measurement.plan.longest + 2)
        self.progress.say(
            f"measuring the idle timeout to {self.target.shown}, up to {format_duration(asked.up_to)}: at most "
            f"{count(asked.connections, 'connection')} at once{kept}, up to {_BESIDE} more "
            f"while one does not answer, {longest} if there is none; "
            "Ctrl-C gives what is known by then"
        )

    def _clear_away(self, way: Way, links: Links, found: Found, *, hurry: bool) -> Ghosts | None:
        """Close everything; what a silent drop left on the server is counted, and ended, since it is ours."""
        sessions = links.remember()
        links.close_all()
        if not sessions or not (hurry or found.seen):
            return None
        swept = way.sweep(sessions, _HURRY if hurry else self._login_timeout)
        if swept is None or found.drop not in {Drop.SILENT, Drop.RESET_ON_USE, Drop.RESET}:
            return None
        return Ghosts(len(sessions), swept[0], way.kept_seconds(), swept[1])
