"""A real firewall, HAProxy, PgBouncer and PostgreSQL do to the pools what the built-in fault of that kind does.

What that is stands in the truth table, to which the built-in faults are held. Here the same applications with the same
pools use the devices, without any relay of ours, all at the same time; each test then looks at one.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import selectors
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from dbdoctor.faults.kinds import all_faults
from dbdoctor.model.trial import Host, Record, Request
from dbdoctor.targets.parse import parse_dsn
from dbdoctor.trials.judge import judge
from dbdoctor.trials.observer import PostgresqlObserver
from dbdoctor.trials.orders import request_from_json
from dbdoctor.trials.planning import facts_of
from tests.servers.devices import DEVICES, Device, device
from tests.servers.postgresql import PASSWORD, PostgresServer
from tests.servers.workspace import workspace
from tests.trials import direct
from tests.trials.test_truth_table_postgresql import CAP, IDLE, PLAIN, POOLS, Cell, Seen, check

pytestmark = [pytest.mark.alone, pytest.mark.timeout(300)]

_STARTING = 20.0

# Which built-in faults a device is an example of.
_KINDS = {
    "firewall": ("silent-drop", "lost-reply"),
    "firewall-reset": ("reset-on-use", "lost-reply-reset"),
    "haproxy": ("closed",),
    "pgbouncer": ("closed",),
    "postgresql": ("idle-session-timeout",),
}
_POOLS = {
    "default",
    "pre-ping",
    "recycle-below",
    "user-timeout",
    "pre-ping+user-timeout",
    "keepalive-below",
    "keepalive-above",
    "keepalive-late",
    "server-keepalive",
}


class Through(NamedTuple):
    """A cell of the truth table, through a device."""

    device: str
    cell: Cell

    @property
    def name(self) -> str:
        """For people, and as an application name."""
        return f"{self.device}-{self.cell.fault}-{self.cell.pool}".replace("+", "-")


def _expected(name: str, cell: Cell) -> Cell:
    # A pooler's sessions are its own, and stay.
    return cell._replace(ghosts=None, same=None) if name == "pgbouncer" else cell


ALL = [
    Through(name, _expected(name, cell))
    for name in DEVICES
    for cell in PLAIN
    if cell.fault in _KINDS[name] and cell.pool in _POOLS
]


class Applications:
    """The applications of one device, in a process of their own, which is where the device can be reached."""

    def __init__(self, path: Device, cells: list[Through]) -> None:
        self.cells = cells
        self.warm: dict[int, tuple[float, list[int]]] = {}
        self.requests: dict[int, dict[tuple[str, int], Request]] = {number: {} for number in range(len(cells))}
        self.held: dict[int, list[int]] = {}
        self._left = b""
        self._began = time.monotonic()
        script = [*path.prefix, sys.executable, "-m", direct.__name__]
        self.process = subprocess.Popen(
            script, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=Path(__file__).parents[2]
        )
        workspace().watch(self.process.pid, "applications")
        assert self.process.stdin is not None
        orders = [_order(path, number, each) for number, each in enumerate(cells)]
        self.process.stdin.write(json.dumps(orders).encode() + b"\n")
        self.process.stdin.flush()

    @property
    def over(self) -> bool:
        """Whether every application was served, or has had its time."""
        now = time.monotonic()
        return all(number in self.held or self._is_late(number, now) for number in range(len(self.cells)))

    def hear(self) -> None:
        """Take what they tell."""
        assert self.process.stdout is not None
        data = os.read(self.process.stdout.fileno(), 1 << 16)
        *lines, self._left = (self._left + data).split(b"\n")
        for line in lines:
            self._take(json.loads(line))

    def record(self, number: int, observer: PostgresqlObserver) -> Record:
        """What was seen by one of them, as a trial has it."""
        cell = self.cells[number].cell
        warm = self.warm.get(number)
        assert warm is not None, f"{self.cells[number].name} never had its connections"
        requests = tuple(self.requests[number].values())
        served = {request.session for request in requests}
        found = observer.look(self.cells[number].name)
        assert found is not None
        return Record(
            fault=cell.fault,
            pool=cell.pool,
            idle=IDLE,
            requests=requests,
            warm=tuple(warm[1]),
            held=tuple(self.held[number]) if number in self.held else None,
            ghosts=tuple(ghost for ghost in found if ghost.session not in served),
            cut_off_after=time.monotonic() - warm[0],
        )

    def end(self) -> None:
        """All of them."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.close()
        self.process.wait(10)
        workspace().forget(self.process.pid)
        self.process.stdout.close()

    def _take(self, told: dict[str, Any]) -> None:
        number, event = told.pop("number"), told.pop("event")
        if event == "warm":
            self.warm[number] = (time.monotonic(), told["sessions"])
        elif event == "done":
            self.held[number] = told["held"]
        elif event in ("start", "end"):
            key = (told.pop("thread"), told["round"])
            self.requests[number][key] = request_from_json({"seconds": None, **told})
        else:
            raise AssertionError(f"{self.cells[number].name}: {told}")

    def _is_late(self, number: int, now: float) -> bool:
        plan = POOLS[self.cells[number].cell.pool]
        since = self.warm[number][0] if number in self.warm else self._began + _STARTING
        return now > since + IDLE * plan.idle_factor + plan.idle_extra + CAP


def _order(path: Device, number: int, through: Through) -> dict[str, Any]:
    connect = {
        "host": path.host,
        "port": path.port,
        "user": path.user,
        "password": PASSWORD,
        "dbname": "postgres",
        "application_name": through.name,
        "connect_timeout": 15,
    }
    plan = dataclasses.asdict(POOLS[through.cell.pool])
    scenario = all_faults()[through.cell.fault].scenario.value
    return {"number": number, "pool": plan, "scenario": scenario, "idle": IDLE, "connect": connect}


@pytest.fixture(scope="module")
def seen() -> Iterator[dict[str, Seen]]:
    """What came through each device, by the name of the cell."""
    with contextlib.ExitStack() as stack:
        postgres = stack.enter_context(PostgresServer("embedded", settings={"max_connections": 100}))
        observer = stack.enter_context(contextlib.closing(PostgresqlObserver(parse_dsn(postgres.dsn()), 10.0)))
        groups = []
        for name in DEVICES:
            path = stack.enter_context(device(name, postgres, int(IDLE)))
            groups.append(Applications(path, [each for each in ALL if each.device == name]))
            stack.callback(groups[-1].end)
        _listen(groups)
        yield {
            through.name: _judged(through.cell, group.record(number, observer))
            for group in groups
            for number, through in enumerate(group.cells)
        }


def _listen(groups: list[Applications]) -> None:
    with selectors.DefaultSelector() as selector:
        for group in groups:
            assert group.process.stdout is not None
            selector.register(group.process.stdout, selectors.EVENT_READ, group)
        while not all(group.over for group in groups):
            for key, _ in selector.select(0.2):
                key.data.hear()


def _judged(cell: Cell, record: Record) -> Seen:
    return Seen(record, judge(record, POOLS[cell.pool], facts_of(all_faults()[cell.fault]), Host(None, None)))


@pytest.mark.parametrize("through", ALL, ids=lambda through: through.name)
def test_the_device_does_what_the_fault_does(seen: dict[str, Seen], through: Through):
    check(through.cell, seen[through.name])


def test_every_device_is_an_example_of_a_fault_that_is_tried_by_default_or_named_after_it():
    assert {through.device for through in ALL} == set(DEVICES)
    assert len(ALL) > 25
