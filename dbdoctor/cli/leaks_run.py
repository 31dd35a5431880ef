"""One run of `leaks`: turns of the loop or of a recording go in, a report comes out, sessions are ended if asked for."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from dbdoctor.cli.judge import of_application
from dbdoctor.cli.leaks_answer import Answer, Judged, Manner
from dbdoctor.cli.leaks_lookout import Lookout
from dbdoctor.cli.leaks_options import LeaksOptions
from dbdoctor.cli.leaks_traces import recordings_of
from dbdoctor.errors import CannotLookError, ExitCode
from dbdoctor.model.finding import Finding, Severity
from dbdoctor.model.leaks import Event, LeaksReport
from dbdoctor.model.target import Product, Target
from dbdoctor.watch.client_side import ClientSide
from dbdoctor.watch.loop import Loop, Turn
from dbdoctor.watch.source import SourceLostError, SourceSlowError
from dbdoctor.watch.stop import Stop

if TYPE_CHECKING:
    from dbdoctor.cli.leaks_views import View
    from dbdoctor.targets.select import Selection
    from dbdoctor.watch.postgresql_source import PostgresqlSource
    from dbdoctor.watch.recorder import Recorder
    from dbdoctor.watch.sqlserver_source import SqlServerSource

    Source = PostgresqlSource | SqlServerSource

_DEFAULT_LOGIN_TIMEOUT = 5.0
# While watching, garbage is looked for after so many new objects, as Python does by itself: memory stays flat.
_COLLECT_AFTER = 700


def leaks_of_target(selection: Selection, asked: LeaksOptions, manner: Manner, login_timeout: float | None) -> int:
    """Watch the target that was selected; gives the exit code."""
    from dbdoctor.cli.start import choose_login_timeout, start_targets

    with contextlib.ExitStack() as stack:
        target = start_targets(selection, stack)[0]
        for note in dict.fromkeys([*selection.notes, *target.notes]):
            say(f"note: {note}")
        timeout = choose_login_timeout(login_timeout, selection) or target.login_timeout or _DEFAULT_LOGIN_TIMEOUT
        return LiveRun(target, asked, manner.configured(selection), timeout).run()


def leaks_of_recording(path: Path, asked: LeaksOptions, manner: Manner) -> int:
    """Judge a recording; gives the exit code."""
    from dbdoctor.watch.replay import Replay

    replay = Replay(path)
    judged = Judged(replay.target, asked.watch_options(replay.target, replay.options))
    for turn in replay.turns():
        judged.take(turn)
    if judged.facts is None or not judged.history.samples:
        raise CannotLookError(
            "there is not one snapshot in this recording", help="record again, with `dbdoctor leaks --record FILE`"
        )
    answer = Answer(asked, manner)
    report = judged.report(with_sessions=asked.sessions, notes=replay.notes)
    answer.print(report)
    return answer.exit_code(report)


def say(text: str) -> None:
    """A line on stderr."""
    from dbdoctor.cli.progress import Progress

    Progress().say(text)


class LiveRun:
    """A watch of one server, from the login to the exit code."""

    def __init__(self, target: Target, asked: LeaksOptions, manner: Manner, login_timeout: float) -> None:
        self._target = target
        self._asked = asked
        self._manner = manner
        self._login_timeout = login_timeout
        self._watch_options = asked.watch_options(target)
        self._judged = Judged(target, self._watch_options, of_application)
        self._answer = Answer(asked, manner)
        self._last: LeaksReport | None = None
        self._recorder: Recorder | None = None
        # Of a long watch: every finding above a note, with when it was last seen.
        self._seen: dict[tuple[str, str], tuple[Finding, float]] = {}

    def run(self) -> int:
        """The whole run; gives the exit code."""
        with contextlib.ExitStack() as stack:
            if self._asked.record:
                from dbdoctor.watch.recorder import Recorder

                self._recorder = Recorder(
                    self._asked.record,
                    self._target,
                    self._watch_options,
                    interval=self._asked.interval,
                    statements=self._asked.queries,
                )
                stack.callback(self._recorder.close)
            source = _source(self._target)
            stack.callback(source.close)
            client_side = ClientSide(
                self._target,
                lambda: self._judged.facts,
                lambda: source.own_connection,
                single_look=self._asked.seconds == 0,
                recordings=recordings_of(self._asked.trace),
            )
            stack.callback(client_side.close)
            return self._run(source, client_side)

    def _run(self, source: Source, client_side: ClientSide) -> int:
        stop = Stop()
        loop = Loop(
            source,
            interval=self._asked.interval,
            seconds=self._asked.seconds,
            login_timeout=self._login_timeout,
            wanted=self._judged.history.wanted,
            enrich=client_side.enrich,
            stop=stop,
        )
        with Lookout(self._target, self._login_timeout) as lookout:
            try:
                self._watch(loop, stop, lookout)
            except (SourceLostError, SourceSlowError, CannotLookError) as error:
                if not self._judged.history.samples:
                    from dbdoctor.cli.leaks_failed import show_failure

                    return show_failure(self._target, error, lookout, self._manner, self._answer)
                loop.lost = str(error)
        if not self._judged.history.samples:  # interrupted before the first look
            raise KeyboardInterrupt
        code = self._finish(source, loop.lost)
        return ExitCode.CANNOT_LOOK if loop.lost and self._asked.seconds is not None else code

    def _watch(self, loop: Loop, stop: Stop, lookout: Lookout) -> None:
        settled = False
        with contextlib.ExitStack() as stack:
            if self._asked.seconds is None:
                from dbdoctor.cli.signals import end_on_signal

                stack.enter_context(end_on_signal(stop.request))
            view = self._view()
            if view is not None:
                stack.enter_context(view)
            for turn in loop.turns():
                if turn.facts and not lookout.closed:
                    lookout.close()
                events = [*turn.events, *self._record(turn)]
                self._judged.take(turn)
                if not settled and self._asked.seconds is None:
                    settled = True
                    settle_memory()
                if view is not None and not self._show(view, turn, events):
                    return

    def _show(self, view: View, turn: Turn, events: list[Event]) -> bool:
        """Show a turn; gives whether anybody is still looking."""
        if view.wants_reports and turn.snapshot:
            from dbdoctor.watch.events import events_between

            report = self._judged.report(with_sessions=False)
            events += events_between(self._last, report)
            if self._asked.seconds is None:
                self._remember(report)
            self._last = report
        return view.show(turn, self._last, events)

    def _remember(self, report: LeaksReport) -> None:
        for finding in report.findings:
            if finding.severity is not Severity.INFO:
                self._seen[finding.code, str(finding.group)] = (finding, report.observed.until)

    def _gone(self, report: LeaksReport) -> list[tuple[Finding, float]]:
        """What a long watch found that is not there any more at its end: it happened, and counts."""
        present = {(finding.code, str(finding.group)) for finding in report.findings}
        return [seen for key, seen in self._seen.items() if key not in present]

    def _view(self) -> View | None:
        if self._asked.seconds == 0:
            return None
        from dbdoctor.cli.leaks_views import choose_view

        return choose_view(self._target, self._asked, self._manner)

    def _record(self, turn: Turn) -> Iterator[Event]:
        """Write it down; gives an event when that cannot be done any more."""
        recorder = self._recorder
        if recorder is None or recorder.failed:
            return
        if turn.facts:
            recorder.facts(turn.facts)
        if turn.gap:
            recorder.gap(turn.gap)
        if turn.snapshot:
            recorder.snapshot(turn.snapshot)
        if recorder.failed:
            yield Event(turn.snapshot.at if turn.snapshot else time.time(), "note", recorder.failed)

    def _finish(self, source: Source, lost: str | None) -> int:
        """The report, and the end of sessions if that was asked for."""
        asked = self._asked
        notes = [f"at the end the server was not there: {lost}"] if lost else []
        if self._recorder and self._recorder.failed:
            notes.append(self._recorder.failed)
        report = self._judged.report(with_sessions=asked.sessions or asked.terminates)
        report = report._replace(notes=(*report.notes, *notes), earlier=tuple(self._gone(report)))
        shown = report if asked.sessions else report._replace(sessions=())
        if not asked.terminates:
            self._answer.print(shown)
            return self._answer.exit_code(report)
        return self._terminate(source, report, shown)

    def _terminate(self, source: Source, report: LeaksReport, shown: LeaksReport) -> int:
        from dbdoctor.cli.leaks_terminate import run_termination

        if not self._manner.wants_json:
            self._answer.print(shown)
        try:
            terminated = run_termination(
                source,
                report,
                self._asked.terminate,
                yes=self._asked.yes,
                no_color=self._manner.no_color,
                own=source.own,
            )
        except CannotLookError:
            if self._manner.wants_json:
                self._answer.print(shown)
            raise
        if self._manner.wants_json:
            self._answer.print(shown, terminated)
        else:
            from dbdoctor.render.style import Style

            for line in terminated.lines(Style.of(sys.stdout, no_color=self._manner.no_color)):
                print(line)
        return max(self._answer.exit_code(report), terminated.exit_code)


def _source(target: Target) -> Source:
    """What takes the snapshots, by product."""
    if target.product is Product.SQLSERVER:
        from dbdoctor.watch.sqlserver_source import SqlServerSource

        return SqlServerSource(target)
    from dbdoctor.watch.postgresql_source import PostgresqlSource

    return PostgresqlSource(target)


def settle_memory() -> None:
    """What has been made until now stays; among what is made from now on, garbage is looked for often."""
    import gc

    gc.collect()
    gc.freeze()
    gc.set_threshold(_COLLECT_AFTER, 10, 10)
