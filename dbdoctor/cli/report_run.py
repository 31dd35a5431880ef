"""One run of `report`: each part looked at once, in turn, then one page, and an exit code."""

from __future__ import annotations

import contextlib
import json
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dbdoctor import __version__
from dbdoctor.cli import options
from dbdoctor.cli.progress import Progress
from dbdoctor.cli.report_file import check_place, default_name, write_report
from dbdoctor.cli.report_options import ReportOptions
from dbdoctor.errors import CannotLookError, DbdoctorError, ExitCode, UsageError
from dbdoctor.model.examination import Examination
from dbdoctor.model.report import Traced, WholeReport
from dbdoctor.model.target import Product, Target

if TYPE_CHECKING:
    from dbdoctor.cli.recommend_run import Way
    from dbdoctor.targets.select import Selection

_DEFAULT_LOGIN_TIMEOUT = 5.0
_SAMPLES = 5
_FIRST_LINE = 1_000_000  # bytes: by its first line a file says what it is
_OF_SESSIONS, _OF_CHECKOUTS = "dbdoctor.recording/", "dbdoctor.recorder/"
_NOT_RECORDED = "a recording holds sessions only"


def report_for(word: str | None, asked: ReportOptions, way: Way, fail_on: options.FailOn | None) -> int:
    """The whole run; gives the exit code."""
    check_place(asked.html, force=asked.force)
    run = ReportRun(asked, way)
    if asked.recording is not None:
        run.read(asked.recording)
        return run.finish(fail_on or options.FailOn.ERROR)
    from dbdoctor.cli.start import choose_login_timeout, start_targets
    from dbdoctor.targets.select import select_targets

    words = [word] if word else []
    selection = select_targets(words, config=way.config, use_config=way.use_config, trust=way.trust)
    is_demo = bool(selection.targets) and not isinstance(selection.targets[0], Target)
    with contextlib.ExitStack() as stack:
        target = start_targets(selection, stack)[0]
        run.say_notes(selection, target)
        general = choose_login_timeout(way.login_timeout, selection)
        run.look(target, general or target.login_timeout or _DEFAULT_LOGIN_TIMEOUT, is_demo=is_demo)
    return run.finish(fail_on or options.FailOn(selection.settings.get("fail_on", "error")))


class ReportRun:
    """One report, from the first login or the recording to the exit code."""

    def __init__(self, asked: ReportOptions, way: Way) -> None:
        self._asked = asked
        self._way = way
        self._progress = Progress()
        self._target: Target | None = None
        self._found: dict[str, Any] = {}
        self._absent: dict[str, tuple[str, str | None]] = {}
        self._source = ""
        self._named: str | None = None

    def say_notes(self, selection: Selection, target: Target) -> None:
        """What the user should know of how the target was found, on stderr."""
        for note in dict.fromkeys([*selection.notes, *target.notes]):
            self._progress.say(f"note: {note}")

    # From a server

    def look(self, target: Target, login_timeout: float, *, is_demo: bool) -> None:
        """Everything that can be looked at now."""
        self._target = target
        self._source = "looked at live"
        self._named = "demo" if is_demo else target.profile
        examination = self._examine(target, login_timeout)
        self._found["examination"] = examination
        if examination.connected:
            self._part("simulate", lambda: self._simulate(target, login_timeout, is_demo=is_demo))
            self._part("leaks", lambda: self._watch(target, login_timeout))
            self._part("recommend", lambda: self._recommend(target, examination))
        else:
            for name, command in (("leaks", "leaks"), ("simulate", "simulate-timeout"), ("recommend", "recommend")):
                self._absent[name] = ("the server could not be used", self._command(command))
        self._trace(self._asked.trace)

    def _examine(self, target: Target, login_timeout: float) -> Examination:
        from dbdoctor.cli.judge import judge
        from dbdoctor.probe.run import Examining

        try:
            found = Examining(target, login_timeout, samples=_SAMPLES).result(self._progress.event, self._progress.tick)
        finally:
            self._progress.clear()
        return judge(found)

    def _watch(self, target: Target, login_timeout: float) -> None:
        from dbdoctor.cli.report_watch import watch
        from dbdoctor.render.leaks_words import about

        if self._asked.watching.seconds and not sys.stderr.isatty():
            self._progress.say(f"watching sessions for {about(self._asked.watching.seconds)}")
        seen = watch(target, self._asked.watching, login_timeout, self._recordings(), self._progress.note)
        self._found.update(leaks=seen.report, timeline=seen.moments)

    def _recordings(self) -> Path | None:
        """The recorder's files that were named; None is whatever recorders are at work here."""
        trace = self._asked.trace
        return trace if trace is not None and _is_of_recorder(trace) else None

    def _simulate(self, target: Target, login_timeout: float, *, is_demo: bool) -> None:
        if self._asked.simulate is None:
            self._absent["simulate"] = ("not run", self._command("simulate-timeout"))
            return
        from dbdoctor.cli.report_parts import Simulated

        run = Simulated(target, self._asked.simulate, login_timeout, is_demo=is_demo)
        if run.run() == ExitCode.INTERRUPTED:
            raise KeyboardInterrupt
        self._found["simulation"] = run.report
        if run.report is None:
            self._absent["simulate"] = (run.why, self._command("simulate-timeout"))

    def _recommend(self, target: Target | None, examination: Examination | None) -> None:
        from dbdoctor.cli.report_parts import Recommended

        run = Recommended(self._asked.recommending, self._way, examination)
        run.answer(replace(target, notes=()) if target else None, is_demo=False)
        self._found["advice"] = run.found

    # From a recording

    def read(self, path: Path) -> None:
        """Everything that a recording tells. Raises UsageError for a file that is none."""
        if _is_of_recorder(path):
            self._read_checkouts(path)
            return
        from dbdoctor.cli.report_watch import replayed

        found = replayed(path, self._asked.watching)
        self._target = found.target
        self._source = f"from the recording {path.name}"
        self._found.update(leaks=found.sessions.report, timeline=found.sessions.moments)
        self._absent["check"] = (_NOT_RECORDED, self._command("check"))
        self._absent["simulate"] = (_NOT_RECORDED, self._command("simulate-timeout"))
        self._way = self._way._replace(use_config=False)
        examination = Examination(found.target, connected=True, seconds=0.0, facts=found.facts)
        self._part("recommend", lambda: self._recommend(found.target, examination))
        self._trace(self._asked.trace)

    def _read_checkouts(self, path: Path) -> None:
        why = "a recorder's trace holds checkouts only"
        self._source = f"from the recorder's trace {path.name}"
        for name, command in (("check", "check"), ("leaks", "leaks"), ("simulate", "simulate-timeout")):
            self._absent[name] = (why, f"dbdoctor {command} TARGET")
        self._asked = self._asked._replace(recommending=self._asked.recommending._replace(trace=path, connects=False))
        self._trace(path)
        self._part("recommend", lambda: self._recommend(None, None))

    def _trace(self, path: Path | None) -> None:
        """The recorder's summary by line of code, where there is a recorder's trace."""
        if path is None or not _is_of_recorder(path):
            why = (
                "no recorder's trace was given" if path is None else "these checkouts do not say where they were taken"
            )
            self._absent["trace"] = (why, "dbdoctor run -- COMMAND")
            return
        self._part("trace", lambda: self._summarise(path))

    def _summarise(self, path: Path) -> None:
        from dbdoctor.rules.recorded import judge_recorded
        from dbdoctor.traces.summary import summarise

        summary = summarise([path], lambda lines: self._progress.note(f"reading the trace, {lines:,} lines"))
        if not summary.processes:
            raise CannotLookError("there is no recording in it", cause="; ".join(summary.notes) or "it is empty")
        findings, skipped = judge_recorded(summary)
        self._found["traced"] = Traced(summary, tuple(findings), tuple(skipped))

    # The page

    def _part(self, name: str, look: Callable[[], None]) -> None:
        """One part; what keeps it from being looked at is said in its place, and the others go on."""
        try:
            look()
        except UsageError:
            raise
        except DbdoctorError as error:
            said = f"{error.what}: {error.cause}" if error.cause else error.what
            self._absent[name] = (said, None)
            self._progress.say(f"{name}: {said}")
        finally:
            self._progress.clear()

    def _command(self, command: str) -> str:
        """As one would type it; what names the target is a profile, or where it is without its password."""
        target = self._target
        if target is None:
            return f"dbdoctor {command} TARGET"
        return f"dbdoctor {command} {_word(self._named or target.profile or target.shown)}"

    def finish(self, fail_on: options.FailOn) -> int:
        """Write the page; gives the exit code."""
        from dbdoctor.render.report.page import page

        made_at = time.time()
        report = WholeReport(
            self._target.shown if self._target else "a recorded application",
            made_at,
            __version__,
            self._source,
            absent=self._absent,
            **self._found,
        )
        name = default_name(self._target or Target(Product.POSTGRESQL, (), profile="trace"), made_at)
        written = write_report(page(report), self._asked.html, name, force=self._asked.force)
        findings = [told.finding for told in report.told]
        if written is not None:
            print(written)
            sys.stdout.flush()
        from dbdoctor.render.report.words import summary_words

        self._progress.say(summary_words(report))
        if report.examination is not None and not report.examination.connected:
            return ExitCode.CANNOT_LOOK
        return options.exit_code_for(findings, fail_on)


def schema_of(path: Path) -> str:
    """What the first line of a file says it is; empty for one that says nothing. Raises UsageError."""
    try:
        with path.open("rb") as file:
            first = json.loads(file.readline(_FIRST_LINE))
    except OSError as error:
        raise UsageError(
            "the recording cannot be read", cause=error.strerror, help="name a file that is there"
        ) from None
    except (ValueError, RecursionError):
        return ""
    schema = first.get("schema") if isinstance(first, dict) else None
    return schema if isinstance(schema, str) else ""


def _is_of_recorder(path: Path) -> bool:
    return str(path) != "-" and (path.is_dir() or schema_of(path).startswith(_OF_CHECKOUTS))


def _word(text: str) -> str:
    from shlex import quote

    return quote(text)
