"""A load from the command's side: starts the process that runs it, hands it one run after the other, ends what is left."""

from __future__ import annotations

import contextlib
import dataclasses
import secrets
import socket
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from dbdoctor.databases.odbc.connection_string import write_keywords
from dbdoctor.databases.odbc.driver import FREETDS
from dbdoctor.errors import CannotLookError
from dbdoctor.faults.loop import READ, Loop
from dbdoctor.model.secret import redact
from dbdoctor.model.target import Product, Target
from dbdoctor.model.trial import PoolPlan
from dbdoctor.probe.resolve import Address
from dbdoctor.trials.child_process import child_process
from dbdoctor.trials.load import LoadOrder, LoadSeen
from dbdoctor.trials.observer import Observer
from dbdoctor.trials.orders import Lines
from dbdoctor.trials.simulation import StageLostError
from dbdoctor.trials.targets import connect_of

_TURN = 0.2
Tick = Callable[[float], None]


class Loading:
    """The process and its socket; made by `loading`."""

    def __init__(self, end: socket.socket, product: Product, connect: Mapping[str, Any]) -> None:
        self._lines = Lines(end)
        self._product = product
        self._connect = connect

    def run(self, pool: PoolPlan, load: LoadOrder, tick: Tick) -> LoadSeen:
        """One run; `tick` is told the seconds since it began. Raises CannotLookError when it could not begin."""
        self.begin(pool, load)
        return self.seen(tick)

    def begin(self, pool: PoolPlan, load: LoadOrder) -> None:
        """Have the process begin a run; `seen` awaits it."""
        self._lines.send(
            {
                "product": self._product.value,
                "connect": _with_pool(self._product, self._connect, pool),
                "pool": dataclasses.asdict(pool),
                "load": {**load._asdict(), "arrivals": list(load.arrivals), "uses": list(load.uses)},
            }
        )

    def seen(self, tick: Tick) -> LoadSeen:
        """What came of the run that was begun. Raises CannotLookError when it could not begin."""
        told = self._await(tick)
        if "broken" in told:
            raise CannotLookError(
                "the load could not be run", cause=redact(told["broken"]), help="run `dbdoctor check` on the target"
            )
        seen = LoadSeen(**told)
        return seen._replace(error=seen.error and redact(seen.error))

    def _await(self, tick: Tick) -> dict[str, Any]:
        began = time.monotonic()
        found: list[dict[str, Any]] = []
        loop = Loop()
        loop.watch(self._lines, READ, lambda _ready: found.extend(self._lines.receive()))
        try:
            while not found and not self._lines.ended:
                loop.turn(_TURN)
                tick(time.monotonic() - began)
        finally:
            loop.close()
        if not found:
            raise StageLostError("the process that runs the load ended by itself")
        return found[0]


@contextlib.contextmanager
def loading(target: Target, address: Address, observer: Observer) -> Iterator[Loading]:
    """The process, ready for orders; afterwards it is gone, and its sessions with it, however this ends."""
    prefix = f"dbdoctor-{secrets.token_hex(4)}-"
    with contextlib.ExitStack() as stack:
        stack.callback(observer.end, prefix)
        end = stack.enter_context(child_process("dbdoctor.trials.load_process"))
        yield Loading(end, target.product, _connect(target, address, f"{prefix}load"))


def _connect(target: Target, address: Address, name: str) -> dict[str, Any]:
    """The driver's arguments for that address; for SQL Server as `connect_of` gives them, with the place in the keywords."""
    found = dict(connect_of(target, [address]))
    if target.product is Product.POSTGRESQL:
        return {**found, "application_name": name}
    port = str(address.endpoint.port or 1433)
    sockaddr = address.sockaddr
    if not isinstance(sockaddr, str):
        port = str(sockaddr[1])
    place = {"Server": address.ip, "Port": port} if found["kind"] == FREETDS else {"Server": f"tcp:{address.ip},{port}"}
    return {**found, "keywords": {**found["keywords"], **place, "APP": name}}


def _with_pool(product: Product, connect: Mapping[str, Any], pool: PoolPlan) -> dict[str, Any]:
    if product is Product.POSTGRESQL:
        return {**connect, **pool.connect_args}
    found: dict[str, Any] = {"odbc_connect": write_keywords(connect["keywords"], str(connect["kind"]))}
    seconds = pool.connect_args.get("timeout") or connect.get("login_timeout")
    return {**found, "timeout": int(seconds)} if seconds else found


def run_together(loads: Sequence[Loading], pool: PoolPlan, orders: Sequence[LoadOrder], tick: Tick) -> list[LoadSeen]:
    """One order for each process, all at the same time, each with a pool of its own. Raises as `Loading.run` does."""
    for load, order in zip(loads, orders, strict=True):
        load.begin(pool, order)
    return [load.seen(tick) for load in loads]
