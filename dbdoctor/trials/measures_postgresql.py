"""The measures that libpq and the PostgreSQL server offer; pure."""

from __future__ import annotations

import math

from dbdoctor.model.trial import Scale
from dbdoctor.trials.measures import KEEPALIVE, LIMIT, Measure
from dbdoctor.trials.scaling import (
    Keepalive,
    extra_until_found,
    found_before_use,
    keepalive_in_trial,
    stands_for,
)

USER_TIMEOUT = 5000
"""tcp_user_timeout in ms, in the trial and for real: how long a request may wait has nothing to do with the path's timeout."""
CONNECT_TIMEOUT = 5
"""connect_timeout in seconds, in the trial and for real, for the same reason."""
_STATEMENT_TIMEOUT = 30.0
_SLOWEST_INTERVAL = 10


def keepalive_below(scale: Scale) -> Measure:
    """The client's keepalives at a quarter of the idle timeout."""
    return _keepalive(scale, below(scale.real))


def keepalive_above(scale: Scale) -> Measure:
    """Above the idle timeout; the application comes back after they have found the connection dead."""
    real = Keepalive(math.floor(1.2 * scale.real) + 1, _interval(scale.real), 2)
    made = _keepalive(scale, real)
    trial, _ = keepalive_in_trial(real, scale)
    return made._replace(plan={"idle_extra": extra_until_found(trial, scale.trial)})


def keepalive_late(scale: Scale) -> Measure:
    """Twice the idle timeout; the application comes back before the first probe."""
    return _keepalive(scale, Keepalive(math.ceil(2 * scale.real), _interval(scale.real), 3))


def user_timeout(_scale: Scale) -> Measure:
    """`tcp_user_timeout`."""
    arguments = {"tcp_user_timeout": USER_TIMEOUT}
    return Measure(
        LIMIT, arguments=arguments, real_arguments=arguments, real={"tcp_user_timeout": "5 s, the real value"}
    )


def connect_timeout(_scale: Scale) -> Measure:
    """`connect_timeout`."""
    arguments = {"connect_timeout": CONNECT_TIMEOUT}
    return Measure(
        LIMIT, arguments=arguments, real_arguments=arguments, real={"connect_timeout": "5 s, the real value"}
    )


def statement_timeout(scale: Scale) -> Measure:
    """The server's `statement_timeout`, above what a query of the trial takes."""
    trial, real = round(2000 * scale.trial), round(1000 * max(_STATEMENT_TIMEOUT, 2 * scale.real))
    return Measure(
        LIMIT,
        arguments={"options": f"-c statement_timeout={trial}"},
        real_arguments={"options": f"-c statement_timeout={real}"},
        real={"statement_timeout": stands_for(f"{trial / 1000:g} s", f"{real / 1000:g} s")},
    )


def server_keepalive(scale: Scale) -> Measure:
    """The server's keepalives at a quarter of the idle timeout, asked for by the client (no right is needed)."""
    real = below(scale.real)
    trial, note = keepalive_in_trial(real, scale)
    told = told_keepalive(trial, real, note, "tcp_keepalives_")
    return Measure(
        KEEPALIVE,
        arguments={"options": _server_options(trial)},
        real_arguments={"options": _server_options(real)},
        real=told,
    )


def below(idle_timeout: float) -> Keepalive:
    """What keeps a connection alive on a path with this idle timeout (seconds), and finds a loss soon."""
    return Keepalive(max(1, math.floor(idle_timeout / 4)), _interval(idle_timeout), 3)


def as_arguments(keepalive: Keepalive) -> dict[str, str | int]:
    """In libpq's keywords."""
    return {f"keepalives_{name}": value for name, value in keepalive._asdict().items()}


def told_keepalive(trial: Keepalive, real: Keepalive, note: str | None, prefix: str = "keepalives_") -> dict[str, str]:
    """What each value of the trial stands for; interval and count are as small as the kernel takes them."""
    told = {f"{prefix}idle": note or stands_for(f"{trial.idle} s", f"{real.idle} s")}
    if trial.interval != real.interval:
        told[f"{prefix}interval"] = stands_for(f"{trial.interval} s", f"{real.interval} s", to_scale=False)
    return told


def _keepalive(scale: Scale, real: Keepalive) -> Measure:
    trial, note = keepalive_in_trial(real, scale)
    late = extra_until_found(trial, scale.trial) if found_before_use(real, scale.real) else 0.0
    return Measure(
        KEEPALIVE,
        {"idle_extra": late} if late else {},
        arguments=as_arguments(trial),
        real_arguments=as_arguments(real),
        real=told_keepalive(trial, real, note),
    )


def _interval(idle_timeout: float) -> int:
    return max(1, min(_SLOWEST_INTERVAL, math.floor(idle_timeout / 20)))


def _server_options(keepalive: Keepalive) -> str:
    return " ".join(f"-c tcp_keepalives_{name}={value}" for name, value in keepalive._asdict().items())
