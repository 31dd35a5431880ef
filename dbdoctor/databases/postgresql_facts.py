"""PostgreSQL's answer to the facts question, read into the product-neutral value; pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from dbdoctor.model.identifier import quote_identifier
from dbdoctor.model.server import ConnectionLimit, Missing, Pooler, ServerFacts, Slots

_UNITS = {"ms": 0.001, "s": 1.0, "min": 60.0, "h": 3600.0, "d": 86400.0}
_LIMITS = (
    "superuser_reserved_connections",
    "reserved_connections",
    "rds.rds_superuser_reserved_connections",
)
_DURATIONS = (
    "authentication_timeout",
    "client_connection_check_interval",
    "idle_in_transaction_session_timeout",
    "idle_session_timeout",
    "statement_timeout",
    "tcp_keepalives_count",
    "tcp_keepalives_idle",
    "tcp_keepalives_interval",
    "tcp_user_timeout",
    "transaction_timeout",
)

# How the relatives name themselves in version(): a word, the pattern with their own version, the product. The word spares
# compiling the pattern.
_RELATIVES = (
    ("Redshift", r"\bRedshift ([\d.]+)", "Amazon Redshift"),
    ("CockroachDB", r"^CockroachDB\D*([\d.]+)", "CockroachDB"),
    ("-YB-", r"-YB-([\d.]+)", "YugabyteDB"),
    ("Greenplum", r"\bGreenplum Database ([\d.]+)", "Greenplum"),
    ("Cloudberry", r"\bApache Cloudberry ([\d.]+)", "Apache Cloudberry"),
    ("Materialize", r"\bMaterialize v?([\d.]+)", "Materialize"),
    ("RisingWave", r"\bRisingWave-([\d.]+)", "RisingWave"),
    ("EnterpriseDB", r"\bEnterpriseDB(?: Advanced Server)? ([\d.]+)", "EDB Postgres Advanced Server"),
)


def read_facts(
    row_text: str | bytes, *, sent_at: float, received_at: float, backend_pid: int | None, tls: str | None
) -> ServerFacts:
    """What the server said, from the answer to `facts_query` or, if it does not begin with `{`, to `FALLBACK_QUERY`.

    `sent_at` and `received_at` are our Unix clock around the round trip. `backend_pid` is what the login announced
    (libpq's BackendKeyData): another than the backend's own is the mark of a pooler. `tls` is what our own end of the
    connection knows; without it the server's word is taken, unless a pooler stands between. Raises ValueError for an
    answer that is neither.
    """
    text = row_text if isinstance(row_text, str) else row_text.decode("utf-8", errors="replace")
    if not text.startswith("{"):
        return _from_version_alone(text, tls)
    import json

    answer: dict[str, Any] = json.loads(text)
    settings: dict[str, list[str | None]] = answer["settings"] or {}
    name = _names((settings.get("server_encoding") or ["UTF8"])[0])
    product, version, number = _product(answer, settings)
    pooled = bool(backend_pid) and backend_pid != answer["pid"]
    user = name(answer["user"])
    slots = answer["slots"]
    return ServerFacts(
        product=product,
        version=version,
        version_number=number,
        uptime=max(0.0, answer["now"] - answer["started"]),
        is_standby=answer["standby"],
        replica_lag=_lag(answer["replica"], answer["now"]),
        tls=tls or (None if pooled else answer["tls"]),
        pooler=Pooler("a connection pooler") if pooled else None,
        slots=_slots(answer, settings, name),
        limits=_connection_limits(answer, user, name(answer["database"])),
        settings=_durations(settings, on_tcp=answer["client"] is not None),
        user=user,
        database=name(answer["database"]),
        password_expires_at=(answer["role"] or {}).get("valid_until"),
        server_time=answer["now"],
        clock_skew=answer["now"] - (sent_at + received_at) / 2,
        clock_uncertainty=max(0.0, received_at - sent_at) / 2,
        hidden_sessions=slots["hidden"],
        missing=tuple(_missing(answer, name(answer["acting_user"]))),
        extra=_extra(answer, settings),
    )


def _from_version_alone(text: str, tls: str | None) -> ServerFacts:
    product, version, number = _product({"version": text}, {})
    why = f"{product} {version} did not answer the question that PostgreSQL 13 to 18 answer"
    return ServerFacts(product, version, number, tls=tls, missing=(Missing("slots, limits and settings", why),))


def _product(answer: Mapping[str, Any], settings: Mapping[str, list[str | None]]) -> tuple[str, str, int]:
    """Product, its own version, and the PostgreSQL version it claims as a number (160014), 0 if it claims none."""
    text: str = answer["version"]
    claimed = re.match(r"PostgreSQL (\d+)(?:\.(\d+))?(?:\.(\d+))?(\S*)", text)
    number = int((settings.get("server_version_num") or ["0"])[0] or 0)
    if claimed and not number:
        major, minor, patch = (int(part or 0) for part in claimed.groups()[:3])
        number = major * 10000 + (minor if major >= 10 else minor * 100 + patch)
    for word, pattern, product in _RELATIVES:
        if word in text and (found := re.search(pattern, text)):
            return product, found[1].rstrip("."), number
    version = (settings.get("server_version") or [None])[0] or (claimed[0].split()[1] if claimed else text[:80])
    product = (
        "Amazon Aurora PostgreSQL" if answer.get("aurora") else "AlloyDB" if answer.get("alloydb") else "PostgreSQL"
    )
    return product if claimed else "an unknown server", version.split()[0] if version.split() else "unknown", number


def _names(server_encoding: str | None) -> Callable[[str | None], str]:
    """The reader of a name that was sent as the ASCII of its bytes: UTF-8 if it can be, else as the server encodes."""
    codec = re.sub(r"^WIN(?=\d)", "cp", server_encoding or "")

    def read(escaped: str | None) -> str:
        raw = re.sub(
            rb"\\(\\|[0-7]{3})",
            lambda match: b"\\" if match[1] == b"\\" else bytes([int(match[1], 8)]),
            (escaped or "").encode("ascii", errors="replace"),
        )
        for encoding in ("utf-8", codec):
            try:
                return raw.decode(encoding)
            except (UnicodeDecodeError, LookupError):
                continue
        return raw.decode("utf-8", errors="replace")

    return read


def _number(settings: Mapping[str, list[str | None]], name: str) -> int:
    return int((settings.get(name) or ["0"])[0] or 0)


def _slots(
    answer: Mapping[str, Any], settings: Mapping[str, list[str | None]], name: Callable[[str | None], str]
) -> Slots | None:
    limit = _number(settings, "max_connections")
    if not limit:
        return None
    used_by = tuple((name(user), name(application), count) for user, application, count in answer["used_by"] or ())
    return Slots(limit, sum(_number(settings, one) for one in _LIMITS), answer["slots"]["used"], used_by)


def _connection_limits(answer: Mapping[str, Any], user: str, database: str) -> tuple[ConnectionLimit, ...]:
    """The limits of their own that hold for us: none for a superuser; -1 is "no limit", -2 an unusable database."""
    role = answer["role"] or {}
    if role.get("superuser"):
        return ()
    both = (
        ConnectionLimit("role", user, role.get("limit", -1), answer["slots"]["role_used"]),
        ConnectionLimit("database", database, answer["database_limit"], answer["slots"]["database_used"]),
    )
    return tuple(limit for limit in both if limit.limit >= 0)


def _durations(settings: Mapping[str, list[str | None]], *, on_tcp: bool) -> dict[str, float]:
    """The idle-related settings as a fresh session of this role has them, in seconds; 0 is off (tcp_keepalives_count: probes).

    `reset_val` is what a session begins with: `setting` is touched by our own SET LOCAL. Only the tcp_* settings show
    their effect, the operating system's default included, in `setting`; on a unix socket that is always 0.
    """
    found = {}
    for name in _DURATIONS:
        shown, initial, unit = settings.get(name, (None, None, None))
        value = shown if on_tcp and name.startswith("tcp_") else initial
        if value is not None and re.fullmatch(r"-?\d+(\.\d+)?", value):
            found[name] = float(value) * _UNITS.get(unit or "s", 1.0)
    return found


def _lag(replica: Mapping[str, Any] | None, now: float) -> float | None:
    """Seconds a standby is behind; 0 only if all that was received is replayed and the primary is still being heard."""
    if replica is None or not replica["receiving"]:
        return None
    if not replica["behind"]:
        return 0.0
    return None if replica["replayed"] is None else max(0.0, now - replica["replayed"])


def _missing(answer: Mapping[str, Any], role: str) -> list[Missing]:
    if answer["all_stats"] is not False:
        return []
    why = f"the role {role} is not a member of pg_monitor"
    grant = f"GRANT pg_monitor TO {quote_identifier(role)};"
    found = []
    if hidden := answer["slots"]["hidden"]:
        sessions = f"{hidden} session{'s' if hidden > 1 else ''} of other roles"
        found.append(Missing(f"the state, start and address of {sessions}", why, grant))
    replica = answer["replica"]
    if replica and replica["receiving"] and replica["status"] is None:
        found.append(Missing("the state of the replication stream", why, grant))
    return found


def _extra(answer: Mapping[str, Any], settings: Mapping[str, list[str | None]]) -> dict[str, Any]:
    slots = answer["slots"]
    hidden = slots["hidden"]
    counted_by = "the type of every backend"
    if hidden:
        counted_by = (
            f"the type of every backend we may see, and {hidden} hidden ones that have a user and a database; "
            "workers of parallel queries and of extensions may be among those"
        )
    return {
        "slots_counted_by": counted_by,
        "slots_overcounted_at_most": min(hidden, _number(settings, "max_worker_processes")),
        "states": {state: slots[state] for state in ("active", "idle", "idle_in_transaction", "hidden")},
        "role_sessions": slots["role_used"],
        "superuser": bool((answer["role"] or {}).get("superuser")),
        "all_stats": answer["all_stats"],
        "client_address": answer["client"],
        "client_port": answer.get("client_port"),
        "server_tls": answer["tls"],
        "server_offers_tls": (settings.get("ssl") or [None])[0] == "on" if "ssl" in settings else None,
        "server_encoding": (settings.get("server_encoding") or [None])[0],
        "replica": answer["replica"],
        "version_text": answer["version"],
    }
