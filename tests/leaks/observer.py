"""What we see of the sessions ourselves, beside dbdoctor: the simple rule, and each program's life for a person to read."""

from __future__ import annotations

import threading
import time
from collections import Counter, defaultdict
from typing import Any, NamedTuple, Self

from tests.leaks.fleet import Fleet, owners_of_ports

LOOK = """
select pid, client_port, coalesce(application_name, ''), coalesce(state, ''),
       extract(epoch from clock_timestamp() - state_change)::float8,
       extract(epoch from clock_timestamp() - xact_start)::float8,
       backend_xid is not null, backend_xmin is not null, left(query, 60)
from pg_stat_activity
where backend_type = 'client backend' and pid <> pg_backend_pid() and application_name <> 'dbdoctor'
"""


class Row(NamedTuple):
    """One session at one moment; ages in seconds."""

    pid: int
    client_port: int | None
    application: str
    state: str
    state_age: float | None
    transaction_age: float | None
    wrote: bool
    has_snapshot: bool
    query: str


class Observer:
    """Looks once a second from entering to leaving the context. `dsn` is of a role that sees all."""

    def __init__(self, dsn: str, fleet: Fleet) -> None:
        self._dsn = dsn
        self._fleet = fleet
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._look_on)
        self._port_owners: dict[tuple[int, int | None], str] = {}
        # Seconds since the first, and the rows of each program.
        self.samples: list[tuple[float, dict[str, list[Row]]]] = []
        self.failure: BaseException | None = None

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def idle_in_transaction(self, seconds: float) -> set[str]:
        """The programs that the simple rule names: one session of theirs idle in transaction for that long, once."""
        return {
            name
            for _, programs in self.samples
            for name, rows in programs.items()
            if any(row.state.startswith("idle in transaction") and (row.state_age or 0) >= seconds for row in rows)
        }

    def life(self, name: str) -> str:
        """What a program's sessions did, a line a sample."""
        lines = []
        for at, programs in self.samples:
            rows = programs.get(name, [])
            states = ", ".join(
                f"{count} {state}" for state, count in sorted(Counter(row.state for row in rows).items())
            )
            oldest = max((row.state_age or 0 for row in rows), default=0)
            transaction = max((row.transaction_age or 0 for row in rows), default=0)
            marks = ("w" if any(row.wrote for row in rows) else "") + (
                "s" if any(row.has_snapshot for row in rows) else ""
            )
            query = next((row.query for row in rows if row.query), "")
            lines.append(
                f"  {at:5.1f} s: {states}; state {oldest:.1f} s, transaction {transaction:.1f} s {marks} {query}"
            )
        return "\n".join(lines)

    def _look_on(self) -> None:
        import psycopg2

        connection = psycopg2.connect(self._dsn, application_name="observer")
        connection.autocommit = True
        started = time.monotonic()
        try:
            with connection.cursor() as cursor:
                while not self._ended.wait(max(0.0, started + len(self.samples) - time.monotonic())):
                    cursor.execute(LOOK)
                    rows = [Row(*row) for row in cursor.fetchall()]
                    self.samples.append((time.monotonic() - started, self._by_program(rows)))
        except BaseException as error:
            self.failure = error
            raise
        finally:
            connection.close()

    def _by_program(self, rows: list[Row]) -> dict[str, list[Row]]:
        unknown = {(row.pid, row.client_port) for row in rows} - set(self._port_owners)
        if unknown:
            owners = owners_of_ports(self._fleet.owners(), {port for _, port in unknown if port})
            self._port_owners.update({key: owners[key[1]] for key in unknown if key[1] in owners})
        found: defaultdict[str, list[Any]] = defaultdict(list)
        for row in rows:
            # A session of which nothing is left when its process is looked for is known by its name, if it has one.
            found[self._port_owners.get((row.pid, row.client_port), row.application or "?")].append(row)
        return dict(found)
