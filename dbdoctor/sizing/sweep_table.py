"""What every size around the recommended one would do: waits, timeouts, churn, and connections on the server."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping

from dbdoctor.model.advice import SweepRow
from dbdoctor.model.demand import Samples, Stated, Trace
from dbdoctor.model.sizing import Recommendation, SizePoint
from dbdoctor.sizing.barging import simulate
from dbdoctor.sizing.case import Case, Progress
from dbdoctor.sizing.demand import busiest
from dbdoctor.sizing.split import Split, extra_connects, of
from dbdoctor.sizing.what_if import BURST, model_of, stated_point

_MOST = 60_000  # checkouts of the busiest parts that are simulated for each size
_BESIDE = 8
_TIMES = 2


def sweep_rows(case: Case, found: Recommendation, progress: Progress) -> tuple[SweepRow, ...]:
    """Sizes from small to large, the recommended one marked; none where nothing is known of the demand.

    Of a stated rate it is the busiest second's that is shown, for which the pool is sized.
    """
    size = found.connections
    if size is None or case.demand is None:
        return ()
    if isinstance(case.demand, Trace):
        return tuple(_of_trace(case, found, size, progress))
    return tuple(_row(case, one, size) for one in _sizes(size))


def _of_trace(case: Case, found: Recommendation, size: int, progress: Progress) -> Iterator[SweepRow]:
    assert isinstance(case.demand, Trace)
    parts = busiest(case.demand.courses, _MOST)
    span = sum(part.span for part in parts)
    model = model_of(case)
    points = {point.size: point for point in found.prediction.sweep} if found.prediction else {}
    for one in _shown(points, size):
        progress(f"simulating a pool of {one}")
        split = _split(found, one)
        did = simulate(parts, of(model, split.pool_size, one))
        extra = extra_connects(did, split.pool_size, len(parts))
        point = points[one]
        yield SweepRow(
            one,
            split.pool_size,
            split.max_overflow,
            math.inf if point.utilisation >= 1 else point.mean,
            math.inf if point.utilisation >= 1 else point.p99,
            point.share,
            did.timeouts,
            extra / span if span > 0 else None,
            one * case.service.pools,
            one == size,
        )


def _shown(points: Mapping[int, SizePoint], size: int) -> list[int]:
    near = set(_sizes(size)) | {size}
    return sorted(one for one in points if one in near or one in (size // 4, size // 2, size * 2))


def _split(found: Recommendation, size: int) -> Split:
    """The recommended shape at another size: the overflow grows and shrinks first."""
    pool_size = min(size, int(found.settings.get("pool_size", size)))
    return Split(pool_size, size - pool_size)


def _row(case: Case, one: int, size: int) -> SweepRow:
    row = SweepRow(one, one, 0, None, None, None, None, None, one * case.service.pools, one == size)
    if isinstance(case.demand, Stated):
        busiest_second = case.demand._replace(rate=case.demand.rate * (case.demand.burst or BURST))
        point = stated_point(busiest_second, one)
        return row._replace(wait_mean=point.mean, wait_p99=point.p99, waiting=point.share)
    if isinstance(case.demand, Samples):
        every = [count for counts in case.demand.counts for count in counts]
        return row._replace(waiting=sum(count > one for count in every) / len(every) if every else None)
    return row


def _sizes(size: int) -> list[int]:
    return list(range(max(1, size - _BESIDE), max(size + _BESIDE, _TIMES * size if size < _BESIDE else 0) + 1))
