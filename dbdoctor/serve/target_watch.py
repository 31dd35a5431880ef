"""One target, judged again and again in a thread of its own: whatever it does, it keeps nobody but itself waiting.

A round is a login looked at stage by stage, as `check` does it, and then one session from which looks are taken, as
`leaks --watch` does it, until it is time for the next login or the server is lost. The two never overlap: a target has at
most one session of ours.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

from dbdoctor.errors import CannotLookError
from dbdoctor.model.examination import Examination
from dbdoctor.model.finding import Severity
from dbdoctor.model.leaks import LeaksReport, WatchOptions
from dbdoctor.model.server import ServerFacts
from dbdoctor.model.snapshot import Gap, Snapshot
from dbdoctor.model.target import Product, Target
from dbdoctor.probe.deadline import Deadline, Recall
from dbdoctor.rules.sessions import judge_leaks
from dbdoctor.serve.examine import examine
from dbdoctor.serve.labels import Places
from dbdoctor.serve.local import Local
from dbdoctor.serve.state import Failed, State
from dbdoctor.serve.summary import count_findings, failed_of, summarise, times_of
from dbdoctor.serve.window import Window
from dbdoctor.targets.settings import threshold
from dbdoctor.watch.loop import Loop, Turn
from dbdoctor.watch.source import SourceLostError, SourceSlowError
from dbdoctor.watch.stop import Stop, StoppedError

if TYPE_CHECKING:
    from dbdoctor.watch.postgresql_source import PostgresqlSource
    from dbdoctor.watch.sqlserver_source import SqlServerSource

DEFAULT_LOGIN_TIMEOUT = 5.0
# Process ids do not become labels, and addresses come and go with containers.
_GROUP_BY = ("application", "user", "database")
_NEVER = float("inf")
# How late a report may be, beyond the time that it may take, before its thread counts as hung (seconds).
_PATIENCE = 10.0
# With fewer free slots our session is not given up for a new login.
_FEWEST_FREE_SLOTS = 5
# The longest that a watch stretches its interval to by itself (seconds; `watch.pace`).
_LONGEST_STRETCHED = 30.0


class Pacing(NamedTuple):
    """How often to look, and how often to log in anew; `login_timeout` overrules the target's own. Seconds."""

    interval: float
    login_every: float
    login_timeout: float | None = None


class TargetWatch:
    """Judges one target until `request_stop`. `judge` adds what the rules say to an examination; `publish` gets every new state.

    `on_fault` gets an exception that is our own fault; the target is tried again. `due` is when the next state must have
    come (monotonic seconds): later, the thread hangs in a driver.
    """

    def __init__(
        self,
        name: str,
        target: Target,
        pacing: Pacing,
        *,
        judge: Callable[[Examination], Examination],
        publish: Callable[[State], None],
        on_fault: Callable[[Exception], None] = lambda _: None,
    ) -> None:
        self.state = State(name, target)
        self.due = _NEVER
        self._target = target
        self._pacing = pacing
        self._judge = judge
        self._publish = publish
        self._on_fault = on_fault
        self._login_timeout = pacing.login_timeout or target.login_timeout or DEFAULT_LOGIN_TIMEOUT
        idle = threshold(target.thresholds, "idle")
        self._window = Window(WatchOptions(idle, threshold(target.thresholds, "idle_in_transaction"), _GROUP_BY))
        self._places = Places()
        self._stop = Stop()
        self._recall = Recall()
        self._source = _source(target)
        self._local = Local(lambda: self._source.own_connection)
        self._examination: Examination | None = None
        self._facts: ServerFacts | None = None
        # By the server's clock; and why nobody could look since then.
        self._last_at: float | None = None
        self._gap_reason: str | None = None
        self._thread = threading.Thread(target=self._run, name=f"target-{name}", daemon=True)
        self._delay = 0.0

    def start(self, delay: float) -> None:
        """Begin, so many seconds from now."""
        self._delay = delay
        self._thread.start()

    def request_stop(self) -> None:
        """Have it end; what waits for a server in a look is left alone, a login is given up."""
        with contextlib.suppress(StoppedError):  # meant for the thread that looks, when a signal's handler stops that
            self._stop.request()
        self._recall.ask()

    def join(self, seconds: float) -> bool:
        """Wait for its end so long at most; gives whether it has ended."""
        if self._thread.ident is not None:
            self._thread.join(max(0.0, seconds))
        return not self._thread.is_alive()

    # --- rounds

    def _run(self) -> None:
        self._stop.wait(self._delay)
        while not self._stop.requested:
            began = time.monotonic()
            try:
                self._round()
            except StoppedError:
                return
            except Exception as error:  # noqa: BLE001 - a fault of ours with one target must not end its watch, nor another's
                self._on_fault(error)
                self._fail(Failed("query", "internal-error"))
            self.due = _NEVER
            self._stop.wait(began + self._pacing.interval - time.monotonic())

    def _round(self) -> None:
        self._expect(self._login_timeout)
        probed = examine(self._target, Deadline.after(self._login_timeout, self._recall))
        if self._stop.requested:
            return
        self._examination = self._judge(probed)
        now = time.time()
        self.state = self.state._replace(stages=times_of(probed), logged_in_at=now, facts=probed.facts)
        if probed.connected:
            self._watch()
        else:
            self._gap_reason = f"no way in: {failed_of(probed).code}"
            self._fail(failed_of(probed))

    def _watch(self) -> None:
        loop = Loop(
            self._source,
            interval=self._pacing.interval,
            seconds=None,
            login_timeout=self._login_timeout,
            wanted=self._window.wanted,
            enrich=self._enrich,
            stop=self._stop,
        )
        self._expect(self._login_timeout)
        until = time.monotonic() + self._pacing.login_every
        try:
            for turn in loop.turns():
                self._expect(max(turn.interval, _LONGEST_STRETCHED) * 2)
                self._take(turn, lost=bool(loop.lost))
                if loop.lost:
                    self._gap_reason = f"the connection was lost: {loop.lost}"
                    break
                if time.monotonic() >= until and not self._is_short_of_slots:
                    break
        except (SourceLostError, SourceSlowError, CannotLookError) as error:
            self._fail(_named(error))
        finally:
            self._source.close()

    @property
    def _is_short_of_slots(self) -> bool:
        """Whether somebody else might have our slot before we are back, just when there is something to see."""
        slots = self.state.seen.slots if self.state.seen else None
        return slots is not None and slots.free < _FEWEST_FREE_SLOTS

    def _expect(self, seconds: float) -> None:
        self.due = time.monotonic() + seconds + _PATIENCE

    # --- what a turn gave

    def _take(self, turn: Turn, *, lost: bool) -> None:
        if turn.facts:
            self._facts = turn.facts
            self._local.begin(turn.facts)
        if turn.gap:
            self._window.gap(turn.gap)
            self._last_at = None
        if turn.snapshot:
            self._see(turn.snapshot, turn.interval)
        elif not (turn.facts or turn.gap or lost):
            self._fail(Failed("query", "query-stalled"))

    def _see(self, snapshot: Snapshot, interval: float) -> None:
        self._note_gap(snapshot, interval)
        self._window.add(snapshot)
        report = judge_leaks(self._window.history, self._target, self._facts)
        seen = summarise(snapshot, report, self._places, time.monotonic(), sees_ghosts=self._local.sees_ghosts)
        # What is asked less often than every look stays as it was until it is asked again.
        if seen.ended is None and self.state.seen is not None:
            seen = seen._replace(ended=self.state.seen.ended)
        state = self._judged(self.state, report)
        answered = state.answered + 1
        self._tell(state._replace(up=True, failed=None, looked_at=time.time(), answered=answered, seen=seen))

    def _note_gap(self, snapshot: Snapshot, interval: float) -> None:
        """Between two sessions of ours nobody looked; when that was short, it does not count."""
        last, self._last_at = self._last_at, snapshot.at
        reason, self._gap_reason = self._gap_reason, None
        if last is not None and reason is None and snapshot.at - last > 4 * interval + 1:
            reason = "dbdoctor was kept from looking"
        if last is not None and reason:
            self._window.gap(Gap(last, snapshot.at, reason))

    def _fail(self, failed: Failed) -> None:
        state = self._judged(self.state, None)
        findings = {(failed.code, Severity.ERROR.value): 1, **state.findings}
        self._tell(
            state._replace(up=False, failed=failed, unanswered=state.unanswered + 1, seen=None, findings=findings)
        )

    def _judged(self, state: State, report: LeaksReport | None) -> State:
        """The state with what the last login and this report found."""
        if self._examination is None:
            return state
        skipped = {one.rule for one in (*self._examination.skipped, *(report.skipped if report else ()))}
        return state._replace(findings=count_findings(self._examination, report), skipped=len(skipped))

    def _tell(self, state: State) -> None:
        self.state = state
        self._publish(state)

    def _enrich(self, snapshot: Snapshot, *, thorough: bool) -> Snapshot:
        del thorough  # with looks this far apart each one is; the search for processes keeps to its smaller budget
        return self._local.enrich(snapshot)


def _named(error: Exception) -> Failed:
    """A failure after an examination that went well: the login worked a moment ago."""
    if isinstance(error, SourceLostError) and error.finding is not None:
        return Failed("login", error.finding.code)
    return Failed("query", "query-stalled" if isinstance(error, SourceSlowError) else "query-failed")


def _source(target: Target) -> PostgresqlSource | SqlServerSource:
    """What takes the looks, by product."""
    if target.product is Product.SQLSERVER:
        from dbdoctor.watch.sqlserver_source import SqlServerSource

        return SqlServerSource(target)
    from dbdoctor.watch.postgresql_source import PostgresqlSource

    return PostgresqlSource(target)
