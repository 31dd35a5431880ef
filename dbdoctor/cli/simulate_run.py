"""One run of `simulate-timeout`: a way in, a plan that is announced, trials with progress, a report and an exit code."""

from __future__ import annotations

import contextlib
import secrets
import socket
import sys
import time
from dataclasses import replace
from typing import TYPE_CHECKING

from dbdoctor.cli import options
from dbdoctor.cli.leaks_answer import Manner
from dbdoctor.cli.no_way_in import examine, print_examination
from dbdoctor.cli.progress import Progress
from dbdoctor.cli.question import can_ask, is_confirmed
from dbdoctor.cli.simulate_options import CURRENT, SimulateOptions
from dbdoctor.errors import CannotLookError, ExitCode, UsageError
from dbdoctor.measure.verdict import spare_slots
from dbdoctor.model.duration import format_duration
from dbdoctor.model.examination import Examination
from dbdoctor.model.target import Product, Target
from dbdoctor.model.trial import PoolPlan, SimulationReport
from dbdoctor.rules._common import count
from dbdoctor.trials.orders import StageOrder, Where
from dbdoctor.trials.planning import Plan, choose_faults, choose_pools, facts_of, make_plan
from dbdoctor.trials.simulation import Progress as Course
from dbdoctor.trials.simulation import Simulation

if TYPE_CHECKING:
    from dbdoctor.faults.fault import Fault
    from dbdoctor.model.server import ServerFacts
    from dbdoctor.probe.resolve import Address
    from dbdoctor.targets.select import Selection

_DEFAULT_LOGIN_TIMEOUT = 5.0
_SESSIONS, _SESSIONS_OF_DEMO = 5, 24
# So many requests at once use the user's own pool: one alone would not show that all connections are opened anew at once.
_THREADS_OF_CURRENT = 3


def simulate_target(selection: Selection, asked: SimulateOptions, manner: Manner, login_timeout: float | None) -> int:
    """Simulate on the target that was selected; gives the exit code."""
    from dbdoctor.cli.start import choose_login_timeout, start_targets

    with contextlib.ExitStack() as stack:
        is_demo = not isinstance(selection.targets[0], Target) if selection.targets else False
        target = start_targets(selection, stack)[0]
        for note in dict.fromkeys([*selection.notes, *target.notes]):
            _say(f"note: {note}")
        timeout = choose_login_timeout(login_timeout, selection) or target.login_timeout or _DEFAULT_LOGIN_TIMEOUT
        return SimulateRun(target, asked, manner.configured(selection), timeout, is_demo=is_demo).run()


class SimulateRun:
    """One simulation, from the first login to the exit code."""

    def __init__(
        self, target: Target, asked: SimulateOptions, manner: Manner, login_timeout: float, *, is_demo: bool
    ) -> None:
        self._target = target
        self._asked = asked
        self._manner = manner
        self._login_timeout = login_timeout
        self._is_demo = is_demo
        self._scale = asked.scale(target)
        self._notes: list[str] = []

    def run(self) -> int:
        """The whole run; gives the exit code."""
        pools = self._pools()
        faults = self._faults()
        examination = examine(self._target, self._login_timeout)
        if not examination.connected:
            return self._no_way_in(examination)
        plan = self._plan(examination, faults, pools)
        if not self._may_begin(plan):
            _say("nothing was opened")
            return ExitCode.OK
        return self._simulate(plan)

    # What is tried

    def _pools(self) -> tuple[PoolPlan, ...]:
        from dbdoctor.trials.current import current as current_pool
        from dbdoctor.trials.pools import DEFAULT, pools

        table = pools(self._target.product, self._scale, freetds=self._is_freetds)
        current = current_pool(self._target, self._scale, threads=_THREADS_OF_CURRENT)
        if current.plan is not None:
            table = {CURRENT: current.plan, **table}
            self._notes += current.notes
        elif CURRENT in self._asked.pool:
            raise UsageError(
                f"the current pool is not known: {current.reason}",
                help="name a live engine (`module:engine`) as the target, or write a `pool` section into its profile",
            )
        return choose_pools(self._asked.pool, table, (*DEFAULT[self._target.product], CURRENT))

    @property
    def _is_freetds(self) -> bool:
        """Whether it is FreeTDS that talks to the server; that no driver is there is told by the examination."""
        if self._target.product is not Product.SQLSERVER:
            return False
        from dbdoctor.databases.odbc.driver import FREETDS, DriverMissingError
        from dbdoctor.databases.odbc.find import choose

        try:
            return choose(self._target).kind == FREETDS
        except DriverMissingError:
            return False

    def _faults(self) -> tuple[type[Fault], ...]:
        from dbdoctor.faults.kinds import all_faults

        return choose_faults(self._asked.drop, all_faults(), self._target.product)

    def _plan(self, examination: Examination, faults: tuple[type[Fault], ...], pools: tuple[PoolPlan, ...]) -> Plan:
        sessions = self._sessions(examination)
        fitting = self._fitting(pools, sessions)
        return make_plan(faults, fitting, self._scale, sessions=sessions, cap=self._asked.cap)

    def _fitting(self, pools: tuple[PoolPlan, ...], sessions: int) -> tuple[PoolPlan, ...]:
        """The pools that need no more sessions at once; the application's own is used by fewer. Raises UsageError."""
        narrowed = [replace(one, threads=min(one.threads, sessions)) if one.name == CURRENT else one for one in pools]
        left_out = [one.name for one in narrowed if one.threads > sessions]
        if left_out:
            why = f"{', '.join(left_out)} needs more than {count(sessions, 'session')} at once"
            if len(left_out) == len(pools):
                raise UsageError(why, help="allow more with `--workers`")
            self._notes.append(f"left out: {why}")
        return tuple(one for one in narrowed if one.threads <= sessions)

    def _sessions(self, examination: Examination) -> int:
        """As many as asked for, and never what others may need. Raises CannotLookError."""
        wanted = self._asked.workers or (_SESSIONS_OF_DEMO if self._is_demo else _SESSIONS)
        spare = spare_slots(examination.facts)
        if spare is None:
            return wanted
        room = spare - 1  # the observer
        if room < 1:
            raise CannotLookError(
                "too few sessions are free there to try anything without taking them from others",
                cause="at least 3, and a tenth, of what the server, this role and this database have free are left alone",
                help="try it on `demo`, or on a test server; `dbdoctor check` shows the limits",
            )
        if room < wanted:
            self._notes.append(f"only {count(room, 'session')} at once, since the server has not more to spare")
        return min(wanted, room)

    def _may_begin(self, plan: Plan) -> bool:
        what = (
            f"{count(len(plan.trials), 'trial')} ({count(len(plan.faults), 'fault')}, {count(len(plan.pools), 'pool')}) "
            f"on {self._target.shown}"
        )
        lines = [
            what,
            f"opens at most {count(plan.sessions, 'session')} of its own at once and one that observes, and writes nothing",
            f"takes {_from_to(plan.quickest, plan.longest)}",
        ]
        for line in [*lines, *self._notes]:
            _say(line)
        if self._asked.yes or self._is_demo:
            return True
        if not can_ask():
            raise UsageError(
                "`simulate-timeout` asks before it opens sessions, and there is no terminal to ask on",
                help="add `--yes`, or try it on `demo`",
            )
        return is_confirmed("Begin?")

    # The trials

    def _simulate(self, plan: Plan) -> int:
        from dbdoctor.trials.observer import open_observer

        progress = Progress()
        began = time.monotonic()
        incomplete: str | None = None
        with contextlib.ExitStack() as stack:
            observer = open_observer(self._target, self._login_timeout)
            stack.callback(observer.close)
            simulation = Simulation(
                self._order(plan), observer, lambda course: progress.note(_course(course, began, plan))
            )
            try:
                simulation.run()
            except KeyboardInterrupt:
                incomplete = "interrupted"
            finally:
                progress.clear()
        report = self._report(plan, simulation, time.monotonic() - began, incomplete)
        self._print(report)
        if incomplete:
            return ExitCode.INTERRUPTED
        if not any(case.testable for case in report.cases):
            return ExitCode.CANNOT_LOOK
        return options.exit_code_for(report.findings, self._manner.fail_on or options.FailOn.ERROR)

    def _order(self, plan: Plan) -> StageOrder:
        from dbdoctor.faults.silence import can_silence
        from dbdoctor.trials.current import without_timing
        from dbdoctor.trials.targets import connect_of

        address = self._address()
        return StageOrder(
            trials=plan.trials,
            product=self._target.product.value,
            connect=without_timing(connect_of(self._target, [address])),
            where=_where(address),
            prefix=f"dbdoctor-{secrets.token_hex(4)}-",
            sessions=plan.sessions,
            private=any(fault.needs_silence for fault in plan.faults) and not can_silence(),
            login_timeout=self._login_timeout,
        )

    def _address(self) -> Address:
        """The first address that takes connections, as the driver would find it."""
        from dbdoctor.probe.deadline import Deadline
        from dbdoctor.trials.targets import address_of

        found = address_of(self._target, Deadline.after(self._login_timeout))
        if found is None:
            raise CannotLookError("the server cannot be reached any more", help="run `dbdoctor check` on it")
        return found

    def _report(self, plan: Plan, simulation: Simulation, took: float, incomplete: str | None) -> SimulationReport:
        from dbdoctor.rules.trials import judge_trials
        from dbdoctor.trials.cheapest import cheapest
        from dbdoctor.trials.host import read_host
        from dbdoctor.trials.judge import judge

        host = read_host(self._target.product, _server_keepalive(simulation.facts), freetds=self._is_freetds)
        faults = {fault.code: facts_of(fault) for fault in plan.faults}
        pools = {pool.name: pool for pool in plan.pools}
        cases = tuple(
            judge(record, pools[record.pool], faults[record.fault], host)
            for _, record in sorted(simulation.records.items())
        )
        best = cheapest(plan.pools, cases)
        report = SimulationReport(
            target=self._target.shown,
            product=self._target.product.value,
            scale=self._scale,
            faults=tuple(faults.values()),
            pools=plan.pools,
            cases=cases,
            host=host,
            server=f"{simulation.facts.product} {simulation.facts.version}",
            took=took,
            cheapest=best.pool.name if best and best.survives and not incomplete else None,
            incomplete=incomplete,
            notes=tuple(self._notes),
        )
        return replace(report, findings=judge_trials(report, self._target))

    # The answer

    def _print(self, report: SimulationReport) -> None:
        if self._manner.wants_json:
            from dbdoctor.render.simulate_json import simulation_json

            print(simulation_json(report, indent=2 if sys.stdout.isatty() else None))
        else:
            from dbdoctor.render.simulate_text import simulation_lines
            from dbdoctor.render.style import Style

            for line in simulation_lines(report, Style.of(sys.stdout, no_color=self._manner.no_color)):
                print(line)
        sys.stdout.flush()

    def _no_way_in(self, examination: Examination) -> int:
        if self._manner.wants_json:
            from dbdoctor.render.simulate_json import failure_json

            print(failure_json(self._target.shown, self._scale, examination.findings))
        else:
            print_examination(examination, no_color=self._manner.no_color)
        return ExitCode.CANNOT_LOOK


def _server_keepalive(facts: ServerFacts) -> tuple[int, int, int] | None:
    """PostgreSQL's tcp_keepalives_idle, _interval and _count, 0 being its system's; None where they are not known."""
    found = [facts.settings.get(f"tcp_keepalives_{name}") for name in ("idle", "interval", "count")]
    if found[0] is None:
        return None
    return int(found[0]), int(found[1] or 0), int(found[2] or 0)


def _where(address: Address) -> Where:
    if isinstance(address.sockaddr, str):
        return Where(socket.AF_UNIX, address.sockaddr)
    return Where(int(address.family), (str(address.sockaddr[0]), int(address.sockaddr[1])))


def _course(course: Course, began: float, plan: Plan) -> str:
    passed = time.monotonic() - began
    left = f", {format_duration(round(plan.longest - passed))} left at most" if passed < plan.longest else ""
    return f"{course.over} of {course.total} trials over, {course.under_way} under way{left}"


def _from_to(least: float, most: float) -> str:
    low, high = format_duration(round(least)), format_duration(round(most))
    return f"about {high}" if low == high else f"{low} to {high}"


def _say(text: str) -> None:
    Progress().say(text)
