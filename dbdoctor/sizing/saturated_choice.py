"""What to choose when the database is the bottleneck: as few connections as keep it busy, since more only share it out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from dbdoctor.model.demand import Course
from dbdoctor.model.duration import format_duration
from dbdoctor.model.sizing import Range
from dbdoctor.sizing.demand import slices
from dbdoctor.sizing.processor_sharing import simulate, work_of
from dbdoctor.sizing.replay import most_at_once
from dbdoctor.sizing.saturation import MOST, Saturation

_AS_GOOD = 1.05  # the mean response may be so much longer than the best
_MOST = 40_000  # checkouts that are simulated, of the middle of the recording


class Saturated(NamedTuple):
    """As few connections in a process as answer (almost) as soon as the best number does."""

    size: int
    range: Range
    reason: str
    evidence: Mapping[str, Any]


def choose(courses: Sequence[Course], state: Saturation) -> Saturated:
    """By simulating pools before a server of `state.knee` cores that all of them share."""
    knee = max(1.0, state.knee)
    courses = slices(courses, MOST)
    responses = _responses(courses, knee)
    best = min(responses.values())
    size = min(one for one, response in responses.items() if response <= _AS_GOOD * best)
    least = min(one for one, response in responses.items() if response <= 1.2 * best)
    most = max(size, round(2 * knee / len({course.process for course in courses})))
    return Saturated(size, Range(least, most), _reason(state), _evidence(state, responses))


def _responses(courses: Sequence[Course], knee: float) -> dict[int, float]:
    """Mean time from asking to checkin in seconds, by connections in a process."""
    work = work_of(courses, knee)
    numbers = {process: number for number, process in enumerate(dict.fromkeys(course.process for course in courses))}
    rows = sorted(
        (arrival, need, numbers[course.process])
        for course, needs in zip(courses, work, strict=True)
        for arrival, need in zip(course.arrivals, needs, strict=True)
    )
    begin = max(0, (len(rows) - _MOST) // 2)
    arrivals, needs, pools = zip(*rows[begin : begin + _MOST], strict=True)
    most = max(map(most_at_once, courses))
    found = {}
    for size in _sizes(min(most, max(8, round(8 * knee)))):
        responses = simulate(arrivals, needs, pools, size, knee).responses
        found[size] = sum(responses) / len(responses)
    return found


def _sizes(most: int) -> list[int]:
    sizes = {round(1.25**power) for power in range(40)}
    return sorted(size for size in sizes | {most} if 1 <= size <= most)


def _reason(state: Saturation) -> str:
    return (
        f"the database is the bottleneck, a larger pool will not help: with {state.high:.0f} connections in use it ends "
        f"{state.throughput:.0f} checkouts a second, as many as about {state.knee:.0f} at once would, and each takes "
        f"{format_duration(state.use_high)} instead of {format_duration(state.use_low)} with {state.low:.0f} in use"
    )


def _evidence(state: Saturation, responses: Mapping[int, float]) -> dict[str, Any]:
    return {
        "knee": state.knee,
        "slope": state.slope,
        "speed": state.speed,
        "in_use_low": state.low,
        "in_use_high": state.high,
        "use_low_seconds": state.use_low,
        "use_high_seconds": state.use_high,
        "throughput_per_second": state.throughput,
        "share_of_time_above_knee": state.above,
        "mean_response_seconds_by_size": {str(size): response for size, response in responses.items()},
    }
