"""What psycopg2 and SQLAlchemy make of each kind of drop, cell by cell.

The tables were measured by hand first, with a real firewall and proxies; here each cell is a trial of the product. All
of them run in one go, once, at the same time; each test then looks at one.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import pytest

from dbdoctor.faults.kinds import all_faults
from dbdoctor.model.target import Product
from dbdoctor.model.trial import Case, Host, Outcome, PoolPlan, Record, Scale
from dbdoctor.trials.judge import judge
from dbdoctor.trials.orders import TrialOrder
from dbdoctor.trials.planning import facts_of
from dbdoctor.trials.pools import pools
from tests.servers.postgresql import PostgresServer
from tests.trials.simulating import simulate

# All its tests look at one run, so they belong into one process.
pytestmark = [pytest.mark.alone, pytest.mark.timeout(300)]

IDLE = 3.0
CAP = 8.0
SURVIVES, ONE_ERROR, ERRORS, HANGS = Outcome.SURVIVES, Outcome.ONE_ERROR, Outcome.ERRORS, Outcome.HANGS

CLOSED = "server closed the connection unexpectedly"
TIMED_OUT = "could not receive data from server: Connection timed out"
EOF = "SSL SYSCALL error: EOF detected"
CLOSE_NOTIFY = "SSL connection has been closed unexpectedly"
READ_ONLY = "cannot execute DROP TABLE in a read-only transaction"
REFUSED = "Connection refused"
TOO_MANY = "FATAL:  sorry, too many clients already"

# How long until the application was served, from the moment it asked (seconds, generously; the run shares its machine).
AT_ONCE = (0.0, 2.5)
AFTER_USER_TIMEOUT = (4.0, CAP)  # 5 s, kept to within the kernel's own steps
WHILE_QUERY_RUNS = (IDLE * 1.4, IDLE * 1.5 + 2.5)
AFTER_KEEPALIVES = (IDLE * 1.6, IDLE * 1.5 + CAP)

TABLE = pools(Product.POSTGRESQL, Scale(IDLE, 350.0))
ALL_BUT_RECYCLE = PoolPlan(
    "all-but-recycle",
    "tested, kept alive, with a limit",
    pool_pre_ping=True,
    connect_args={**TABLE["keepalive-below"].connect_args, **TABLE["user-timeout"].connect_args},
)
FIVE = PoolPlan(
    "five", "five connections, used by five threads", pool_pre_ping=True, threads=5,
    connect_args=TABLE["user-timeout"].connect_args,
)  # fmt: skip
LOGIN_LIMIT = PoolPlan("login-limit", "with a limit on logins", connect_args={"connect_timeout": 2})
READ_WRITE = PoolPlan(
    "read-write", "asks for a server that writes", connect_args={"target_session_attrs": "read-write"}
)
POOLS = {**TABLE, **{plan.name: plan for plan in (ALL_BUT_RECYCLE, FIVE, LOGIN_LIMIT, READ_WRITE)}}


class Cell(NamedTuple):
    """What is expected of one fault and one pool. `served` is when the first answer came; None where it never does.

    `ghosts` is how many sessions the server kept (None: not looked at); `same` whether the session is the one of before.
    """

    fault: str
    pool: str
    outcome: Outcome
    served: tuple[float, float] | None = None
    error: str | None = None
    ghosts: int | None = None
    same: bool | None = None
    invalidated: bool = True


# A. A firewall forgets the idle connection, and its packets vanish.
A = [
    Cell("silent-drop", "default", HANGS, ghosts=1),
    Cell("silent-drop", "pre-ping", HANGS, ghosts=1),
    Cell("silent-drop", "recycle-below", SURVIVES, AT_ONCE, ghosts=1, same=False),
    Cell("silent-drop", "recycle-above", HANGS, ghosts=1),
    Cell("silent-drop", "user-timeout", ONE_ERROR, AFTER_USER_TIMEOUT, TIMED_OUT, ghosts=1, same=False),
    Cell("silent-drop", "pre-ping+user-timeout", SURVIVES, AFTER_USER_TIMEOUT, ghosts=1, same=False),
    Cell("silent-drop", "keepalive-below", SURVIVES, AT_ONCE, ghosts=0, same=True),
    Cell("silent-drop", "keepalive-above", ONE_ERROR, AT_ONCE, CLOSED, ghosts=1, same=False),
    Cell("silent-drop", "pre-ping+keepalive-above", SURVIVES, AT_ONCE, ghosts=1, same=False),
    Cell("silent-drop", "keepalive-late", HANGS, ghosts=1),
    Cell("silent-drop", "pre-ping+keepalive-late", HANGS, ghosts=1),
    Cell("silent-drop", "statement-timeout", HANGS, ghosts=1),
    Cell("silent-drop", "null-pool", SURVIVES, AT_ONCE, ghosts=0, same=False),
    Cell("silent-drop", "server-keepalive", SURVIVES, AT_ONCE, ghosts=0, same=True),
    Cell("silent-drop-ignores-keepalive", "keepalive-below", HANGS, ghosts=1),
    Cell("silent-drop-ignores-keepalive", "server-keepalive", HANGS),
    Cell("silent-drop-ignores-keepalive", "keepalive-below+user-timeout", ONE_ERROR, (1.0, CAP), TIMED_OUT, ghosts=1),
    Cell("silent-drop-ignores-keepalive", "pre-ping+user-timeout", SURVIVES, AFTER_USER_TIMEOUT, ghosts=1),
    Cell("silent-drop-ignores-keepalive", "belt-and-braces", SURVIVES, AT_ONCE, ghosts=1, same=False),
]
# A2. The same during a long query: the answer is lost.
A2 = [
    Cell("lost-reply", "default", HANGS, ghosts=1),
    Cell("lost-reply", "pre-ping", HANGS, ghosts=1),
    Cell("lost-reply", "user-timeout", HANGS, ghosts=1),
    Cell("lost-reply", "keepalive-below", SURVIVES, WHILE_QUERY_RUNS, ghosts=0, same=True),
    Cell("lost-reply", "keepalive-above", ONE_ERROR, AFTER_KEEPALIVES, TIMED_OUT, ghosts=1, same=False),
    Cell("lost-reply", "server-keepalive", SURVIVES, WHILE_QUERY_RUNS, ghosts=0, same=True),
]
# A3. A firewall that answers packets of a forgotten connection with a reset.
A3 = [
    Cell("reset-on-use", "default", ONE_ERROR, AT_ONCE, CLOSED, ghosts=1, same=False),
    Cell("reset-on-use", "pre-ping", SURVIVES, AT_ONCE, ghosts=1, same=False),
    Cell("reset-on-use", "keepalive-below", SURVIVES, AT_ONCE, ghosts=0, same=True),
    Cell("lost-reply-reset", "default", HANGS, ghosts=0),
    Cell("lost-reply-reset", "pre-ping", HANGS, ghosts=0),
    Cell("lost-reply-reset", "keepalive-below", SURVIVES, WHILE_QUERY_RUNS, ghosts=0, same=True),
    Cell("lost-reply-reset", "server-keepalive", SURVIVES, WHILE_QUERY_RUNS, ghosts=0, same=True),
]
# B. A proxy that takes everything and passes nothing on; and proxies that close and reset.
B = [
    Cell("black-hole-proxy", "default", HANGS),
    Cell("black-hole-proxy", "pre-ping", HANGS),
    Cell("black-hole-proxy", "user-timeout", HANGS),
    Cell("black-hole-proxy", "keepalive-below", HANGS),
    Cell("black-hole-proxy", "all-but-recycle", HANGS),
    Cell("black-hole-proxy", "recycle-below", SURVIVES, AT_ONCE, same=False),
    Cell("closed", "default", ONE_ERROR, AT_ONCE, CLOSED, ghosts=0, same=False),
    Cell("closed", "pre-ping", SURVIVES, AT_ONCE, ghosts=0, same=False),
    Cell("closed", "keepalive-below", ONE_ERROR, AT_ONCE, CLOSED, ghosts=0, same=False),
    Cell("reset", "default", ONE_ERROR, AT_ONCE, CLOSED, ghosts=0, same=False),
    Cell("reset", "pre-ping", SURVIVES, AT_ONCE, ghosts=0, same=False),
    Cell("reset", "keepalive-below", SURVIVES, AT_ONCE, ghosts=0, same=True),
    Cell("half-closed", "default", ONE_ERROR, AT_ONCE, CLOSED, ghosts=1, same=False),
    Cell("half-closed", "pre-ping", SURVIVES, AT_ONCE, ghosts=1, same=False),
]
# C. Under TLS that ends in a proxy.
C = [
    Cell("tls-close", "default", ONE_ERROR, AT_ONCE, EOF, same=False),
    Cell("tls-close", "pre-ping", SURVIVES, AT_ONCE, same=False),
    Cell("tls-close-notify", "default", ONE_ERROR, AT_ONCE, CLOSE_NOTIFY, same=False),
    Cell("tls-close-notify", "pre-ping", SURVIVES, AT_ONCE, same=False),
]
# C. Under TLS that ends in the server.
C_SERVER = [
    Cell("closed", "default", ONE_ERROR, AT_ONCE, EOF, same=False),
    Cell("reset", "default", ONE_ERROR, AT_ONCE, EOF, same=False),
    Cell("silent-drop", "keepalive-above", ONE_ERROR, AT_ONCE, EOF, same=False),
    Cell("silent-drop", "user-timeout", ONE_ERROR, AFTER_USER_TIMEOUT, TIMED_OUT, same=False),
    Cell("lost-reply", "keepalive-above", ONE_ERROR, AFTER_KEEPALIVES, TIMED_OUT, same=False),
    Cell("lost-reply-reset", "keepalive-above", ONE_ERROR, (0.0, CAP), CLOSED, same=False),
]
# G. The server ends the session: its own reason is lost on the way.
G = [
    Cell("terminated", "default", ONE_ERROR, AT_ONCE, CLOSED, ghosts=0, same=False),
    Cell("terminated", "pre-ping", SURVIVES, AT_ONCE, ghosts=0, same=False),
    Cell("idle-session-timeout", "default", ONE_ERROR, AT_ONCE, CLOSED, ghosts=0, same=False),
    Cell("idle-session-timeout", "pre-ping", SURVIVES, AT_ONCE, ghosts=0, same=False),
    Cell("idle-session-timeout", "keepalive-below", ONE_ERROR, AT_ONCE, CLOSED, ghosts=0, same=False),
    Cell("idle-in-transaction-timeout", "default", ONE_ERROR, AT_ONCE, CLOSED, ghosts=0, same=False),
    Cell("idle-in-transaction-timeout", "pre-ping", ONE_ERROR, AT_ONCE, CLOSED, ghosts=0, same=False),
    Cell("transaction-timeout", "default", ONE_ERROR, (IDLE * 0.8, IDLE + 2.5), CLOSED, ghosts=0, same=False),
]
# F. The server is away, or well only in part.
F = [
    Cell("server-restart", "default", ERRORS, (0.5, 6.0), CLOSED, ghosts=0, same=False),
    Cell("server-restart", "pre-ping", ERRORS, (0.5, 6.0), REFUSED, ghosts=0, same=False, invalidated=False),
    Cell("failover", "default", HANGS, ghosts=1),
    Cell("failover", "recycle-below", SURVIVES, (0.5, 7.0), ghosts=1, same=False),
    Cell("failover", "pre-ping+user-timeout", SURVIVES, AFTER_USER_TIMEOUT, ghosts=1, same=False),
    Cell("failover-read-only", "default", ERRORS, None, CLOSED, ghosts=0),
    Cell("failover-read-only", "pre-ping", ERRORS, None, READ_ONLY, ghosts=0, invalidated=False),
    Cell("failover-read-only", "recycle-below", ERRORS, (0.5, 6.0), READ_ONLY, ghosts=0, invalidated=False),
    Cell("failover-read-only", "read-write", ERRORS, (0.5, 6.0), CLOSED, ghosts=0),
    Cell("login-stall", "default", HANGS),
    Cell("login-stall", "login-limit", ERRORS, (0.5, 7.0), CLOSED, same=False),
    Cell("reconnect-refused", "default", ERRORS, (0.5, 6.0), CLOSED, ghosts=0, same=False),
    Cell("reconnect-refused", "recycle-below", ERRORS, (0.5, 6.0), TOO_MANY, ghosts=0, same=False, invalidated=False),
    Cell("slow-network", "default", SURVIVES, (0.8, 4.0), ghosts=0, same=True),
    Cell("slow-network", "pre-ping", SURVIVES, (1.2, 4.0), ghosts=0, same=True),
    Cell("slow-network", "recycle-below", SURVIVES, (2.0, 6.0), ghosts=0, same=False),
]
# E. Five dead connections, used at the same time.
E = [Cell("silent-drop", "five", SURVIVES, AFTER_USER_TIMEOUT, ghosts=5, same=False)]

PLAIN = [*A, *A2, *A3, *B, *C, *G, *F, *E]


class Seen(NamedTuple):
    """What came of one cell."""

    record: Record
    case: Case


Cells = dict[tuple[str, str], Seen]


def _orders(cells: list[Cell]) -> list[TrialOrder]:
    return [TrialOrder(number, cell.fault, IDLE, POOLS[cell.pool], CAP) for number, cell in enumerate(cells)]


def _seen(dsn: str, cells: list[Cell]) -> dict[tuple[str, str], Seen]:
    found = simulate(dsn, _orders(cells), sessions=45)
    assert found.silence, "packets cannot be dropped here: run as root, or where user namespaces are allowed"
    return {
        key: Seen(record, judge(record, POOLS[key[1]], facts_of(all_faults()[key[0]]), Host(None, None)))
        for key, record in found.records.items()
    }


@pytest.fixture(scope="module")
def both(postgres_tls: PostgresServer) -> Iterator[tuple[Cells, Cells, int]]:
    """The cells without TLS on the server's side, and its port, and those with TLS; run at the same time."""
    with PostgresServer("embedded", settings={"max_connections": 100}) as postgres, ThreadPoolExecutor(2) as pool:
        plain = pool.submit(_seen, postgres.dsn(), PLAIN)
        tls = pool.submit(_seen, postgres_tls.dsn(sslmode="require"), C_SERVER)
        yield plain.result(), tls.result(), postgres.port


def _name(cell: Cell) -> str:
    return f"{cell.fault}-{cell.pool}"


@pytest.mark.parametrize("cell", PLAIN, ids=_name)
def test_a_pool_and_a_fault(both, cell: Cell):
    check(cell, both[0][cell.fault, cell.pool])


@pytest.mark.parametrize("cell", C_SERVER, ids=_name)
def test_a_pool_and_a_fault_under_the_servers_tls(both, cell: Cell):
    check(cell, both[1][cell.fault, cell.pool])


def test_five_dead_connections_each_cost_their_thread_the_whole_limit_when_used_at_once(both):
    record, case = both[0]["silent-drop", "five"]
    first = [request for request in record.requests if request.round == 0]
    assert len(first) == 5
    assert all(AFTER_USER_TIMEOUT[0] < request.seconds < CAP for request in first), record
    assert case.reconnects == 5


def test_the_drivers_words_name_the_server_and_not_the_relay(both):
    record, _ = both[0]["server-restart", "pre-ping"]
    assert f'connection to server at "127.0.0.1", port {both[2]} failed: {REFUSED}' == record.requests[0].error.message


def test_a_ping_that_hangs_has_no_error_and_no_end(both):
    record, case = both[0]["silent-drop", "pre-ping"]
    assert [request.seconds for request in record.requests] == [None]
    assert case.error is None
    assert case.hang > CAP - 2.5


def check(cell: Cell, seen: Seen) -> None:
    """Compare what came with what is expected."""
    record, case = seen
    assert case.testable, case.note
    assert case.outcome is cell.outcome, record
    if cell.served is None:
        assert case.first_response is None, record
    else:
        assert case.first_response is not None, record
        assert cell.served[0] <= case.first_response <= cell.served[1], record
    if cell.error is None:
        assert case.error is None or cell.outcome is HANGS, record
    else:
        assert case.error is not None, record
        assert cell.error in case.error.message, record
        assert case.error.invalidated is cell.invalidated, record
        assert case.error.sqlstate == ("25006" if cell.error == READ_ONLY else None), record
    if cell.ghosts is not None:
        assert case.ghosts is not None, record
        assert len(case.ghosts) == cell.ghosts, record
    if cell.same is not None:
        assert record.held is not None, record
        assert (set(record.warm) == set(record.held)) is cell.same, record
