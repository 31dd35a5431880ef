"""One question of `recommend`, whole: the demand, the server, the service and its neighbours; and its answer."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace

from dbdoctor.model.demand import Samples, Stated, Trace
from dbdoctor.model.pool import PoolSettings
from dbdoctor.model.server import ServerFacts
from dbdoctor.model.sizing import Bounds, Budget, PoolerLimits, Recommendation, Service, Surroundings, WaitTarget
from dbdoctor.sizing.bounds import RESERVE, bounds_of
from dbdoctor.sizing.curves import curve_of, inferred
from dbdoctor.sizing.fleet import budget
from dbdoctor.sizing.recommend import Wish, recommend

Progress = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Case:
    """All that an answer depends on.

    `service` is the one to size, without a size of its own; `others` are those that share its server, with theirs, and
    `demands` what is known of theirs by name, of one process. `sharing` names the services that share a limit of a role or
    a database with it, where not all do; `pooler` is what a pooler in between admits.
    `ours` counts sessions of all of them among those in use now; `cores` are the server's, where they are known;
    `near` is whether it runs on this machine.
    """

    demand: Trace | Samples | Stated | None
    service: Service
    others: tuple[Service, ...] = ()
    demands: Mapping[str, Trace | Stated] = field(default_factory=dict)
    sharing: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    pooler: PoolerLimits | None = None
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
        return bounds_of(
            self.facts,
            self.around,
            ours=self.ours,
            reserve=self.reserve,
            pooler=self.pooler,
            cores=self.cores,
            sharing=self.sharing,
        )


def solve(case: Case, progress: Progress = lambda _text: None) -> Recommendation:
    """The recommendation with its budget table. With others on the server, what each may have is allotted first."""
    bounds = case.bounds
    wish = Wish(case.demand, bounds, case.around, case.wait_target, case.current, case.service.pools)
    if not case.others:
        found = recommend(wish, progress)
        return _with_budget(found, budget([_sized(case, found)], bounds) if found.connections else None)
    wanted = recommend(replace(wish, bounds=_alone(bounds)), progress)
    if wanted.connections is None:
        return wanted
    others = [wishing(one, case.demands.get(one.name), case, progress) for one in case.others]
    table = budget([_sized(case, wanted), *others], bounds)
    allotted = table.rows[0].each
    if allotted >= wanted.connections:
        found = _with_budget(replace(wanted, bounds=bounds), table)
    else:
        found = recommend(replace(wish, budget=table, allotted=allotted), progress)
    return replace(found, notes=(*found.notes, *_unknown(case)))


def wishing(service: Service, demand: Trace | Stated | None, case: Case, progress: Progress) -> Service:
    """Another service with what its demand asks for, and what waiting each smaller pool would mean for it.

    Where it states no demand, it is taken to need the connections that its pool has.
    """
    if demand is None:
        return replace(service, curve=inferred(service.size)) if service.size else service
    progress(f"sizing {service.name}")
    around = Surroundings(round_trip=case.around.round_trip, connect=case.around.connect, threads=service.threads)
    found = recommend(Wish(demand, Bounds(), around, case.wait_target, fleet=service.pools))
    size = found.connections or 1
    return replace(service, wanted=size, curve=curve_of(found, demand, size))


def service_at(service: Service, size: int) -> Service:
    """The service with a pool of so many connections in each process."""
    return replace(service, size=size, floor=min(service.floor, size))


def _alone(bounds: Bounds) -> Bounds:
    """What a process would have to keep to without the others."""
    return bounds._replace(ceilings=tuple(one for one in bounds.ceilings if one.per_process))


def _unknown(case: Case) -> Iterator[str]:
    for one in case.others:
        if one.name not in case.demands and one.size:
            yield (
                f"nothing is known of the demand of {one.name}: it is taken to need the {one.size} connections of its pool; "
                "with `rate` and `use_time`, or a `trace`, in its profile it is sized, too"
            )


def _with_budget(found: Recommendation, table: Budget | None) -> Recommendation:
    if table is None:
        return found
    return replace(found, budget=table, incomplete=tuple(dict.fromkeys((*found.incomplete, *table.give_up))))


def _sized(case: Case, found: Recommendation) -> Service:
    """The service as it would like to be: its size, and what waiting each smaller size would mean."""
    wanted = int(found.because[0].evidence.get("wanted", 0)) if found.because else 0
    size = max(found.connections or 1, wanted)
    curve = curve_of(found, case.demand, size) or inferred(size)
    return replace(case.service, wanted=size, floor=case.bounds.floor, curve=curve)
