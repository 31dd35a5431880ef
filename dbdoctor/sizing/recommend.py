"""Demand, bounds and surroundings in, a recommendation out: every setting with its reason and the numbers behind it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from dbdoctor.model.demand import Demand, Samples, Stated, Trace
from dbdoctor.model.pool import PoolSettings
from dbdoctor.model.sizing import Because, Bounds, Budget, Prediction, Recommendation, Surroundings, WaitTarget
from dbdoctor.sizing import demand as demands
from dbdoctor.sizing import setting
from dbdoctor.sizing.barging import WAKE_UP, PoolModel, wake_up_of
from dbdoctor.sizing.choice import Choice, from_nothing, from_samples, from_stated, from_trace
from dbdoctor.sizing.limits import Limited, knee_note, limit, workers_note
from dbdoctor.sizing.split import CHURN, Split, churn_of, predict, split

_CONNECT = 0.005  # seconds, assumed where none was measured: a login with SCRAM over loopback took 5.1 ms
_SHARING_MODES = ("transaction", "statement")
_TOLERATED_CHURN = 2 * CHURN  # of the current settings, before they are worth a change


@dataclass(frozen=True, slots=True)
class Wish:
    """What is asked. `demand` is the best there is of the four sources; None is nothing known.

    `fleet` counts the pools that share the bounds at the height of a rollout; `budget` is their table, if several
    services share the server, and `allotted` what it gives to a process of this one. `seed` draws the bootstrap.
    """

    demand: Trace | Samples | Stated | None
    bounds: Bounds = Bounds()  # noqa: RUF009 - an immutable value
    around: Surroundings = field(default_factory=Surroundings)
    target: WaitTarget = WaitTarget()  # noqa: RUF009 - an immutable value
    current: PoolSettings | None = None
    fleet: int = 1
    budget: Budget | None = None
    allotted: int | None = None
    seed: int = 0


def recommend(wish: Wish, progress: Callable[[str], None] = lambda _text: None) -> Recommendation:
    """The settings to paste. `progress` is told in words what is being done. Nothing is raised for want of data."""
    demand = _summary(wish)
    model = _model(wish)
    choice = _choice(wish, demand, model, progress)
    if wish.around.pooler_mode in _SHARING_MODES:
        return _behind_pooler(wish, demand, choice)
    limited = limit(choice.size, wish.bounds, wish.fleet, wish.allotted)
    progress("simulating SQLAlchemy's queue")
    kept = _kept(wish, choice, limited, model)
    parted = kept or _parted(wish, choice, limited.size, model)
    prediction = _prediction(wish, choice, parted, model)
    current = wish.current or PoolSettings()
    now = setting.Situation(parted.pool_size, parted.max_overflow, demand, wish.around, current, prediction)
    because = (*_sizes(choice, limited, parted, kept=kept is not None), *_others(now))
    pools = max(wish.fleet, demand.processes)
    server = (
        knee_note(demand.load, parted.connections, wish.bounds, pools),
        workers_note(parted.connections, wish.bounds, pools),
    )
    return Recommendation(
        settings={one.setting: one.value for one in because},
        connections=parted.connections,
        size_range=choice.range,
        demand=demand,
        bounds=wish.bounds,
        target=wish.target,
        because=because,
        current=wish.current,
        current_is_fine=wish.current is not None and not any(one.changes for one in because),
        prediction=prediction,
        current_prediction=prediction if kept else _of_current(wish, choice, model),
        cross_checks=choice.cross_checks,
        budget=wish.budget,
        saturated=choice.saturated,
        notes=tuple(_notes(wish, demand, choice, (*server, setting.reset_note(now), setting.manager_note(now)))),
        incomplete=(*limited.incomplete, *(wish.budget.give_up if wish.budget else ())),
    )


def _notes(wish: Wish, demand: Demand, choice: Choice, server: Sequence[str | None]) -> Iterator[str]:
    yield demand.source.worth
    if choice.saturated:
        yield "at saturation nothing predicts waits: these settings keep the database busy and no more, they do not meet a target"
    yield from demand.notes
    yield from choice.notes
    threads = wish.around.threads
    if isinstance(wish.demand, Trace) and threads and (demand.most_at_once or 0) > threads * wish.around.per_request:
        yield (
            f"up to {demand.most_at_once} checkouts at once were recorded in a process, and {_threads(threads)} can make "
            f"{threads * wish.around.per_request}: what is beyond waits for a thread, and the waits predicted here are those"
        )
    now = _current_split(wish.current)
    if isinstance(wish.demand, Samples) and now is not None and (demand.most_at_once or 0) >= now.connections:
        yield (
            f"the pool was full in some samples ({now.connections} sessions of a process busy at once): more may be wanted than "
            "it let through, so that this is a lower bound"
        )
    yield from filter(None, server)


def _threads(threads: int) -> str:
    """`1 thread`, `8 threads`."""
    return f"{threads} thread{'' if threads == 1 else 's'}"


def _summary(wish: Wish) -> Demand:
    given = wish.demand
    if isinstance(given, Trace):
        return demands.of_trace(given)
    if isinstance(given, Samples):
        return demands.of_samples(given)
    return demands.of_stated(given, wish.fleet) if given is not None else demands.of_nothing(wish.around, wish.fleet)


def _choice(wish: Wish, demand: Demand, model: PoolModel, progress: Callable[[str], None]) -> Choice:
    given = wish.demand
    if isinstance(given, Trace):
        costs = {"extra_use": model.ping, "handoff": model.wake_up}
        return from_trace(given, demand, wish.target, **costs, seed=wish.seed, progress=progress)
    if isinstance(given, Samples):
        return from_samples(given, demand, wish.target)
    return from_stated(given, demand, wish.target) if given is not None else from_nothing(wish.around)


def _extra_ping(wish: Wish) -> float:
    """Seconds that a pre-ping will add to each use, where it was not on while the trace was recorded."""
    already = wish.current is not None and wish.current.pool_pre_ping
    return 0.0 if already else wish.around.round_trip or 0.0


def _model(wish: Wish) -> PoolModel:
    current = wish.current or PoolSettings()
    return PoolModel(
        1,
        timeout=30.0 if current.pool_timeout is None else current.pool_timeout,
        connect=_CONNECT if wish.around.connect is None else wish.around.connect,
        ping=_extra_ping(wish),
        wake_up=wake_up_of(wish.demand.courses) if isinstance(wish.demand, Trace) else WAKE_UP,
    )


def _kept(wish: Wish, choice: Choice, limited: Limited, model: PoolModel) -> Split | None:
    """The current pool_size and max_overflow, where there is no reason to change them."""
    now = _current_split(wish.current)
    if now is None:
        return None
    enough = max(min(choice.size, limited.size), wish.bounds.floor)
    # Without a trace the size is no closer known than its range.
    if choice.sweep is None and choice.range is not None and choice.saturated is None:
        enough = max(min(enough, round(choice.range.least)), wish.bounds.floor)
    most = max(2 * limited.size, limited.size + 5) if choice.saturated is None else round(1.5 * limited.size)
    if limited.most is not None:
        most = min(most, limited.most)
    if not enough <= now.connections <= most:
        return None
    if isinstance(wish.demand, Trace):
        now = now._replace(churn=churn_of(wish.demand.courses, now.pool_size, now.connections, model))
    return now if (now.churn or 0.0) <= _TOLERATED_CHURN else None


def _parted(wish: Wish, choice: Choice, size: int, model: PoolModel) -> Split:
    if isinstance(wish.demand, Trace) and choice.sweep is not None:
        return split(wish.demand.courses, size, model)
    pool_size = min(size, choice.pool_size or size)
    return Split(pool_size, size - pool_size)


def _prediction(wish: Wish, choice: Choice, parted: Split, model: PoolModel) -> Prediction | None:
    """None without a trace, and for a saturated database: there nothing predicts."""
    swept = choice.sweep
    if swept is None or choice.sweeper is None or not isinstance(wish.demand, Trace):
        return None
    if parted.connections not in swept.windows:
        one = choice.sweeper([parted.connections])
        sizes = tuple(sorted((*swept.sizes, parted.connections)))
        swept = swept._replace(sizes=sizes, windows={**swept.windows, **one.windows})
    return predict(wish.demand.courses, swept, parted, model, wish.target.share)


def _of_current(wish: Wish, choice: Choice, model: PoolModel) -> Prediction | None:
    now = _current_split(wish.current)
    return _prediction(wish, choice, now, model) if now else None


def _current_split(current: PoolSettings | None) -> Split | None:
    """None where it is not known, or has no limit."""
    if current is None or not current.pool_size or current.max_overflow is None or current.max_overflow < 0:
        return None
    return Split(current.pool_size, current.max_overflow)


def _sizes(choice: Choice, limited: Limited, parted: Split, *, kept: bool) -> Iterator[Because]:
    evidence = {**choice.evidence, **limited.evidence, "churn": parted.churn, "connections": parted.connections}
    reason = choice.reason + (f"; {limited.binds}" if limited.binds else "")
    if kept:
        reason = f"as it is: {parted.connections} connections are enough, and not too many ({reason})"
    yield Because("pool_size", parted.pool_size, reason, evidence, changes=not kept)
    yield Because("max_overflow", parted.max_overflow, _overflow_reason(parted), evidence, changes=not kept)


def _overflow_reason(parted: Split) -> str:
    if parted.churn is None:
        return f"with pool_size {parted.connections} at most"
    share = f"{parted.churn:.2%} of the checkouts pay for a new connection in the busiest part"
    if parted.max_overflow:
        return f"{parted.connections} connections at the peaks; {share}"
    return f"a smaller pool_size would throw connections away after use and open new ones; {share}"


def _others(now: setting.Situation) -> Iterator[Because]:
    yield setting.pool_timeout(now)
    yield setting.pool_recycle(now)
    yield setting.pool_pre_ping(now)
    yield setting.pool_use_lifo(now)
    arguments = setting.connect_args(now)
    if arguments is not None:
        yield arguments


def _behind_pooler(wish: Wish, demand: Demand, choice: Choice) -> Recommendation:
    """No pool of our own; the size is what the pooler's pool for this database needs."""
    because = [setting.null_pool(wish.around, wish.current or PoolSettings())]
    arguments = setting.pooler_arguments(wish.around)
    if arguments:
        reason = "a statement prepared on one of the server's sessions is not there on the next"
        because.append(Because("connect_args", arguments, reason, {"driver": wish.around.driver}))
    total = choice.size * max(1, demand.processes)
    reason = choice.reason
    if demand.processes > 1:
        reason += f"; for {demand.processes} processes {total}, and fewer do, since they share them"
    at_pooler = Because("default_pool_size", total, reason, {**choice.evidence, "processes": demand.processes})
    return Recommendation(
        settings={one.setting: one.value for one in because},
        connections=None,
        size_range=choice.range,
        demand=demand,
        bounds=wish.bounds,
        target=wish.target,
        because=tuple(because),
        current=wish.current,
        current_is_fine=wish.current is not None and not any(one.changes for one in because),
        cross_checks=choice.cross_checks,
        saturated=choice.saturated,
        server_settings=(at_pooler,),
        notes=(demand.source.worth, *demand.notes, *choice.notes),
    )
