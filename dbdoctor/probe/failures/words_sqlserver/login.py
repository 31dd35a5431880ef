"""What refuses a login to SQL Server, or goes wrong with it, its driver and the first query, in its own words."""

from __future__ import annotations

from dbdoctor.probe.failures.entry import Entry
from dbdoctor.probe.failures.words_sqlserver.hyt00 import HYT00

ENTRIES = (
    Entry(
        "too-many-clients",
        "{where} has no free session left: all user connections are taken",
        "the server's `user connections` are in use (17809); nobody can log in until a session ends, but an administrator "
        "by the "
        "dedicated connection",
        "The limit is 32,767 unless somebody set `user connections` lower. Mostly pools times processes exceed it, or "
        "sessions leak.",
        "find who holds the sessions and end the idle ones; raising the limit needs a restart",
        "SELECT program_name, login_name, status, COUNT(*) FROM sys.dm_exec_sessions\n"
        "  WHERE is_user_process = 1 GROUP BY program_name, login_name, status ORDER BY 4 DESC;",
    ),
    Entry(
        "database-connection-limit",
        "the database {database} already has as many sessions as it may have ({limit})",
        "the tier of the Azure database admits that many sessions, and they are there, idle ones included (10928, resource "
        "ID 2)",
        "Each pool of each process counts, also its idle connections.",
        "find the database's idle sessions; a larger tier has more",
        "SELECT program_name, login_name, status, COUNT(*) FROM sys.dm_exec_sessions\n"
        "  WHERE is_user_process = 1 GROUP BY program_name, login_name, status ORDER BY 4 DESC;",
    ),
    Entry(
        "server-out-of-memory",
        "{where} could not start a session: it is out of memory or threads",
        "the server has no memory or no thread for one more login (701, 17189)",
        "`max server memory` too high for the machine does this, or thousands of sessions.",
        "lower the number of sessions, or give the machine more",
    ),
    Entry(
        "database-not-found",
        "there is no database {database} on {where}",
        "the login was accepted and the database is not there (911)",
        "Whether names differ by case is up to the server's collation.",
        "name the right database, or create it",
        "SELECT name FROM sys.databases;",
    ),
    Entry(
        "no-connect-privilege",
        "{user} may not use the database {database}",
        "the login is valid and has no user in this database (916)",
        "A restored database keeps users of the old server, which belong to no login here.",
        "let an administrator make it a user, or join the orphaned one to its login",
        "CREATE USER [{user}] FOR LOGIN [{user}];  -- or: ALTER USER [{user}] WITH LOGIN = [{user}];",
    ),
    Entry(
        "database-not-accepting",
        "the database {database} does not accept connections",
        "it is offline, being restored, suspect, or in single-user mode with somebody in it (924, 927, 942, 945)",
        "A restore or a deployment that did not end leaves it so.",
        "see its state, and end what holds it",
        "SELECT name, state_desc, user_access_desc FROM sys.databases WHERE name = N'{database}';",
    ),
    Entry(
        "server-starting",
        "{where} is starting up",
        "the server runs and is not ready yet: it has just been started, recovers its databases, or upgrades its own after an "
        "update (17187, 18401)",
        "Clients should try again for a while; a pool that gives up at the first refusal makes an outage of it.",
        "wait and try again; after an update the upgrade of the system databases can take minutes",
    ),
    Entry(
        "server-shutting-down",
        "{where} is shutting down",
        "a stop or restart is under way and new sessions are refused (6005, 18451)",
        "Warm pools see their sessions end a moment later.",
        "wait for the restart",
    ),
    Entry(
        "login-stalled",
        "the login on {where} did not end within {seconds}",
        "the server answered before the login and then said nothing more: it has no worker free (blocked requests hold them "
        "all), "
        "waits for a domain controller, runs a logon trigger that waits, or a gateway sends the client on to where it "
        "cannot get",
        f"{HYT00}. In Azure a serverless database that was paused takes up to a minute.",
        "look at the server by the dedicated administrator connection; for serverless allow a login timeout of 60 s",
        "SELECT session_id, status, command, wait_type, blocking_session_id FROM sys.dm_exec_requests WHERE session_id > 50;",
    ),
    Entry(
        "closed-during-login",
        "{where} closed the connection during the login without saying why",
        "it ended after the login was sent: the server is at a limit or going down, a proxy cut the connection, or the "
        "login took "
        "another protocol's way (233: no process on the other end of the pipe)",
        "Microsoft's driver says `TCP Provider: Error code 0x2746` or `Communication link failure`; FreeTDS next to nothing.",
        "look at the server's error log at this moment",
    ),
    Entry(
        "login-refused",
        "{where} refused the login of {user}",
        "the server's own words are in the evidence; this tool has no page of its own for its number",
        "An unknown refusal is reported as it came, with its number.",
        "look the number up in Microsoft's `Database Engine events and errors`, and in the server's log",
    ),
    Entry(
        "query-stalled",
        "the login on {where} worked, and the first query had no answer within {seconds}",
        "the session is there but the server does not get to its query (no worker, a lock), or its answer is lost on the way",
        "A path that passes small packets and loses large ones shows itself here too.",
        "look at what this session waits for",
        "SELECT r.session_id, r.wait_type, r.blocking_session_id FROM sys.dm_exec_requests r\n"
        "  JOIN sys.dm_exec_sessions s ON s.session_id = r.session_id WHERE s.program_name = 'dbdoctor';",
    ),
    Entry(
        "statement-timeout",
        "{where} did not finish the first query in its time",
        "the driver took the query back after its timeout: a lock, or a machine at its limit, keeps even a small one from "
        "finishing",
        "An application sees `HYT00 Query timeout expired`, and SQLAlchemy throws its whole pool away for it.",
        "look for what blocks it",
        "SELECT session_id, wait_type, blocking_session_id FROM sys.dm_exec_requests WHERE blocking_session_id <> 0;",
    ),
    Entry(
        "query-failed",
        "the login on {where} worked, and the first query failed",
        "the server cannot run a plain question about itself, or the connection was cut meanwhile; the words are in the evidence",
        "A relative of SQL Server may lack one of its views.",
        "where the words tell of a cut connection, look for what ends sessions: a restart, a failover, a proxy, a person; "
        "else report it with the server's version",
    ),
    Entry(
        "client-refused",
        "the driver refused to connect to {where}",
        "it stopped before or beside the server's answer; its words are in the evidence",
        "A setting of the connection string that it does not take, or a path that it alone cannot go.",
        "change the setting that the words name",
    ),
    Entry(
        "driver-hung",
        "the driver did not come back within {seconds}",
        "the probe's own checks went through, and then the driver hung: a Kerberos server or a domain controller that is "
        "silent, or "
        "a token service for Entra ID",
        "An application hangs there in the same way, and no timeout of the connection string helps it.",
        "try with a SQL login",
    ),
    Entry(
        "driver-missing",
        "no ODBC driver for SQL Server can be used on this machine: {reason}",
        "SQL Server is reached through ODBC, which needs the driver manager (libodbc.so.2) and a driver; one of them is not "
        "there",
        "`import pyodbc` fails with `libodbc.so.2: cannot open shared object file`, or connecting with `Can't open lib` or "
        "`Data source name not found` (IM002).",
        "install what is missing: {remedy}",
        "dbdoctor drivers",
    ),
    Entry(
        "unknown-driver-option",
        "the driver does not know the option {option}, and so refuses every connection",
        "the option is in the connection string or in the engine's connect_args, and belongs to another driver",
        "pymssql takes `login_timeout` and `timeout`, pyodbc `timeout` (for the login), mssql-python `timeout`; each refuses the "
        "others' names.",
        "correct the option: {advice}",
        "connect_args={{'{right_option}': ...}}",
    ),
)
