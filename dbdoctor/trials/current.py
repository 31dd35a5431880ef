"""The user's own engine as a pool to try: from what is known of it to a plan in seconds of the trial; pure."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from dbdoctor.model.duration import format_duration
from dbdoctor.model.pool import PoolSettings
from dbdoctor.model.target import Product, Target
from dbdoctor.model.trial import PoolPlan, Scale
from dbdoctor.trials import measures
from dbdoctor.trials.engine_code import Name, engine_lines
from dbdoctor.trials.measures_odbc import DRIVER_KEEPALIVE, FREETDS_KEEPALIVE, as_keywords
from dbdoctor.trials.measures_postgresql import as_arguments, told_keepalive
from dbdoctor.trials.scaling import (
    Keepalive,
    extra_until_found,
    found_before_use,
    keepalive_in_trial,
    stands_for,
)

NAME = "current"
TIMING = frozenset(
    {
        "keepalives", "keepalives_idle", "keepalives_interval", "keepalives_count", "tcp_user_timeout", "options",
        "connect_timeout", "KeepAlive", "KeepAliveInterval", "ConnectRetryCount", "ConnectRetryInterval",
    }
)  # fmt: skip
"""Parameters of a target that decide about a pool in a fault: the table's pools have their own or none."""

_DECIDES = TIMING - {"options", "connect_timeout"}  # these also say how to log in, and are needed by all
_UNKNOWN = "nothing is known of the application's pool: name its engine (module:engine), or declare its pool_size, ..."
_SYSTEM = Keepalive(7200, 75, 9)
# What a trial can wait for, of a limit that has nothing to do with the path's idle timeout (ms).
_LONGEST_USER_TIMEOUT = 5000
_POOLS = {"QueuePool", "NullPool", "StaticPool", "SingletonThreadPool", "AssertionPool"}
_OTHER_NAMES = {"AsyncAdaptedQueuePool": "QueuePool", "FallbackAsyncAdaptedQueuePool": "QueuePool"}
_LIBPQ_DRIVERS = (None, "psycopg2", "psycopg2cffi", "psycopg", "psycopg_async", "libpq")


class Current(NamedTuple):
    """The plan, or None and why there is none. `notes` say what could not be rebuilt, or not to scale."""

    plan: PoolPlan | None
    reason: str = ""
    notes: tuple[str, ...] = ()


def current(target: Target, scale: Scale, *, threads: int = 1) -> Current:
    """The target's own pool in seconds of the trial, used by `threads` at once, or as many as it has connections for."""
    settings = target.pool
    known = {name: value for name, value in target.parameters.items() if name in TIMING}
    if settings is None:
        return Current(None, _UNKNOWN)
    notes: list[str] = list(_assumed(settings))
    fields, code = _pool(settings, scale, notes)
    arguments, extra, real = _arguments(target, known, scale, notes)
    capacity = settings.most_connections and settings._replace(processes=1, replicas=1).most_connections
    plan = PoolPlan(
        name=NAME,
        title="the application's own settings",
        connect_args=arguments,
        threads=1 if fields.get("pool_class") in ("StaticPool", "AssertionPool") else min(threads, capacity or threads),
        idle_extra=extra,
        real={**_recycle_told(settings, fields), **real},
        lines=engine_lines(code, {name: _plain(value) for name, value in known.items()}),
        cost=_cost(settings, known),
        **fields,
    )
    return Current(plan, notes=(*notes, *_driver_notes(target)))


def _assumed(settings: PoolSettings) -> Iterator[str]:
    """A live engine states all that its kind of pool has; a profile perhaps only a part."""
    missing = [name for name in ("pool_recycle", "pool_pre_ping") if getattr(settings, name) is None]
    if missing:
        yield f"not stated of the current pool, and taken to be SQLAlchemy's default: {', '.join(missing)}"


def without_timing(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """`StageOrder.connect` without what decides about a pool in a fault: what the table's pools start from.

    The current pool brings its own along.
    """
    found = {name: value for name, value in arguments.items() if name not in _DECIDES}
    keywords = found.get("keywords")
    return found if keywords is None else {**found, "keywords": without_timing(keywords)}


def _pool(settings: PoolSettings, scale: Scale, notes: list[str]) -> tuple[dict[str, Any], dict[str, object]]:
    """Fields of the plan, and the keywords of create_engine as the application has them; what is not known is left out."""
    code: dict[str, object] = {}
    fields: dict[str, Any] = {}
    if settings.pool_class:
        name = _OTHER_NAMES.get(settings.pool_class, settings.pool_class)
        if name not in _POOLS:
            notes.append(f"the pool class {settings.pool_class} is not SQLAlchemy's: QueuePool was tried in its place")
            name = "QueuePool"
        fields["pool_class"] = name
        if name != "QueuePool":
            code["poolclass"] = Name(name)
    for name in ("pool_size", "max_overflow", "pool_timeout", "pool_pre_ping", "pool_use_lifo"):
        value = getattr(settings, name)
        if value is not None:
            fields[name] = value
            if name != "pool_timeout" and value != PoolPlan.__dataclass_fields__[name].default:
                code[name] = value
    if settings.pool_recycle is not None and settings.pool_recycle >= 0:
        fields["pool_recycle"] = settings.pool_recycle / scale.factor
        code["pool_recycle"] = settings.pool_recycle
    return fields, code


def _recycle_told(settings: PoolSettings, fields: Mapping[str, Any]) -> dict[str, str]:
    if "pool_recycle" not in fields or settings.pool_recycle is None:
        return {}
    return {"pool_recycle": stands_for(*(format_duration(x) for x in (fields["pool_recycle"], settings.pool_recycle)))}


Arguments = tuple[dict[str, str | int], float, dict[str, str]]


def _arguments(target: Target, known: Mapping[str, str], scale: Scale, notes: list[str]) -> Arguments:
    if target.product is Product.SQLSERVER:
        return _odbc(target, known, scale, notes)
    arguments: dict[str, str | int] = {}
    real: dict[str, str] = {}
    extra = 0.0
    if known.get("keepalives") == "0":
        arguments["keepalives"] = 0
    elif any(name.startswith("keepalives_") for name in known):
        own = [_whole(known.get(f"keepalives_{name}"), default) for name, default in _SYSTEM._asdict().items()]
        shortened, extra, real = _keepalive(Keepalive(*own), scale, notes)
        arguments.update(as_arguments(shortened))
    arguments.update(_limits(known, real))
    if "connect_timeout" in known:
        arguments["connect_timeout"] = known["connect_timeout"]
    if "options" in known:
        arguments["options"] = _options(known["options"], scale, real, notes)
    return arguments, extra, real


def _keepalive(real: Keepalive, scale: Scale, notes: list[str]) -> tuple[Keepalive, float, dict[str, str]]:
    """In the trial; how much longer it stays idle, so that it comes back on the same side of the loss's discovery."""
    trial, note = keepalive_in_trial(real, scale)
    if note:
        notes.append(note)
    extra = extra_until_found(trial, scale.trial) if found_before_use(real, scale.real) else 0.0
    return trial, extra, told_keepalive(trial, real, note)


def _limits(known: Mapping[str, str], real: dict[str, str]) -> dict[str, str | int]:
    found: dict[str, str | int] = {}
    limit = _whole(known.get("tcp_user_timeout"), 0)
    if limit:
        found["tcp_user_timeout"] = min(limit, _LONGEST_USER_TIMEOUT)
        shown = (f"{found['tcp_user_timeout']} ms", f"{limit} ms")
        real["tcp_user_timeout"] = stands_for(*shown, to_scale=False)
    return found


def _options(options: str, scale: Scale, real: dict[str, str], notes: list[str]) -> str:
    """libpq's `options` with the times in it shortened; the rest stays."""
    if re.search(r"(?:statement|idle\w*session|transaction|lock)_timeout", options):
        notes.append("server timeouts in `options` (statement_timeout, ...) are tried as they are, not to scale")

    def shorten(match: re.Match[str]) -> str:
        value = int(match[3])
        trial = max(1, math.floor(value / scale.factor))
        if value >= scale.real and match[1].endswith("idle"):
            trial = max(trial, math.floor(scale.trial) + 1)
        real[match[1]] = stands_for(f"{trial} s", f"{value} s")
        return f"{match[1]}{match[2]}{trial}"

    return re.sub(r"(tcp_keepalives_(?:idle|interval))(\s*=\s*)([1-9]\d*)\b", shorten, options)


def _odbc(target: Target, known: Mapping[str, str], scale: Scale, notes: list[str]) -> Arguments:
    arguments: dict[str, str | int] = {name: known[name] for name in known if name.startswith("ConnectRetry")}
    if "freetds" in target.parameters.get("Driver", "").lower():
        own = FREETDS_KEEPALIVE
    else:
        own = DRIVER_KEEPALIVE._replace(
            idle=_whole(known.get("KeepAlive"), DRIVER_KEEPALIVE.idle),
            interval=_whole(known.get("KeepAliveInterval"), DRIVER_KEEPALIVE.interval),
        )
    trial, extra, told = _keepalive(own, scale, notes)
    return {**arguments, **as_keywords(trial)}, extra, {"KeepAlive": told["keepalives_idle"]}


def _driver_notes(target: Target) -> tuple[str, ...]:
    if target.product is Product.POSTGRESQL and target.driver not in _LIBPQ_DRIVERS:
        return (
            f"the application uses {target.driver}, and psycopg2 was tried: its errors and its keepalives may differ",
        )
    return ()


def _cost(settings: PoolSettings, known: Mapping[str, str]) -> int:
    """By the same prices as the table's pools."""
    prices = {
        measures.PING: bool(settings.pool_pre_ping),
        measures.RECYCLE: (settings.pool_recycle or -1) >= 0,
        measures.LOGIN: settings.pool_class == "NullPool",
        measures.KEEPALIVE: any(name in known for name in ("keepalives_idle", "KeepAlive")),
        measures.LIMIT: "tcp_user_timeout" in known,
    }
    return sum(price for price, paid in prices.items() if paid)


def _whole(value: str | None, default: int) -> int:
    """A setting's number; 0 and what is no number are the default."""
    return int(value) if value and value.strip().isdigit() and int(value) else default


def _plain(value: str) -> str | int:
    return int(value) if value.isdigit() else value
