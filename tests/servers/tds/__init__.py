"""A TDS 7.4 server for the tests: real drivers of SQL Server log in to it and run T-SQL. It is not SQL Server.

    with TdsServer("2022") as server:
        pyodbc.connect(server.dsn("microsoft"))

It knows: PRELOGIN, TLS inside TDS, LOGIN7, batches, remote calls, the transaction manager, attention; the dynamic
management views filled from its own live sessions and from those that a test injects; simple applications' statements.
What it does not know fails with error 50000 and DuckDB's or sqlglot's words.
"""

from tests.servers.tds.browser import SqlBrowser
from tests.servers.tds.controls import Controls, Delay, End, Refuse, Say, Silence, Trickle
from tests.servers.tds.errors import SqlError
from tests.servers.tds.profiles import PROFILES, Profile
from tests.servers.tds.server import ACCOUNTS, DATABASE, PASSWORD, USER, Account, TdsServer
from tests.servers.tds.sessions import Session
from tests.servers.tds.shown import ShownRequest, ShownSession, ShownTransaction

__all__ = [
    "ACCOUNTS",
    "DATABASE",
    "PASSWORD",
    "PROFILES",
    "USER",
    "Account",
    "Controls",
    "Delay",
    "End",
    "Profile",
    "Refuse",
    "Say",
    "Session",
    "ShownRequest",
    "ShownSession",
    "ShownTransaction",
    "Silence",
    "SqlBrowser",
    "SqlError",
    "TdsServer",
    "Trickle",
]
