"""`dbdoctor trace [FILE|DIR]...`: what the recorder saw, by line of code."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dbdoctor.cli import options
from dbdoctor.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dbdoctor.model.recorded_summary import Summary

Recordings = Annotated[
    list[Path] | None,
    typer.Argument(
        metavar="[FILE|DIR]...",
        help="Files of the recorder, or the directories of runs; `-` is stdin. Left out: the newest run.",
        show_default=False,
    ),
]
Limit = Annotated[
    int, typer.Option("--limit", min=0, max=100_000, help="How many lines of code the table shows; 0 is all.")
]


def trace(
    recordings: Recordings = None,
    limit: Limit = 20,
    fail_on: options.FailOnOption = None,
    output: options.FormatOption = options.Format.TEXT,
    json_wanted: options.Json = False,
    no_color: options.NoColor = False,
    debug: options.Debug = False,
) -> int:
    """Sum up what `dbdoctor run` recorded: by line of code, over all processes of the run.

    Checkouts, how long each line waited for a connection and used it, what was never returned, and who held what when a
    pool timed out. Reads files, connects to nothing.
    """
    del debug
    from dbdoctor.rules.recorded import judge_recorded

    summary = _read(recordings or [_newest()])
    findings, skipped = judge_recorded(summary)
    if json_wanted or output is options.Format.JSON:
        from dbdoctor.render.trace_json import trace_json

        print(trace_json(summary, findings, skipped, indent=2 if sys.stdout.isatty() else None))
    else:
        from dbdoctor.render.style import Style
        from dbdoctor.render.trace_text import trace_lines

        style = Style.of(sys.stdout, no_color=no_color)
        for line in trace_lines(summary, findings, skipped, style, limit=limit):
            print(line)
    return options.exit_code_for(findings, fail_on or options.FailOn.ERROR)


def _newest() -> Path:
    from dbdoctor.cli.progress import Progress
    from dbdoctor.traces.find import newest_run

    newest = newest_run()
    if newest is None:
        raise UsageError("nothing was recorded yet", help="record a program: `dbdoctor run -- COMMAND`")
    Progress().say(f"the newest run: {newest}")
    return newest


def _read(paths: Sequence[Path]) -> Summary:
    """The summary. Raises UsageError when there is no recording in what was named."""
    from dbdoctor.cli.progress import Progress
    from dbdoctor.traces.find import recording_files
    from dbdoctor.traces.summary import summarise

    progress = Progress()
    try:
        summary = summarise(recording_files(paths), lambda lines: progress.note(f"reading, {lines:,} lines"))
    finally:
        progress.clear()
    if not summary.processes:
        named = "; ".join(f"line {bad.number}: {bad.reason}" for bad in summary.bad) or "; ".join(summary.notes)
        raise UsageError(
            f"there is no recording in {', '.join(f'`{path}`' for path in paths[:3])}",
            cause=named or "it is empty",
            help="name what `dbdoctor run` recorded: a file, or the directory of a run",
        )
    return summary
