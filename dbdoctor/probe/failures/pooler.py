"""Failures that a connection pooler (PgBouncer) words itself."""

from __future__ import annotations

from dbdoctor.probe.failures.entry import Entry

ENTRIES = (
    Entry(
        "pooler-no-such-database",
        "the pooler at {where} has no database {database}",
        "PgBouncer answers by its own `[databases]` list, and {database} is not in it (nor is there a `*` line)",
        "The database may well exist on the server behind.",
        "add the database to the pooler's configuration and reload it, or use a name that it has",
        "{database} = host=<server> port=5432 dbname={database}",
    ),
    Entry(
        "pooler-server-login-failed",
        "the pooler at {where} cannot log in to the server behind it",
        "this client reached PgBouncer; PgBouncer's own login to PostgreSQL fails: the server is down, the pooler's user or "
        "password is wrong, or the server is full. It tries again every `server_login_retry` (15 s) and refuses meanwhile",
        "The cause is between the pooler and the server, not here.",
        "run the check from the pooler's machine against the server itself; PgBouncer's log has the server's answer",
        "dbdoctor check postgresql://{user}@<server behind the pooler>:5432/{database}",
    ),
    Entry(
        "pooler-holds-client",
        "the pooler at {where} let {user} in and has had no server connection for it for {seconds}",
        "PgBouncer took the login and makes the client wait: the server behind it does not answer or refuses connections, or "
        "all server connections of this pool are in use",
        "It waits so for `query_wait_timeout` (120 s by default) before it says anything; the client sees a hang.",
        "look at the pool and at its server; PgBouncer's log says `connect failed` when the server is not there",
        "psql -h {host} -p {port} -U <admin> pgbouncer -c 'SHOW POOLS' -c 'SHOW SERVERS'",
    ),
    Entry(
        "pooler-query-wait-timeout",
        "the pooler at {where} had no server connection for this client within its query_wait_timeout",
        "all server connections of this pool are in use; the client waited and was sent away",
        "The server may be idle at the same time: transactions held open by other clients keep its connections.",
        "look who holds the server connections; then raise `default_pool_size` or shorten the transactions",
        "psql -h {host} -p {port} -U <admin> pgbouncer -c 'SHOW POOLS'",
    ),
    Entry(
        "pooler-too-many-clients",
        "the pooler at {where} accepts no more clients (max_client_conn)",
        "PgBouncer has as many clients as its own limit allows; the server behind may have room",
        "Each pool of each process counts, also its idle connections.",
        "raise `max_client_conn` (and the pooler's open-files limit), or make the pools smaller",
        "psql -h {host} -p {port} -U <admin> pgbouncer -c 'SHOW CLIENTS'",
    ),
    Entry(
        "pooler-refuses-parameter",
        "the pooler at {where} refuses a start-up parameter of the client",
        "PgBouncer knows only a few parameters at the start; others (`options`, `search_path`, ...) end the login",
        "Its words: `unsupported startup parameter`.",
        "remove the parameter from the DSN, or let the pooler ignore it",
        "ignore_startup_parameters = extra_float_digits,options,search_path",
    ),
    Entry(
        "pooler-refused",
        "the pooler at {where} refused the login",
        "PgBouncer's own words are in the evidence",
        "They come from the pooler, not from PostgreSQL.",
        "look at the pooler's log",
    ),
)
