"""Divides a process's connections into pool_size, which stay open, and max_overflow, thrown away after use."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from dbdoctor.model.demand import Course
from dbdoctor.model.sizing import Prediction, Range, SizePoint
from dbdoctor.sizing.barging import PoolModel, Simulated, simulate
from dbdoctor.sizing.bootstrap import wait_range
from dbdoctor.sizing.demand import busiest
from dbdoctor.sizing.replay import Sweep, offered_load

CHURN = 0.005  # the share of checkouts that may pay for a new connection: below the hundredth that p99 leaves out
_MOST = 100_000  # checkouts of the busiest parts that are simulated, a quarter of a second each time
_BUSY = 6  # times slower does a waiter wake up on a machine that is busy


class Split(NamedTuple):
    """`pool_size` and `max_overflow`, and the share of the checkouts that pay for a connection; None: not simulated."""

    pool_size: int
    max_overflow: int
    churn: float | None = None

    @property
    def connections(self) -> int:
        """Both together."""
        return self.pool_size + self.max_overflow


def split(courses: Sequence[Course], connections: int, model: PoolModel) -> Split:
    """The smallest pool_size with which few enough checkouts pay for a new connection; the rest is overflow.

    An overflow of one or two is not worth its name, and stays in the pool.
    """
    # What is in use on average stays open, even where a full pool never finds the time to throw one away.
    low, high = min(connections, max(1, round(offered_load(courses)))), connections
    while low < high:
        middle = (low + high) // 2
        if churn_of(courses, middle, connections, model) <= CHURN:
            high = middle
        else:
            low = middle + 1
    size = connections if connections - low <= max(1, connections // 10) else low
    return Split(size, connections - size, churn_of(courses, size, connections, model))


def churn_of(courses: Sequence[Course], size: int, connections: int, model: PoolModel) -> float:
    """The share of the checkouts in the busiest parts that pay for a new connection, with this pool_size."""
    parts = busiest(courses, _MOST)
    return churn(simulate(parts, of(model, size, connections)), size, len(parts))


def of(model: PoolModel, size: int, connections: int) -> PoolModel:
    """The model with this pool_size, and overflow up to so many connections."""
    return model._replace(size=size, overflow=connections - size)


def churn(simulated: Simulated, size: int, pools: int) -> float:
    """The share of the checkouts that paid for a connection, the first `size` of each pool not counted."""
    return extra_connects(simulated, size, pools) / simulated.served if simulated.served else 0.0


def extra_connects(simulated: Simulated, size: int, pools: int) -> int:
    """Connections opened beyond the first `size` of each pool, which only warm it up."""
    return max(0, simulated.connects - min(size, simulated.most_open) * pools)


def predict(courses: Sequence[Course], swept: Sweep, chosen: Split, model: PoolModel, share: float) -> Prediction:
    """What the pool will do: waits by the sweep, churn, timeouts and the longest wait by SQLAlchemy's own queue."""
    point = swept.point(chosen.connections)
    parts = busiest(courses, _MOST)
    longest = [point.longest]
    for wake_up in (0.0, model.wake_up, _BUSY * model.wake_up):
        warm = model._replace(size=chosen.connections, overflow=0, connect=0.0, wake_up=wake_up)
        longest.append(simulate(parts, warm).waits.longest)
    did = simulate(parts, of(model, chosen.pool_size, chosen.connections))
    extra = extra_connects(did, chosen.pool_size, len(parts))
    span = sum(part.span for part in parts)
    return Prediction(
        point,
        wait_range(swept.windows[chosen.connections], share) or Range(point.p99, point.p99),
        Range(min(longest), max(longest)),
        did.timeouts,
        extra,
        extra / span if span > 0 else 0.0,
        churn(did, chosen.pool_size, len(parts)),
        points(swept),
    )


def points(swept: Sweep) -> tuple[SizePoint, ...]:
    """Every size that was swept."""
    return tuple(swept.point(size) for size in swept.sizes)
