"""What `recommend` was asked for: its options read and their ranges checked, before anything is opened."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from dbdoctor.cli.options import read_duration
from dbdoctor.cli.verify_options import VerifyOptions
from dbdoctor.errors import UsageError
from dbdoctor.model.demand import Stated
from dbdoctor.model.sizing import WaitTarget

LIST = "list"
_FOR = 60.0
_DAY = 86_400.0
_MOST = 100_000
_MOST_IN_USE = 20_000  # connections of a stated demand at its busiest: more is a slip of the pen


class AppServer(NamedTuple):
    """An application server: how many threads of a process use the pool at once, after how long it gives up (seconds).

    `threads` None is not bounded. `why` says where the numbers come from.
    """

    threads: int | None
    deadline: float | None
    why: str


SERVERS: Mapping[str, AppServer] = {
    "gunicorn": AppServer(1, 30.0, "a sync worker serves one request at a time, and is killed after `timeout`, 30 s"),
    "uwsgi": AppServer(1, None, "a worker without `threads` serves one request at a time"),
    "waitress": AppServer(4, None, "its `threads` are 4 by default"),
    "fastapi": AppServer(40, None, "`def` endpoints run in AnyIO's pool of 40 threads"),
    "starlette": AppServer(40, None, "`def` endpoints run in AnyIO's pool of 40 threads"),
    "uvicorn": AppServer(None, None, "coroutines: as many at once as there are requests"),
    "hypercorn": AppServer(None, None, "coroutines: as many at once as there are requests"),
    "celery": AppServer(1, None, "a prefork worker's child runs one task at a time"),
}
"""By the name that `--server` takes: the defaults of each as its documentation has them."""

_WHAT_IF_COUNTS = {
    "processes": 1, "replicas": 1, "surge": 0, "threads": 1, "pool_size": 1, "max_overflow": 0, "max_connections": 1,
}  # fmt: skip
_WHAT_IF_DURATIONS = ("use_time", "deadline", "pool_timeout")
_WHAT_IF = (*_WHAT_IF_COUNTS, *_WHAT_IF_DURATIONS, "idle_timeout", "rate", "wait_target")


class PathIdle(NamedTuple):
    """The path's idle timeout in seconds, what has it, and whether TCP keepalives reset it (None: not known)."""

    seconds: float
    of: str
    keepalive_resets_it: bool | None


class RecommendOptions(NamedTuple):
    """What was asked for. Durations in seconds; None is "not said"."""

    processes: int | None
    replicas: int | None
    surge: int | None
    threads: int | None
    server: str | None
    per_request: int
    deadline: float | None
    trace: Path | tuple[Path, ...] | None
    seconds: float | None
    stated: Stated | None
    wait_target: WaitTarget
    idle_timeout: PathIdle | None
    what_if: tuple[Mapping[str, Any], ...]
    sweep: bool
    explain_numbers: bool
    offline: bool
    connects: bool
    lists: tuple[str, ...] = ()
    verify: VerifyOptions | None = None

    @property
    def sampling(self) -> float:
        """For how many seconds the server is sampled; 0 is not at all."""
        if self.trace is not None or self.stated is not None or self.offline or not self.connects:
            return 0.0
        return _FOR if self.seconds is None else self.seconds


def read_recommend_options(
    *,
    target: str | None,
    fleet: tuple[int | None, int | None, int | None],
    work: tuple[int | None, str | None, int | None, str | None],
    source: tuple[Path | tuple[Path, ...] | None, str | None, tuple[float | None, str | None, float | None]],
    wait_target: str | None,
    idle_timeout: str | None,
    what_if: Sequence[str] | None,
    flags: tuple[bool, bool, bool],
) -> RecommendOptions:
    """The options as they were typed, read. Raises UsageError.

    `fleet` is processes, replicas, surge; `work` threads, server, per_request, deadline; `source` trace, for, (rate,
    use_time, burst); `flags` sweep, explain_numbers, offline.
    """
    threads, server, per_request, deadline = work
    trace, seconds, stated = source
    sweep, explain_numbers, offline = flags
    processes, replicas, surge = fleet
    lists = tuple(
        name for name, word in (("--server", server), ("--idle-timeout", idle_timeout)) if word and word.lower() == LIST
    )
    kind = None if server is None or lists else _server(server)
    said = None if lists else _stated(*stated)
    duration = read_duration("--for", seconds, least=0.0, most=_DAY)
    _one_source(trace, said, duration)
    return RecommendOptions(
        processes=processes,
        replicas=replicas,
        surge=surge,
        threads=threads or (SERVERS[kind].threads if kind else None),
        server=kind,
        per_request=per_request or 1,
        deadline=read_duration("--deadline", deadline, least=0.01, most=_DAY)
        or (SERVERS[kind].deadline if kind and threads is None else None),
        trace=trace,
        seconds=duration,
        stated=said,
        wait_target=WaitTarget() if wait_target is None else read_wait_target(wait_target, "--wait-target"),
        idle_timeout=None if idle_timeout is None or lists else read_idle_timeout(idle_timeout, "--idle-timeout"),
        what_if=tuple(_what_if(text, said) for text in what_if or ()),
        sweep=sweep,
        explain_numbers=explain_numbers,
        offline=offline,
        connects=not offline and (target is not None or (trace is None and said is None)),
        lists=lists,
    )


def read_wait_target(text: str, option: str) -> WaitTarget:
    """`p99=50ms`: which share of the checkouts waits at most how long. Raises UsageError."""
    match = re.fullmatch(r"\s*p(\d{1,2}(?:\.\d{1,3})?)\s*[=<]\s*(.+)", text, re.ASCII | re.IGNORECASE)
    share = float(match[1]) / 100 if match else 0.0
    if match is None or not 0.5 <= share < 1:
        raise UsageError(
            f"`{option}` is not a target for waiting", help=f"for example `{option} p99=50ms`, from p50 on"
        )
    return WaitTarget(share, read_duration(option, match[2], least=0.0, most=3600.0) or 0.0)


def read_idle_timeout(text: str, option: str) -> PathIdle:
    """A duration, or the default of a known device. Raises UsageError."""
    from dbdoctor.model.device import devices, find_device

    word = text.strip().lower()
    word = {"azure-sql": "azure-sql-gateway", "nlb": "aws-nlb"}.get(word, word)
    device = find_device(word)
    if device is not None:
        return PathIdle(device.seconds, device.name, device.keepalive_resets_it)
    if word[:1].isdigit():
        seconds = read_duration(option, word, least=1.0, most=366 * _DAY)
        return PathIdle(seconds or 1.0, "the path", None)
    import difflib

    near = difflib.get_close_matches(word, [one.slug for one in devices()], n=1)
    hint = f"did you mean `{near[0]}`?" if near else f"for example `{option} 350s` or `{option} aws-nlb`"
    raise UsageError(
        f"`{option}` is neither a duration nor a known device", help=f"{hint} `--idle-timeout list` shows them"
    )


def _server(word: str) -> str:
    name = word.strip().lower()
    if name not in SERVERS:
        raise UsageError(
            "`--server` is not an application server that is known here",
            help=f"known are {', '.join(SERVERS)}; for another one say `--threads N`",
        )
    return name


def _stated(rate: float | None, use_time: str | None, burst: float | None) -> Stated | None:
    use = read_duration("--use-time", use_time, least=1e-6, most=_DAY)
    if rate is None and use is None:
        if burst is not None:
            raise UsageError(
                "`--burst` needs `--rate` and `--use-time`", help="for example `--rate 200 --use-time 20ms`"
            )
        return None
    if rate is None or use is None:
        there, missing = ("--rate", "--use-time") if use is None else ("--use-time", "--rate")
        raise UsageError(f"`{there}` needs `{missing}` beside it", help="for example `--rate 200 --use-time 20ms`")
    if not (math.isfinite(rate) and 0 < rate <= 1e7):
        raise UsageError("`--rate` must lie between 0 and 10,000,000 a second", help="for example `--rate 200`")
    if burst is not None and not (math.isfinite(burst) and 1 <= burst <= 1000):
        raise UsageError("`--burst` must lie between 1 and 1000", help="for example `--burst 3`")
    _check_load(rate, use, burst)
    return Stated(rate, use, burst)


def _check_load(rate: float, use: float, burst: float | None) -> None:
    if rate * use * (burst or 3.0) > _MOST_IN_USE:
        raise UsageError(
            f"{rate:g} checkouts a second of {use:g} s keep {rate * use:,.0f} connections in use on average",
            help="the use time is that from checkout to checkin, for example 20ms",
        )


def _one_source(trace: object | None, stated: Stated | None, seconds: float | None) -> None:
    given = [
        name
        for name, there in (("--trace", trace is not None), ("--for", bool(seconds)), ("--rate", stated is not None))
        if there
    ]
    if len(given) > 1:
        raise UsageError(
            f"`{given[0]}` and `{given[1]}` are two sources of the same demand",
            help=f"keep `{given[0]}`, which says more",
        )


def _what_if(text: str, stated: Stated | None) -> Mapping[str, Any]:
    changes: dict[str, Any] = {}
    for part in text.split(","):
        name, equals, value = part.partition("=")
        name = name.strip().lower().replace("-", "_")
        if not equals or name not in _WHAT_IF:
            raise UsageError(
                "`--what-if` wants a key and a value",
                help=f"for example `--what-if replicas=8`; the keys are {', '.join(_WHAT_IF)}",
            )
        changes[name] = _what_if_value(name, value.strip())
        if name in ("rate", "use_time") and stated is None:
            raise UsageError(
                f"`--what-if {name}` needs `--rate` and `--use-time`",
                help="a recorded demand is what it is; leave `--trace` away, and state figures",
            )
    if stated is not None:
        _check_load(changes.get("rate", stated.rate), changes.get("use_time", stated.use), stated.burst)
    return changes


def _what_if_value(name: str, text: str) -> Any:
    option = f"--what-if {name}"
    if name in _WHAT_IF_DURATIONS:
        return read_duration(option, text, least=1e-6, most=_DAY)
    if name == "idle_timeout":
        return read_idle_timeout(text, option).seconds
    if name == "wait_target":
        return read_wait_target(text.replace("<", "="), option)
    if name == "rate":
        try:
            rate = float(text)
        except ValueError:
            rate = math.nan
        if not 0 < rate <= 1e7:
            raise UsageError(f"`{option}` is not a rate", help=f"for example `{option}=200`")
        return rate
    least = _WHAT_IF_COUNTS[name]
    if not re.fullmatch(r"\d{1,6}", text, re.ASCII) or not least <= int(text) <= _MOST:
        raise UsageError(
            f"`{option}` must be a whole number from {least} to {_MOST:,}", help=f"for example `{option}=8`"
        )
    return int(text)
