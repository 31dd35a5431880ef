"""The T-SQL that the tests' server understands, and how it refuses what SQL Server would refuse."""

from __future__ import annotations

import datetime as dt
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from tests.servers import odbc
from tests.servers.tds import ShownRequest, TdsServer
from tests.servers.tds.batch import Plain, parse
from tests.servers.tds.grammar import faults

odbc.load()

import pyodbc  # noqa: E402


@pytest.fixture(scope="module")
def server() -> Iterator[TdsServer]:
    """SQL Server 2022, for this file: no test leaves a session."""
    with TdsServer() as server:
        yield server


@pytest.fixture
def run(server: TdsServer) -> Iterator[Any]:
    """`run(batch, *parameters)`: the rows of the first result set that has any."""
    connection = pyodbc.connect(server.dsn(), timeout=60, autocommit=True)

    def execute(batch: str, *parameters: Any) -> list[tuple[Any, ...]]:
        cursor = connection.execute(batch, *parameters)
        while cursor.description is None and cursor.nextset():
            pass
        return [tuple(row) for row in cursor.fetchall()] if cursor.description else []

    yield execute
    connection.close()
    server.sessions.clear_made_up()
    server.sessions.wait_for(0)


BATCHES = [
    ("SET NOCOUNT ON SELECT 1 AS a SELECT 2 AS b", ["set", "select", "select"]),
    ("SET TRANSACTION ISOLATION LEVEL READ UNCOMMITTED; SET LOCK_TIMEOUT 2000; SELECT 1", ["set", "set", "select"]),
    ("UPDATE t SET a = 1 WHERE b = 2 SELECT @@ROWCOUNT", ["update", "select"]),
    ("INSERT INTO t SELECT 1 UNION ALL SELECT 2 INSERT t VALUES (1)", ["insert", "insert"]),
    ("WITH a AS (SELECT 1 AS x) SELECT * FROM a SELECT 3", ["with", "select"]),
    ("SELECT CASE WHEN 1 = 1 THEN 'select' ELSE 'end' END -- SELECT\n/* ; */ SELECT 2", ["select", "select"]),
    ('DROP TABLE IF EXISTS t; DELETE FROM [select] WHERE "update" = 1', ["drop", "delete"]),
    ("CREATE TABLE t (id INT REFERENCES u ON DELETE CASCADE) SELECT 1", ["create", "select"]),
]


@pytest.mark.parametrize(("batch", "verbs"), BATCHES)
def test_statements_need_no_semicolon(batch: str, verbs: list[str]) -> None:
    assert [each.verb for each in parse(batch) if isinstance(each, Plain)] == verbs


RESULTS = [
    ("IF EXISTS (SELECT 1 FROM sys.databases WHERE name = 'nix') SELECT 1 AS a ELSE SELECT 2 AS a", 2),
    ("DECLARE @a INT = 3, @b NVARCHAR(10); SET @b = N'x'; SELECT @b + CAST(@a AS NVARCHAR(5))", "x3"),
    ("DECLARE @n INT; SELECT @n = COUNT(*) FROM sys.databases; IF @n > 2 BEGIN SELECT @n END", 5),
    ("DECLARE @i INT = 0; WHILE @i < 4 BEGIN SET @i = @i + 1 END SELECT @i", 4),
    ("BEGIN TRY SELECT 1 / 0 END TRY BEGIN CATCH SELECT ERROR_NUMBER() END CATCH", 8134),
    ("BEGIN TRY RAISERROR('no', 16, 1) END TRY BEGIN CATCH SELECT ERROR_MESSAGE() END CATCH", "no"),
    ("EXEC sp_executesql N'SELECT @x + 1', N'@x INT', @x = 4", 5),
    ("EXEC ('SELECT ' + '7')", 7),
    ("SELECT 5 / 2", 2),
    ("SELECT 'ABC' WHERE 'abc' = 'ABC'", "ABC"),
    ("SELECT ISNULL(NULL, 'x') + N'y'", "xy"),
    ("SELECT LEFT(N'abcdef', 3)", "abc"),
    ("SELECT CAST('abcdef' AS VARCHAR(2))", "ab"),
    ("SELECT TRY_CONVERT(INT, 'x')", None),
    ("SELECT IIF(1 = 2, 'a', 'b')", "b"),
    ("SELECT DATEDIFF(SECOND, '2026-01-01', DATEADD(MINUTE, 2, '2026-01-01'))", 120),
    ("DECLARE @t NVARCHAR(20) = N'SELECT ' + CAST(8 AS NVARCHAR(5)); EXEC (@t)", 8),
    ("SELECT DATEDIFF(DAY, '20260101', '20260301')", 59),
    ("SELECT DATEPART(MILLISECOND, '2026-01-01 00:00:23.997')", 997),
    ("SELECT RIGHT(CAST(SYSDATETIMEOFFSET() AS NVARCHAR(40)), 7)", " +00:00"),
    ("WITH n AS (SELECT 1 AS i UNION ALL SELECT i + 1 FROM n WHERE i < 4) SELECT MAX(i) FROM n", 4),
    ("SELECT DB_NAME(1)", "master"),
    ("SELECT DB_ID('SHOP')", 5),
    ("SELECT OBJECT_ID('sys.dm_pdw_nodes_exec_sessions')", None),
    ("SELECT CASE WHEN OBJECT_ID('sys.dm_exec_sessions') IS NULL THEN 0 ELSE 1 END", 1),
    ("SELECT COUNT(*) FROM (VALUES (1), (2)) AS v (n)", 2),
    ("SELECT LEN(QUOTENAME('a]b'))", 6),
    ("SELECT STRING_AGG(name, ',') FROM sys.databases WHERE database_id < 3", "master,tempdb"),
]


@pytest.mark.parametrize(("batch", "value"), RESULTS)
def test_what_a_batch_gives(batch: str, value: object, run: Any) -> None:
    assert run(batch) == [(value,)]


ERRORS = [
    ("SELECT * FROM nix", 208),
    ("SELECT * FROM sys.nix", 208),
    ("SELECT nix FROM sys.dm_exec_sessions", 207),
    ("SELECT s.nix FROM sys.dm_exec_sessions AS s", 207),
    ("SELECT FROM WHERE", 102),
    ("SELECT @nix", 137),
    ("SELECT nix(1)", 195),
    ("SELECT 1 / 0", 8134),
    ("SELECT CAST('x' AS INT)", 245),
    ("EXEC nix", 2812),
    ("USE nix", 911),
    ("COMMIT", 3902),
    ("ROLLBACK", 3903),
    ("RAISERROR('mine', 16, 1)", 50000),
    ("THROW 50001, 'mine', 1", 50001),
    ("KILL 9999", 6106),
    ("KILL 99999", 6101),
    ("BEGIN TRAN; KILL 9999", 6115),
]


@pytest.mark.parametrize(("batch", "number"), ERRORS)
def test_what_is_refused(batch: str, number: int, run: Any) -> None:
    with pytest.raises(pyodbc.Error, match=rf"\({number}\)"):
        run(batch)


def test_a_second_error_comes_with_the_first(server: TdsServer) -> None:
    connection = pyodbc.connect(server.dsn(UID="reader"), timeout=60, autocommit=True)
    with pytest.raises(pyodbc.Error, match=r"\(300\)"):
        connection.execute("SELECT * FROM sys.dm_exec_connections")
    with pytest.raises(pyodbc.Error, match=r"\(6102\)"):
        connection.execute("KILL 60")
    connection.close()
    server.sessions.wait_for(0)


def test_columns_have_t_sqls_names(run: Any, server: TdsServer) -> None:
    connection = pyodbc.connect(server.dsn(), timeout=60, autocommit=True)
    cursor = connection.execute(
        "SELECT 1, COUNT(*), name AS [a b], d.database_id, x = 3 FROM sys.databases AS d GROUP BY name, database_id"
    )
    assert [item[0] for item in cursor.description] == ["", "", "a b", "database_id", "x"]
    connection.close()


def test_kill_ends_a_session_with_its_identity_checked(run: Any, server: TdsServer) -> None:
    victim = pyodbc.connect(server.dsn(ConnectRetryCount=0), timeout=60, autocommit=False)
    number, login_time = victim.execute(
        "SELECT session_id, CONVERT(NVARCHAR(30), login_time, 126) FROM sys.dm_exec_sessions WHERE session_id = @@SPID"
    ).fetchone()
    batch = (
        "IF EXISTS (SELECT 1 FROM sys.dm_exec_sessions WHERE session_id = {0} AND login_time = '{1}') "
        "BEGIN KILL {0}; SELECT 1 AS done END ELSE SELECT 0 AS done"
    )
    assert run(batch.format(number, "2001-01-01T00:00:00")) == [(0,)]
    assert run(batch.format(number, login_time)) == [(1,)]
    server.sessions.wait_for(1)
    with pytest.raises(pyodbc.Error):
        victim.execute("SELECT 1")
    made_up = server.inject()
    run(f"KILL {made_up}")
    assert server.sessions.killed[-1] == made_up
    with pytest.raises(pyodbc.Error, match="6104"):
        run(f"KILL {server.sessions.live()[0].number}")
    with pytest.raises(pyodbc.Error, match="6107"):
        run(f"KILL {server.inject(is_user_process=False)}")


def test_a_running_query_that_is_killed_says_so(run: Any, server: TdsServer) -> None:
    victim = pyodbc.connect(server.dsn(ConnectRetryCount=0), timeout=60, autocommit=True)
    number = victim.execute("SELECT @@SPID").fetchone()[0]
    words: list[str] = []

    def wait() -> None:
        try:
            victim.execute("WAITFOR DELAY '00:01:00'")
        except pyodbc.Error as error:
            words.append(str(error))

    thread = threading.Thread(target=wait)
    thread.start()
    query = "SELECT wait_type FROM sys.dm_exec_requests WHERE session_id = ?"
    while run(query, number) != [("WAITFOR",)]:
        pass
    run(f"KILL {number}")
    thread.join(10)
    assert "(596)" in words[0]


def test_a_deadlock_has_one_victim(run: Any, server: TdsServer) -> None:
    run("CREATE TABLE pairs (id INT); INSERT INTO pairs VALUES (1), (2)")
    first, second = (pyodbc.connect(server.dsn(), timeout=60, autocommit=False) for _ in range(2))
    change = "UPDATE pairs SET id = id WHERE id = {}"
    first.execute(change.format(1))
    second.execute(change.format(2))
    thread = threading.Thread(target=lambda: first.execute(change.format(2)))
    thread.start()
    query = "SELECT blocking_session_id FROM sys.dm_exec_requests WHERE blocking_session_id <> 0"
    while not run(query):
        pass
    with pytest.raises(pyodbc.Error, match="1205"):
        second.execute(change.format(1))
    second.rollback()
    thread.join(10)
    assert not thread.is_alive()
    first.close()
    second.close()


def test_many_sessions_change_the_same_row(run: Any, server: TdsServer) -> None:
    run("CREATE TABLE stock (id INT PRIMARY KEY, left_ INT); INSERT INTO stock VALUES (1, 100)")
    run("CREATE TABLE sold (id INT IDENTITY(1, 1) PRIMARY KEY, item INT)")
    numbers: list[int] = []

    def sell() -> None:
        connection = pyodbc.connect(server.dsn(), timeout=60, autocommit=False)
        for _ in range(5):
            sold = connection.execute("INSERT INTO sold (item) OUTPUT inserted.id VALUES (1)").fetchone()[0]
            connection.execute("UPDATE stock SET left_ = left_ - 1 WHERE id = 1")
            connection.commit()
            numbers.append(sold)
        connection.close()

    threads = [threading.Thread(target=sell) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert run("SELECT left_ FROM stock") == [(70,)]
    assert sorted(numbers) == [row[0] for row in run("SELECT id FROM sold ORDER BY id")]
    assert len(set(numbers)) == 30


def test_an_error_ends_the_statement_and_not_the_transaction(run: Any, server: TdsServer) -> None:
    run("CREATE TABLE kept (id INT PRIMARY KEY)")
    connection = pyodbc.connect(server.dsn(), timeout=60, autocommit=False)
    connection.execute("INSERT INTO kept VALUES (1)")
    with pytest.raises(pyodbc.Error, match=r"\(2627\)"):
        connection.execute("INSERT INTO kept VALUES (1)")
    connection.execute("INSERT INTO kept VALUES (2)")
    connection.commit()
    connection.close()
    assert run("SELECT id FROM kept ORDER BY id") == [(1,), (2,)]


def test_a_lock_timeout(run: Any, server: TdsServer) -> None:
    run("CREATE TABLE held (id INT); INSERT INTO held VALUES (1)")
    holder = pyodbc.connect(server.dsn(), timeout=60, autocommit=False)
    holder.execute("DELETE FROM held WHERE id = 1")
    with pytest.raises(pyodbc.Error, match="1222"):
        run("SET LOCK_TIMEOUT 50; DELETE FROM held WHERE id = 1")
    holder.close()


def test_implicit_transactions_are_named_so(run: Any, server: TdsServer) -> None:
    run("CREATE TABLE implied (id INT)")
    connection = pyodbc.connect(server.dsn(), timeout=60, autocommit=True)
    connection.execute("SET IMPLICIT_TRANSACTIONS ON; SELECT * FROM implied")
    assert run("SELECT name FROM sys.dm_tran_active_transactions") == [("implicit_transaction",)]
    connection.close()


def test_a_temporary_table_is_ones_own(run: Any, server: TdsServer) -> None:
    connection = pyodbc.connect(server.dsn(), timeout=60, autocommit=True)
    connection.execute("CREATE TABLE #mine (id INT); INSERT INTO #mine VALUES (3)")
    assert connection.execute("SELECT id FROM #mine").fetchone()[0] == 3
    with pytest.raises(pyodbc.Error, match="208"):
        run("SELECT id FROM #mine")
    connection.close()


def test_hostile_texts_in_the_views(run: Any, server: TdsServer) -> None:
    evil = "'; DROP TABLE x; --\x1b[2J\u202e😀\ud800[bold]" + "x" * 5000
    number = server.inject(program_name=evil[:100], last_text=evil)
    query = (
        "SELECT s.program_name, q.text FROM sys.dm_exec_sessions AS s JOIN sys.dm_exec_connections AS c "
        "ON c.session_id = s.session_id OUTER APPLY sys.dm_exec_sql_text(c.most_recent_sql_handle) AS q "
        "WHERE s.session_id = ?"
    )
    ((name, text),) = run(query, number)
    assert name.startswith("'; DROP TABLE x; --\x1b[2J\u202e")
    assert len(text) >= 5000


def test_made_up_sessions_of_any_kind(run: Any, server: TdsServer) -> None:
    number = server.inject(
        status="running",
        request=ShownRequest(server.clock.local() - dt.timedelta(seconds=5), status="rollback", percent_complete=40.0),
        client_address=None,
        host_process_id=None,
        extra={"dm_exec_sessions": {"group_id": 9}},
    )
    query = (
        "SELECT s.group_id, s.host_process_id, c.connect_time, r.status, r.percent_complete, "
        "DATEDIFF(SECOND, r.start_time, GETDATE()) FROM sys.dm_exec_sessions AS s "
        "LEFT JOIN sys.dm_exec_connections AS c ON c.session_id = s.session_id "
        "LEFT JOIN sys.dm_exec_requests AS r ON r.session_id = s.session_id WHERE s.session_id = ?"
    )
    assert run(query, number) == [(9, None, None, "rollback", 40.0, 5)]
    server.add_rows("dm_os_waiting_tasks", {"session_id": number, "wait_type": "LCK_M_X", "blocking_session_id": -2})
    query = "SELECT blocking_session_id FROM sys.dm_os_waiting_tasks WHERE session_id = ?"
    assert run(query, number) == [(-2,)]
    assert run("SELECT event_info FROM sys.dm_exec_input_buffer(@@SPID, NULL)")[0][0].startswith("SELECT event_info")


@pytest.mark.parametrize("driver", ["microsoft", "freetds"])
@pytest.mark.parametrize("isolation", [None, "AUTOCOMMIT"])
def test_a_program_of_sqlalchemy(driver: str, isolation: str | None, run: Any, server: TdsServer) -> None:
    options = {} if isolation is None else {"isolation_level": isolation}
    engine = sa.create_engine(server.url(driver), **options)
    metadata = sa.MetaData()
    columns = (
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("name", sa.String(40), nullable=False),
        sa.Column("paid", sa.Boolean, default=False),
        sa.Column("price", sa.Numeric(10, 2)),
        sa.Column("at", sa.DateTime),
    )
    table = sa.Table(f"orders_{driver}_{isolation}", metadata, *columns)
    metadata.create_all(engine)
    metadata.create_all(engine)
    with engine.begin() as connection:
        moment = dt.datetime(2026, 11, 1, 8, 30)  # noqa: DTZ001
        inserted = connection.execute(table.insert().values(name="Müller", price="9.50", at=moment))
        assert inserted.inserted_primary_key == (1,)
        connection.execute(table.insert(), [{"name": "b"}, {"name": "c"}])
        connection.execute(table.update().where(table.c.id == 2).values(paid=True))
        connection.execute(table.delete().where(table.c.id == 3))
    with engine.connect() as connection:
        found = connection.execute(sa.select(table).order_by(table.c.id).limit(5)).fetchall()
        assert [(row.id, row.name, row.paid) for row in found] == [(1, "Müller", False), (2, "b", True)]
        assert (str(found[0].price), found[0].at) == ("9.50", moment)
    idle = "SELECT open_transaction_count FROM sys.dm_exec_sessions WHERE session_id <> @@SPID"
    assert run(idle) == [(0 if isolation else 1,)]
    assert run("SELECT COUNT(*) FROM sys.dm_tran_database_transactions") == [(0,)]
    metadata.drop_all(engine)
    engine.dispose()


def test_the_second_grammar() -> None:
    query = (Path(__file__).parent / "sessions_query.sql").read_text()
    assert faults(query) == []
    assert faults("SELECT name FROM sys.databases LIMIT 5") != []
