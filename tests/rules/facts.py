"""A healthy server's facts and a plain target, to be bent one field at a time."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from dbdoctor.model.pool import PoolSettings
from dbdoctor.model.server import ConnectionLimit, Missing, Pooler, ServerFacts, Slots
from dbdoctor.model.target import Endpoint, Product, Target

NOW = datetime(2026, 1, 15, 12, tzinfo=UTC).timestamp()
QUIET = {
    "idle_in_transaction_session_timeout": 300.0,
    "idle_session_timeout": 0.0,
    "statement_timeout": 30.0,
    "transaction_timeout": 0.0,
    "tcp_keepalives_idle": 60.0,
    "tcp_keepalives_interval": 10.0,
    "tcp_keepalives_count": 6.0,
    "tcp_user_timeout": 0.0,
    "client_connection_check_interval": 10.0,
}
HEALTHY = ServerFacts(
    product="PostgreSQL",
    version="18.4",
    version_number=180004,
    uptime=86400.0,
    is_standby=False,
    slots=Slots(100, 3, 20, (("app", "shop", 15), ("app", "", 5))),
    settings=QUIET,
    user="app",
    database="shop",
    server_time=NOW,
    clock_skew=0.001,
    clock_uncertainty=0.002,
    hidden_sessions=0,
    extra={"client_address": "127.0.0.1", "role_sessions": 20, "server_offers_tls": True},
)


def facts(
    *,
    used: int | None = None,
    settings: dict[str, float] | None = None,
    extra: dict[str, Any] | None = None,
    **other: Any,
) -> ServerFacts:
    if used is not None:
        assert HEALTHY.slots
        other["slots"] = HEALTHY.slots._replace(used=used)
    if "host" in other:
        extra = {"client_address": other.pop("host"), **(extra or {})}
    return replace(
        HEALTHY, settings={**HEALTHY.settings, **(settings or {})}, extra={**HEALTHY.extra, **(extra or {})}, **other
    )


def far(**other: Any) -> ServerFacts:
    """The same server, seen over a network."""
    return facts(host="10.0.0.9", **other)


def target(*, host: str | None = "127.0.0.1", pool: PoolSettings | None = None, **other: Any) -> Target:
    return Target(Product.POSTGRESQL, (Endpoint(host, 5432),), user="app", database="shop", pool=pool, **other)


def one(rule: Any, made_facts: ServerFacts, made_target: Target) -> Any:
    """What a rule says when it says at most one thing."""
    said = list(rule.judge(made_facts, made_target))
    assert len(said) <= 1
    return said[0] if said else None


ENCRYPTED = "TLSv1.3, TLS_AES_256_GCM_SHA384"
# One case in which each code is given.
PROVOKED: dict[str, tuple[ServerFacts, Target]] = {
    "client-connection-check-off": (
        far(settings={"client_connection_check_interval": 0.0, "statement_timeout": 0.0}, tls=ENCRYPTED),
        target(host="db1"),
    ),
    "clock-skew": (facts(clock_skew=-60.0), target()),
    "database-connection-limit-near": (facts(limits=(ConnectionLimit("database", "shop", 10, 9),)), target()),
    "idle-in-transaction-unlimited": (facts(settings={"idle_in_transaction_session_timeout": 0.0}), target()),
    "idle-session-timeout-below-recycle": (
        facts(settings={"idle_session_timeout": 300.0}),
        target(pool=PoolSettings(5, 10)),
    ),
    "password-expires-soon": (facts(password_expires_at=NOW + 86400.0), target()),
    "pool-exceeds-slots": (facts(), target(pool=PoolSettings(5, 10, processes=8))),
    "pooler-transaction-mode": (facts(pooler=Pooler("PgBouncer", "1.18.0", "transaction")), target()),
    "recently-restarted": (facts(uptime=30.0), target()),
    "replica-lag": (
        facts(is_standby=True, replica_lag=95.0, extra={"replica": {"receiving": True, "replayed": NOW - 95}}),
        target(),
    ),
    "replica-not-streaming": (
        facts(is_standby=True, extra={"replica": {"receiving": False, "replayed": NOW - 95}}),
        target(),
    ),
    "role-connection-limit-near": (facts(limits=(ConnectionLimit("role", "app", 10, 8),)), target()),
    "server-keepalive-slow": (far(settings={"tcp_keepalives_idle": 7200.0}, tls=ENCRYPTED), target(host="db1")),
    "slots-nearly-full": (facts(used=90), target()),
    "tls-not-used": (far(), target(host="db1")),
    "version-unsupported": (facts(version="13.23", version_number=130023), target()),
    "view-restricted": (
        facts(hidden_sessions=3, missing=(Missing("what 3 sessions do", "why", 'GRANT pg_monitor TO "app";'),)),
        target(),
    ),
}
