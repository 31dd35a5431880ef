"""What one can do for a pool, a measure at a time: its settings in the trial, their real values, its price; pure.

The prices only order configurations by what they cost in running, from nothing to a login for each checkout. Each is
dearer than all before it together, so that a configuration is as dear as the dearest thing in it, and then the next.
What each costs follows from measurements (PostgreSQL 18, loopback): a checkout 7 us, with a ping 130 us, a login 2 to 5 ms.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

from dbdoctor.model.duration import format_duration
from dbdoctor.model.trial import Scale
from dbdoctor.trials.engine_code import Name
from dbdoctor.trials.scaling import stands_for

NOTHING = 0
"""Not noticed while all is well: a limit in the kernel, the order of a queue."""
LIMIT = 1
"""A limit that can end what would have gone well: a slow network, a long statement."""
KEEPALIVE = 2
"""An empty packet now and then for each idle connection; none on the way of a request."""
RECYCLE = 4
"""pool_size / pool_recycle logins a second, each paid by the request that finds the connection too old."""
THREAD = 8
"""A thread of the application, and a statement now and then that takes a connection from the others."""
PING = 16
"""A round trip for each checkout."""
SECOND_POOL = 32
"""A second pool below SQLAlchemy's, that nobody sees, and that takes the effect from its settings."""
LOGIN = 64
"""A login for each checkout."""

RECYCLE_SHARE = 0.8
"""pool_recycle against the idle timeout: what is younger cannot have idled for so long, with room for a use that lasts."""
_ABOVE = 4.0
_PING_SHARE = 0.85


class Measure(NamedTuple):
    """One measure. `plan` are fields of PoolPlan and `arguments` connect_args, both for the trial.

    `settings` (keywords of create_engine) and `real_arguments` (connect_args) are what to use on the real path; `real`
    says by setting what the trial's value stands for; `code` are further lines to paste.
    """

    cost: int
    plan: Mapping[str, Any] = {}
    arguments: Mapping[str, str | int] = {}
    settings: Mapping[str, object] = {}
    real_arguments: Mapping[str, str | int] = {}
    real: Mapping[str, str] = {}
    code: tuple[str, ...] = ()


def pre_ping(_scale: Scale) -> Measure:
    """`pool_pre_ping`."""
    return Measure(PING, {"pool_pre_ping": True}, settings={"pool_pre_ping": True})


def recycle_below(scale: Scale) -> Measure:
    """`pool_recycle` below the idle timeout."""
    return _recycle(scale, RECYCLE_SHARE)


def recycle_above(scale: Scale) -> Measure:
    """`pool_recycle` above the idle timeout, as the popular 3600 is above most."""
    return _recycle(scale, _ABOVE)


def null_pool(_scale: Scale) -> Measure:
    """`poolclass=NullPool`."""
    return Measure(LOGIN, {"pool_class": "NullPool"}, settings={"poolclass": Name("NullPool")})


def lifo(_scale: Scale) -> Measure:
    """`pool_use_lifo`."""
    return Measure(NOTHING, {"pool_use_lifo": True}, settings={"pool_use_lifo": True})


def keep_alive_thread(scale: Scale) -> Measure:
    """A thread that asks `SELECT 1` through the pool before the idle timeout is over, with two connections in the pool.

    A queue gives the connection that has waited longest, so that N connections are each used every N times the interval;
    a stack (pool_use_lifo) gives the same one always. Here two times the interval is above the idle timeout, and when
    the application comes back, at 1.25 times the timeout, the thread has asked once: one of the two was kept alive.
    """
    every = _PING_SHARE * scale.trial
    real = whole(_PING_SHARE * scale.real)
    return Measure(
        THREAD,
        {"threads": 2, "ping_every": every},
        real={"ping_every": _told(every, real)},
        code=(
            "",
            "def keep_alive() -> None:",
            "    while True:",
            f"        time.sleep({real:g})",
            "        with engine.connect() as connection:",
            '            connection.exec_driver_sql("SELECT 1")',
            "",
            "threading.Thread(target=keep_alive, daemon=True).start()",
        ),
    )


def whole(seconds: float) -> float:
    """Whole seconds, rounded down, as far as there are any."""
    return float(math.floor(seconds)) if seconds >= 1 else seconds


def _recycle(scale: Scale, share: float) -> Measure:
    trial, real = share * scale.trial, whole(share * scale.real)
    return Measure(
        RECYCLE,
        {"pool_recycle": trial},
        settings={"pool_recycle": int(real) if real >= 1 else real},
        real={"pool_recycle": _told(trial, real)},
    )


def _told(trial: float, real: float) -> str:
    return stands_for(format_duration(trial), format_duration(real))
