"""Failures of the first words between client and server."""

from __future__ import annotations

from dbdoctor.probe.failures.entry import Entry

ENTRIES = (
    Entry(
        "wrong-service",
        "{service} answers on {where}, not PostgreSQL",
        "the port is open, but what answers there speaks another protocol",
        "libpq says `received invalid response to SSL negotiation` or waits for its timeout.",
        "check the port (PostgreSQL's default is 5432, PgBouncer's 6432) and, behind a proxy, which service the route leads to",
        "ss -ltnp | grep {port}",
    ),
    Entry(
        "accepted-then-silent",
        "{where} accepted the connection and then said nothing for {seconds}",
        "the operating system or a proxy accepted, but no server took up the connection: it is stopped or frozen, out of "
        "memory, its accept queue is long, or a load balancer has no server behind it",
        "pg_isready says `no response`. A login timeout (connect_timeout) covers it; without one an application hangs forever.",
        "look at the server process and at the proxy in between; if only this client is affected, at the network path",
        "ps -o pid,stat,wchan,cmd -C postgres | head",
    ),
    Entry(
        "closed-during-negotiation",
        "{where} closed the connection before the login",
        "the connection was accepted and ended without a word of PostgreSQL: a load balancer or proxy without a healthy "
        "server, a server that is going down, a connection limit of a proxy, or a service that is not PostgreSQL",
        "libpq says `server closed the connection unexpectedly`.",
        "look at the log of the server and of the proxy at this moment",
    ),
    Entry(
        "startup-stalled",
        "{where} did not answer the start of the login within {seconds}",
        "the server (or a pooler) is there and negotiated, but does not go on: it waits for a free server connection, an "
        "authentication service, or a lock on its catalogues",
        "PgBouncer holds a client here while its pool is full (`query_wait_timeout`).",
        "look at the pooler's waiting clients (`SHOW POOLS`), and at the server's log for authentication",
        "psql -h {host} -p {port} -U <admin> pgbouncer -c 'SHOW POOLS'",
    ),
    Entry(
        "not-postgresql-protocol",
        "{where} answers, but not as PostgreSQL does",
        "the first bytes belong to no message of PostgreSQL's protocol and to no service known here",
        "libpq says `received invalid response to SSL negotiation`.",
        "check host and port; the first bytes were: {bytes}",
    ),
)
