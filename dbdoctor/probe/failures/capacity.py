"""Failures because there is no room left."""

from __future__ import annotations

from dbdoctor.probe.failures.entry import Entry

ENTRIES = (
    Entry(
        "too-many-clients",
        "{where} has no free session left: all of max_connections are taken",
        "every slot is in use, also those reserved for administrators; nobody can log in until a session ends",
        "The server's words: `sorry, too many clients already`. Mostly pools times processes exceed the limit, or sessions "
        "leak; raising max_connections alone only delays it.",
        "end idle sessions (an administrator whose psql is still open can), then find who holds them",
        "SELECT application_name, usename, state, count(*) FROM pg_stat_activity\n"
        "  WHERE backend_type = 'client backend' GROUP BY 1, 2, 3 ORDER BY 4 DESC;",
    ),
    Entry(
        "slots-reserved",
        "{where} has only reserved sessions left, which {user} may not use",
        "all slots for ordinary roles are taken; the last ones are kept for superusers (superuser_reserved_connections) and "
        "for members of pg_use_reserved_connections",
        "An administrator can still log in and look, which is what the reserve is for.",
        "let an administrator find who holds the sessions",
        "SELECT application_name, usename, state, count(*) FROM pg_stat_activity\n"
        "  WHERE backend_type = 'client backend' GROUP BY 1, 2, 3 ORDER BY 4 DESC;",
    ),
    Entry(
        "role-connection-limit",
        "the role {user} already has as many sessions as it may have",
        "the role has a CONNECTION LIMIT of its own, and it is reached; other roles can still log in",
        "The server's words: `too many connections for role`.",
        "find the role's idle sessions, or raise its limit",
        "SELECT rolconnlimit FROM pg_roles WHERE rolname = '{user}';  -- ALTER ROLE \"{user}\" CONNECTION LIMIT ...;",
    ),
    Entry(
        "database-connection-limit",
        "the database {database} already has as many sessions as it may have",
        "the database has a CONNECTION LIMIT of its own, and it is reached; other databases are open",
        "The server's words: `too many connections for database`.",
        "find the database's idle sessions, or raise its limit",
        "SELECT datconnlimit FROM pg_database WHERE datname = '{database}';\n"
        '-- ALTER DATABASE "{database}" CONNECTION LIMIT ...;',
    ),
    Entry(
        "server-out-of-memory",
        "{where} could not start a session: it is out of memory or processes",
        "the machine could not fork or allocate for one more session",
        "max_connections promises more than the machine can hold.",
        "lower the number of sessions (a pooler), or give the machine more",
    ),
)
