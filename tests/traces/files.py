"""Files as the recorder writes them, line by line from the format's description."""

from __future__ import annotations

import json
import os
import socket
import time
from pathlib import Path
from typing import Any

BEGAN = 1_763_730_000.123456
Frames = list[list[Any]]


def frames(function: str, line: int = 12, file: str = "/srv/app/shop.py") -> Frames:
    return [[file, line, function]]


class Recording:
    """One process's file, filled line by line; `write` puts it into a directory."""

    def __init__(self, process: int = 4711, *, began: float = BEGAN, part: int = 1, **header: Any) -> None:
        self.process = process
        self.began = began
        self.part = part
        fields = {
            "schema": "dbdoctor.recorder/1",
            "process": process,
            "began": began,
            "host": "web1",
            "program": "shop.py",
            "python": "3.11.7",
            "sqlalchemy": "2.0.44",
            "parent": 4700,
            "start_ticks": 123456,
            "leak_after_seconds": 60.0,
            "sample": 1.0,
            "part": part,
        }
        self.lines = [json.dumps({**fields, **header}, separators=(",", ":")) + "\n"]

    def say(self, **fields: Any) -> Recording:
        self.lines.append(json.dumps(fields) + "\n")
        return self

    def site(self, number: int, where: Frames) -> Recording:
        return self.say(site=number, frames=where)

    def pool(self, number: int = 1, /, **more: Any) -> Recording:
        return self.say(
            **{
                "pool": number,
                "class": "QueuePool",
                "size": 5,
                "max_overflow": 10,
                "timeout_seconds": 30.0,
                "recycle_seconds": -1,
                "pre_ping": False,
                "lifo": False,
                "reset_on_return": "rollback",
                **more,
            }
        )

    def connection(self, number: int, pool: int = 1, **more: Any) -> Recording:
        server = {"host": "db1", "port": 5432, "database": "shop"}
        return self.say(
            **{
                "connection": number,
                "pool": pool,
                "at": 1000,
                "took": 20_000,
                "session": 5000 + number,
                "driver": "psycopg2",
                "server": server,
                "overflow": False,
                "because": None,
                **more,
            }
        )

    def row(self, *cells: int) -> Recording:
        """ARRIVAL, WAIT, USE, SITE, and CONNECTION and THREAD where they matter."""
        return self.raw(json.dumps([*cells, *(1, 99)][:6], separators=(",", ":")) + "\n")

    def open(self, number: int, at: int, site: int, connection: int = 1, name: str = "MainThread") -> Recording:
        return self.say(open=number, at=at, wait=10, site=site, connection=connection, thread=99, thread_name=name)

    def end(self, at: int) -> Recording:
        return self.say(end=at, how="exit")

    def raw(self, text: str) -> Recording:
        self.lines.append(text)
        return self

    @property
    def bytes(self) -> list[bytes]:
        return [line.encode() for line in self.lines]

    def write(self, directory: Path, name: str | None = None) -> Path:
        directory.mkdir(parents=True, exist_ok=True)
        path = directory / (name or f"{self.process}-{int(self.began * 1e6)}.jsonl")
        path.write_text("".join(self.lines))
        return path


def of_this_process(**header: Any) -> Recording:
    """A recording of the process that runs the tests, which is alive."""
    from dbdoctor.recorder.places import start_ticks

    return Recording(
        **{
            "process": os.getpid(),
            "began": time.time() - 10,
            "host": socket.gethostname()[:255],
            "start_ticks": start_ticks(os.getpid()),
            **header,
        },
    )


def shop(process: int = 4711, *, began: float = BEGAN, orders: int = 2) -> Recording:
    """Everything that can befall a pool, once: `take_order` keeps what it takes, `report` holds for long, `sloppy` forgets."""
    recording = Recording(process, began=began)
    recording.site(1, frames("take_order")).site(2, frames("report", 30)).site(3, frames("sloppy", 40))
    recording.site(4, frames("look", 50)).pool().connection(1).connection(2, overflow=True).connection(3)
    for number in range(200):
        recording.row(number * 1000, 100, 20_000, 4, 3, 99)
    for number in range(1, orders + 1):
        recording.open(number, number * 1_000_000, 1, number).say(held=number, at=number * 1_000_000 + 60_000_000)
    recording.open(orders + 1, 5_000_000, 2, 3).say(held=orders + 1, at=65_000_000)
    recording.say(closed=orders + 1, use=92_000_000, how="returned", site=4)
    recording.open(orders + 2, 6_000_000, 3, 3).say(closed=orders + 2, use=500_000, how="garbage-collected", site=None)
    holders = [[1, 90_000_000, 1, 99], [1, 80_000_000, 2, 99], [2, 3_000_000, 3, 98]]
    recording.say(timeout=95_000_000, pool=1, site=4, wait=30_000_000, thread=97, holders=holders, more=0)
    recording.say(failed=96_000_000, pool=1, site=4, wait=5_000, error="OperationalError")
    recording.say(event="invalidate", at=97_000_000, connection=3, error="OperationalError")
    return recording.end(100_000_000)
