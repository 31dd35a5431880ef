"""Failures of the login itself: who, from where, with what, to which database."""

from __future__ import annotations

from dbdoctor.probe.failures.entry import Entry

ENTRIES = (
    Entry(
        "wrong-password",
        "{where} did not accept the password of {user}",
        "PostgreSQL tells a client no more than this, on purpose: the password is wrong, or it is right and has expired "
        "(VALID UNTIL), or the role has none, or there is no such role",
        "Expired and wrong passwords look the same on the wire; only the server's log and its pg_authid tell them apart. "
        "Often the password is an old one of a secret that was rotated, or a trailing newline came with it.",
        "let an administrator look which of the four it is, or set the password anew",
        "SELECT rolname, rolcanlogin, rolpassword IS NOT NULL AS has_password, rolvaliduntil\n"
        "  FROM pg_authid WHERE rolname = '{user}';",
    ),
    Entry(
        "password-missing",
        "{where} asks {user} for a password, and none was given",
        "neither the DSN, nor PGPASSWORD, nor a password file had one that fits this host, port, database and user",
        "libpq says `fe_sendauth: no password supplied`. A password file that group or others can read is ignored with no "
        "more than a warning on stderr.",
        "give the password by PGPASSWORD or the password file (mode 0600, line host:port:database:user:password)",
        "chmod 600 ~/.pgpass",
    ),
    Entry(
        "role-not-found",
        "the role {user} does not exist on {where}",
        "the server let the client through without a password (trust, peer or certificate) and then found no such role; libpq "
        "takes the operating system's user name when the DSN names none",
        "With password authentication the same mistake reads `password authentication failed`.",
        "name the right role, or create it",
        'CREATE ROLE "{user}" LOGIN;',
    ),
    Entry(
        "role-may-not-log-in",
        "the role {user} may not log in",
        "it exists without the attribute LOGIN: a group role, or an account that was closed",
        "The attribute belongs to the role itself; membership does not carry it.",
        "log in as a member of it, or give it the attribute",
        'ALTER ROLE "{user}" LOGIN;',
    ),
    Entry(
        "no-hba-entry",
        "pg_hba.conf of {where} has no entry that lets {user} into {database} from here",
        "the server knows nobody who may come from this address, with this user, to this database, with or without TLS as "
        "it was tried",
        "The first line that matches decides; there was none. Behind NAT or a pooler the address is not the client's own.",
        "add a line to pg_hba.conf on the server and reload it",
        "{connection_type} {database_name} {user_name} {client_address} scram-sha-256\n"
        "-- then: SELECT pg_reload_conf();",
    ),
    Entry(
        "hba-rejects",
        "pg_hba.conf of {where} rejects {user} from here on purpose",
        "a line with the method `reject` matches this user, database and address before any other",
        "Cloud providers use such lines to enforce TLS or to close a database for maintenance.",
        "find the line, and put one that admits this client before it",
        "SELECT * FROM pg_hba_file_rules WHERE auth_method = 'reject';",
    ),
    Entry(
        "authentication-failed",
        "{where} could not confirm that the client is {user}",
        "the method of the matching pg_hba.conf line (peer, ident, certificate, LDAP, GSSAPI ...) did not confirm the name: with "
        "peer, the operating system's user is another one than the role",
        "The classic is `Peer authentication failed` on a unix socket; connecting to localhost asks for the password instead.",
        "log in as the operating system's user of that name, map the names in pg_ident.conf, or use a password over TCP",
        "host=localhost",
    ),
    Entry(
        "database-not-found",
        "there is no database {database} on {where}",
        "the login was accepted and the database is not there; libpq takes the user's name when the DSN names none",
        "Names are case-sensitive once quoted: `Shop` and `shop` are two databases.",
        "name the right database, or create it",
        "SELECT datname FROM pg_database WHERE datallowconn;",
    ),
    Entry(
        "no-connect-privilege",
        "{user} may not connect to the database {database}",
        "the role lacks CONNECT on this database (it was revoked from PUBLIC)",
        "The server's words: `permission denied for database`, detail `User does not have CONNECT privilege`.",
        "let an administrator grant it",
        'GRANT CONNECT ON DATABASE "{database}" TO "{user}";',
    ),
    Entry(
        "database-not-accepting",
        "the database {database} does not accept connections",
        "it has ALLOW_CONNECTIONS false: a template, or one that was closed on purpose; or it is being dropped",
        "template0 is made so.",
        "connect to another database, or open it again",
        'ALTER DATABASE "{database}" ALLOW_CONNECTIONS true;',
    ),
    Entry(
        "server-refuses-option",
        "{where} refuses a setting that the client asks for at login",
        "a parameter in `options=` or of the start-up is not known to this server, has a bad value, or needs more rights",
        "The session is refused as a whole, not only the setting.",
        "correct or remove the setting in the DSN (`options=`, `server_settings`)",
    ),
    Entry(
        "login-stalled",
        "the login on {where} did not end within {seconds}",
        "the server took the client's credentials and did not answer: an authentication service (LDAP, RADIUS, PAM) that "
        "hangs, a lock on a catalogue, a login trigger, or a machine at its limit",
        "An application's connect_timeout covers it, if it has one.",
        "look at sessions in the state `starting` or waiting, and at the authentication service",
        "SELECT pid, state, wait_event_type, wait_event FROM pg_stat_activity WHERE backend_start > now() - interval '1 min';",
    ),
    Entry(
        "closed-during-login",
        "{where} closed the connection during the login without saying why",
        "the server's process ended (crash, out of memory, killed), or a proxy in between cut the connection",
        "libpq says `server closed the connection unexpectedly`.",
        "look at the server's log at this moment",
    ),
    Entry(
        "login-refused",
        "{where} refused the login of {user}",
        "the server's own words are in the evidence; this tool has no page of its own for them",
        "An unknown refusal is reported as it came, with its SQLSTATE.",
        "look the SQLSTATE up in PostgreSQL's appendix A, and in the server's log",
    ),
    Entry(
        "query-stalled",
        "the login on {where} worked, and the first query had no answer within {seconds}",
        "the session is there but the server does not get to its query, or its answer is lost on the way",
        "A path that passes small packets and loses large ones shows itself here too.",
        "look at what this session waits for",
        "SELECT pid, state, wait_event_type, wait_event FROM pg_stat_activity WHERE application_name = 'dbdoctor';",
    ),
    Entry(
        "statement-timeout",
        "{where} ended the first query for taking too long",
        "a lock on a catalogue or a machine at its limit keeps even a small query from finishing in time",
        "The application's own queries will end the same way (SQLSTATE 57014), if it has a statement timeout.",
        "look for what blocks it",
        "SELECT pid, pg_blocking_pids(pid), wait_event, left(query, 60) FROM pg_stat_activity WHERE wait_event_type = 'Lock';",
    ),
    Entry(
        "query-failed",
        "the login on {where} worked, and the first query failed",
        "the server cannot run a plain question about itself, or the connection was cut meanwhile; the words are in the evidence",
        "A relative of PostgreSQL may lack one of its views.",
        "where the words tell of a cut connection, look for what ends sessions: a restart, a failover, a proxy, a person; "
        "else report it with the server's version",
    ),
)
