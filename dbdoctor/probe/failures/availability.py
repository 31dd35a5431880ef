"""Failures of a server that is there but not open for this client now."""

from __future__ import annotations

from dbdoctor.probe.failures.entry import Entry

ENTRIES = (
    Entry(
        "server-starting",
        "{where} is starting up",
        "the server runs and is not ready yet: it has just been started, or it replays its log after a crash",
        "SQLSTATE 57P03. Clients should try again for a while; a pool that gives up at the first refusal makes an outage of it.",
        "wait and try again; after a crash the log shows how far recovery is",
        "pg_isready -h {host} -p {port}",
    ),
    Entry(
        "server-shutting-down",
        "{where} is shutting down",
        "a stop or restart is under way; new sessions are refused, and it may wait for old ones to end",
        "SQLSTATE 57P03. A `smart` shutdown waits for every pooled idle session: it looks like a hang.",
        "wait for the restart, or let the operator end the waiting with a fast shutdown",
        "pg_ctl stop -m fast",
    ),
    Entry(
        "server-in-recovery",
        "{where} is in recovery and accepts no connections",
        "the server recovers from a crash, or it is a standby with hot_standby off or not yet consistent",
        "SQLSTATE 57P03. For a standby that should serve queries, `hot_standby = on` is needed.",
        "wait until recovery is done, or connect to the primary",
        "pg_isready -h {host} -p {port}",
    ),
    Entry(
        "server-not-ready",
        "{where} says that it cannot accept connections now",
        "the server answered with SQLSTATE 57P03 and words that are not known here",
        "It is starting, stopping, or recovering.",
        "try again in some seconds; the server's log says more",
        "pg_isready -h {host} -p {port}",
    ),
    Entry(
        "terminated-during-login",
        "{where} ended the session while it logged in",
        "an administrator or a shutdown ended it (SQLSTATE 57P01 or 57P02)",
        "The next attempt tells whether it was this session or the server as a whole.",
        "try again, and look at the server's log if it happens again",
    ),
    Entry(
        "session-attributes-not-met",
        "no server of the DSN is what target_session_attrs={wanted} asks for",
        "the login works; the server is a {found}, and the client wants another one",
        "After a failover the primary may have another address; libpq then says `session is read-only` and the like.",
        "list all servers in the DSN, or ask for what is there",
        "postgresql://{user}@<primary>,<standby>/{database}?target_session_attrs={wanted}",
    ),
)
