"""Sums demand up: what a trace, samples or stated figures say, in the same words."""

from __future__ import annotations

import math
from array import array
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, pairwise

from dbdoctor.model.demand import Course, Demand, Samples, Source, Stated, Trace
from dbdoctor.model.sizing import Surroundings
from dbdoctor.sizing.replay import most_at_once, offered_load

_LONG_ENOUGH = 600.0  # seconds: ten minutes bring the size within two, 30 s within seven (measured on bursts)
_WAITED = 0.05
_SLICES = 8
_HEAVY = (
    2.0  # times the mean: the bootstrap's 90 % range held the truth in 60 to 70 % of recordings (Pareto, index 1.5)
)


def of_trace(trace: Trace) -> Demand:
    """The demand that a recording shows."""
    courses, kept = trace.courses, trace.kept
    use = math.fsum(math.fsum(course.uses) for course in courses) / kept
    waited = sum(sum(map(_waited, course.waits)) for course in courses) / kept
    use_cv = variation(chain.from_iterable(course.uses for course in courses))
    rate = trace.counted / trace.span / trace.processes if trace.span > 0 else None
    return Demand(
        Source.TRACE,
        processes=trace.processes,
        checkouts=trace.counted,
        span=trace.span,
        rate=rate,
        use=use,
        load=offered_load(courses),
        peak_load=max(map(peak_rate, courses)) * use,
        most_at_once=max(map(most_at_once, courses)),
        arrival_cv=variation(chain.from_iterable(map(_gaps, courses))),
        use_cv=use_cv,
        waited=waited,
        notes=tuple(_notes(trace, waited, use_cv or 0.0)),
    )


def of_samples(samples: Samples) -> Demand:
    """The demand that sampled sessions show: how many were busy at a time, and nothing of rates or waits."""
    every = [count for counts in samples.counts for count in counts]
    notes = ["what happens between two samples is not seen, and how long a checkout waits cannot be told from counts"]
    if samples.saturated:
        notes.append("the server's machine was saturated: its own counts of busy sessions are far too low then")
    return Demand(
        Source.SAMPLES,
        processes=len(samples.counts),
        span=samples.interval * max((len(counts) for counts in samples.counts), default=0),
        load=sum(every) / len(every) if every else None,
        most_at_once=max(every, default=None),
        notes=tuple(notes),
    )


def of_stated(stated: Stated, processes: int = 1) -> Demand:
    """The demand that was stated, for one process."""
    burst = stated.burst or 1.0
    return Demand(
        Source.STATED,
        processes=processes,
        rate=stated.rate,
        use=stated.use,
        load=stated.load,
        peak_load=stated.load * burst,
        arrival_cv=stated.arrival_cv,
        use_cv=stated.use_cv,
        notes=() if stated.burst else ("how much busier the busiest second is was not stated: three times is assumed",),
    )


def of_nothing(around: Surroundings, processes: int = 1) -> Demand:
    """No demand is known."""
    note = "nothing is known of the demand: record it (`dbdoctor run -- COMMAND`) or state a rate and a use time"
    return Demand(Source.NOTHING, processes=processes, most_at_once=around.threads, notes=(note,))


def peak_rate(course: Course) -> float:
    """Checkouts per second in the busiest second."""
    return float(max(Counter(map(math.floor, course.arrivals)).values(), default=0))


def variation(values: Iterable[float]) -> float | None:
    """The coefficient of variation: standard deviation over mean; None of fewer than two values or a mean of 0."""
    every = array("d", values)
    if len(every) < 2:
        return None
    mean = math.fsum(every) / len(every)
    return math.sqrt(math.fsum((value - mean) ** 2 for value in every) / len(every)) / mean if mean > 0 else None


def slices(courses: Sequence[Course], most: int) -> list[Course]:
    """About `most` checkouts of all courses in eight stretches of time, evenly spread; all of them when they fit."""
    total = sum(len(course.arrivals) for course in courses)
    if total <= most:
        return list(courses)
    first = min(course.arrivals[0] for course in courses)
    step = (max(course.arrivals[-1] for course in courses) - first) / _SLICES
    found = []
    for begin in (first + step * number for number in range(_SLICES)):
        for course in courses:
            part = slice(bisect_left(course.arrivals, begin), bisect_left(course.arrivals, begin + step * most / total))
            if part.stop > part.start:
                found.append(Course(course.process, *(column[part] for column in course[1:])))
    return found


def busiest(courses: Sequence[Course], most: int) -> list[Course]:
    """The parts of the courses with the highest offered load, `most` checkouts at most; all of them when they fit."""
    if sum(len(course.arrivals) for course in courses) <= most:
        return list(courses)
    each = max(1000, most // 8)
    parts = sorted((part for course in courses for part in _parts(course, each)), key=_load, reverse=True)
    found: list[Course] = []
    for part in parts:
        most -= len(part.arrivals)
        if found and most < 0:
            break
        found.append(part)
    return found


def _parts(course: Course, each: int) -> Iterator[Course]:
    length = len(course.arrivals)
    for begin in range(0, length, each):
        yield Course(course.process, *(column[begin : begin + each] for column in course[1:]))


def _load(course: Course) -> float:
    span = course.span  # to the last checkin: two checkouts in a row are no load of thousands
    return sum(course.uses) / span if span > 0 else 0.0


def _gaps(course: Course) -> array[float]:
    return array("d", (later - earlier for earlier, later in pairwise(course.arrivals)))


def _waited(wait: float) -> bool:
    return wait > 0.001


def _notes(trace: Trace, waited: float, use_cv: float) -> Iterator[str]:
    yield from trace.notes
    if trace.sampled:
        yield (
            f"{trace.kept:,} of {trace.counted:,} checkouts are kept, in blocks drawn at random with the busiest among them"
        )
    if trace.bad_lines:
        named = "; ".join(f"line {bad.number}: {bad.reason}" for bad in trace.bad)
        yield f"{trace.bad_lines:,} lines could not be read ({named})"
    if trace.span < _LONG_ENOUGH:
        yield f"the trace is {trace.span:.0f} s long; ten minutes that hold the peak bring the size within one or two"
    if use_cv > _HEAVY:
        yield (
            f"use times vary widely (their standard deviation is {use_cv:.1f} times their mean): rare long ones decide, and the "
            "range is wider than it looks; record for longer"
        )
    if waited > _WAITED:
        yield (
            f"{waited:.0%} of the recorded checkouts waited for more than 1 ms: callers who wait ask less often, so that the "
            "demand may be greater than was recorded; record again with the recommended pool"
        )
