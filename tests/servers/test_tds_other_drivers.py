"""Drivers beside pyodbc, each in a process of its own: they log in, query, and run in transactions."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable

import pytest

from tests.servers import odbc
from tests.servers.certificates import Certificates
from tests.servers.tds import DATABASE, PASSWORD, USER, TdsServer
from tests.servers.workspace import workspace

Start = Callable[..., TdsServer]
PYMSSQL = f"""
import pymssql
def connect(**more):
    return pymssql.connect(server="127.0.0.1", port=str(port), user={USER!r}, password={PASSWORD!r},
                           database={DATABASE!r}, tds_version="7.4", login_timeout=5, **more)
"""
MSSQL_PYTHON = f"""
import mssql_python
from tests.servers.odbc import braced
def connect(**more):
    text = "Server=127.0.0.1,%d;UID={USER};PWD=%s;Database={DATABASE};Encrypt=no;" % (port, braced({PASSWORD!r}))
    return mssql_python.connect(text, **more)
"""
SMOKE = """
import json
connection = connect()
cursor = connection.cursor()
cursor.execute("CREATE TABLE smoke (id INT IDENTITY(1, 1), name NVARCHAR(20))")
connection.commit()
cursor.execute("INSERT INTO smoke (name) VALUES ({mark})", ("Zoë",))
cursor.execute("SELECT s.open_transaction_count, d.database_transaction_state FROM sys.dm_exec_sessions AS s "
               "JOIN sys.dm_tran_session_transactions AS t ON t.session_id = s.session_id "
               "JOIN sys.dm_tran_database_transactions AS d ON d.transaction_id = t.transaction_id "
               "WHERE s.session_id = @@SPID")
inside = list(cursor.fetchone())
connection.commit()
cursor.execute("SELECT id, name FROM smoke")
print(json.dumps([inside, list(cursor.fetchone())]))
connection.close()
"""
SQLALCHEMY = """
import json, sqlalchemy as sa
url = sa.engine.URL.create({name!r}, {user!r}, {password!r}, "127.0.0.1", port, {database!r}, query={query!r})
engine = sa.create_engine(url)
with engine.begin() as connection:
    connection.execute(sa.text("CREATE TABLE alchemy (id INT, name NVARCHAR(20))"))
    connection.execute(sa.text("INSERT INTO alchemy VALUES (:id, :name)"), {{"id": 1, "name": "x"}})
with engine.connect() as connection:
    print(json.dumps([list(row) for row in connection.execute(sa.text("SELECT * FROM alchemy"))]))
engine.dispose()
"""


def run(code: str, server: TdsServer, **environment: str) -> str:
    """What a program writes; AssertionError when it fails."""
    done = subprocess.run(
        [sys.executable, "-c", f"port = {server.port}\n{code}"],
        env={**workspace().environment(), **odbc.environment(), **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize(("connect", "mark"), [(PYMSSQL, "%s"), (MSSQL_PYTHON, "?")], ids=["pymssql", "mssql-python"])
def test_a_driver_beside_odbc(connect: str, mark: str, start_tds: Start) -> None:
    server = start_tds()
    written = json.loads(run(connect + SMOKE.replace("{mark}", mark), server))
    assert written == [[1, 4], [1, "Zoë"]]
    server.sessions.wait_for(0)


@pytest.mark.parametrize(
    ("name", "query"), [("mssql+pymssql", {"tds_version": "7.4"}), ("mssql+mssqlpython", {"Encrypt": "no"})]
)
def test_sqlalchemy_on_them(name: str, query: dict[str, str], start_tds: Start) -> None:
    server = start_tds()
    code = SQLALCHEMY.format(name=name, user=USER, password=PASSWORD, database=DATABASE, query=query)
    assert json.loads(run(code, server)) == [[1, "x"]]
    server.sessions.wait_for(0)


def test_microsofts_driver_trusts_an_authority_that_it_is_given(certificates: Certificates, start_tds: Start) -> None:
    server = start_tds(tls=certificates.server, encryption="on")
    code = "import pyodbc; print(pyodbc.connect({!r}, timeout=60).execute('SELECT 1').fetchone()[0])"
    named = server.dsn("microsoft", Encrypt="yes", Server=f"localhost,{server.port}")
    assert run(code.format(named), server, SSL_CERT_FILE=str(certificates.authority)).strip() == "1"
    with pytest.raises(AssertionError, match="certificate verify failed"):
        run(code.format(named), server)
    wrong = start_tds(tls=certificates.wrong_name, encryption="on")
    named = wrong.dsn("microsoft", Encrypt="yes", Server=f"localhost,{wrong.port}")
    with pytest.raises(AssertionError, match="08001"):
        run(code.format(named), wrong, SSL_CERT_FILE=str(certificates.authority))
