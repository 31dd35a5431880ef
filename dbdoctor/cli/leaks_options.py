"""What `leaks` was asked for: its options read, their ranges and what excludes what checked, before anything is looked at."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from dbdoctor.cli.options import read_duration
from dbdoctor.errors import UsageError
from dbdoctor.model.leaks import GROUP_BY, WatchOptions
from dbdoctor.model.target import Target

DEFAULT_SECONDS = 10.0
# A watch shorter than a minute is looked at each second, so that there are samples enough for a trend.
_SHORT_WATCH, _SHORT_INTERVAL, _INTERVAL = 60.0, 1.0, 2.0
_SHORTEST_INTERVAL, _LONGEST_INTERVAL = 0.2, 3600.0
_LONGEST = 366 * 86400.0


class LeaksOptions(NamedTuple):
    """What was asked for. Durations in seconds; `seconds` is 0 for a single look and None for `--watch`.

    `idle`, `idle_in_transaction` and `group_by` are None when they were not given.
    """

    seconds: float | None
    interval: float
    idle: float | None = None
    idle_in_transaction: float | None = None
    group_by: tuple[str, ...] | None = None
    queries: bool = False
    sessions: bool = False
    limit: int | None = None
    record: Path | None = None
    replay: Path | None = None
    trace: Path | None = None
    terminate: tuple[str, ...] = ()
    terminate_leaks: bool = False
    yes: bool = False

    @property
    def terminates(self) -> bool:
        """Whether sessions are to be ended."""
        return bool(self.terminate) or self.terminate_leaks

    def watch_options(self, target: Target, recorded: WatchOptions | None = None) -> WatchOptions:
        """What was given wins over what was recorded, that over the target's thresholds, these over the defaults."""
        from dbdoctor.targets.settings import threshold

        before = recorded or WatchOptions(
            threshold(target.thresholds, "idle"), threshold(target.thresholds, "idle_in_transaction")
        )
        return WatchOptions(
            before.idle if self.idle is None else self.idle,
            before.idle_in_transaction if self.idle_in_transaction is None else self.idle_in_transaction,
            self.group_by or before.group_by,
        )


def read_leaks_options(
    *,
    target: str | None,
    seconds: str | None,
    interval: str | None,
    watch: bool,
    group_by: Sequence[str] | None,
    idle: str | None,
    idle_in_transaction: str | None,
    terminate: Sequence[str] | None,
    terminate_leaks: bool,
    yes: bool,
    record: Path | None,
    replay: Path | None,
    trace: Path | None = None,
    **rest: Any,
) -> LeaksOptions:
    """The options as they were typed, read. Raises UsageError."""
    if terminate or terminate_leaks or yes:
        from dbdoctor.cli.leaks_terminate import check_options

        check_options(terminate or (), leaks=terminate_leaks, yes=yes, watch=watch, replay=replay is not None)
    if replay:
        given = {"a target": target, "`--watch`": watch, "`--record`": record, "`--for`": seconds, "`--trace`": trace}
        _check_replay({**given, "`--interval`": interval})
    length, pace = _read_times(seconds, interval, watch=watch, single=bool(terminate))
    return LeaksOptions(
        seconds=length,
        interval=pace,
        idle=read_duration("--idle", idle, least=0.0, most=_LONGEST),
        idle_in_transaction=read_duration("--idle-in-transaction", idle_in_transaction, least=0.0, most=_LONGEST),
        group_by=_read_group_by(group_by),
        terminate=tuple(terminate or ()),
        terminate_leaks=terminate_leaks,
        yes=yes,
        record=record,
        replay=replay,
        trace=trace,
        **rest,
    )


def _read_times(seconds: str | None, interval: str | None, *, watch: bool, single: bool) -> tuple[float | None, float]:
    """(for how long or None, at what interval); `single` makes one look the default."""
    if watch and seconds is not None:
        raise UsageError("`--watch` goes on until Ctrl-C, and `--for` says when to end", help="give one of them")
    given = read_duration("--interval", interval, least=_SHORTEST_INTERVAL, most=_LONGEST_INTERVAL)
    if watch:
        return None, given or _INTERVAL
    length = read_duration("--for", seconds, least=0.0, most=_LONGEST)
    if length is None:
        length = 0.0 if single else DEFAULT_SECONDS
    if 0 < length < 1:
        raise UsageError("`--for` is 0 for a single look, or at least 1s", help="for example `--for 10s`")
    return length, given or (_SHORT_INTERVAL if length < _SHORT_WATCH else _INTERVAL)


def _read_group_by(words: Sequence[str] | None) -> tuple[str, ...] | None:
    """The words, repeated or with commas, in their own order."""
    if not words:
        return None
    given = [part.strip().lower() for word in words for part in word.split(",") if part.strip()]
    for part in given:
        if part not in GROUP_BY:
            raise UsageError("`--group-by` has a word that is none of its own", help=_nearest(part))
    if not given:
        raise UsageError("`--group-by` is empty", help=f"its words are {', '.join(GROUP_BY)}")
    return tuple(word for word in GROUP_BY if word in given)


def _check_replay(given: Mapping[str, object]) -> None:
    """A recording says itself what it is of, and when."""
    for option, value in given.items():
        if value:
            raise UsageError(f"`--replay` does not go with {option}", help="a recording is judged as it is, at once")


def _nearest(word: str) -> str:
    from difflib import get_close_matches

    near = get_close_matches(word[:40], GROUP_BY, n=1, cutoff=0.5)
    return f"did you mean `{near[0]}`?" if near else f"its words are {', '.join(GROUP_BY)}"
