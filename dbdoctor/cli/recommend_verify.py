"""`recommend --verify`: the demand run for real with the current and the recommended settings in turn, after asking."""

from __future__ import annotations

import contextlib
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
from dbdoctor.trials.load_judge import Foretold, foretell, judge_load, model_of
from dbdoctor.trials.load_plans import current_plan, recommended_plan
from dbdoctor.trials.load_window import window

if TYPE_CHECKING:
    from dbdoctor.probe.resolve import Address
    from dbdoctor.trials.loading import Loading
    from dbdoctor.trials.observer import Observer
    from dbdoctor.trials.planning import Plan

_RUNS = 2  # of each pool, in turn, so that what else happens on the machine meets both
_MOST_CHECKOUTS, _MOST_THREADS = 50_000, 400
_CONNECT, _ROUND_TRIP = 0.005, 0.0005  # seconds, where none was measured: a login and a round trip within a data centre
_BESIDE = 1.0  # seconds of a run beside its window: logins, and the last uses


class _Planned(NamedTuple):
    """A pool to run, what it is foretold to do, and the simulated pool that says so."""

    pool: PoolPlan
    foretold: Foretold
    model: PoolModel


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
        self._seen: dict[str, list[LoadSeen]] = {}
        self._faults: tuple[ThroughFault, ...] = ()

    def run(self) -> Verified | None:
        """What came of it; None when it was not confirmed. Raises CannotLookError and UsageError before anything is opened."""
        course = self._window()
        planned = self._planned(course)
        faults = self._fault_plan()
        if not self._may_begin(course, planned, faults):
            self._say.line("nothing was opened")
            return None
        incomplete = None
        try:
            self._run(course, planned, faults)
        except KeyboardInterrupt:
            incomplete = "interrupted"
        return Verified(
            seconds=self._asked.seconds,
            checkouts=len(course.arrivals),
            process=course.process,
            statement=self._asked.statement is not None,
            verdicts=tuple(self._verdict(one, course) for one in planned if self._seen.get(one.pool.name)),
            faults=self._faults,
            notes=tuple(self._notes),
            incomplete=incomplete,
        )

    # What is run

    def _window(self) -> Course:
        demand = self._case.demand
        if not isinstance(demand, Trace | Stated):
            raise UsageError("there is no demand to run", help="add `--trace FILE`, or `--rate R --use-time T`")
        course = window(demand, self._asked.seconds)
        if not course.arrivals:
            raise CannotLookError("no checkout falls into the window", help="make it longer with `--verify-for`")
        if len(course.arrivals) > _MOST_CHECKOUTS:
            raise CannotLookError(
                f"{len(course.arrivals):,} checkouts in {format_duration(self._asked.seconds)} are more than this client makes",
                help="make the window shorter with `--verify-for`",
            )
        if isinstance(demand, Trace) and demand.processes > 1:
            self._notes.append(f"the demand of one process of {demand.processes} was run, the busiest")
        if isinstance(demand, Stated):
            self._notes.append("the demand of one process was made up from the stated figures, with its busiest second")
        return course

    def _planned(self, course: Course) -> list[_Planned]:
        """The current pool, if it is known and another one, and the recommended."""
        pool = recommended_plan(self._found.settings)
        if pool is None:
            raise CannotLookError(
                "without a pool there is nothing to verify",
                cause="NullPool is recommended, since a pooler shares the connections out",
                help="verify at the server itself, past the pooler",
            )
        recommended = self._foretold(pool, course)
        now = current_plan(self._case.current)
        if now is None:
            self._notes.append("only the recommended settings were run: a current pool with a limit is not known")
        planned = [] if now is None or self._found.current_is_fine else [self._foretold(now, course)]
        return self._within(planned, recommended)

    def _foretold(self, pool: PoolPlan, course: Course) -> _Planned:
        around, demand = self._case.around, self._case.demand
        model = model_of(
            pool,
            connect=_CONNECT if around.connect is None else around.connect,
            round_trip=_ROUND_TRIP if around.round_trip is None else around.round_trip,
            wake_up=wake_up_of(demand.courses) if isinstance(demand, Trace) else WAKE_UP,
        )
        return _Planned(pool, foretell(course, model), model)

    @property
    def _room(self) -> int | None:
        """Sessions to spare beside the observer's; None where that is not known."""
        spare = spare_slots(self._case.facts)
        return None if spare is None else spare - 1

    def _within(self, others: list[_Planned], recommended: _Planned) -> list[_Planned]:
        """No more sessions than are to spare. Raises CannotLookError."""
        room = self._room
        if room is None:
            return [*others, recommended]
        fitting = [_fitted(one, room) for one in (*others, recommended)]
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

    def _may_begin(self, course: Course, planned: list[_Planned], faults: Plan | None) -> bool:
        most = max([_most(planned), *([faults.sessions] if faults else [])])
        names = " and the ".join(one.pool.name for one in planned)
        does = "sleeps in the server" if self._asked.statement is None else "runs your statement, and is rolled back"
        lasts = _RUNS * len(planned) * (self._asked.seconds + _BESIDE) + (faults.longest if faults else 0.0)
        then = (
            (f"then lets {count(len(faults.pools), 'pool')} idle past the path's idle timeout, to scale",)
            if faults
            else ()
        )
        what = f"{len(course.arrivals):,} checkouts in {format_duration(self._asked.seconds)}"
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

    def _run(self, course: Course, planned: list[_Planned], faults: Plan | None) -> None:
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
            with loading(self._target, address, observer) as load:
                for number in range(_RUNS):
                    for one in planned:
                        self._seen.setdefault(one.pool.name, []).append(self._once(load, one, course, number))
            if faults is not None:
                self._faults = self._through(faults, address, observer)

    def _through(self, faults: Plan, address: Address, observer: Observer) -> tuple[ThroughFault, ...]:
        from dbdoctor.trials.load_faults import through_faults

        def tick(left: int) -> None:
            self._say.progress(f"idling past the path's idle timeout, {count(left, 'trial')} left")

        return through_faults(self._target, address, observer, faults, self._login_timeout, tick)

    def _once(self, load: Loading, one: _Planned, course: Course, number: int) -> LoadSeen:
        threads = min(_MOST_THREADS, round(1.5 * one.foretold.most_at_once) + 20, len(course.arrivals))
        order = LoadOrder(course.arrivals, course.uses, threads, one.pool.pool_size, self._asked.statement)
        what = f"running the demand with the {one.pool.name} settings, {number + 1} of {_RUNS}"
        end = self._asked.seconds + _BESIDE
        return load.run(
            one.pool,
            order,
            lambda passed: self._say.progress(f"{what}, {format_duration(max(0.0, end - passed))} left"),
        )

    def _verdict(self, one: _Planned, course: Course) -> Verdict:
        seen = self._seen[one.pool.name]
        wait = self._found.target.wait
        return judge_load(one.pool, course, seen, one.model, wait, own_uses=self._asked.statement is not None)


def _most(planned: list[_Planned]) -> int:
    """Sessions that one of the pools can open."""
    return max(one.pool.pool_size + one.pool.max_overflow for one in planned)


def _fitted(one: _Planned, room: int) -> _Planned | None:
    """The pool, with less overflow where it will not need all of it; None where it would need more than there is room."""
    pool = one.pool
    if pool.pool_size + pool.max_overflow <= room:
        return one
    if pool.pool_size > room or one.foretold.most_open > room:
        return None
    overflow = room - pool.pool_size
    return one._replace(pool=replace(pool, max_overflow=overflow), model=one.model._replace(overflow=overflow))
