"""`dbdoctor run -- COMMAND`: runs a SQLAlchemy program with the recorder on, no code change."""

from __future__ import annotations

from typing import Annotated

import typer

from dbdoctor.cli import options

Command = Annotated[
    list[str],
    typer.Argument(metavar="COMMAND...", help="The program and its arguments, best after `--`.", show_default=False),
]
Out = Annotated[
    str | None,
    typer.Option(
        "--out",
        metavar="FILE|DIR",
        help="Put the recordings into this directory; or, at the end, all of them into this .jsonl file. Default: a new "
        "directory where `dbdoctor leaks` looks.",
        show_default=False,
    ),
]
LeakAfter = Annotated[
    str,
    typer.Option(
        "--leak-after",
        metavar="DURATION",
        help="Report a connection that is checked out for longer, once: 100ms to 7d.",
    ),
]
Sample = Annotated[
    float, typer.Option("--sample", metavar="SHARE", help="Record this share of all checkouts, 1.0 being each.")
]
MaxSize = Annotated[
    str, typer.Option("--max-size", metavar="SIZE", help="The most that one process may write: 1MB to 100GB.")
]
Quiet = Annotated[bool, typer.Option("--quiet", help="Write nothing to stderr, except what went wrong.")]


def run(
    command: Command,
    out: Out = None,
    leak_after: LeakAfter = "60s",
    sample: Sample = 1.0,
    max_size: MaxSize = "64MB",
    quiet: Quiet = False,
    no_color: options.NoColor = False,
    debug: options.Debug = False,
) -> int:
    """Run any SQLAlchemy program and record who checks out which connection, where in the code, for how long.

    Covers the processes that it starts, too: gunicorn's and celery's workers, uvicorn, pytest. At the end comes a summary by
    line of code, on stderr. stdin, stdout, signals and the exit code are the program's own.
    """
    # Of the words on the command line `main` cannot know yet which ones are the command's.
    options.debug_wanted = debug
    options.hide_arguments(command)
    from dbdoctor.cli.run_command import run_command
    from dbdoctor.cli.run_options import read_run_options

    asked = read_run_options(
        command=command,
        out=out,
        leak_after=leak_after,
        sample=sample,
        max_size=max_size,
        quiet=quiet,
        no_color=no_color,
    )
    return run_command(asked)
