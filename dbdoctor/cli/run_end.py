"""The end of a run: the files put where they were asked for, the summary, and why there is none when there is none."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path

from dbdoctor.cli.run_options import RunOptions
from dbdoctor.cli.run_place import Place, is_alive, process_of
from dbdoctor.cli.run_unseen import why_unseen
from dbdoctor.errors import UsageError
from dbdoctor.render.run_lines import note_line
from dbdoctor.render.style import Style

# Processes that go on recording, named one by one.
_MOST_NAMED = 5


def close_run(asked: RunOptions, place: Place) -> None:
    """Say everything there is to say on stderr. Raises UsageError when the file cannot be written."""
    style = Style.of(sys.stderr, no_color=asked.no_color)
    files = place.files()
    failed = place.mark(".failed")
    alive = [file for file in files if is_alive(file)]
    if not files:
        _say_unseen(asked, place, style)
        return
    if not any(_has_header(file) for file in files):
        _say(f"nothing was recorded: {place.directory} took no file, as when its disk is full", style)
        return
    if failed:
        _say(f"not recorded: {_first_line(failed)}", style)
    if not asked.quiet:
        _summarise(files, style)
    if not alive:
        place.forget_marks()
    where = _put_into_file(asked, place, files, alive)
    if asked.quiet:
        return
    if alive:
        _say(_goes_on(alive, place), style)
    _say(f"recorded in {where}; again: `dbdoctor trace {shlex.quote(str(where))}`", style)


def _put_into_file(asked: RunOptions, place: Place, files: list[Path], alive: list[Path]) -> Path:
    """Where the recordings are now."""
    if asked.file is None:
        return place.directory
    going_on = {process_of(file) for file in alive}
    try:
        place.move_into(asked.file, [file for file in files if process_of(file) not in going_on])
    except OSError as error:
        raise UsageError(
            f"cannot write {asked.file}: the recordings stay in {place.directory}", cause=error.strerror
        ) from None
    place.remove_if_empty()
    return asked.file


def _summarise(files: list[Path], style: Style) -> None:
    from dbdoctor.render.trace_text import show_summary
    from dbdoctor.traces.summary import summarise

    print(file=sys.stderr)
    show_summary(summarise(files), sys.stderr, style)
    print(file=sys.stderr)


def _has_header(file: Path) -> bool:
    try:
        with file.open("rb") as opened:
            return opened.readline(65536).endswith(b"\n")
    except OSError:
        return False


def _goes_on(alive: list[Path], place: Place) -> str:
    numbers = sorted({number for file in alive if (number := process_of(file)) is not None})
    named = ", ".join(str(number) for number in numbers[:_MOST_NAMED])
    more = f" and {len(numbers) - _MOST_NAMED} more" if len(numbers) > _MOST_NAMED else ""
    if len(numbers) == 1:
        return f"process {named} still runs, and goes on recording in {place.directory}"
    return f"processes {named}{more} still run, and go on recording in {place.directory}"


def _say_unseen(asked: RunOptions, place: Place, style: Style) -> None:
    said = why_unseen(
        asked.command, python=place.mark(".python"), started=place.mark(".started"), failed=place.mark(".failed")
    )
    if not _any_alive(place.mark(".started") or ""):
        place.forget_marks()
        place.remove_if_empty()
    if said.is_fault or not asked.quiet:
        _say(said.text, style)
    if said.help:
        print(f"\n{style.paint('help:', 'cyan')} {said.help}", file=sys.stderr)


def _any_alive(numbers: str) -> bool:
    """Whether a process that has the recorder, but nothing to record yet, goes on."""
    return any(Path("/proc", number).is_dir() for number in numbers.split())


def _say(text: str, style: Style) -> None:
    print(note_line(text, style), file=sys.stderr, flush=True)


def _first_line(text: str) -> str:
    lines = text.strip().splitlines() or [""]
    return lines[0] if len(set(lines)) == 1 else f"{lines[0]} (and {len(lines) - 1} more)"
