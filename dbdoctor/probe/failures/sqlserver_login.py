"""Failures of a login on SQL Server: who, with what, to which database. Named by the server's error number."""

from __future__ import annotations

from dbdoctor.probe.failures.entry import Entry

_REASON_IN_LOG = (
    "EXEC sys.sp_readerrorlog 0, 1, N'Login failed';  -- as an administrator: the reason stands in the server's log"
)

ENTRIES = (
    Entry(
        "login-failed",
        "{where} refused the login of {user} and does not say why (18456)",
        "SQL Server keeps the reason from the client on purpose: the password is wrong, there is no such login, the server "
        "takes Windows logins only (mixed mode is off), the login may not connect, or its default database cannot be opened",
        "The error's state on the wire is always 1; the server's own log has the real one: 2 and 5 no such login, 7 disabled "
        "and wrong password, 8 wrong password, 38 and 40 database cannot be opened, 58 Windows logins only. In Azure the login "
        "may live in another database, or the user name lacks its server (`user@server`) behind some proxies.",
        "let an administrator look up the state in the server's log at this minute",
        _REASON_IN_LOG,
    ),
    Entry(
        "login-untrusted-domain",
        "{where} does not trust the domain of this client, which logs in with integrated authentication",
        "the server was asked to take the operating system's identity (no user in the DSN, Trusted_Connection=yes, or a login "
        "of Windows given as a SQL login), and this machine's domain, ticket or SPN is not one that it knows (18452)",
        "On Linux it needs a Kerberos ticket and the SPN MSSQLSvc/host:port; without SPN NTLM is tried, and fails like this. "
        "A SQL login on a server that takes Windows logins only is refused with the same number.",
        "give a SQL login with its password, or get a ticket and have the SPN registered",
        "kinit; klist   # on the server's side: setspn -Q MSSQLSvc/{host}:{port}",
    ),
    Entry(
        "kerberos-ticket-missing",
        "the driver has no Kerberos ticket to log in to {where} with",
        "integrated authentication is asked for (Trusted_Connection=yes: a user and a password in the DSN do not count then), "
        "and this process has no ticket that is valid; the server was not asked",
        "A ticket belongs to a user of the operating system and runs out: a service needs a keytab and something that renews it.",
        "get a ticket, or log in with a SQL login and without Trusted_Connection",
        "kinit; klist",
    ),
    Entry(
        "database-cannot-be-opened",
        "{where} cannot open the database {database} for {user}",
        "the login itself was accepted; the database does not exist, or this login has no user in it, or it is offline, "
        "restoring or being recovered (4060). The server does not say which",
        "With FreeTDS an application sees only `Login failed for user` (18456), since the driver shows the last of the two "
        "errors. In Azure the same comes while a database is moved or resumed.",
        "look whether it is there and open, and whether the login has a user in it",
        "SELECT name, state_desc, user_access_desc, HAS_DBACCESS(name) AS has_access FROM sys.databases;\n"
        "-- in the database: CREATE USER [{user}] FOR LOGIN [{user}];",
    ),
    Entry(
        "default-database-cannot-be-opened",
        "{where} cannot open the default database of {user}",
        "the DSN names no database, and the one that the login begins in was dropped, renamed or is offline (4064)",
        "It shows itself when a database is dropped that was somebody's default.",
        "name a database in the DSN, or give the login another default",
        "ALTER LOGIN [{user}] WITH DEFAULT_DATABASE = [master];",
    ),
    Entry(
        "password-expired",
        "the password of {user} on {where} has expired",
        "the login has CHECK_EXPIRATION on, and the policy's age is reached (18487); until it is changed nobody logs in "
        "with it",
        "An application whose pool is warm goes on until its next new connection.",
        "give the login a new password; for a service, take the expiry away",
        "ALTER LOGIN [{user}] WITH PASSWORD = N'...';  -- and perhaps: ALTER LOGIN [{user}] WITH CHECK_EXPIRATION = OFF;",
    ),
    Entry(
        "password-must-be-changed",
        "{user} must change its password on {where} before it may log in",
        "the login was made or reset with MUST_CHANGE (18488): meant for people, a program cannot answer it",
        "ODBC has no way to ask for a new password unattended.",
        "set the password without MUST_CHANGE",
        "ALTER LOGIN [{user}] WITH PASSWORD = N'...';",
    ),
    Entry(
        "login-disabled",
        "the login {user} is disabled on {where}",
        "the password was right; an administrator, or a hardening script, has disabled the login (18470). `sa` is so by "
        "default "
        "where it was never enabled",
        "Its words: `Login failed for user ... Reason: The account is disabled.`",
        "use another login, or enable it",
        "ALTER LOGIN [{user}] ENABLE;",
    ),
    Entry(
        "login-locked-out",
        "the login {user} is locked out on {where}",
        "too many wrong passwords within the policy's time (18486): often a program with an old password that tries again and "
        "again, and locks it anew after each unlocking",
        "Every further attempt, with the right password too, is refused meanwhile.",
        "stop what uses the old password, then unlock the login",
        "SELECT LOGINPROPERTY(N'{user}', 'BadPasswordCount'), LOGINPROPERTY(N'{user}', 'BadPasswordTime');\n"
        "ALTER LOGIN [{user}] WITH PASSWORD = N'...' UNLOCK;",
    ),
    Entry(
        "login-trigger-refused",
        "a logon trigger on {where} refused {user}",
        "the login was accepted, and a trigger of the server ended it (17892): a limit on sessions, hours, programs or "
        "addresses "
        "of somebody's own making",
        "A trigger that fails by a mistake refuses everyone; the dedicated administrator connection still gets in.",
        "look what the trigger does",
        "SELECT name, is_disabled, OBJECT_DEFINITION(object_id) FROM sys.server_triggers;",
    ),
    Entry(
        "availability-group-not-readable",
        "the database {database} on {where} belongs to an availability group and cannot be read on this replica",
        "this replica is a secondary that admits no connections, or the database has no role at the moment (976, 983)",
        "After a failover the old primary answers so, when a client goes by the machine's name and not by the listener's.",
        "connect to the listener, with MultiSubnetFailover=yes",
        "SELECT ar.replica_server_name, ars.role_desc FROM sys.dm_hadr_availability_replica_states ars\n"
        "  JOIN sys.availability_replicas ar ON ar.replica_id = ars.replica_id;",
    ),
    Entry(
        "read-intent-required",
        "the database {database} on {where} takes only clients that say they will read",
        "it is a secondary of an availability group that admits read-intent connections only (978)",
        "Its words: `... accessible for connections when the application intent is set to read only`.",
        "say so in the DSN, or connect to the primary through the listener",
        "ApplicationIntent=ReadOnly",
    ),
    Entry(
        "server-single-user",
        "{where} is in single-user mode and somebody else has its one session",
        "it was started with -m, or a maintenance keeps all others out (18461)",
        "Often an agent or a monitoring program takes the one session before the administrator does.",
        "wait until the maintenance is over",
    ),
    Entry(
        "server-paused",
        "{where} has been paused: sessions go on, new logins are refused",
        "the service was paused in the operating system (17142), or the pool of Azure Synapse is paused (42108)",
        "Warm pools hide it until they need one more connection.",
        "let the operator resume the service",
        "net continue MSSQLSERVER",
    ),
)
