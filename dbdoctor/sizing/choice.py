"""How many connections a process should be able to open, from each source of demand; before any bound is looked at."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from dbdoctor.model.demand import Course, Demand, Samples, Stated, Trace
from dbdoctor.model.duration import format_duration
from dbdoctor.model.sizing import CrossCheck, Range, Surroundings, WaitTarget
from dbdoctor.sizing import closed_forms as forms
from dbdoctor.sizing import saturated_choice, saturation
from dbdoctor.sizing.bootstrap import size_range
from dbdoctor.sizing.closed_loop import callers_of, is_closed
from dbdoctor.sizing.closed_sweep import closed_sweep
from dbdoctor.sizing.demand import busiest
from dbdoctor.sizing.replay import Sweep, sweep

_AGREES = 3
_BESIDE = 12  # sizes on either side of the chosen one that are swept as well
_BURST = 3.0  # assumed where none is stated: bursts of a second at three times the rate are common
_RULE_OF_THUMB = (5, 20)
_MOST_CLOSED = 300_000  # checkouts; a caller's turns take more memory than an array's row

Sweeper = Callable[[Sequence[int]], Sweep]


@dataclass(frozen=True, slots=True)
class Choice:
    """So many connections in a process, why, and what is known beside.

    `pool_size` is how many of them should stay open, where there is no trace to tell. `sweeper` replays other sizes.
    """

    size: int
    range: Range | None
    reason: str
    evidence: Mapping[str, Any] = field(default_factory=dict)
    pool_size: int | None = None
    sweep: Sweep | None = None
    sweeper: Sweeper | None = None
    cross_checks: tuple[CrossCheck, ...] = ()
    saturated: str | None = None
    notes: tuple[str, ...] = ()


def from_trace(
    trace: Trace,
    demand: Demand,
    target: WaitTarget,
    *,
    extra_use: float = 0.0,
    handoff: float = 0.0,
    seed: int = 0,
    progress: Callable[[str], None] = lambda _text: None,
) -> Choice:
    """The smallest pool in which the recorded checkouts wait no longer than the target allows.

    `extra_use` is added to each use (a pre-ping), `handoff` is a waiter's way to wake up; seconds. `progress` is told
    what is being done. A saturated database is answered by what it can do, not by the target.
    """
    progress("looking whether the database is the bottleneck")
    state = saturation.look(trace.courses)
    if state is not None and state.saturated:
        answer = saturated_choice.choose(trace.courses, state)
        return Choice(answer.size, answer.range, answer.reason, answer.evidence, saturated=answer.reason)
    sweeper, closed = sweeper_of(trace.courses, handoff, extra_use, progress)
    most = max(1, demand.most_at_once or 1)
    size = _smallest(sweeper, most, target)
    swept = sweeper(_around(size, most))
    spread = size_range(swept, target.share, target.wait, seed)
    evidence = {
        **_figures(demand),
        **_target(target),
        "closed_loop": closed,
        "wait_reached": swept.point(size)._asdict(),
    }
    return Choice(
        size,
        spread,
        f"replaying {trace.kept:,} recorded checkouts, {size} is the fewest with which {target.share:.0%} wait at most "
        f"{format_duration(target.wait)}",
        evidence,
        sweep=swept,
        sweeper=sweeper,
        cross_checks=cross_checks(demand, target, size),
        notes=(*_notes(swept, size, target, closed=closed), *_doubt(trace)),
    )


def from_samples(samples: Samples, demand: Demand, target: WaitTarget) -> Choice:
    """One more than all but a hundredth (as the target says) of the samples saw busy in a process at once."""
    every = sorted(count for counts in samples.counts for count in counts)
    if not every:
        return from_nothing(Surroundings())
    seen = every[min(len(every) - 1, math.ceil(target.share * len(every)) - 1)]
    usual = every[min(len(every) - 1, math.ceil(0.95 * len(every)) - 1)]
    most = every[-1]
    return Choice(
        max(1, seen + 1),
        Range(max(1, usual), most + math.ceil(math.sqrt(most)) + 1),
        f"at most {seen} sessions of a process were busy at once in {target.share:.0%} of the samples, and one is added",
        {**_figures(demand), "samples": len(every), "busy_at_share": seen, "busy_at_95": usual, "busy_most": most},
        pool_size=max(1, usual),
    )


def from_stated(stated: Stated, demand: Demand, target: WaitTarget) -> Choice:
    """By Erlang C: pool_size for the stated rate, and with the overflow for the busiest second (three times, if not stated)."""
    factor = forms.variability(stated.arrival_cv, stated.use_cv)

    def size_at(burst: float) -> int:
        return forms.smallest_size(stated.load * burst, stated.use, target.share, target.wait, factor)

    burst = stated.burst or _BURST
    least, most = size_at(1.0), size_at(burst)
    assumed = "" if stated.burst else ", which is a guess"
    return Choice(
        most,
        Range(least, size_at(max(burst, _BURST))),
        f"{stated.rate:g} checkouts a second of {format_duration(stated.use)} keep {stated.load:.1f} connections in use on "
        f"average: Erlang C asks for {least}, and for {most} in a second with {burst:g} times the rate{assumed}",
        {**_figures(demand), **_target(target), "burst": burst, "variability": factor, "formula": "Erlang C"},
        pool_size=least,
    )


def from_nothing(around: Surroundings) -> Choice:
    """A rule of thumb: as many as there are threads, or ten."""
    least, most = _RULE_OF_THUMB
    if around.threads:
        size = max(1, around.threads)
        reason = f"a rule of thumb: one connection for each of the {size} threads that can use the pool"
        return Choice(size, Range(max(1, size // 4), size), reason, {"threads": size}, pool_size=size)
    reason = f"a rule of thumb: {least} to {most} suit most applications"
    return Choice(10, Range(least, most), reason, {"rule_of_thumb": [least, most]}, pool_size=least)


def cross_checks(demand: Demand, target: WaitTarget, size: int) -> tuple[CrossCheck, ...]:
    """What the closed forms say at the mean load, each with whether it agrees within three connections."""
    load, use = demand.load, demand.use
    if not load or not use:
        return ()
    factor = forms.variability(demand.arrival_cv or 1.0, demand.use_cv or 1.0)
    said = (
        ("Erlang C", forms.smallest_size(load, use, target.share, target.wait), "independent arrivals"),
        (
            "Allen-Cunneen",
            forms.smallest_size(load, use, target.share, target.wait, factor),
            f"Erlang C times (ca2 + cs2) / 2 = {factor:.2f}",
        ),
        ("square root staffing", forms.square_root_staffing(load), f"{load:.2f} + 2 x sqrt({load:.2f})"),
    )
    return tuple(
        CrossCheck(name, says, abs(says - size) <= _AGREES, f"offered load {load:.2f}; {working}")
        for name, says, working in said
    )


def sweeper_of(
    courses: Sequence[Course],
    handoff: float,
    extra_use: float,
    progress: Callable[[str], None] = lambda _text: None,
) -> tuple[Sweeper, bool]:
    """What replays these courses through sizes, and whether as a fixed number of callers who come back once served."""

    def told(size: int) -> None:
        progress(f"replayed through pools of {size}")

    if all(map(is_closed, courses)):
        parts = busiest(courses, _MOST_CLOSED)
        callers = [callers_of(part) for part in parts]
        return (lambda sizes: closed_sweep(parts, callers, sizes, progress=told)), True
    return (lambda sizes: sweep(courses, sizes, handoff=handoff, extra_use=extra_use, progress=told)), False


def _smallest(sweeper: Sweeper, most: int, target: WaitTarget) -> int:
    low, high = 1, most
    while not sweeper([high]).meets(high, target.share, target.wait):
        low, high = high + 1, high * 2  # the recording was throttled by its own pool
    while low < high:
        middle = (low + high) // 2
        if sweeper([middle]).meets(middle, target.share, target.wait):
            high = middle
        else:
            low = middle + 1
    return low


def _around(size: int, most: int) -> list[int]:
    """Sizes to show and to draw the range from: all near the chosen one, and a few far from it."""
    near = range(max(1, size - _BESIDE), size + _BESIDE + 1)
    far = (size // 4, size // 2, size * 2)
    return sorted({one for one in (*near, *far) if 1 <= one <= max(most, size + _BESIDE)})


def _figures(demand: Demand) -> dict[str, Any]:
    return {
        "source": demand.source.value,
        "checkouts": demand.checkouts,
        "span_seconds": demand.span,
        "processes": demand.processes,
        "rate_per_second": demand.rate,
        "use_seconds": demand.use,
        "offered_load": demand.load,
        "peak_load": demand.peak_load,
        "most_at_once": demand.most_at_once,
    }


def _target(target: WaitTarget) -> dict[str, Any]:
    return {"target_share": target.share, "target_wait_seconds": target.wait}


def _notes(swept: Sweep, size: int, target: WaitTarget, *, closed: bool) -> list[str]:
    notes = []
    if closed:
        notes.append(
            "the checkouts come from a fixed number of callers who come back once they are served: they are replayed so"
        )
    worst = max(swept.windows[size], key=lambda window: window.quantile(target.share))
    reached = worst.quantile(target.share)
    if reached > 3 * target.wait:
        there = next((one for one in swept.sizes if _worst(swept, one, target) <= target.wait), None)
        more = f"; {there} connections would keep the target there too" if there else ""
        notes.append(
            f"in the busiest part {target.share:.0%} wait up to {format_duration(reached)} with {size} connections{more}"
        )
    return notes


def _doubt(trace: Trace) -> list[str]:
    full = saturation.always_full(trace.courses)
    if full is None:
        return []
    note = (
        f"{full} connections were in use most of the time, and never more: the recording cannot show whether the pool or the "
        "database held them there; if checkouts took longer then than they do when few are in use, it is the database, and a "
        "larger pool will not help"
    )
    return [note]


def _worst(swept: Sweep, size: int, target: WaitTarget) -> float:
    return max(window.quantile(target.share) for window in swept.windows[size])
