"""The measures that SQL Server's ODBC drivers offer; pure."""

from __future__ import annotations

import math

from dbdoctor.model.trial import Scale
from dbdoctor.trials.measures import KEEPALIVE, LIMIT, NOTHING, SECOND_POOL, Measure
from dbdoctor.trials.scaling import Keepalive, keepalive_in_trial, stands_for

DRIVER_KEEPALIVE = Keepalive(30, 1, 9)
"""Microsoft's driver by default: 30 s and 1 s (its documentation, and `ss -o`), and the kernel's count of probes."""
FREETDS_KEEPALIVE = Keepalive(40, 2, 9)
"""FreeTDS: built in, for nobody to change (`ss -o`); in a trial the kernel is told the shortened ones."""
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
    """The measures over what the driver does by itself, which is to scale as well."""
    own = FREETDS_KEEPALIVE if freetds else DRIVER_KEEPALIVE
    trial, note = keepalive_in_trial(own, scale)
    if any("KeepAlive" in part.arguments for part in parts) or scale.trial == scale.real:
        return parts
    told = note or f"{trial.idle} s stands for the driver's own {own.idle} s"
    return [Measure(NOTHING, arguments=as_keywords(trial), real={"KeepAlive": told}), *parts]


def as_keywords(keepalive: Keepalive) -> dict[str, str | int]:
    """In ODBC's keywords, which have no count."""
    return {"KeepAlive": str(keepalive.idle), "KeepAliveInterval": str(keepalive.interval)}


def _keepalive(scale: Scale, idle: int) -> Measure:
    real = DRIVER_KEEPALIVE._replace(idle=idle)
    trial, note = keepalive_in_trial(real, scale)
    return Measure(
        KEEPALIVE,
        arguments=as_keywords(trial),
        real_arguments=as_keywords(real),
        real={"KeepAlive": note or stands_for(f"{trial.idle} s", f"{real.idle} s")},
    )
