"""Each setting beside the size: its value, why, and the numbers behind it. One function a setting, all of them pure."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from dbdoctor.model.demand import Demand
from dbdoctor.model.duration import format_duration
from dbdoctor.model.pool import PoolSettings
from dbdoctor.model.sizing import Because, Prediction, Surroundings

SHARE_OF_IDLE = (
    0.8  # pool_recycle of the path's idle timeout: what is younger cannot have idled so long, with room for a use
)
SHARE_OF_KEEPALIVE = 0.5  # the first keepalive of the path's idle timeout, so that one may be lost
_DEFAULT_TIMEOUT = 30.0  # SQLAlchemy's
_PATIENCE = 120.0  # seconds: nobody should wait for longer, whatever is predicted
_ROUND_TRIP = 0.0005  # seconds, assumed where none was measured: the same data centre
_PING_IS_DEAR = 0.2  # of the mean use time
_RETRY = 3
_ODBC_KEEPALIVE = 30  # seconds, of Microsoft's driver by default; FreeTDS has 40


@dataclass(frozen=True, slots=True)
class Situation:
    """All that a setting is judged by. `pool_size` and `max_overflow` are what was decided."""

    pool_size: int
    max_overflow: int
    demand: Demand
    around: Surroundings
    current: PoolSettings
    prediction: Prediction | None = None

    @property
    def connections(self) -> int:
        """What a process can open."""
        return self.pool_size + self.max_overflow

    @property
    def idle_timeout(self) -> float | None:
        """Seconds; only where there is one."""
        return self.around.idle_timeout or None


def pool_timeout(now: Situation) -> Because:
    """Below the caller's own deadline, above any wait that is predicted."""
    deadline, longest = now.around.deadline, now.prediction.longest.most if now.prediction else None
    current = now.current.pool_timeout
    held = _DEFAULT_TIMEOUT if current is None else current
    nobody_waits = now.around.threads is not None and now.connections >= now.around.threads * now.around.per_request
    least = 0.0 if nobody_waits else 3 * (longest or 0.0)
    evidence = {"deadline_seconds": deadline, "longest_wait_seconds": longest, "current_seconds": current}
    if deadline is None:
        if least <= held or least > _PATIENCE:
            reason = f"no caller's deadline is known, and {_near(longest, least, held, nobody_waits=nobody_waits)}"
            return _keep("pool_timeout", held, current, reason, evidence)
        value = math.ceil(least)
        reason = (
            f"three times the longest predicted wait, {format_duration(longest or 0.0)}; no caller's deadline is known"
        )
        return Because("pool_timeout", value, reason, evidence)
    if least <= held <= deadline / 2:
        return _keep(
            "pool_timeout", held, current, f"below the caller's deadline of {format_duration(deadline)}", evidence
        )
    seconds = _whole(min(deadline / 2, max(least, deadline / 4)))
    reason = (
        f"the caller gives up after {format_duration(deadline)}: who has waited for {format_duration(seconds)} should get an "
        "error while somebody still reads it"
    )
    return Because("pool_timeout", seconds, reason, evidence)


def _near(longest: float | None, least: float, held: float, *, nobody_waits: bool) -> str:
    if nobody_waits:
        return "there is a connection for every thread: nobody waits for one"
    if longest is None:
        return "how long checkouts wait is not predicted"
    if least <= held:
        return "no wait comes near it"
    return f"for waits of up to {format_duration(longest)} it is more connections that are wanted, not more patience"


def pool_recycle(now: Situation) -> Because:
    """Below the shortest idle timeout on the path."""
    idle, current = now.idle_timeout, now.current.pool_recycle
    if idle is None:
        value = -1 if current is None else current
        reason = "no idle timeout is known on the path; `dbdoctor measure-timeout` finds it out"
        return _keep("pool_recycle", value, current, reason, {"idle_timeout_seconds": None})
    evidence = {"idle_timeout_seconds": idle, "idle_timeout_of": now.around.idle_timeout_of, "share": SHARE_OF_IDLE}
    if current is not None and idle / 10 <= current <= SHARE_OF_IDLE * idle and current > 0:
        evidence["connects_per_second"] = now.pool_size / current
        return _keep("pool_recycle", current, current, f"below the idle timeout of {format_duration(idle)}", evidence)
    value = _whole(SHARE_OF_IDLE * idle)
    evidence["connects_per_second"] = now.pool_size / value
    reason = (
        f"{now.around.idle_timeout_of} drops what idles for {format_duration(idle)}: a connection younger than that cannot have "
        f"idled so long; it costs {now.pool_size / value:.2g} new connections a second"
    )
    return Because("pool_recycle", value, reason, evidence)


def pool_pre_ping(now: Situation) -> Because:
    """On, unless a round trip is a good part of the use time and the path has no idle timeout that recycling leaves open."""
    trip, use = now.around.round_trip or _ROUND_TRIP, now.demand.use
    evidence = {
        "round_trip_seconds": trip,
        "round_trip_measured": now.around.round_trip is not None,
        "use_seconds": use,
    }
    current = now.current.pool_pre_ping
    # What is set is only changed for a clear reason: round trips differ from one look to the next.
    dear = _PING_IS_DEAR * {None: 1.0, True: 2.0, False: 0.5}[current]
    if use and trip > dear * use and now.idle_timeout is not None:
        reason = (
            f"it would add {format_duration(trip)} to uses of {format_duration(use)}, {trip / use:.0%}; pool_recycle covers the "
            "idle timeout, and after a restart of the server each connection fails once"
        )
        return Because("pool_pre_ping", False, reason, evidence, changes=current is not False)
    share = f", {trip / use:.1%} of a use" if use else ""
    reason = f"one round trip a checkout, {format_duration(trip)}{share}, and a dead connection is replaced unseen"
    return Because("pool_pre_ping", True, reason, evidence, changes=current is not True)


def pool_use_lifo(now: Situation) -> Because:
    """Where most of the pool idles most of the time, so that the surplus can age."""
    load, current = now.demand.load, now.current.pool_use_lifo
    evidence = {"offered_load": load, "pool_size": now.pool_size, "current": current}
    if load is None:
        return _keep("pool_use_lifo", bool(current), current, "how much of the pool is in use is not known", evidence)
    if load * 2 > now.pool_size or now.pool_size < 4:
        used = f"{load:.1f} of {now.pool_size}" if load < now.pool_size else f"all {now.pool_size}"
        reason = f"{used} connections are in use on average: there is no surplus that could idle out"
        return _keep("pool_use_lifo", bool(current), current, reason, evidence)
    reason = (
        f"{load:.1f} of {now.pool_size} connections are in use on average: the last one given back is used first, and the "
        "surplus idles out where the server or the path has an idle timeout"
    )
    return Because("pool_use_lifo", True, reason, evidence, changes=current is not True)


def connect_args(now: Situation) -> Because | None:
    """Deadlines for the login and for a silent network, in the driver's own words; None for a driver not known here."""
    values = _driver_values(now)
    if not values:
        return None
    given = now.around.connect_args or {}
    if all(name in given for name in values):
        kept = {name: given[name] for name in values}
        return Because(
            "connect_args", kept, "as they are: each deadline is set", {"driver": now.around.driver}, changes=False
        )
    reason = "a login, and a network that falls silent, end in an error and not in a hang"
    if now.idle_timeout is not None and now.around.keepalive_resets_it is not False and "keepalives_idle" in values:
        reason += f"; keepalives at half the idle timeout of {format_duration(now.idle_timeout)} or sooner keep it from passing"
    if now.around.driver == "pyodbc" and now.idle_timeout is not None and now.around.keepalive_resets_it is not False:
        own = "are set" if "KeepAlive" in values else f"of its own every {_ODBC_KEEPALIVE} s"
        reason += f"; the driver's keepalives, {own}, keep the idle timeout of {format_duration(now.idle_timeout)} from passing"
    if now.around.keepalive_resets_it is False:
        reason += f"; keepalives do not count for {now.around.idle_timeout_of}, pool_recycle does that"
    evidence = {"idle_timeout_seconds": now.idle_timeout, "keepalive_resets_it": now.around.keepalive_resets_it}
    wanted = {name: given.get(name, value) for name, value in values.items()}  # nothing else: a password may be there
    return Because("connect_args", wanted, reason, {**evidence, "driver": now.around.driver})


def null_pool(around: Surroundings, current: PoolSettings) -> Because:
    """Behind a transaction pooler the pool is the pooler's."""
    name = around.pooler or "a pooler"
    reason = (
        f"{name} in {around.pooler_mode} mode shares the server's connections out by itself: a second pool in front of it holds "
        "its client slots for nothing, and its settings would hide the pooler's"
    )
    evidence = {"pooler": around.pooler, "pooler_mode": around.pooler_mode}
    return Because("poolclass", "NullPool", reason, evidence, changes=current.pool_class != "NullPool")


def pooler_arguments(around: Surroundings) -> dict[str, Any]:
    """What drivers that prepare statements by themselves need behind a transaction pooler."""
    needs: dict[str, dict[str, Any]] = {
        "psycopg": {"prepare_threshold": None},
        "asyncpg": {"statement_cache_size": 0},
    }
    return needs.get(around.driver, {})


def _driver_values(now: Situation) -> Mapping[str, Any]:
    if now.around.product == "sqlserver":
        return _pyodbc_values(now) if now.around.driver == "pyodbc" else {}
    if now.around.driver == "asyncpg":
        return {"timeout": 5}
    if now.around.driver not in ("psycopg2", "psycopg"):
        return {}
    if not now.around.tcp:
        return {"connect_timeout": 5}
    idle = now.idle_timeout
    first = 60 if idle is None else max(1, min(60, int(SHARE_OF_KEEPALIVE * idle)))
    interval = max(1, min(10, first // 2))
    return {
        "connect_timeout": 5,
        "keepalives_idle": first,
        "keepalives_interval": interval,
        "keepalives_count": _RETRY,
        "tcp_user_timeout": (first + _RETRY * interval) * 1000 if first < 20 else 30_000,
    }


def _pyodbc_values(now: Situation) -> Mapping[str, Any]:
    """A login timeout; the driver's own keepalives every 30 s do, unless the idle timeout is so short (Microsoft's keywords)."""
    idle = now.idle_timeout
    if idle is None or SHARE_OF_KEEPALIVE * idle >= _ODBC_KEEPALIVE or now.around.keepalive_resets_it is False:
        return {"timeout": 5}
    return {"timeout": 5, "KeepAlive": max(1, int(SHARE_OF_KEEPALIVE * idle)), "KeepAliveInterval": 1}


def reset_note(now: Situation) -> str:
    """What a checkin costs, and why it stays as it is: SQLAlchemy rolls back what is given back."""
    trip = f", {format_duration(now.around.round_trip)}, within the use" if now.around.round_trip else ""
    return (
        f"pool_reset_on_return stays at `rollback`: one round trip{trip} where a transaction is open at checkin; without it the "
        "next checkout gets that transaction with its locks. `None` is only for a pool whose every use is AUTOCOMMIT"
    )


def manager_note(now: Situation) -> str | None:
    """The ODBC driver manager's own pool, which gives the old connection back; it is on by default."""
    if now.around.product != "sqlserver" or now.around.driver != "pyodbc":
        return None
    return (
        "the ODBC driver manager can have a pool of its own below this one, which gives the same connection back when "
        "pool_recycle replaces it: `pyodbc.pooling = False` before the first connection"
    )


def _keep(setting: str, value: Any, current: Any, reason: str, evidence: Mapping[str, Any]) -> Because:
    return Because(setting, _tidy(value), reason, evidence, changes=current is not None and current != value)


def _whole(seconds: float) -> float | int:
    """Whole seconds, where there is one at all; rounded down, since this is always below something."""
    return math.floor(seconds) if seconds >= 1 else round(seconds, 3)


def _tidy(value: Any) -> Any:
    return int(value) if isinstance(value, float) and value.is_integer() else value
