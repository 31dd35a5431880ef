"""From the driver's message to a failure with everything that its text can say: role, address, wanted attributes."""

from __future__ import annotations

import re
from dataclasses import replace

from dbdoctor.model.secret import redact
from dbdoctor.model.stage import Failure, StageName
from dbdoctor.model.target import Target
from dbdoctor.probe.diagnose import most_telling, name_libpq_error, name_server_error, read_verbose
from dbdoctor.probe.postgresql_wire import ServerError

_QUOTED_ADDRESS = r"(?<![\w.:])(\d{1,3}(?:\.\d{1,3}){3}|[0-9a-fA-F]*:[0-9a-fA-F:.]*:[0-9a-fA-F:.]*)(?![\w.:])"
_FOUND = (
    ("session is read-only", "server that takes no writes (a standby, or read only by its settings)"),
    ("session is not read-only", "server that takes writes"),
    ("server is in hot standby mode", "standby"),
    ("server is not in hot standby mode", "primary"),
)
_PLAIN_NAME = r"[a-z_][a-z0-9_$]*"
_KEY_FILE = r'(?:private key|certificate) file "([^"]+)"'


def name_refusal(
    message: str, target: Target, *, stage: StageName = StageName.LOGIN, sqlstate: str | None = None
) -> tuple[Failure, ServerError | None]:
    """What a (verbose) message of libpq stands for, and the server's error in it if it holds one.

    `sqlstate` is given where the driver knows it (for a failed query); the message then lacks its severity.
    """
    error = most_telling(read_verbose(message))
    if sqlstate:
        error = ServerError(sqlstate, _first_line(message).removeprefix(f"{sqlstate}: "), routine="unknown")
    if error is None and not message.strip():  # psycopg2 lost words that are no UTF-8
        return Failure("login-refused", stage), None
    if error is None:
        code = name_libpq_error(message)
        return Failure(code, stage, redact(_first_line(message)), values=_libpq_values(message, target)), None
    failure = Failure(name_server_error(error), stage, redact(error.message), error.code)
    if failure.code == "wrong-password" and _is_relayed(error, target):
        failure = replace(failure, code="pooler-server-login-failed")
    if failure.code == "no-hba-entry":
        failure = replace(failure, values=hba_values(error.message, target))
    return failure, error


def _is_relayed(error: ServerError, target: Target) -> bool:
    """Whether PgBouncer passes on what its own login was told: no function is named, and the user is not ours."""
    named = re.search(r'for user "([^"]+)"', error.message)
    return not error.routine and named is not None and named[1] != target.user


def hba_values(message: str, target: Target) -> dict[str, object]:
    """The columns of the pg_hba.conf line that would admit this client; the address is the one that the server saw."""
    match = re.search(_QUOTED_ADDRESS, message)
    address = match[1] if match else "<address>"
    on_socket = all(endpoint.is_socket for endpoint in target.endpoints)
    length = "" if match is None else ("/128" if ":" in address else "/32")
    mode = target.parameters.get("sslmode", "prefer")
    with_tls = mode in ("require", "verify-ca", "verify-full")
    replication = target.parameters.get("replication") in ("true", "on", "yes", "1")
    return {
        "connection_type": "local" if on_socket else "hostssl" if with_tls else "host",
        "database_name": "replication" if replication else _hba_word(target.database or target.user or "all"),
        "user_name": _hba_word(target.user or "all"),
        "client_address": "" if on_socket else f"{address}{length}",
    }


def _hba_word(name: str) -> str:
    return name if re.fullmatch(_PLAIN_NAME, name) else '"' + name.replace('"', '""') + '"'


def _libpq_values(message: str, target: Target) -> dict[str, object]:
    parameters = target.parameters
    key = re.search(_KEY_FILE, message)
    option = re.search(r'option "(\w{1,40})"', message)
    found = next((what for words, what in _FOUND if words in message), None)
    return {
        "option": option[1] if option else None,
        "right_option": "connect_timeout",
        "advice": "remove it, or write what this driver calls it",
        "wanted": parameters.get("target_session_attrs"),
        "found": found,
        "sslmode": parameters.get("sslmode", "prefer"),
        "root": parameters.get("sslrootcert", "~/.postgresql/root.crt"),
        "key": key[1] if key else parameters.get("sslkey"),
        "certificate": parameters.get("sslcert"),
        "minimum": parameters.get("ssl_min_protocol_version", "TLSv1.2"),
    }


def _first_line(text: str) -> str:
    return next((line.strip() for line in text.splitlines() if line.strip()), "")
