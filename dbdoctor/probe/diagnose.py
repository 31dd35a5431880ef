"""From what the server or libpq said to the code of the failure, never by the words of one language.

A server's answer is named by its SQLSTATE and by the name of the C function that raised it (both are the same in every
language; PostgreSQL's src/backend/utils/init/*.c, libpq/auth.c and storage/lmgr/proc.c); only where two failures share
both do the words decide, through PostgreSQL's own translations. PgBouncer and libpq have no translations.
"""

from __future__ import annotations

import re

from dbdoctor.probe.postgresql_wire import ServerError

_BY_STATE = {
    "28P01": "wrong-password",
    "3D000": "database-not-found",
    "42501": "no-connect-privilege",
    "55000": "database-not-accepting",
    "57P01": "terminated-during-login",
    "57P02": "terminated-during-login",
    "57014": "statement-timeout",
    "55P03": "statement-timeout",
    "53200": "server-out-of-memory",
    "42704": "server-refuses-option",
    "22023": "server-refuses-option",
    "42601": "server-refuses-option",
    "55P02": "server-refuses-option",
}
_BY_STATE_AND_ROUTINE = {
    ("53300", "InitProcess"): "too-many-clients",
    ("53300", "InitPostgres"): "slots-reserved",
    ("53300", "InitializeSessionUserId"): "role-connection-limit",
    ("53300", "CheckMyDatabase"): "database-connection-limit",
    ("28000", "auth_failed"): "authentication-failed",
}
# PostgreSQL's message ids, as its translation catalogues key them, by how they begin.
_BY_MESSAGE = (
    ("role %s does not exist", "role-not-found"),
    ('role "%s" does not exist', "role-not-found"),
    ("role with OID", "role-not-found"),
    ('role "%s" is not permitted to log in', "role-may-not-log-in"),
    ("connection requires a valid client certificate", "client-certificate-missing"),
    ("no pg_hba.conf entry", "no-hba-entry"),
    ("pg_hba.conf rejects", "hba-rejects"),
    ("the database system is starting up", "server-starting"),
    ("the database system is shutting down", "server-shutting-down"),
    ("the database system is in recovery mode", "server-in-recovery"),
    ("the database system is not yet accepting connections", "server-in-recovery"),
    ("the database system is not accepting connections", "server-in-recovery"),
    ("sorry, too many clients already", "too-many-clients"),
    ("remaining connection slots are reserved", "slots-reserved"),
    ("number of requested standby connections", "too-many-clients"),
    ("too many connections for role", "role-connection-limit"),
    ("too many connections for database", "database-connection-limit"),
    ("password authentication failed", "wrong-password"),
)
# PgBouncer's own words (src/client.c, src/objects.c, src/janitor.c), SQLSTATE 08P01 in most versions.
_POOLER = (
    (r"no such database", "pooler-no-such-database"),
    (r"query_wait_timeout", "pooler-query-wait-timeout"),
    (r"no more connections allowed|max_client_conn|client_connections", "pooler-too-many-clients"),
    (
        r"server login|server_login_retry|pgbouncer cannot connect to server|server conn crashed|connect failed",
        "pooler-server-login-failed",
    ),
    (r"unsupported startup parameter", "pooler-refuses-parameter"),
    (r"SASL authentication failed|password authentication failed|auth failed", "wrong-password"),
    (r"SSL required|TLS required", "tls-required-by-server"),
    (r"pgbouncer|bouncer config|pooler error|client_login_timeout", "pooler-refused"),
)
# libpq's own words (fe-connect.c, fe-auth.c, fe-secure-openssl.c); psycopg2-binary carries no translations of them.
_LIBPQ = (
    (r"no password supplied", "password-missing"),
    (r"session is (not )?read-only|hot standby mode|target_session_attrs", "session-attributes-not-met"),
    (r"channel binding", "channel-binding-unmet"),
    (
        r"authentication method (requirement|\d+ not supported)|unsupported .* authentication|none of the server's SASL",
        "authentication-method-refused",
    ),
    (r"GSSAPI|GSS ", "gssapi-failed"),
    (r"server does not support SSL", "tls-not-offered"),
    (r"host name must be specified", "verify-full-needs-name"),
    (r"does not match host name", "certificate-wrong-name"),
    (r"certificate verify failed: certificate has expired|certificate has expired", "certificate-expired"),
    (r"certificate verify failed", "certificate-untrusted"),
    (r"root certificate file .* does not exist", "root-certificate-missing"),
    (r"could not read root certificate", "root-certificate-unreadable"),
    (r"private key file .* has group or world access|must be owned by", "client-key-too-open"),
    (
        r"private key file|certificate present, but not private key|could not load .*certificate",
        "client-key-unreadable",
    ),
    (r"alert (unknown ca|bad certificate|certificate expired|certificate revoked)", "client-certificate-refused"),
    (r"alert (certificate required|handshake failure)", "client-certificate-required"),
    (r"unsupported protocol|alert protocol version", "tls-version-refused"),
    (r"invalid (connection|URI query) option|invalid connection option", "unknown-driver-option"),
    (r"SSL error|SSL SYSCALL", "tls-handshake-failed"),
    (
        r"server closed the connection|Connection reset|received invalid response|lost synchronization",
        "closed-during-login",
    ),
)
# Patterns are compiled when they are used: a healthy check needs none.
_VERBOSE = r"(?:^|: )[^\s:]{1,40}:\s+([0-9A-Z]{5}): (.*)"
_LOCATION = r"(?m)^[^\n:]{1,40}:\s+(\w+), [\w./-]+:\d+\s*$"


def name_server_error(error: ServerError) -> str:
    """The code for an error that a server (or PgBouncer) sent during a login."""
    if not error.routine:  # PgBouncer names no function; neither do relatives that are not PostgreSQL inside
        code = _first(_POOLER, error.message)
        if code:
            return code
    exact = _BY_STATE_AND_ROUTINE.get((error.code, error.routine))
    if exact:
        return exact
    if error.code not in _BY_STATE:
        code = _by_message(error.message)
        if code:
            return code
    return _BY_STATE.get(error.code) or ("server-not-ready" if error.code == "57P03" else "login-refused")


def name_libpq_error(text: str) -> str:
    """The code for an error of libpq's own."""
    return _first(_LIBPQ, text) or "client-refused"


def read_verbose(text: str) -> list[ServerError]:
    """The server's errors in a message of libpq at verbosity VERBOSE, one an attempt (TLS and plain text, each host).

    libpq writes `FATAL:  28P01: words`, then DETAIL and HINT, then `LOCATION:  routine, file:line`; the labels are in the
    server's language, their order and the SQLSTATE are not.
    """
    found: list[ServerError] = []
    starts = [match for line in _lines(text) if (match := re.search(_VERBOSE, line[1])) and (line[0], match)]
    positions = [text.find(match[0]) for match in starts]
    for index, match in enumerate(starts):
        end = positions[index + 1] if index + 1 < len(starts) else len(text)
        location = re.search(_LOCATION, text[positions[index] : end])
        found.append(ServerError(code=match[1], message=match[2].strip(), routine=location[1] if location else ""))
    return found


def most_telling(errors: list[ServerError]) -> ServerError | None:
    """Of several attempts the one to report: a missing pg_hba.conf entry for the second way in tells less than the first."""
    for error in errors:
        if name_server_error(error) not in ("no-hba-entry", "hba-rejects"):
            return error
    return errors[0] if errors else None


def _lines(text: str) -> list[tuple[int, str]]:
    return list(enumerate(text.splitlines()))


def _first(table: tuple[tuple[str, str], ...], text: str) -> str | None:
    return next((code for pattern, code in table if re.search(pattern, text, re.IGNORECASE)), None)


def _by_message(text: str) -> str | None:
    from dbdoctor.probe.messages import which_message

    known = which_message(text) or text
    return next((code for start, code in _BY_MESSAGE if known.startswith(start)), None)
