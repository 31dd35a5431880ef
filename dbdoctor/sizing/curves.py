"""How a service's waiting falls with every connection more: what a fleet's connections are allotted by.

A curve has, for 1, 2, 3 ... connections in a process, the seconds of waiting in a second of one process. From a trace it is
replayed, from samples counted, from a rate and a use time computed; of a service that states nothing it is inferred from the
pool that it has.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from dbdoctor.model.demand import Samples, Stated
from dbdoctor.model.sizing import Recommendation, WaitTarget
from dbdoctor.sizing import closed_forms as forms

PATIENCE = 30.0  # seconds, SQLAlchemy's pool_timeout: nobody waits for longer
_EVERY, _BURST = 10.0, 3.0  # the busiest second in so many, and its rate where none is stated
_USE = 0.02  # seconds, where nothing is known


def curve_of(found: Recommendation, demand: object, most: int) -> tuple[float, ...]:
    """Up to `most` connections, by the best that is known of the demand; empty where nothing is."""
    if isinstance(demand, Stated):
        return of_stated(demand, most)
    if isinstance(demand, Samples):
        return of_samples(demand, most)
    if found.prediction is None or not found.demand.rate:
        return ()
    return tuple(_of_sweep({one.size: one.mean for one in found.prediction.sweep}, found.demand.rate, most))


def of_stated(stated: Stated, most: int) -> tuple[float, ...]:
    """By Erlang C, in the busiest second of ten and in the others; the mean rate is the stated one."""
    burst = min(stated.burst or _BURST, _EVERY)
    busy, calm = burst * stated.rate, stated.rate * (_EVERY - burst) / (_EVERY - 1)
    shares = ((busy, 1 / _EVERY), (calm, 1 - 1 / _EVERY))
    return tuple(sum(share * _waiting(rate, stated.use, size) for rate, share in shares) for size in range(1, most + 1))


def of_samples(samples: Samples, most: int) -> tuple[float, ...]:
    """The sessions that were busy beyond so many would have waited: their mean number is seconds of waiting in a second."""
    every = [count for counts in samples.counts for count in counts]
    if not every:
        return ()
    return tuple(sum(max(0, count - size) for count in every) / len(every) for size in range(1, most + 1))


def inferred(size: int) -> tuple[float, ...]:
    """Of a service of which nothing is known but that it has this many: the load for which these are just enough."""
    target = WaitTarget()
    low, high = 0.0, float(size)
    for _ in range(30):
        load = (low + high) / 2
        if forms.smallest_size(load, _USE, target.share, target.wait) <= size:
            low = load
        else:
            high = load
    return tuple(_waiting(low / _USE, _USE, one) for one in range(1, size + 1))


def _waiting(rate: float, use: float, size: int) -> float:
    return rate * min(PATIENCE, forms.mean_wait(rate * use, size, use)) if rate else 0.0


def _of_sweep(tried: Mapping[int, float], rate: float, most: int) -> Iterator[float]:
    """Where a size was not tried, as the next smaller; below all that were tried, as the smallest of them."""
    if not tried:
        return
    mean = max(tried.values())
    for size in range(1, most + 1):
        mean = tried.get(size, mean)
        yield rate * min(PATIENCE, mean)
