"""The sessions of a report: watched for a while, or read from a recording; judged as `leaks` does."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NamedTuple

from dbdoctor.cli.leaks_answer import Judged
from dbdoctor.cli.leaks_options import LeaksOptions
from dbdoctor.errors import CannotLookError
from dbdoctor.history.timeline import Timeline
from dbdoctor.model.leaks import LeaksReport
from dbdoctor.model.report import Moment
from dbdoctor.model.server import ServerFacts
from dbdoctor.model.target import Target
from dbdoctor.render.leaks_words import about
from dbdoctor.watch.loop import Turn


class Sessions(NamedTuple):
    """What was seen: the judgement, and the counts over time."""

    report: LeaksReport
    moments: tuple[Moment | None, ...]


class Recorded(NamedTuple):
    """A recording that was read: of what, the server's facts as of then, and its sessions."""

    target: Target
    facts: ServerFacts
    sessions: Sessions


def watch(
    target: Target,
    asked: LeaksOptions,
    login_timeout: float,
    recordings: Path | None,
    progress: Callable[[str], None],
) -> Sessions:
    """Look for as long as asked for. Raises CannotLookError when there was not one look.

    `recordings` is a recorder's file or directory; None: those of the recorders that are at work here.
    """
    from dbdoctor.cli.leaks_traces import recordings_of
    from dbdoctor.watch.choose import source_of
    from dbdoctor.watch.client_side import ClientSide
    from dbdoctor.watch.loop import Loop
    from dbdoctor.watch.source import SourceLostError, SourceSlowError

    judged = Judged(target, asked.watch_options(target))
    single_look = asked.seconds == 0
    seen = _Seen(judged)
    with contextlib.ExitStack() as stack:
        source = source_of(target)
        stack.callback(source.close)
        own = lambda: source.own_connection  # noqa: E731
        client_side = ClientSide(
            target, lambda: judged.facts, own, single_look=single_look, recordings=recordings_of(recordings)
        )
        stack.callback(client_side.close)
        loop = Loop(
            source,
            interval=asked.interval,
            seconds=asked.seconds,
            login_timeout=login_timeout,
            wanted=judged.history.wanted,
            enrich=client_side.enrich,
        )
        try:
            seen.take(loop.turns(), lambda passed: progress(f"watching sessions, {about(passed)} so far"))
        except (SourceLostError, SourceSlowError) as error:
            if not judged.history.samples:
                raise CannotLookError("the sessions could not be looked at", cause=str(error)) from None
            loop.lost = str(error)
    notes = [f"at the end the server was not there: {loop.lost}"] if loop.lost else []
    return seen.result(notes)


def replayed(path: Path, asked: LeaksOptions) -> Recorded:
    """A recording, judged. Raises UsageError for what is none, CannotLookError when there is nothing in it."""
    from dbdoctor.watch.replay import Replay

    replay = Replay(path)
    judged = Judged(replay.target, asked.watch_options(replay.target, replay.options))
    seen = _Seen(judged)
    seen.take(replay.turns(), lambda _passed: None)
    if judged.facts is None or not judged.history.samples:
        raise CannotLookError(
            "there is not one snapshot in this recording", help="record again, with `dbdoctor leaks --record FILE`"
        )
    return Recorded(replay.target, judged.facts, seen.result(replay.notes))


class _Seen:
    def __init__(self, judged: Judged) -> None:
        self._judged = judged
        self._timeline = Timeline()

    def take(self, turns: Iterable[Turn], passed: Callable[[float], None]) -> None:
        for turn in turns:
            self._judged.take(turn)
            if turn.gap:
                self._timeline.gap()
            if turn.snapshot:
                self._timeline.add(turn.snapshot, self._judged.history)
                passed(self._judged.history.observed.seconds)

    def result(self, notes: Iterable[str]) -> Sessions:
        return Sessions(self._judged.report(with_sessions=True, notes=tuple(notes)), self._timeline.moments)
