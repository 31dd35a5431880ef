"""The budget of a fleet: several services that share one server, each process with a pool of its own.

A connection more for a service costs one in each of its processes, at the height of a rollout. So it goes where it takes off
the most waiting for what it costs, again and again, until nobody waits any longer or the server is full.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from dbdoctor.model.sizing import Bounds, Budget, BudgetRow, Ceiling, Service

_MATTERS = 1e-4  # seconds of waiting a second of a process: less is no reason for one more connection


def budget(services: Sequence[Service], bounds: Bounds) -> Budget:
    """What each service gets of the server's usable connections, with the sum; what to give up where it cannot be.

    Without any known limit each gets what it wants. Where not even the floors fit, each row has its floor, and
    `give_up` says what would make it fit. A limit of some services only binds these.
    """
    wanted = {service.name: wish(service) for service in services}
    each = {service.name: min(service.floor, wanted[service.name]) for service in services}
    rooms = {ceiling: ceiling.connections - _open(_bound(services, ceiling), each) for ceiling in bounds.shared}
    if all(room >= 0 for room in rooms.values()):
        _allot(services, each, wanted, rooms)
    give_up = tuple(
        text
        for ceiling, room in rooms.items()
        if room < 0 and (ceiling.services or ceiling == bounds.narrowest)
        for text in _give_up(_bound(services, ceiling), each, ceiling)
    )
    ceiling = bounds.narrowest
    if ceiling is None:
        total = _open(services, each)
        return Budget(
            _rows(services, each, wanted), total, "no limit is known: this is what the services want", give_up
        )
    working = f"{ceiling.connections}: {ceiling.name}: {ceiling.working}"
    return Budget(_rows(services, each, wanted), ceiling.connections, working, give_up)


def wish(service: Service) -> int:
    """What a process of this service would have without a limit: what its demand asks for, or its size, or its floor."""
    if service.wanted is not None:
        size = service.wanted
    elif service.size is None and service.curve:
        size = next((size for size, wait in enumerate(service.curve, 1) if wait <= _MATTERS), len(service.curve))
    else:
        size = service.size or service.floor
    if service.threads:
        size = min(size, service.threads)
    return max(size, service.floor)


def declared(services: Sequence[Service], usable: int, *, rollout: bool = True) -> Budget:
    """The fleet as it is configured (`size` of each), beside what is usable; at rest or at the height of a rollout."""
    rows = []
    for service in services:
        pools, size = (service.pools if rollout else service.pools_at_rest), service.size or service.floor
        rows.append(BudgetRow(service.name, pools, size, pools * size, size, _working(service, size, rollout=rollout)))
    return Budget(tuple(rows), usable, f"{usable}")


def _bound(services: Sequence[Service], ceiling: Ceiling) -> list[Service]:
    return [service for service in services if ceiling.binds(service.name)]


def _open(services: Sequence[Service], each: Mapping[str, int]) -> int:
    return sum(each[service.name] * service.pools for service in services)


def _allot(
    services: Sequence[Service], each: dict[str, int], wanted: Mapping[str, int], rooms: Mapping[Ceiling, int]
) -> None:
    """One connection more at a time, to the service whose waiting falls the most for each connection that it costs."""
    if not rooms:
        each.update(wanted)
        return
    left = dict(rooms)
    gains = {service.name: _gains(service) for service in services}
    while True:
        hopeful = [
            service
            for service in services
            if each[service.name] < wanted[service.name]
            and all(service.pools <= room for ceiling, room in left.items() if ceiling.binds(service.name))
        ]
        if not hopeful:
            return
        best = max(hopeful, key=lambda one: (_gain(one, gains[one.name], each[one.name]), -each[one.name]))
        each[best.name] += 1
        left = {ceiling: room - best.pools * ceiling.binds(best.name) for ceiling, room in left.items()}


def _gain(service: Service, gains: Sequence[float], size: int) -> float:
    """Seconds of waiting a second that one more connection in every process takes off, per connection opened.

    Every process waits less, and every pool costs one, so that the processes cancel out but for those that a rollout
    runs twice. Without a curve, wishes are met evenly, and last.
    """
    if not gains:
        return 1e-9 / size
    return gains[min(size, len(gains)) - 1] * service.pools_at_rest / service.pools


def _gains(service: Service) -> list[float]:
    """By what a process's waiting falls for each connection beyond 1, 2, 3 ...: as far on as it falls the most for each.

    A curve that has a flat step is looked at beyond it: the slope of the tangent to what follows, from right to left.
    """
    ahead: list[tuple[int, float]] = []
    gains = [0.0] * len(service.curve)
    for size in range(len(service.curve), 0, -1):
        here = (size, service.curve[size - 1])
        while len(ahead) > 1 and _fall(here, ahead[-2]) >= _fall(here, ahead[-1]):
            ahead.pop()
        if ahead:
            gains[size - 1] = max(0.0, _fall(here, ahead[-1]))
        ahead.append(here)
    return gains


def _fall(one: tuple[int, float], further: tuple[int, float]) -> float:
    return (one[1] - further[1]) / (further[0] - one[0])


def _rows(services: Sequence[Service], each: dict[str, int], wanted: dict[str, int]) -> tuple[BudgetRow, ...]:
    return tuple(
        BudgetRow(
            service.name,
            service.pools,
            each[service.name],
            each[service.name] * service.pools,
            wanted[service.name],
            _working(service, each[service.name]),
        )
        for service in services
    )


def _working(service: Service, each: int, *, rollout: bool = True) -> str:
    """The multiplication, to read: `(4 + 1 surge) replicas x 2 processes x 10 connections = 100`."""
    replicas = _counted(service.replicas, "replica")
    if rollout and (service.surge or service.terminating):
        surge = f" + {service.surge} surge" if service.surge else ""
        terminating = f" + {service.terminating} terminating" if service.terminating else ""
        replicas = f"({service.replicas}{surge}{terminating}) replicas"
    factors = [replicas]
    factors += [f"{service.workers} processes"] if service.workers != 1 else []
    factors += [f"{service.engines} engines"] if service.engines != 1 else []
    pools = service.pools if rollout else service.pools_at_rest
    return " x ".join((*factors, _counted(each, "connection"))) + f" = {pools * each}"


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _give_up(services: Sequence[Service], each: Mapping[str, int], ceiling: Ceiling) -> Iterator[str]:
    usable, need = ceiling.connections, _open(services, each)
    missing = need - usable
    of = f" of {ceiling.name}" if ceiling.services else ""
    yield f"at their least the services need {need} connections and {usable} are usable{of}: {missing} too many"
    at_rest = sum(each[service.name] * service.pools_at_rest for service in services)
    if at_rest < need:
        fits = "and then it fits" if at_rest <= usable else "which is not enough alone"
        yield f"roll out without surge, one replica at a time: {need - at_rest} fewer, {fits}"
    for service in sorted(services, key=lambda one: -each[one.name] * one.pools):
        per_replica = each[service.name] * service.workers * service.engines
        fewer = -(-missing // per_replica)
        if fewer < service.replicas:
            yield f"{service.name}: {_counted(fewer, 'replica')} fewer, {fewer * per_replica} connections"
        elif service.workers > 1 and service.pools * each[service.name] // 2 >= missing:
            yield f"{service.name}: half the processes, with threads instead"
    whose = f"the limit of {ceiling.name}" if ceiling.services else "the server's limit"
    yield f"raise {whose} by {missing}, or put a transaction pooler in front of it"
