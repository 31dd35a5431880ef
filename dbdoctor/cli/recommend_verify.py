"""`recommend --verify`: the demand run for real with the current and the recommended settings in turn, after asking."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from dbdoctor.cli.question import can_ask, is_confirmed
from dbdoctor.cli.verify_options import VerifyOptions
from dbdoctor.errors import CannotLookError, UsageError
from dbdoctor.measure.verdict import spare_slots
from dbdoctor.model.demand import Course, Stated, Trace
from dbdoctor.model.duration import format_duration
from dbdoctor.model.sizing import Recommendation
from dbdoctor.model.target import Target
from dbdoctor.model.trial import PoolPlan
from dbdoctor.model.verified import ThroughFault, Verdict, Verified
from dbdoctor.rules._common import count
from dbdoctor.sizing.barging import WAKE_UP, PoolModel, wake_up_of
from dbdoctor.sizing.case import Case
from dbdoctor.trials.load import LoadOrder, LoadSeen
from dbdoctor.trials.load_judge import Foretold, Run, foretell, foretell_pooled, judge_load, model_of
from dbdoctor.trials.load_plans import NULL_POOL, current_plan, null_plan, recommended_plan
from dbdoctor.trials.load_window import merged, windows
from dbdoctor.trials.loading import run_together

if TYPE_CHECKING:
    from dbdoctor.probe.resolve import Address
    from dbdoctor.trials.loading import Loading
    from dbdoctor.trials.observer import Observer
    from dbdoctor.trials.planning import Plan

_RUNS = 2  # of each pool, in turn, so that what else happens on the machine meets both
_MOST_CHECKOUTS, _MOST_THREADS = 50_000, 400
_MOST_PROCESSES = 8  # run at the same time: this machine runs them all
_CONNECT, _ROUND_TRIP = 0.005, 0.0005  # seconds, where none was measured: a login and a round trip within a data centre
_SPARED = 3  # clients of a pooler that are left to others
_BESIDE = 1.0  # seconds of a run beside its window: logins, and the last uses


class _Planned(NamedTuple):
    """A pool to run, what it is foretold to do in each process, and the simulated pool that says so."""

    pool: PoolPlan
    foretold: tuple[Foretold, ...]
    model: PoolModel

    @property
    def most_open(self) -> int:
        """Connections that one process will open."""
        return max(one.most_open for one in self.foretold)


class Say(NamedTuple):
    """Two ways to tell: a line that stays, and what is under way."""

    line: Callable[[str], None]
    progress: Callable[[str], None]


class Verification:
    """One verification, from the announcement to what came of it."""

    def __init__(
        self,
        asked: VerifyOptions,
        target: Target,
        case: Case,
        found: Recommendation,
        say: Say,
        *,
        login_timeout: float,
        is_demo: bool,
    ) -> None:
        self._asked = asked
        self._target = target
        self._case = case
        self._found = found
        self._say = say
        self._login_timeout = login_timeout
        self._is_demo = is_demo
        self._notes: list[str] = []
        self._seen: dict[str, list[Run]] = {}
        self._faults: tuple[ThroughFault, ...] = ()

    def run(self) -> Verified | None:
        """What came of it; None when it was not confirmed. Raises CannotLookError and UsageError before anything is opened."""
        courses = self._windows()
        planned = self._planned(courses)
        faults = self._fault_plan()
        if not self._may_begin(courses, planned, faults):
            self._say.line("nothing was opened")
            return None
        incomplete = None
        try:
            self._run(courses, planned, faults)
        except KeyboardInterrupt:
            incomplete = "interrupted"
        return Verified(
            seconds=self._asked.seconds,
            checkouts=sum(len(course.arrivals) for course in courses),
            process=courses[0].process,
            processes=len(courses),
            statement=self._asked.statement is not None,
            verdicts=tuple(self._verdict(one, len(courses)) for one in planned if self._seen.get(one.pool.name)),
            faults=self._faults,
            notes=tuple(self._notes),
            incomplete=incomplete,
        )

    # What is run

    def _windows(self) -> list[Course]:
        """The demand of as many processes as there is room for."""
        demand = self._case.demand
        if not isinstance(demand, Trace | Stated):
            raise UsageError("there is no demand to run", help="add `--trace FILE`, or `--rate R --use-time T`")
        there = demand.processes if isinstance(demand, Trace) else self._case.service.pools_at_rest
        courses = windows(demand, self._asked.seconds, max(1, min(there, _MOST_PROCESSES, self._fitting)))
        if not any(course.arrivals for course in courses):
            raise CannotLookError("no checkout falls into the window", help="make it longer with `--verify-for`")
        courses = [course for course in courses if course.arrivals]
        while len(courses) > 1 and sum(len(course.arrivals) for course in courses) > _MOST_CHECKOUTS:
            courses.pop()
        if len(courses[0].arrivals) > _MOST_CHECKOUTS:
            raise CannotLookError(
                f"{len(courses[0].arrivals):,} checkouts in {format_duration(self._asked.seconds)} are more than this client "
                "makes",
                help="make the window shorter with `--verify-for`",
            )
        if recommended_plan(self._found.settings) is None:
            self._notes.append(f"the demand of {len(courses)} of {there} processes was run together")
            return [merged(courses)]
        if len(courses) < there:
            those = "the busiest" if isinstance(demand, Trace) else "all alike"
            self._notes.append(f"the demand of {len(courses)} of {there} processes was run, {those}")
        if isinstance(demand, Stated):
            self._notes.append("the demand was made up from the stated figures, with its busiest second")
        return courses

    @property
    def _fitting(self) -> int:
        """Processes for which there are sessions to spare, with the recommended pool and the current one."""
        room = self._room
        pools = (recommended_plan(self._found.settings), current_plan(self._case.current))
        most = max((one.pool_size + one.max_overflow for one in pools if one is not None), default=1)
        return _MOST_PROCESSES if room is None else room // most

    def _planned(self, courses: list[Course]) -> list[_Planned]:
        """The current pool, if it is known and another one, and the recommended."""
        pool = recommended_plan(self._found.settings)
        if pool is None:
            return [self._pooled(courses)]
        recommended = self._foretold(pool, courses)
        now = current_plan(self._case.current)
        if now is None:
            self._notes.append("only the recommended settings were run: a current pool with a limit is not known")
        planned = [] if now is None or self._found.current_is_fine else [self._foretold(now, courses)]
        return self._within(planned, recommended, len(courses))

    def _pooled(self, courses: list[Course]) -> _Planned:
        """A connection for each checkout, through a pooler with so many server connections. Raises CannotLookError."""
        pool, limits = null_plan(self._found.settings), self._case.pooler
        size = limits.server_connections if limits is not None else None
        if pool is None or limits is None or size is None:
            raise CannotLookError(
                "how many server connections the pooler has is not known, and so not what is to be expected",
                cause="NullPool is recommended, since a pooler shares the connections out",
                help="let this user ask its console (stats_users), or set `pooler_pool_size` in the profile",
            )
        around = self._case.around
        model = PoolModel(
            size,
            connect=_CONNECT if around.connect is None else around.connect,
            ping=_ROUND_TRIP if around.round_trip is None else around.round_trip,
        )
        foretold = foretell_pooled(courses[0], model)
        clients = None if limits.clients is None else limits.clients - limits.clients_of_others
        if clients is not None and _threads(foretold, courses[0]) + _SPARED > clients:
            raise CannotLookError(
                f"the pooler admits {clients} clients, and up to {_threads(foretold, courses[0])} are wanted",
                help="raise max_client_conn, or verify a calmer demand",
            )
        self._notes.append(f"each checkout is a connection of its own to the pooler, which has {size} to the server")
        if self._case.current is not None and self._case.current.pool_class != NULL_POOL:
            self._notes.append("the current pool was not run: what two pools in a row do is not predicted")
        return _Planned(pool, (foretold,), model)

    def _foretold(self, pool: PoolPlan, courses: list[Course]) -> _Planned:
        around, demand = self._case.around, self._case.demand
        model = model_of(
            pool,
            connect=_CONNECT if around.connect is None else around.connect,
            round_trip=_ROUND_TRIP if around.round_trip is None else around.round_trip,
            wake_up=wake_up_of(demand.courses) if isinstance(demand, Trace) else WAKE_UP,
        )
        return _Planned(pool, tuple(foretell(course, model) for course in courses), model)

    @property
    def _room(self) -> int | None:
        """Sessions to spare beside the observer's; None where that is not known."""
        spare = spare_slots(self._case.facts)
        return None if spare is None else spare - 1

    def _within(self, others: list[_Planned], recommended: _Planned, processes: int) -> list[_Planned]:
        """No more sessions than are to spare. Raises CannotLookError."""
        room = self._room
        if room is None:
            return [*others, recommended]
        fitting = [_fitted(one, room // processes) for one in (*others, recommended)]
        if fitting[-1] is None:
            raise CannotLookError(
                f"too few sessions are free there: {recommended.pool.pool_size + recommended.pool.max_overflow} are wanted",
                cause="at least 3, and a tenth, of what the server, this role and this database have free are left alone",
                help="verify on `demo`, or on a test server; `dbdoctor check` shows the limits",
            )
        if None in fitting:
            self._notes.append("the current settings were not run: they may open more sessions than are to spare there")
        return [one for one in fitting if one is not None]

    def _fault_plan(self) -> Plan | None:
        """Both pools through the path's idle timeout, where one is known."""
        idle = self._case.around.idle_timeout
        if idle is None:
            return None
        from dbdoctor.trials.load_faults import fault_plan

        return fault_plan(self._target, self._found.settings, idle, self._room)

    # Announced and asked

    def _may_begin(self, courses: list[Course], planned: list[_Planned], faults: Plan | None) -> bool:
        most = max([_most(planned) * len(courses), *([faults.sessions] if faults else [])])
        names = " and the ".join(one.pool.name for one in planned)
        does = "sleeps in the server" if self._asked.statement is None else "runs your statement, and is rolled back"
        lasts = _RUNS * len(planned) * (self._asked.seconds + _BESIDE) + (faults.longest if faults else 0.0)
        then = (
            (f"then lets {count(len(faults.pools), 'pool')} idle past the path's idle timeout, to scale",)
            if faults
            else ()
        )
        checkouts = sum(len(course.arrivals) for course in courses)
        by = f" by {len(courses)} processes" if len(courses) > 1 else ""
        what = f"{checkouts:,} checkouts{by} in {format_duration(self._asked.seconds)}"
        for line in (
            f"verifying on {self._target.shown}: {what}, {_RUNS} times with the {names} settings",
            f"opens at most {count(most, 'session')} of its own at once and one that observes; each checkout {does}",
            *then,
            f"takes {'up to' if faults else 'about'} {format_duration(lasts)}",
            *self._notes,
        ):
            self._say.line(line)
        if self._asked.yes or self._is_demo:
            return True
        if not can_ask():
            raise UsageError(
                "`--verify` asks before it opens sessions, and there is no terminal to ask on",
                help="add `--yes`, or try it on `demo`",
            )
        return is_confirmed("Begin?")

    # The runs

    def _run(self, courses: list[Course], planned: list[_Planned], faults: Plan | None) -> None:
        from dbdoctor.probe.deadline import Deadline
        from dbdoctor.trials.loading import loading
        from dbdoctor.trials.observer import open_observer
        from dbdoctor.trials.targets import address_of
        from dbdoctor.watch.source import SourceLostError, SourceSlowError

        address = address_of(self._target, Deadline.after(self._login_timeout))
        if address is None:
            raise CannotLookError("the server cannot be reached any more", help="run `dbdoctor check` on it")
        with contextlib.ExitStack() as stack:
            try:
                observer: Observer = open_observer(self._target, self._login_timeout)
            except (SourceLostError, SourceSlowError) as error:
                raise CannotLookError(
                    "the server was lost", cause=str(error), help="run `dbdoctor check` on it"
                ) from None
            stack.callback(observer.close)
            with contextlib.ExitStack() as running:
                loads = [running.enter_context(loading(self._target, address, observer)) for _ in courses]
                for number in range(_RUNS):
                    for one in planned:
                        seen = self._once(loads, one, courses, number)
                        self._seen.setdefault(one.pool.name, []).extend(map(Run, courses, seen))
            if faults is not None:
                self._faults = self._through(faults, address, observer)

    def _through(self, faults: Plan, address: Address, observer: Observer) -> tuple[ThroughFault, ...]:
        from dbdoctor.trials.load_faults import through_faults

        def tick(left: int) -> None:
            self._say.progress(f"idling past the path's idle timeout, {count(left, 'trial')} left")

        return through_faults(self._target, address, observer, faults, self._login_timeout, tick)

    def _once(self, loads: list[Loading], one: _Planned, courses: list[Course], number: int) -> list[LoadSeen]:
        orders = [
            LoadOrder(
                course.arrivals,
                course.uses,
                _threads(foretold, course),
                one.pool.pool_size or min(one.model.size, foretold.most_at_once),
                self._asked.statement,
                ask_first=one.pool.pool_class == NULL_POOL,
            )
            for course, foretold in zip(courses, one.foretold, strict=True)
        ]
        what = f"running the demand with the {one.pool.name} settings, {number + 1} of {_RUNS}"
        began, end = time.monotonic(), self._asked.seconds + _BESIDE

        def tick(_passed: float) -> None:
            self._say.progress(f"{what}, {format_duration(max(0.0, end - (time.monotonic() - began)))} left")

        return run_together(loads, one.pool, orders, tick)

    def _verdict(self, one: _Planned, processes: int) -> Verdict:
        own_uses, wait = self._asked.statement is not None, self._found.target.wait
        runs = self._seen[one.pool.name]
        return judge_load(one.pool, runs, one.model, wait, own_uses=own_uses, processes=processes)


def _threads(foretold: Foretold, course: Course) -> int:
    """So many that one is always there when a checkout is due."""
    return min(_MOST_THREADS, round(1.5 * foretold.most_at_once) + 20, len(course.arrivals))


def _most(planned: list[_Planned]) -> int:
    """Sessions that one of the pools can open."""
    return max(one.pool.pool_size + one.pool.max_overflow or one.model.size for one in planned)


def _fitted(one: _Planned, room: int) -> _Planned | None:
    """The pool, with less overflow where it will not need all of it; None where it would need more than there is room."""
    pool = one.pool
    if pool.pool_size + pool.max_overflow <= room:
        return one
    if pool.pool_size > room or one.most_open > room:
        return None
    overflow = room - pool.pool_size
    return one._replace(pool=replace(pool, max_overflow=overflow), model=one.model._replace(overflow=overflow))
