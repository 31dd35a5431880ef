"""Files as the recorder writes them, line by line, for those who follow and join them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

BEGAN = 1_763_730_000.0
NEVER = 10.0**9
"""An end of the time to read that does not come (seconds of CPU)."""


class RecorderFile:
    """One process's file in `place`. Times are seconds after BEGAN."""

    def __init__(self, place: Path, process: int = 4711, **header: Any) -> None:
        self.path = place / f"{process}-{int(BEGAN * 1e6)}.jsonl"
        self.process = process
        self._header = header
        self.begin(1)

    def begin(self, part: int) -> None:
        """Put what there is aside, and begin anew."""
        if part > 1:
            self.path.rename(self.path.with_name(f"{self.path.stem}.1.jsonl"))
        said = {
            "schema": "dbdoctor.recorder/1",
            "process": self.process,
            "began": BEGAN,
            "host": "web1",
            "program": "shop.py",
            "start_ticks": 1,
            "leak_after_seconds": 60.0,
            "sample": 1.0,
            "part": part,
        }
        self.path.write_text("")
        self.line(**{**said, **self._header})

    def line(self, **fields: Any) -> None:
        """One line of any kind."""
        self.text(json.dumps(fields, separators=(",", ":")) + "\n")

    def text(self, text: str) -> None:
        """Whatever it is."""
        with self.path.open("a") as file:
            file.write(text)

    def site(self, number: int, line: int = 12, function: str = "take_order") -> None:
        """A line of code in shop/orders.py."""
        self.line(site=number, frames=[["/app/shop/orders.py", line, function]])

    def connect(
        self,
        number: int,
        at: float | None = 1.0,
        *,
        session: int | None = None,
        port: int | None = 5432,
        database: str | None = "shop",
        took: float = 0.01,
        pool: int = 1,
    ) -> None:
        """A connection was opened."""
        server = None if port is None else {"host": "db", "port": port, "database": database}
        ticks = None if at is None else round(at * 1e6)
        self.line(
            connection=number,
            pool=pool,
            at=ticks,
            took=None if at is None else round(took * 1e6),
            session=session,
            driver="psycopg2",
            server=server,
            overflow=False,
            because=None,
        )

    def take(self, number: int, connection: int, at: float, site: int = 1) -> None:
        """A checkout that lasts."""
        self.line(
            open=number, at=round(at * 1e6), wait=0, site=site, connection=connection, thread=1, thread_name="worker-3"
        )

    def finished(self, connection: int, at: float, site: int = 1) -> None:
        """A checkout that was over when it was written."""
        self.text(f"[{round(at * 1e6)},5,1000,{site},{connection},1]\n")
