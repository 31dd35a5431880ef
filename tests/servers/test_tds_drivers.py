"""Both ODBC drivers log in to the tests' server, query it, time out, and meet every fault that it can be told."""

from __future__ import annotations

import contextlib
import datetime as dt
import decimal
import os
import re
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.servers import odbc
from tests.servers.certificates import Certificates
from tests.servers.tds import Delay, End, Refuse, Say, Silence, SqlError, TdsServer, Trickle
from tests.servers.waiting import wait_until
from tests.servers.workspace import workspace

odbc.load()

import pyodbc  # noqa: E402

Start = Callable[..., TdsServer]


@pytest.fixture(params=["microsoft", "freetds"])
def driver(request: pytest.FixtureRequest) -> str:
    """Each of the two."""
    return str(request.param)


@pytest.fixture
def server() -> Iterator[TdsServer]:
    """SQL Server 2022, of the test's own."""
    with TdsServer() as server:
        yield server


@contextlib.contextmanager
def connected(server: TdsServer, driver: str, *, timeout: int = 5, autocommit: bool = True, **keywords: Any) -> Any:
    """A connection of pyodbc."""
    connection = pyodbc.connect(server.dsn(driver, **keywords), timeout=timeout, autocommit=autocommit)
    try:
        yield connection
    finally:
        with contextlib.suppress(pyodbc.Error):
            connection.close()


def failure(server: TdsServer, driver: str, *, timeout: int = 5, **keywords: Any) -> tuple[str, str]:
    """SQLSTATE and words of a connection that fails."""
    with pytest.raises(pyodbc.Error) as caught, connected(server, driver, timeout=timeout, **keywords):
        pass
    return caught.value.args[0], caught.value.args[1]


def native(words: str) -> int:
    """The native number in a driver's words."""
    found = re.search(r"\((-?\d+)\) \(SQL", words)
    assert found is not None, words
    return int(found.group(1))


def test_who_logs_in_is_seen(server: TdsServer, driver: str) -> None:
    with connected(server, driver, APP="the shop", WSID="app7") as connection:
        assert connection.execute("SELECT @@SPID, DB_NAME(), SUSER_SNAME()").fetchone()[1:] == ("shop", "sa")
        (session,) = server.sessions.live()
        assert (session.login.program, session.login.host, session.login.user) == ("the shop", "app7", "sa")
        assert session.login.process_id == os.getpid()
        assert session.login.password not in repr(session.login)
    server.sessions.wait_for(0)


def test_values_of_every_type_come_back(server: TdsServer, driver: str) -> None:
    row = (
        "SELECT CAST(255 AS TINYINT), CAST(-2 AS SMALLINT), 3, CAST(4000000000 AS BIGINT), CAST(1 AS BIT), "
        "CAST(1.5 AS FLOAT), CAST('12.34' AS DECIMAL(10,2)), N'ä€😀', CAST('2026-03-29 01:59:59.997' AS DATETIME), "
        "CAST('2026-03-29 01:59:59.123456' AS DATETIME2(7)), CAST('2026-03-29' AS DATE), "
        "CAST('7c0ffee0-0000-4000-8000-000000000001' AS UNIQUEIDENTIFIER), 0x00ff, NULL"
    )
    expected = [
        255,
        -2,
        3,
        4000000000,
        True,
        1.5,
        decimal.Decimal("12.34"),
        "ä€😀",
        dt.datetime(2026, 3, 29, 1, 59, 59, 997000),  # noqa: DTZ001
        dt.datetime(2026, 3, 29, 1, 59, 59, 123456),  # noqa: DTZ001
        dt.date(2026, 3, 29),
        str(uuid.UUID("7c0ffee0-0000-4000-8000-000000000001")).upper(),
        b"\x00\xff",
        None,
    ]
    with connected(server, driver) as connection:
        got = connection.execute(row).fetchone()
    # FreeTDS hands these over as texts, or with another precision.
    assert [str(value).upper() if isinstance(value, uuid.UUID) else value for value in got] == expected


def test_parameters_of_every_type_arrive(server: TdsServer, driver: str) -> None:
    # FreeTDS cuts a longer text without a word.
    long = "x" * (9000 if driver == "microsoft" else 4000)
    given = [1, 2**40, "O'Brien; ä€", 2.5, decimal.Decimal("-12.345"), True, b"\x00\x01", None, long]
    with connected(server, driver) as connection:
        marks = ", ".join("?" for _ in given)
        assert list(connection.execute(f"SELECT {marks}", given).fetchone()) == given
        # FreeTDS sends no fraction of a second.
        moment = dt.datetime(2026, 11, 1, 12, 0, 0, 123456 if driver == "microsoft" else 0)  # noqa: DTZ001
        assert connection.execute("SELECT ? AS then_", moment).fetchone()[0] == moment
        assert connection.execute("SELECT CAST(? AS DATE)", dt.date(2026, 1, 2)).fetchone()[0] == dt.date(2026, 1, 2)


def test_a_prepared_statement_runs_again(server: TdsServer, driver: str) -> None:
    with connected(server, driver) as connection:
        cursor = connection.cursor()
        assert [cursor.execute("SELECT ? + 1", number).fetchone()[0] for number in range(5)] == [1, 2, 3, 4, 5]
        (session,) = server.sessions.live()
        assert (session.last_text or "").startswith("(@P1 ")


def test_a_large_answer_takes_many_packets(server: TdsServer, driver: str) -> None:
    for number in range(500):
        server.inject(program_name=f"program {number}", last_text="SELECT " + "x" * 2000)
    with connected(server, driver) as connection:
        rows = connection.execute(
            "SELECT s.program_name, q.text FROM sys.dm_exec_sessions AS s "
            "JOIN sys.dm_exec_connections AS c ON c.session_id = s.session_id "
            "CROSS APPLY sys.dm_exec_sql_text(c.most_recent_sql_handle) AS q WHERE s.program_name LIKE 'program %'"
        ).fetchall()
    assert len(rows) == 500
    assert all(len(row[1]) == 2007 for row in rows)


TRANSACTIONS = """
SELECT s.open_transaction_count, a.name, d.database_transaction_state, d.database_transaction_log_record_count
FROM sys.dm_exec_sessions AS s
LEFT JOIN sys.dm_tran_session_transactions AS t ON t.session_id = s.session_id
LEFT JOIN sys.dm_tran_active_transactions AS a ON a.transaction_id = t.transaction_id
LEFT JOIN sys.dm_tran_database_transactions AS d ON d.transaction_id = t.transaction_id
WHERE s.session_id = ?
"""


def test_the_drivers_empty_transaction_and_a_real_one(server: TdsServer, driver: str) -> None:
    with connected(server, "microsoft") as watcher, connected(server, driver, autocommit=False) as connection:
        watcher.execute("CREATE TABLE items (id INT IDENTITY(1, 1) PRIMARY KEY, name NVARCHAR(20) NOT NULL)")
        number = connection.execute("SELECT @@SPID").fetchone()[0]

        def seen() -> Any:
            return tuple(watcher.execute(TRANSACTIONS, number).fetchone())

        connection.rollback()
        assert seen() == (1, "user_transaction", None, None)
        connection.execute("SELECT name FROM items").fetchall()
        assert seen() == (1, "user_transaction", 3, 0)
        connection.execute("INSERT INTO items (name) VALUES (?)", "first")
        assert seen() == (1, "user_transaction", 4, 2)
        assert watcher.execute("SELECT COUNT(*) FROM items").fetchone()[0] == 0
        connection.commit()
        assert seen() == (1, "user_transaction", None, None)
        assert [tuple(row) for row in watcher.execute("SELECT * FROM items").fetchall()] == [(1, "first")]
        connection.execute("UPDATE items SET name = 'second' WHERE id = 1")
        connection.rollback()
        assert watcher.execute("SELECT name FROM items").fetchone()[0] == "first"


def test_autocommit_leaves_no_transaction(server: TdsServer, driver: str) -> None:
    with connected(server, driver) as connection:
        number = connection.execute("SELECT @@SPID").fetchone()[0]
        assert tuple(connection.execute(TRANSACTIONS, number).fetchone()) == (0, None, None, None)
        connection.execute("BEGIN TRANSACTION; CREATE TABLE made (id INT)")
        assert connection.execute(TRANSACTIONS, number).fetchone()[0] == 1
        connection.execute("ROLLBACK")
        with pytest.raises(pyodbc.Error, match=r"\(208\)"):
            connection.execute("SELECT * FROM made")


def test_a_query_timeout_is_an_attention(server: TdsServer, driver: str) -> None:
    with connected(server, driver) as connection:
        connection.timeout = 1
        started = time.monotonic()
        with pytest.raises(pyodbc.Error) as caught:
            connection.execute("WAITFOR DELAY '00:00:30'")
        assert caught.value.args[0] == "HYT00"
        assert 0.9 < time.monotonic() - started < 3
        (session,) = server.sessions.live()
        # FreeTDS sends more of them whenever a cursor is closed.
        assert session.attentions >= 1
        assert connection.execute("SELECT 1").fetchone()[0] == 1


def test_an_attention_that_is_ignored_ends_the_connection(server: TdsServer) -> None:
    server.controls.ignores_attention = True
    with connected(server, "microsoft") as connection:
        connection.timeout = 1
        with pytest.raises(pyodbc.Error):
            connection.execute("WAITFOR DELAY '00:00:30'")
        with pytest.raises(pyodbc.Error) as caught:
            connection.execute("SELECT 1")
        assert caught.value.args[0] == "08S01"


ENCRYPTION = [
    # The server's, the client's, and what comes: encrypted or not, or the failure's words.
    ("off", "no", False),
    ("off", "yes", True),
    ("on", "no", True),
    ("required", "no", True),
    ("required", "yes", True),
    ("not-supported", "no", False),
    ("not-supported", "yes", "Encryption not supported"),
]


@pytest.mark.parametrize(("setting", "wanted", "expected"), ENCRYPTION)
def test_encryption_is_agreed_on(setting: str, wanted: str, expected: bool | str, driver: str) -> None:
    with TdsServer(encryption=setting) as server:
        own: dict[str, Any] = {"Encrypt": wanted, "TrustServerCertificate": "yes"}
        if driver == "freetds":
            own = {"Encryption": {"no": "request", "yes": "require"}[wanted]}
        if isinstance(expected, str):
            state, words = failure(server, driver, **own)
            assert state == "08001"
            assert driver == "freetds" or expected in words
            return
        with connected(server, driver, **own) as connection:
            assert connection.execute("SELECT 1").fetchone()[0] == 1
            (session,) = server.sessions.live()
            shown = connection.execute(
                "SELECT encrypt_option FROM sys.dm_exec_connections WHERE session_id = @@SPID"
            ).fetchone()[0]
            assert session.channel.encrypted is expected
            assert shown == str(expected).upper()


@pytest.mark.parametrize("kind", ["server", "foreign", "expired", "wrong_name"])
def test_microsofts_driver_does_not_trust_a_stranger(kind: str, certificates: Certificates) -> None:
    with TdsServer(tls=getattr(certificates, kind), encryption="on") as server:
        state, words = failure(server, "microsoft", Encrypt="yes")
        assert (state, "certificate verify failed" in words) == ("08001", True)
        with connected(server, "freetds", Encryption="require"):
            assert server.tls_versions[-1] == "TLSv1.2"


def test_errors_at_the_login_come_as_they_are(server: TdsServer, driver: str) -> None:
    assert native(failure(server, driver, PWD="wrong")[1]) == 18456
    assert native(failure(server, driver, UID="nobody")[1]) == 18456
    # The first of two errors with one driver, the last with the other.
    assert native(failure(server, driver, Database="nix")[1]) == {"microsoft": 4060, "freetds": 18456}[driver]
    for number in (10928, 17142, 17809, 18452, 18487, 18488, 40197, 40501, 40613, 40615, 49918):
        rule = server.controls.at("login", Refuse(SqlError(number)))
        assert native(failure(server, driver)[1]) == number
        rule.remove()
    with connected(server, driver):
        pass


def test_errors_at_a_query(server: TdsServer, driver: str) -> None:
    with connected(server, driver) as connection:
        server.controls.at("query", Refuse(SqlError(1205, 51)), matching="FROM orders", times=1)
        with pytest.raises(pyodbc.Error, match="1205"):
            connection.execute("SELECT * FROM orders")
        with pytest.raises(pyodbc.Error, match="208"):
            connection.execute("SELECT * FROM orders")
        assert connection.execute("SELECT 1").fetchone()[0] == 1
        server.controls.at("query", Refuse(SqlError(40197), ends=True), times=1)
        with pytest.raises(pyodbc.Error):
            connection.execute("SELECT 1")
        with pytest.raises(pyodbc.Error):
            connection.execute("SELECT 1")


STAGES = ["accepted", "prelogin", "prelogin-answered", "tls", "login"]


# Not Microsoft's in the handshake: see the test after this one.
SILENCES = [(stage, name) for stage in STAGES for name in ("microsoft", "freetds")]
SILENCES.remove(("prelogin-answered", "microsoft"))


@pytest.mark.parametrize(("stage", "driver"), SILENCES)
def test_silence_before_the_login_is_done(stage: Any, driver: str) -> None:
    with TdsServer(encryption="required") as server:
        server.controls.at(stage, Silence())
        own = {"TrustServerCertificate": "yes"} if driver == "microsoft" else {"Encryption": "require"}
        started = time.monotonic()
        state, _ = failure(server, driver, timeout=1, **own)
        assert 0.9 < time.monotonic() - started < 3
        assert state in {"HYT00", "08001", "08S01"}


def test_microsofts_driver_hangs_in_a_handshake_that_goes_silent(server: TdsServer) -> None:
    # Its login timeout does not count there; so in a process that can be killed.
    rule = server.controls.at("prelogin-answered", Silence())
    code = f"import pyodbc; pyodbc.connect({server.dsn('microsoft')!r}, timeout=1)"
    with pytest.raises(subprocess.TimeoutExpired):
        subprocess.run(
            [sys.executable, "-c", code],
            env={**workspace().environment(), **odbc.environment()},
            timeout=4,
            check=False,
        )
    assert rule.hits == 1


@pytest.mark.parametrize("how", ["fin", "rst"])
@pytest.mark.parametrize("stage", STAGES)
def test_the_end_before_the_login_is_done(stage: Any, how: Any, driver: str) -> None:
    with TdsServer(encryption="required") as server:
        rule = server.controls.at(stage, End(how))
        own = {"TrustServerCertificate": "yes"} if driver == "microsoft" else {"Encryption": "require"}
        state, _ = failure(server, driver, timeout=2, **own)
        assert rule.hits >= 1
        assert state in {"HYT00", "08001", "08S01", "01002"}


def test_silence_after_the_login(server: TdsServer, driver: str) -> None:
    with connected(server, driver) as connection:
        server.controls.at("query", Silence())
        connection.timeout = 1
        with pytest.raises(pyodbc.Error):
            connection.execute("SELECT 1")


@pytest.mark.parametrize("how", ["fin", "rst", "kill"])
def test_an_idle_session_that_is_ended(how: str, driver: str, server: TdsServer) -> None:
    own: dict[str, Any] = {"ConnectRetryCount": 0} if driver == "microsoft" else {}
    with connected(server, driver, **own) as connection:
        (session,) = server.sessions.live()
        session.end(how)
        server.sessions.wait_for(0)
        with pytest.raises(pyodbc.Error):
            connection.execute("SELECT 1")


def test_session_recovery_hides_the_end(server: TdsServer) -> None:
    server.controls.recovers_sessions = True
    with connected(server, "microsoft") as connection:
        (before,) = server.sessions.live()
        before.end("fin")
        server.sessions.wait_for(0)
        # The driver has to notice by itself, which nothing tells.
        time.sleep(0.3)
        assert connection.execute("SELECT 1").fetchone()[0] == 1
        (after,) = server.sessions.live()
        assert after.login_time > before.login_time


def test_an_answer_that_is_not_tds(server: TdsServer, driver: str) -> None:
    server.controls.at("accepted", Say(b"HTTP/1.1 400 Bad Request\r\n\r\n", then="fin"))
    assert failure(server, driver, timeout=2)[0] in {"08001", "08S01", "HY000"}


def test_an_answer_byte_by_byte(server: TdsServer, driver: str) -> None:
    # FreeTDS starts its login timeout anew with every byte.
    rule = server.controls.at("accepted", Trickle(0.15))
    started = time.monotonic()
    failure(server, driver, timeout=2)
    assert (1.9 if driver == "microsoft" else 3) < time.monotonic() - started < 20
    assert rule.hits >= 1


def test_a_login_that_takes_its_time(server: TdsServer, driver: str) -> None:
    server.controls.at("login", Delay(1.0))
    started = time.monotonic()
    with connected(server, driver, timeout=5):
        assert time.monotonic() - started >= 1.0
    assert failure(server, driver, timeout=1)[0] == "HYT00" if driver == "microsoft" else True


def test_a_session_that_waits_for_another(server: TdsServer, driver: str) -> None:
    with connected(server, "microsoft") as watcher, connected(server, driver, autocommit=False) as holder:
        watcher.execute("CREATE TABLE stock (id INT, left_ INT); INSERT INTO stock VALUES (1, 5)")
        holder.execute("SELECT left_ FROM stock WITH (UPDLOCK, ROWLOCK) WHERE id = 1").fetchall()
        holder_number = holder.execute("SELECT @@SPID").fetchone()[0]
        with connected(server, driver) as waiter:
            done = threading.Event()

            def change() -> None:
                waiter.execute("UPDATE stock SET left_ = left_ - 1 WHERE id = 1")
                done.set()

            thread = threading.Thread(target=change)
            thread.start()
            query = "SELECT status, command, wait_type, blocking_session_id, wait_time FROM sys.dm_exec_requests "
            query += "WHERE blocking_session_id <> 0"
            wait_until(lambda: watcher.execute(query).fetchall() != [], "the blocked request")
            status, command, wait_type, blocker, wait_time = watcher.execute(query).fetchone()
            assert (status, command, wait_type, blocker) == ("suspended", "UPDATE", "LCK_M_U", holder_number)
            assert 0 <= wait_time < 60_000
            assert not done.is_set()
            holder.rollback()
            thread.join(10)
            assert done.is_set()
        assert watcher.execute("SELECT left_ FROM stock").fetchone()[0] == 4
