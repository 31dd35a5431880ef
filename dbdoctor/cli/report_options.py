"""What `report` was asked for: its options read, and what excludes what checked, before anything is looked at."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from dbdoctor.cli.leaks_options import LeaksOptions, read_leaks_options
from dbdoctor.cli.recommend_options import RecommendOptions, read_recommend_options
from dbdoctor.cli.simulate_options import SimulateOptions, read_simulate_options
from dbdoctor.errors import UsageError

_DEMO = "demo"


class ReportOptions(NamedTuple):
    """What was asked for. `html` is as it was typed; `simulate` is None where it was not asked for."""

    html: str | None
    force: bool
    recording: Path | None
    trace: Path | None
    watching: LeaksOptions
    recommending: RecommendOptions
    simulate: SimulateOptions | None


def read_report_options(
    *,
    target: str | None,
    place: tuple[str | None, bool],
    recording: Path | None,
    watching: tuple[str | None, str | None, str | None, str | None],
    simulating: tuple[bool, bool],
    fleet: tuple[int | None, int | None, int | None],
    source: tuple[Path | None, tuple[float | None, str | None, float | None]],
    path: tuple[str | None, str | None],
) -> ReportOptions:
    """The options as they were typed, read. Raises UsageError.

    `place` is html, force; `watching` for, interval, idle, idle_in_transaction; `simulating` simulate, yes; `fleet`
    processes, replicas, surge; `source` trace, (rate, use_time, burst); `path` deadline, idle_timeout.
    """
    seconds, interval, idle, idle_in_transaction = watching
    simulate, yes = simulating
    trace, stated = source
    deadline, idle_timeout = path
    if recording is not None:
        _check_recording({"a target": target, "`--for`": seconds, "`--interval`": interval, "`--simulate`": simulate})
    if trace is not None and str(trace) != "-" and not trace.exists():
        raise UsageError("`--trace` names nothing that is there", help="name a file, or the directory of a run")
    if simulate:
        _check_question(target, yes=yes)
    elif yes:
        raise UsageError("`--yes` answers what `--simulate` asks", help="add `--simulate`, or leave it away")
    return ReportOptions(
        html=place[0],
        force=place[1],
        recording=recording,
        trace=trace,
        watching=_read_watching(seconds, interval, idle, idle_in_transaction),
        recommending=read_recommend_options(
            target=target,
            fleet=fleet,
            work=(None, None, None, deadline),
            source=(trace, "0s", stated),
            wait_target=None,
            idle_timeout=_no_list(idle_timeout),
            what_if=None,
            flags=(True, False, False),
        ),
        simulate=_simulating(yes=yes) if simulate else None,
    )


def _read_watching(
    seconds: str | None, interval: str | None, idle: str | None, idle_in_transaction: str | None
) -> LeaksOptions:
    return read_leaks_options(
        target=None,
        seconds=seconds,
        interval=interval,
        watch=False,
        group_by=None,
        idle=idle,
        idle_in_transaction=idle_in_transaction,
        terminate=None,
        terminate_leaks=False,
        yes=False,
        record=None,
        replay=None,
    )


def _simulating(*, yes: bool) -> SimulateOptions:
    """As `simulate-timeout` by default."""
    return read_simulate_options(
        drop=None, pool=None, idle=None, idle_timeout=None, for_real=False, workers=None, cap=None, yes=yes
    )


def _check_recording(given: dict[str, object]) -> None:
    for option, value in given.items():
        if value:
            raise UsageError(f"`--from` does not go with {option}", help="a recording is reported as it is, at once")


def _check_question(target: str | None, *, yes: bool) -> None:
    """Not after minutes of watching: whoever started it has gone away by then."""
    if yes or target == _DEMO:
        return
    from dbdoctor.cli.question import can_ask

    if not can_ask():
        raise UsageError(
            "`--simulate` asks before it opens sessions, and there is no terminal to ask on",
            help="add `--yes`, or try it on `demo`",
        )


def _no_list(idle_timeout: str | None) -> str | None:
    if idle_timeout is not None and idle_timeout.strip().lower() == "list":
        raise UsageError(
            "`--idle-timeout list` shows the known devices in `dbdoctor recommend` only",
            help="run `dbdoctor recommend --idle-timeout list`",
        )
    return idle_timeout
