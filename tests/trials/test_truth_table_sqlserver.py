"""What SQLAlchemy's pools do when a path fails beneath Microsoft's driver and beneath FreeTDS, cell by cell.

All cells of both drivers are tried at the same time, once; then each is looked at. An idle timeout of 2 s stands for the
path's. What each driver does by itself (a keepalive every 30 s or 40 s) takes longer than that and plays no part, except
where a pool says so.
"""

from __future__ import annotations

import concurrent.futures
from collections.abc import Iterator
from typing import NamedTuple

import pytest

from dbdoctor.model.trial import Outcome, PoolPlan
from tests.servers import odbc
from tests.servers.tds import TdsServer
from tests.trials.recovering import recovering_server
from tests.trials.simulating_sqlserver import Simulated

# One process does it all, and once.
pytestmark = pytest.mark.alone

CAP = 9.0
# The third is Microsoft's driver on a server that lets it recover sessions; the others refuse that.
RECOVERING = "recovering"
DRIVERS = ("microsoft", "freetds", RECOVERING)
_KEEPALIVE = {"KeepAlive": "1", "KeepAliveInterval": "1"}
POOLS = {
    pool.name: pool
    for pool in (
        PoolPlan("bare", ""),
        PoolPlan("pre-ping", "", pool_pre_ping=True),
        PoolPlan("recycle", "", pool_recycle=1.5),
        PoolPlan("keepalive", "", connect_args=_KEEPALIVE),
        PoolPlan("query-timeout", "", query_timeout=2),
        PoolPlan("pre-ping+query-timeout", "", query_timeout=2, pool_pre_ping=True),
        PoolPlan("driver-manager", "", pool_recycle=1.5, driver_manager_pooling=True),
        PoolPlan("null-pool", "", pool_class="NullPool"),
        PoolPlan("recovery-off", "", connect_args={"ConnectRetryCount": "0"}),
        PoolPlan("recovery-off+pre-ping", "", pool_pre_ping=True, connect_args={"ConnectRetryCount": "0"}),
    )
}


class Cell(NamedTuple):
    """What is expected. `words` are part of the first error's message; `within` are seconds until the first answer."""

    fault: str
    pool: str
    outcome: Outcome
    words: str = ""
    sqlstate: str = ""
    where: str = ""
    invalidated: bool | None = None
    within: tuple[float, float] = (0.0, CAP)
    ghosts: int = 0


SURVIVES, ONE_ERROR, ERRORS, HANGS = Outcome.SURVIVES, Outcome.ONE_ERROR, Outcome.ERRORS, Outcome.HANGS
_AT_ONCE = (0.0, 3.4)
# From a query timeout of 2 s: three times that with Microsoft's driver, twice with FreeTDS.
_THREEFOLD, _TWOFOLD = (5.5, CAP), (3.5, 5.9)


def _broken(fault: str, words: str, pool: str = "bare") -> Cell:
    """Microsoft's driver finds out at once."""
    return Cell(fault, pool, ONE_ERROR, words, "08S01", "execute", True, _AT_ONCE)


def _unwritable(fault: str) -> tuple[Cell, Cell]:
    """FreeTDS's rollback tells what its statement did not; a test at checkout raises what nobody takes for a disconnect."""
    return (
        Cell(fault, "bare", ONE_ERROR, "Write to the server failed (20006)", "08S01", "checkin", True, _AT_ONCE),
        Cell(fault, "pre-ping", ONE_ERROR, "Unknown error", "HY000", "checkout", False, _AT_ONCE),
    )


_SILENT = ("silent-drop", "black-hole-proxy")
_ENDED = ("closed", "reset", "azure-gateway-idle", "killed")
_FIN, _RST = "TCP Provider: Error code 0x2746 (10054)", "TCP Provider: Error code 0x68 (104)"
_SAID, _STALE = "is not currently available", "The server failed to resume the transaction"

COMMON = (
    *(Cell(fault, pool, HANGS, ghosts=1) for fault in _SILENT for pool in ("bare", "pre-ping", "driver-manager")),
    *(Cell(fault, "null-pool", SURVIVES, within=_AT_ONCE) for fault in _SILENT),
    *(Cell(fault, "recycle", SURVIVES, within=_AT_ONCE) for fault in _ENDED),
    # A keepalive is a packet, and restarts a firewall's clock; a proxy never sees it.
    Cell("silent-drop", "keepalive", SURVIVES, within=_AT_ONCE),
    Cell("reset", "keepalive", SURVIVES, within=_AT_ONCE),
    Cell("black-hole-proxy", "keepalive", HANGS, ghosts=1),
    Cell("session-error-40613", "bare", ERRORS, _SAID, "42000", "execute", False),
    Cell("session-error-40613", "pre-ping", ERRORS, _SAID, "42000", "checkout", False),
)
CELLS = {
    "microsoft": (
        *COMMON,
        *(Cell(fault, "recycle", SURVIVES, within=_AT_ONCE, ghosts=1) for fault in _SILENT),
        *(
            Cell(fault, "query-timeout", ONE_ERROR, "Query timeout expired", "HYT00", "execute", True, _THREEFOLD, 1)
            for fault in _SILENT
        ),
        *(Cell(fault, "pre-ping+query-timeout", SURVIVES, within=_THREEFOLD, ghosts=1) for fault in _SILENT),
        _broken("closed", _FIN),
        _broken("killed", _FIN),
        _broken("half-closed", _FIN)._replace(ghosts=1),
        _broken("reset", _RST),
        _broken("azure-gateway-idle", _RST),
        _broken("azure-gateway-idle", _RST, "keepalive"),
        # Its own pool gives SQLAlchemy, which wanted a new connection, the old one.
        _broken("closed", _FIN, "driver-manager"),
        _broken("reset", _RST, "driver-manager"),
        _broken("closed", _FIN, "recovery-off"),
        *(Cell(fault, "pre-ping", SURVIVES, within=_AT_ONCE) for fault in _ENDED),
    ),
    "freetds": (
        *COMMON,
        # Before a connection is closed its transaction is rolled back, and FreeTDS waits for the answer.
        *(Cell(fault, "recycle", HANGS, ghosts=1) for fault in _SILENT),
        *(
            Cell(fault, "query-timeout", ONE_ERROR, "Timeout expired", "HYT00", "execute", True, _TWOFOLD, 1)
            for fault in _SILENT
        ),
        *(Cell(fault, "pre-ping+query-timeout", SURVIVES, within=_TWOFOLD, ghosts=1) for fault in _SILENT),
        *(cell for fault in _ENDED for cell in _unwritable(fault)),
        # FreeTDS tells the driver manager that a connection is dead.
        Cell("closed", "driver-manager", SURVIVES, within=_AT_ONCE),
        Cell("reset", "driver-manager", SURVIVES, within=_AT_ONCE),
    ),
    # The driver logs in by itself, and goes on in a transaction that no server has: an error that SQLAlchemy's dialect for
    # pyodbc does not take for a disconnect, so that even a test at checkout raises it.
    RECOVERING: tuple(
        cell
        for fault, words in (("closed", _FIN), ("reset", _RST), ("killed", _FIN))
        for cell in (
            Cell(fault, "bare", ERRORS, _STALE, "42000", "checkin", False),
            Cell(fault, "pre-ping", ONE_ERROR, _STALE, "42000", "checkout", False, _AT_ONCE),
            _broken(fault, words, "recovery-off"),
            Cell(fault, "recovery-off+pre-ping", SURVIVES, within=_AT_ONCE),
            Cell(fault, "recycle", SURVIVES, within=_AT_ONCE),
        )
    ),
}
EVERY = [
    pytest.param(driver, cell, id=f"{driver}-{cell.fault}-{cell.pool}") for driver in DRIVERS for cell in CELLS[driver]
]


@pytest.fixture(scope="module")
def table() -> Iterator[dict[str, Simulated]]:
    """Everything that is tried, by driver."""
    with pytest.MonkeyPatch.context() as patch, TdsServer("2022") as server, recovering_server() as other:
        for name, value in odbc.environment().items():
            patch.setenv(name, value)

        def simulate(row: str) -> Simulated:
            # Those that hang first: the others are tried while they do.
            cells = sorted(CELLS[row], key=lambda cell: cell.outcome is not HANGS)
            trials = [(cell.fault, POOLS[cell.pool]) for cell in cells]
            if row == RECOVERING:
                return Simulated(other, "microsoft", trials, CAP)
            return Simulated(server, row, trials, CAP)

        with concurrent.futures.ThreadPoolExecutor(len(DRIVERS)) as threads:
            yield dict(zip(DRIVERS, threads.map(simulate, DRIVERS), strict=True))
        for one in (server, other):
            one.sessions.wait_for(0)


@pytest.mark.parametrize(("driver", "cell"), EVERY)
def test_every_cell(driver: str, cell: Cell, table: dict[str, Simulated]) -> None:
    case = table[driver].cases[cell.fault, cell.pool]
    record = table[driver].records[cell.fault, cell.pool]
    assert case.testable, case.note
    assert case.outcome is cell.outcome, record
    if cell.words:
        assert case.error is not None
        assert cell.words in case.error.message
        assert (case.error.sqlstate, case.error.where) == (cell.sqlstate, cell.where)
        assert case.error.invalidated is cell.invalidated
    if cell.outcome is HANGS:
        assert case.hang is not None
        assert case.hang > CAP / 2
    elif cell.outcome is not ERRORS:
        first = record.requests[0].seconds
        assert first is not None
        assert cell.within[0] <= first <= cell.within[1]
    assert case.ghosts is not None
    assert len(case.ghosts) == cell.ghosts


@pytest.mark.parametrize("driver", ["microsoft", "freetds"])
def test_keepalives_spare_the_login(driver: str, table: dict[str, Simulated]) -> None:
    assert table[driver].records["silent-drop", "keepalive"].connects == 0


@pytest.mark.parametrize("driver", ["microsoft", "freetds"])
def test_pools_that_replace_their_connection_log_in_once(driver: str, table: dict[str, Simulated]) -> None:
    assert table[driver].records["closed", "bare"].connects == 1
    assert table[driver].records["silent-drop", "query-timeout"].connects == 1


def test_a_recovered_session_is_a_login_that_nobody_asked_for(table: dict[str, Simulated]) -> None:
    assert table[RECOVERING].records["closed", "bare"].connects == 1
    assert table[RECOVERING].records["closed", "pre-ping"].connects == 2


@pytest.mark.parametrize("driver", ["microsoft", "freetds"])
def test_a_statement_that_fails_leaves_the_connection_in_the_pool(driver: str, table: dict[str, Simulated]) -> None:
    record = table[driver].records["session-error-40613", "bare"]
    assert record.connects == 0
    assert record.requests[-1].session == record.warm[0]


def test_no_session_is_left(table: dict[str, Simulated]) -> None:
    assert [simulated.left for simulated in table.values()] == [[], [], []]
