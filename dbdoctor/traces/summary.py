"""The recordings of a run, summed up: by line of code, by pool, and who held what when a pool timed out."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from pathlib import Path

from dbdoctor.errors import UsageError
from dbdoctor.model.recorded import Header
from dbdoctor.model.recorded_summary import ProcessSummary, SiteSummary, Summary
from dbdoctor.traces.find import FRESH, is_alive, opened, recording_files
from dbdoctor.traces.notes import notes_of
from dbdoctor.traces.pool_tally import pool_summaries
from dbdoctor.traces.read import Reading, lines_of, records
from dbdoctor.traces.tally import Tally

_TOLD_EVERY = 65_536


def summarise(paths: Iterable[Path], progress: Callable[[int], None] = lambda _lines: None) -> Summary:
    """Everything that these files, and those in these directories, say; in bounded memory, and never a failure.

    What is not there or cannot be read is said in the notes. `progress` is told the number of lines read, now and then.
    """
    tally, reading = Tally(), Reading()
    notes: list[str] = []
    files = _files(paths, notes)
    changed: dict[str, float] = {}
    for path in files:
        try:
            with opened(path) as stream:
                for record in records(lines_of(stream), reading, path.name):
                    tally.take(record)
                    if isinstance(record, Header):
                        changed[record.identity] = _changed(path)
                    if not reading.lines % _TOLD_EVERY:
                        progress(reading.lines)
        except (OSError, EOFError) as error:
            notes.append(f"{path.name} could not be read: {getattr(error, 'strerror', None) or error}")
    now = time.time()
    processes = tally.finish(lambda header: now if _is_recording(header, changed, now) else None)
    return _summary(tally, processes, reading, len(files), notes)


def _files(paths: Iterable[Path], notes: list[str]) -> list[Path]:
    found: list[Path] = []
    for path in paths:
        try:
            found += recording_files([path])
        except UsageError as error:
            notes.append(error.what)
    return recording_files(found)


def _changed(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0


def _is_recording(header: Header, changed: dict[str, float], now: float) -> bool:
    """Whether the process runs, and its recorder renews the file: then what is open in it is open now."""
    return abs(now - changed.get(header.identity, 0.0)) <= FRESH and is_alive(header)


def _summary(tally: Tally, processes: list[ProcessSummary], reading: Reading, files: int, notes: list[str]) -> Summary:
    return Summary(
        processes=tuple(sorted(processes, key=lambda process: process.header.began)),
        sites=tuple(sorted(tally.sites(), key=_importance, reverse=True)),
        timeouts=tally.timeouts.summaries(),
        pools=pool_summaries(tally.pools()),
        began=min((process.header.began for process in processes), default=0.0),
        until=max((process.until for process in processes), default=0.0),
        files=files,
        lines=reading.lines,
        bad_lines=reading.bad,
        bad=tuple(reading.named),
        cut_short=reading.cut_short,
        unassigned=tally.unassigned,
        notes=(
            *notes,
            *notes_of(
                processes, reading, repeated=tally.repeated, unassigned=tally.unassigned, overfull=tally.overfull
            ),
        ),
    )


def _importance(site: SiteSummary) -> tuple[float, ...]:
    """What was never returned first, then what keeps connections busy most."""
    return site.out, site.collected, site.overdue, site.use.total, site.timeouts + site.failures, site.checkouts
