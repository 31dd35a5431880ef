"""PostgreSQL 13 to 18 and its relatives: the one question that `check` asks after login, and what the answer says.

    facts_query(seconds)      one simple-query message, one round trip; one row, one column of ASCII text
    FALLBACK_QUERY            for servers that do not understand it; `read_facts` reads its answer too
    read_facts(text, ...)     either answer -> ServerFacts

The question is written by feature, not by version: settings are asked for by name, columns are those every supported
version has, and what only some have stands behind `to_regproc`. Tried on 13 to 18 as an ordinary role, as a member of
pg_monitor, as a superuser, on standbys, in SQL_ASCII and LATIN1 databases, and through PgBouncer in transaction mode.
"""

from __future__ import annotations

from dbdoctor.databases.postgresql_facts import read_facts

FALLBACK_QUERY = "SELECT version()"
"""All that relatives of PostgreSQL with a catalogue of their own (Redshift, CockroachDB) can be asked."""

SETTINGS = (
    "authentication_timeout",
    "client_connection_check_interval",
    "idle_in_transaction_session_timeout",
    "idle_session_timeout",
    "lock_timeout",
    "max_connections",
    "max_worker_processes",
    # RDS 15 and older: slots only for members of rds_superuser, beyond those of superusers.
    "rds.rds_superuser_reserved_connections",
    "reserved_connections",
    "server_encoding",
    "server_version",
    "server_version_num",
    "ssl",
    "statement_timeout",
    "superuser_reserved_connections",
    "tcp_keepalives_count",
    "tcp_keepalives_idle",
    "tcp_keepalives_interval",
    "tcp_user_timeout",
    "transaction_timeout",
)
"""The settings asked for by name; one that the server does not have is simply not in the answer."""

# Names come from shared catalogues, in whatever encoding the database had in which they were created. They are sent as
# the ASCII of their bytes, so that no conversion can fail, whatever the encodings of server and client; the functions
# that take text apart, or convert_to, would check it. chr(92) is a backslash, whatever standard_conforming_strings says.
_ASCII = "encode(decode(replace({}::text, chr(92), repeat(chr(92), 2)), 'escape'), 'escape')"

# Several statements in one message are one implicit transaction: SET LOCAL holds for the SELECT and leaves nothing
# behind in a session that a pooler gives to somebody else next. libpq keeps the last result.
#
# Who takes a slot: backends of type "client backend"; since 12 not walsenders (max_wal_senders is theirs), never
# workers. An ordinary role is not told the type of other roles' rows, but pid, user, database and application of all:
# a hidden row with a user and a database is counted as a session unless its pid is known to be a walsender's or a
# subscription's worker. What then remains wrongly counted is parallel and extensions' workers of other roles.
#
# Aurora's readers are in recovery and have no WAL receiver; there the functions on WAL positions raise an error
# ("currently not supported for Aurora": github.com/ankane/distribute_reads issue 46), so only a receiver leads to them.
_FACTS = """\
SET LOCAL search_path = pg_catalog;
SET LOCAL transaction_read_only = on;
SET LOCAL statement_timeout = {milliseconds};
SET LOCAL lock_timeout = {milliseconds};
WITH seen AS (
  SELECT pid, datname, usename, application_name, state, backend_type
  FROM pg_stat_activity{only}
), senders AS (
  SELECT pid FROM pg_stat_get_wal_senders() WHERE pid IS NOT NULL
), appliers AS (
  SELECT pid FROM pg_stat_get_subscription(NULL) WHERE pid IS NOT NULL
), sessions AS (
  SELECT datname, usename, application_name, state, backend_type IS NULL AS hidden,
         backend_type IS NOT DISTINCT FROM 'walsender' OR pid IN (SELECT pid FROM senders) AS sender
  FROM seen
  WHERE backend_type IN ('client backend', 'walsender')
     OR (backend_type IS NULL AND datname IS NOT NULL AND usename IS NOT NULL
         AND pid NOT IN (SELECT pid FROM appliers))
), slots AS (
  SELECT count(*) FILTER (WHERE NOT sender) AS used,
         count(*) FILTER (WHERE NOT sender AND hidden) AS hidden,
         count(*) FILTER (WHERE NOT sender AND NOT hidden AND state = 'idle') AS idle,
         count(*) FILTER (WHERE NOT sender AND NOT hidden AND state LIKE 'idle in transaction%') AS idle_in_transaction,
         count(*) FILTER (WHERE NOT sender AND NOT hidden AND state IN ('active', 'fastpath function call')) AS active,
         count(*) FILTER (WHERE usename = session_user) AS role_used,
         count(*) FILTER (WHERE datname = current_database()) AS database_used
  FROM sessions
), used_by AS (
  SELECT usename, application_name, count(*) AS sessions
  FROM sessions WHERE NOT sender
  GROUP BY usename, application_name
  ORDER BY count(*) DESC, usename, application_name COLLATE "C" LIMIT 10
), every_setting AS (
  SELECT name, setting, reset_val, unit FROM pg_settings
), settings AS (
  SELECT name, setting, reset_val, unit FROM every_setting WHERE name IN ({settings})
), relatives AS (
  SELECT to_regproc('aurora_version') IS NOT NULL OR bool_or(name LIKE 'aurora%' OR name LIKE 'apg%') AS aurora,
         bool_or(name LIKE 'alloydb%') AS alloydb
  FROM every_setting
), receiver AS (
  SELECT status FROM pg_stat_get_wal_receiver() WHERE pid IS NOT NULL
)
SELECT json_build_object(
  'version', version(),
  'now', extract(epoch FROM clock_timestamp()),
  'started', extract(epoch FROM pg_postmaster_start_time()),
  'pid', pg_backend_pid(),
  'user', {session_user},
  'acting_user', {current_user},
  'database', {current_database},
  'client', host(inet_client_addr()),
  'client_port', inet_client_port(),
  'tls', (SELECT concat_ws(', ', sslversion, sslcipher) FROM pg_stat_get_activity(pg_backend_pid()) WHERE ssl),
  'all_stats', CASE WHEN to_regrole('pg_read_all_stats') IS NULL THEN NULL
                    ELSE pg_has_role(to_regrole('pg_read_all_stats'), 'USAGE') END,
  'role', (SELECT json_build_object('superuser', rolsuper, 'limit', rolconnlimit, 'valid_until',
             CASE WHEN isfinite(rolvaliduntil) THEN extract(epoch FROM rolvaliduntil) END)
           FROM pg_roles WHERE rolname = session_user),
  'database_limit', (SELECT datconnlimit FROM pg_database WHERE datname = current_database()),
  'slots', (SELECT to_json(slots) FROM slots),
  'used_by', (SELECT json_agg(json_build_array({usename}, {application_name}, sessions)) FROM used_by),
  'settings', (SELECT json_object_agg(name, json_build_array(setting, reset_val, unit)) FROM settings),
  'aurora', (SELECT aurora FROM relatives),
  'alloydb', (SELECT alloydb FROM relatives),
  'standby', pg_is_in_recovery(),
  'replica', CASE WHEN pg_is_in_recovery() THEN json_build_object(
     'receiving', EXISTS (SELECT FROM receiver),
     'status', (SELECT status FROM receiver),
     'behind', CASE WHEN EXISTS (SELECT FROM receiver)
                    THEN pg_last_wal_receive_lsn() IS DISTINCT FROM pg_last_wal_replay_lsn() END,
     'replayed', CASE WHEN NOT (SELECT aurora FROM relatives)
                      THEN extract(epoch FROM pg_last_xact_replay_timestamp()) END) END
)::text
"""


def facts_query(statement_timeout: float, *, count_sessions: bool = True) -> str:
    """The text to send in one simple-query message on an autocommit connection; the server gives up after that many seconds.

    It is read only, sets nothing beyond its own end, and its one column holds ASCII JSON for `read_facts`. Who counts the
    sessions by other means spares the server two thirds of the work: every number of sessions in the facts is then 0.
    """
    return _FACTS.format(
        only="" if count_sessions else " WHERE false",
        milliseconds=max(1, round(statement_timeout * 1000)),
        settings=", ".join(f"'{name}'" for name in SETTINGS),
        **{
            name: _ASCII.format(name if name != "current_database" else "current_database()")
            for name in ("session_user", "current_user", "current_database", "usename", "application_name")
        },
    )


__all__ = ["FALLBACK_QUERY", "SETTINGS", "facts_query", "read_facts"]
