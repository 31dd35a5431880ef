"""An open loop of checkouts through a real engine: each is asked for when it is due, however long the others wait.

So that nobody waits unseen, a wait counts from when the checkout was due and not from when a thread came to ask.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Iterator, Sequence
from statistics import fmean, median
from typing import TYPE_CHECKING, Any, NamedTuple

from dbdoctor.model.target import Product

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine

_TRIED = 7  # uses by which it is learned what a statement costs beside its sleep
_HEAD_START = 0.3  # seconds, for the threads to be there before the first is due
_STACK = 512 * 1024
_NOTHING = "SELECT 1"
_RESOLUTION = 0.001  # of pg_sleep and WAITFOR; they round up, and what is left is slept here


class LoadOrder(NamedTuple):
    """What is run: when each checkout is due and its use, in seconds; by so many threads.

    `statement` replaces the sleep, and takes as long as it takes. `warm` connections are opened before it begins. `ask_first`: a
    checkout has not been served before its first answer, since a pooler makes it wait there.
    """

    arrivals: Sequence[float]
    uses: Sequence[float]
    threads: int
    warm: int
    statement: str | None = None
    ask_first: bool = False


class LoadSeen(NamedTuple):
    """By checkout, in seconds: `waits` (None: it timed out or failed), `uses` (0 then), and how `late` it was asked for.

    `connects` are the connections opened after the warm ones, `login` what each of these took on average (None: there was
    none); `error` is the first failure in the driver's words.
    """

    waits: list[float | None]
    uses: list[float]
    late: list[float]
    timeouts: int
    errors: int
    error: str | None
    connects: int
    login: float | None = None


def run_load(engine: Engine, product: Product, order: LoadOrder) -> LoadSeen:
    """All of it, until the last is given back. Raises what the first logins raise."""
    from sqlalchemy import event

    logins: list[float] = []

    def log_in(dialect: Any, _record: Any, arguments: Any, keywords: Any) -> Any:
        began = time.perf_counter()
        connection = dialect.connect(*arguments, **keywords)
        logins.append(time.perf_counter() - began)
        return connection

    event.listen(engine, "do_connect", log_in)
    run = _Run(engine, product, order)
    run.warm_up()
    warm = len(logins)
    threading.stack_size(_STACK)
    run.run()
    return run.seen(logins[warm:])


class _Run:
    def __init__(self, engine: Engine, product: Product, order: LoadOrder) -> None:
        self._engine = engine
        self._product = product
        self._order = order
        count = len(order.arrivals)
        self._waits: list[float | None] = [None] * count
        self._uses, self._late = [0.0] * count, [0.0] * count
        self._timeouts: list[int] = []
        self._errors: list[str] = []
        self._asking = self._giving_back = 0.0  # what a use costs beside its sleep
        self._lock = threading.Lock()
        self._following: Iterator[int] = iter(range(count))
        self._origin = 0.0

    def warm_up(self) -> None:
        """Open the pool's connections, and learn what a statement and a checkin cost."""
        open_now = [self._engine.connect() for _ in range(max(1, self._order.warm))]
        for connection in open_now if self._order.ask_first else ():
            self._ask(connection, _NOTHING)  # the pooler opens its own connection then
        for connection in open_now:
            connection.close()
        asked, given_back = [], []
        for _ in range(_TRIED):
            with self._engine.connect() as connection:
                began = time.perf_counter()
                self._ask(connection, sleep_statement(self._product, 0.0))
                ended = time.perf_counter()
            asked.append(ended - began)
            given_back.append(time.perf_counter() - ended)
        self._asking, self._giving_back = median(asked), median(given_back)

    def run(self) -> None:
        """Every thread takes what is due next, so that one is there as long as not all of them wait or work."""
        self._origin = time.perf_counter() + _HEAD_START
        threads = [threading.Thread(target=self._work, daemon=True) for _ in range(self._order.threads)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def seen(self, logins: Sequence[float]) -> LoadSeen:
        """What came of it."""
        first = self._errors[0] if self._errors else None
        return LoadSeen(
            self._waits,
            self._uses,
            self._late,
            len(self._timeouts),
            len(self._errors),
            first,
            len(logins),
            fmean(logins) if logins else None,
        )

    def _work(self) -> None:
        while True:
            with self._lock:
                index = next(self._following, None)
            if index is None:
                return
            due = self._origin + self._order.arrivals[index]
            time.sleep(max(0.0, due - time.perf_counter()))
            self._late[index] = time.perf_counter() - due
            self._check_out(index, due)

    def _check_out(self, index: int, due: float) -> None:
        from sqlalchemy.exc import SQLAlchemyError
        from sqlalchemy.exc import TimeoutError as PoolTimeout

        try:
            with self._engine.connect() as connection:
                if self._order.ask_first:
                    self._ask(connection, _NOTHING)
                given = time.perf_counter()
                self._use(connection, self._order.uses[index], given)
            self._waits[index] = given - due
            self._uses[index] = time.perf_counter() - given
        except PoolTimeout:
            self._timeouts.append(index)
        except SQLAlchemyError as error:
            self._errors.append(_first_line(error))

    def _use(self, connection: Connection, seconds: float, given: float) -> None:
        if self._order.statement is not None:
            self._ask(connection, self._order.statement)
            return
        self._ask(connection, sleep_statement(self._product, seconds - self._asking - self._giving_back - _RESOLUTION))
        time.sleep(max(0.0, given + seconds - self._giving_back - time.perf_counter()))

    @staticmethod
    def _ask(connection: Connection, statement: str) -> None:
        # psycopg2 would take a % in it for a parameter.
        result = connection.exec_driver_sql(statement.replace("%", "%%") if _formats(connection) else statement)
        if result.returns_rows:
            result.fetchall()


def sleep_statement(product: Product, seconds: float) -> str:
    """A statement that keeps a session busy for so long, rounded down to what the product can tell apart."""
    thousandths = max(0, math.floor(seconds / _RESOLUTION))
    if product is Product.POSTGRESQL:
        return f"SELECT pg_sleep({thousandths / 1000:.3f})"
    seconds, rest = divmod(thousandths, 1000)
    minutes, second = divmod(int(seconds), 60)
    return f"WAITFOR DELAY '{minutes // 60:02d}:{minutes % 60:02d}:{second:02d}.{rest:03d}'"


def _formats(connection: Any) -> bool:
    return str(connection.dialect.paramstyle) in {"pyformat", "format"}


def _first_line(error: Exception) -> str:
    original = getattr(error, "orig", None) or error
    return f"{type(original).__name__}: {(str(original).splitlines() or [''])[0]}"
