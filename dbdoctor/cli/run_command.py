"""One run: the environment that turns the recorder on, the command from start to end, and what is said then."""

from __future__ import annotations

import contextlib
import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path

from dbdoctor.cli import streams
from dbdoctor.cli.run_child import Child, CommandNotStartedError, end_like
from dbdoctor.cli.run_options import RunOptions
from dbdoctor.cli.run_place import Place
from dbdoctor.errors import DbdoctorError
from dbdoctor.recorder.places import VARIABLE

# Seconds between two looks at the files, as often as they are written.
_EVERY = 0.5
_PATH = "PYTHONPATH"


def run_command(asked: RunOptions) -> int:
    """Run it; gives its exit code, or dies of the signal that ended it."""
    place = Place(asked.directory)
    environment = recording_environment(os.environ, place.directory, asked)
    try:
        child = Child(asked.command, environment, streams.closed_at_start)
    except CommandNotStartedError as error:
        from dbdoctor.cli.main import show_error

        place.remove_if_empty()
        show_error(error.what, cause=error.cause, help=error.help)
        return error.code
    from dbdoctor.cli.run_reporter import Reporter

    reporter = Reporter(place, quiet=asked.quiet, no_color=asked.no_color)
    try:
        code = child.wait(_EVERY, reporter.look)
    finally:
        child.close()
    with contextlib.suppress(KeyboardInterrupt):  # the command's end is told already; whoever is in a hurry may be
        _close(asked, place, reporter.finish)
    return end_like(code)


def recording_environment(given: Mapping[str, str], directory: Path, asked: RunOptions) -> dict[str, str]:
    """The environment of the command: as ours, with what turns the recorder on in every Python."""
    package = Path(__file__).resolve().parents[2]
    startup = str(package / "dbdoctor" / "recorder" / "startup")
    if os.pathsep in startup:
        raise DbdoctorError(
            f"dbdoctor is installed in {package}, and `{os.pathsep}` in a directory's name cannot be in {_PATH}",
            help="install it somewhere else, or call `dbdoctor.attach_all()` in the program",
        )
    settings = {
        "out": str(directory),  # first: sitecustomize.py takes it without a JSON parser
        "leak_after": asked.leak_after,
        "sample": asked.sample,
        "most_bytes": asked.most_bytes,
        "package": str(package),
    }
    before = [entry for entry in (given.get(_PATH) or "").split(os.pathsep) if entry != startup]
    path = os.pathsep.join([startup, *before]) if given.get(_PATH) else startup
    return {**given, _PATH: path, VARIABLE: json.dumps(settings, ensure_ascii=False, separators=(",", ":"))}


def _close(asked: RunOptions, place: Place, finish_reports: object) -> None:
    """Everything after the command's end; a fault of ours here must not hide its exit code."""
    from dbdoctor.cli.run_end import close_run

    assert callable(finish_reports)
    try:
        finish_reports()
        close_run(asked, place)
    except DbdoctorError as error:
        from dbdoctor.cli.main import show_error

        show_error(error.what, cause=error.cause, help=error.help)
    except Exception as error:  # noqa: BLE001 - the command's exit code is what counts
        from dbdoctor.cli import options

        print(
            f"dbdoctor: the summary failed ({type(error).__name__}); the files are in {place.directory}",
            file=sys.stderr,
        )
        options.show_traceback(error)
