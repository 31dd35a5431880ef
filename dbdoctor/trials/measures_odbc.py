"""The measures that SQL Server's ODBC drivers offer; pure."""

from __future__ import annotations

import math

from dbdoctor.model.duration import format_duration
from dbdoctor.model.trial import Scale
from dbdoctor.trials.measures import KEEPALIVE, LIMIT, NOTHING, SECOND_POOL, Measure
from dbdoctor.trials.scaling import Keepalive, keepalive_in_trial, stands_for

DRIVER_KEEPALIVE = Keepalive(30, 1, 9)
"""Microsoft's driver by default: 30 s and 1 s (its documentation, and `ss -o`), and the kernel's count of probes."""
FREETDS_IDLE = 40
"""FreeTDS: about 40 s, fixed (`ss -o`)."""
QUERY_TIMEOUT = 2
"""Seconds, in the trial: when no answer comes Microsoft's driver takes 3 times that, FreeTDS twice (measured)."""
_REAL_QUERY_TIMEOUT = 30


def query_timeout(_scale: Scale) -> Measure:
    """A query timeout, which is an attribute of pyodbc's connection."""
    told = stands_for(f"{QUERY_TIMEOUT} s", f"{_REAL_QUERY_TIMEOUT} s", to_scale=False)
    return Measure(
        LIMIT,
        {"query_timeout": float(QUERY_TIMEOUT)},
        real={"query_timeout": told},
        code=(
            "",
            '@event.listens_for(engine, "connect")',
            "def set_query_timeout(connection, _record):",
            f"    connection.timeout = {_REAL_QUERY_TIMEOUT}  # seconds",
        ),
    )


def keepalive_below(scale: Scale) -> Measure:
    """The driver's keepalives at a quarter of the idle timeout, or its own where they are more often."""
    return _keepalive(scale, max(1, min(DRIVER_KEEPALIVE.idle, math.floor(scale.real / 4))))


def keepalive_late(scale: Scale) -> Measure:
    """Twice the idle timeout."""
    return _keepalive(scale, math.ceil(2 * scale.real))


def recovery_off(_scale: Scale) -> Measure:
    """`ConnectRetryCount=0`: the driver leaves a broken connection to the application."""
    return Measure(NOTHING, arguments={"ConnectRetryCount": "0"}, real_arguments={"ConnectRetryCount": "0"})


def driver_manager_pooling(_scale: Scale) -> Measure:
    """unixODBC's own pool, below SQLAlchemy's."""
    return Measure(
        SECOND_POOL,
        {"driver_manager_pooling": True},
        real={"driver_manager_pooling": "`Pooling=Yes` in the section [ODBC] of odbcinst.ini"},
    )


def with_driver_defaults(parts: list[Measure], scale: Scale, *, freetds: bool) -> list[Measure]:
    """The measures over what the driver does by itself, which is to scale as well, or named where it cannot be."""
    if any("KeepAlive" in part.arguments for part in parts) and not freetds:
        return parts
    if freetds:
        kept = [part for part in parts if "KeepAlive" not in part.arguments]
        return [_freetds(scale), *kept] if scale.trial != scale.real else kept
    trial, note = keepalive_in_trial(DRIVER_KEEPALIVE, scale)
    if trial.idle == DRIVER_KEEPALIVE.idle:
        return parts
    told = note or f"{trial.idle} s stands for the driver's own {DRIVER_KEEPALIVE.idle} s"
    arguments = {"KeepAlive": str(trial.idle), "KeepAliveInterval": str(trial.interval)}
    return [Measure(NOTHING, arguments=arguments, real={"KeepAlive": told}), *parts]


def _freetds(scale: Scale) -> Measure:
    told = (
        f"FreeTDS probes after about {FREETDS_IDLE} s, which cannot be brought to scale: where probes count, a path that "
        f"drops after {format_duration(scale.real)} may be kept alive though the trial's is not"
    )
    return Measure(NOTHING, real={"KeepAlive": told} if scale.real > FREETDS_IDLE else {})


def _keepalive(scale: Scale, idle: int) -> Measure:
    real = DRIVER_KEEPALIVE._replace(idle=idle)
    trial, note = keepalive_in_trial(real, scale)
    return Measure(
        KEEPALIVE,
        arguments={"KeepAlive": str(trial.idle), "KeepAliveInterval": str(trial.interval)},
        real_arguments={"KeepAlive": str(real.idle), "KeepAliveInterval": str(real.interval)},
        real={"KeepAlive": note or stands_for(f"{trial.idle} s", f"{real.idle} s")},
    )
