"""One question of `recommend`, whole: the demand, the server, the service and its neighbours; and its answer."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace

from dbdoctor.model.demand import Samples, Stated, Trace
from dbdoctor.model.pool import PoolSettings
from dbdoctor.model.server import ServerFacts
from dbdoctor.model.sizing import Bounds, Budget, Recommendation, Service, Surroundings, WaitTarget
from dbdoctor.sizing.bounds import RESERVE, bounds_of
from dbdoctor.sizing.fleet import budget
from dbdoctor.sizing.recommend import Wish, recommend

Progress = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Case:
    """All that an answer depends on.

    `service` is the one to size, without a size of its own; `others` are those that share its server, with theirs.
    `ours` counts sessions of all of them among those in use now; `cores` are the server's, where they are known;
    `near` is whether it runs on this machine.
    """

    demand: Trace | Samples | Stated | None
    service: Service
    others: tuple[Service, ...] = ()
    facts: ServerFacts | None = None
    around: Surroundings = field(default_factory=Surroundings)
    wait_target: WaitTarget = WaitTarget()  # noqa: RUF009 - an immutable value
    current: PoolSettings | None = None
    ours: int = 0
    cores: int | None = None
    reserve: int = RESERVE
    near: bool = False

    @property
    def bounds(self) -> Bounds:
        """What the connections must keep to."""
        return bounds_of(self.facts, self.around, ours=self.ours, reserve=self.reserve, cores=self.cores)


def solve(case: Case, progress: Progress = lambda _text: None) -> Recommendation:
    """The recommendation with its budget table. With others on the server, what each may have is allotted first."""
    bounds = case.bounds
    wish = Wish(case.demand, bounds, case.around, case.wait_target, case.current, case.service.pools)
    if not case.others:
        found = recommend(wish, progress)
        return _with_budget(found, budget([_sized(case, found)], bounds) if found.connections else None)
    alone = Bounds(
        tuple(one for one in bounds.ceilings if one.per_process), *bounds[1:]
    )  # what it would have without the others
    wanted = recommend(replace(wish, bounds=alone), progress)
    if wanted.connections is None:
        return wanted
    table = budget([_sized(case, wanted), *case.others], bounds)
    allotted = table.rows[0].each
    if allotted >= wanted.connections:
        return _with_budget(replace(wanted, bounds=bounds), table)
    return recommend(replace(wish, budget=table, allotted=allotted), progress)


def service_at(service: Service, size: int) -> Service:
    """The service with a pool of so many connections in each process."""
    return replace(service, size=size, floor=min(service.floor, size))


def _with_budget(found: Recommendation, table: Budget | None) -> Recommendation:
    if table is None:
        return found
    return replace(found, budget=table, incomplete=tuple(dict.fromkeys((*found.incomplete, *table.give_up))))


def _sized(case: Case, found: Recommendation) -> Service:
    """The service as it would like to be: its size, and what waiting each smaller size would mean."""
    wanted = int(found.because[0].evidence.get("wanted", 0)) if found.because else 0
    size = max(found.connections or 1, wanted)
    return replace(case.service, size=size, floor=case.bounds.floor, curve=tuple(_curve(found, size)))


def _curve(found: Recommendation, most: int) -> Iterator[float]:
    """Seconds of waiting a second of one process for 1, 2, 3 ... connections; where no size was tried, as the next smaller."""
    if found.prediction is None or not found.demand.rate:
        return
    tried = {point.size: point.mean for point in found.prediction.sweep}
    if not tried:
        return
    mean = max(tried.values())
    for size in range(1, most + 1):
        mean = tried.get(size, mean)
        yield mean * found.demand.rate
