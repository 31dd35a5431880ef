"""What PgBouncer admits, as its admin console tells it (SHOW CONFIG, SHOW DATABASES, SHOW POOLS).

The console is a database of PgBouncer's own, `pgbouncer`, on the same port; admin_users and stats_users may ask it. Columns by
name, since versions differ (PgBouncer 1.5 to 1.25, https://www.pgbouncer.org/usage.html).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

from dbdoctor.model.secret import redact
from dbdoctor.model.server import Missing
from dbdoctor.model.sizing import PoolerLimits
from dbdoctor.model.target import Target
from dbdoctor.probe import login
from dbdoctor.probe.deadline import Deadline, DeadlinePassedError
from dbdoctor.probe.resolve import resolve_all

_TIMEOUT = 3.0  # seconds for all of it: the console answers from memory
_SOURCE = "PgBouncer's console"

Row = Mapping[str, str | None]


def ask_limits(target: Target, database: str | None, users: Collection[str | None]) -> PoolerLimits | Missing:
    """The limits for clients of `database`; `users` are the fleet's own, whose clients are not those of others.

    Never fails: who is refused is told why, and what would let us ask. Logs in once.
    """
    deadline = Deadline.after(_TIMEOUT)
    try:
        config, databases, pools = _ask(replace(target, database="pgbouncer"), deadline)
    except (login.LoginFailedError, login.QueryFailedError, OSError) as error:
        return _missing(target, str(error))
    except DeadlinePassedError:
        return _missing(target, "no answer in time")
    return read_limits(config, databases, pools, database=database, users=users)


def read_limits(
    config: Sequence[Row],
    databases: Sequence[Row],
    pools: Sequence[Row],
    *,
    database: str | None,
    users: Collection[str | None],
) -> PoolerLimits:
    """The rows of SHOW CONFIG, SHOW DATABASES and SHOW POOLS read; pure. 0 is no limit in PgBouncer's words."""
    settings = {row.get("key"): row.get("value") for row in config}
    own = next((row for row in databases if row.get("name") == database), {})
    others = sum(
        (_number(row.get("cl_active")) or 0) + (_number(row.get("cl_waiting")) or 0)
        for row in pools
        if row.get("user") not in users and row.get("database") != "pgbouncer"
    )
    reserve = _first(own.get("reserve_pool_size"), own.get("reserve_pool"), settings.get("reserve_pool_size"))
    return PoolerLimits(
        clients=_first(settings.get("max_client_conn")),
        clients_of_others=others,
        pool_size=_first(own.get("pool_size"), settings.get("default_pool_size")),
        reserve=reserve or 0,
        database=_first(own.get("max_connections"), settings.get("max_db_connections")),
        client_idle=_seconds(settings.get("client_idle_timeout")),
        source=_SOURCE,
    )


def _ask(target: Target, deadline: Deadline) -> tuple[list[Row], list[Row], list[Row]]:
    addresses = resolve_all(target.endpoints, deadline)[0].addresses
    session = login.log_in(target, addresses, deadline)
    try:
        config, databases, pools = (_show(session, what, deadline) for what in ("CONFIG", "DATABASES", "POOLS"))
    finally:
        login.log_out(session)
    return config, databases, pools


def _show(session: login.LoggedIn, what: str, deadline: Deadline) -> list[Row]:
    names, rows = login.run_table(session, f"SHOW {what}", deadline)
    return [dict(zip(names, map(_text, row), strict=True)) for row in rows]


def _missing(target: Target, why: str) -> Missing:
    words = redact(why.strip().partition("\n")[0])
    return Missing(
        "what PgBouncer admits",
        f"its admin console does not let us ask: {words}",
        f"in pgbouncer.ini: stats_users = {target.user or 'this user'}; then RELOAD; "
        "or `pooler_clients` and `pooler_pool_size` in the profile",
    )


def _first(*values: str | None) -> int | None:
    """The first that is a limit at all."""
    return next((number for number in map(_number, values) if number), None)


def _number(value: str | None) -> int | None:
    return int(value) if value is not None and value.isdecimal() else None


def _seconds(value: str | None) -> float | None:
    try:
        return float(value or 0) or None
    except ValueError:
        return None


def _text(value: object) -> str | None:
    if value is None:
        return None
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
