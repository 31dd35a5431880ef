"""Brings a wanted size within its bounds, and says what binds and what could not be met."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from dbdoctor.model.sizing import Bounds, Ceiling


@dataclass(frozen=True, slots=True)
class Limited:
    """`size` connections in a process, of the `wanted`. `most` is the narrowest ceiling for a process, None without any.

    `binds` says what made it another number; `incomplete` what was wanted and could not be met.
    """

    size: int
    wanted: int
    most: int | None
    binds: str = ""
    evidence: Mapping[str, Any] = field(default_factory=dict)
    incomplete: tuple[str, ...] = ()


def limit(wanted: int, bounds: Bounds, fleet: int = 1, allotted: int | None = None) -> Limited:
    """`fleet` pools share the ceilings of the whole evenly, unless a budget has `allotted` so many to each of this service's.

    The floor comes before the wish, and the ceilings before the floor: what the server does not admit cannot be had.
    """
    fleet = max(1, fleet)
    ceilings = list(_each(bounds, fleet, allotted))
    narrowest = min(ceilings, key=lambda one: one.connections, default=None)
    most = max(1, narrowest.connections) if narrowest else None
    size = max(wanted, bounds.floor)
    binds = f"at least {bounds.floor}: {bounds.floor_working}" if bounds.floor > wanted else ""
    if narrowest is not None and most is not None and size > most:
        size, binds = most, f"at most {most}: {narrowest.name}: {narrowest.working}"
    evidence = {
        "wanted": wanted,
        "floor": bounds.floor,
        "floor_working": bounds.floor_working,
        "pools": fleet,
        "ceilings": [{"name": one.name, "each": one.connections, "working": one.working} for one in ceilings],
    }
    return Limited(
        size,
        wanted,
        most,
        binds,
        evidence,
        incomplete=tuple(_incomplete(size, wanted, bounds, fleet, narrowest)),
    )


def _each(bounds: Bounds, fleet: int, allotted: int | None) -> Iterator[Ceiling]:
    """Every ceiling as it is for one process."""
    if allotted is not None:
        yield Ceiling("the fleet's budget", allotted, f"its share is {allotted} for each pool")
    for one in bounds.ceilings:
        if one.per_process:
            yield one
        elif allotted is None:
            working = f"{one.connections} ({one.working}) / {fleet} pools" if fleet > 1 else one.working
            yield Ceiling(one.name, one.connections // fleet, working)


def knee_note(load: float | None, connections: int, bounds: Bounds, fleet: int) -> str | None:
    """A warning where more are in use on average (or, if that is not known, can be open) than the server may like."""
    if not bounds.knee:
        return None
    at_once = (load or connections) * fleet
    if at_once <= bounds.knee:
        return None
    what = (
        f"{at_once:.0f} connections of all pools are in use on average" if load else f"all pools can open {at_once:.0f}"
    )
    return (
        f"{what}, and the server may be fastest with about {bounds.knee} at work ({bounds.knee_working}); that is no law, "
        "`recommend --verify --statement` with a statement of the application's shows it"
    )


def workers_note(connections: int, bounds: Bounds, fleet: int) -> str | None:
    """A warning where all pools together can have more at work than the server has workers for."""
    if not bounds.workers or connections * fleet <= bounds.workers:
        return None
    return (
        f"all pools can open {connections * fleet} connections, and the server has {bounds.workers} workers: "
        f"{bounds.workers_working}; a query that runs in parallel takes several"
    )


def _incomplete(size: int, wanted: int, bounds: Bounds, fleet: int, narrowest: Ceiling | None) -> Iterator[str]:
    if narrowest is None:
        return
    if narrowest.connections < 1:
        yield f"not even one connection for each of {fleet} pools fits: {narrowest.name}: {narrowest.working}"
    if size < bounds.floor:
        yield (
            f"{bounds.floor} connections are needed so that requests cannot block each other ({bounds.floor_working}), "
            f"and only {size} can be had: let a request hold one connection at a time, or run fewer threads"
        )
    if size < wanted and not narrowest.per_process:
        yield f"{wanted} connections in a process would meet the target, and only {size} can be had ({narrowest.name})"
