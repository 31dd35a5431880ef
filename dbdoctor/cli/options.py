"""The options that every command has, declared once, and their reading."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dbdoctor.errors import ExitCode, UsageError

if TYPE_CHECKING:
    from dbdoctor.model.finding import Finding

# Set by `main` before anything is parsed, so that also an error in parsing can show its traceback.
debug_wanted = False


class Format(str, Enum):
    """How a result is written."""

    TEXT = "text"
    JSON = "json"


class FailOn(str, Enum):
    """From which severity on findings make the exit code 1."""

    ERROR = "error"
    WARNING = "warning"
    NEVER = "never"


def complete_target(context: typer.Context, incomplete: str) -> list[str]:
    """Profile names of the config that is named before, else of those found here, for the shell."""
    from dbdoctor.targets.select import profile_names

    given = context.params.get("config")
    names = profile_names(Path(given).expanduser() if given else None, use_config=not context.params.get("no_config"))
    return [name for name in [*names, "demo"] if name.startswith(incomplete)]


def complete_words(incomplete: str, known: Iterable[str]) -> list[str]:
    """Words of an option that takes several with commas between: the last one is completed, the ones before are kept."""
    before, comma, last = incomplete.rpartition(",")
    given = before.split(",")
    return [f"{before}{comma}{word}" for word in known if word.startswith(last) and word not in given]


Targets = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="[TARGET]...",
        help="A DSN, a profile of the config file, module:engine, or demo. Left out: $DBDOCTOR_DSN, the config's default "
        "profile, $DATABASE_URL.",
        autocompletion=complete_target,
        show_default=False,
    ),
]
OneTarget = Annotated[
    str | None,
    typer.Argument(
        metavar="[TARGET]",
        help="A DSN, a profile of the config file, module:engine, or demo. Left out: $DBDOCTOR_DSN, the config's default "
        "profile, $DATABASE_URL.",
        autocompletion=complete_target,
        show_default=False,
    ),
]
Config = Annotated[
    Path | None, typer.Option("--config", help="Read this config file and no other.", show_default=False)
]
NoConfig = Annotated[bool, typer.Option("--no-config", help="Read no config file.")]
Trust = Annotated[
    bool, typer.Option("--trust", help="Let the config file found here run its password_command or import its engine.")
]
FormatOption = Annotated[Format, typer.Option("--format", help="How to write the result.")]
Json = Annotated[bool, typer.Option("--json", help="Short for --format json.")]
FailOnOption = Annotated[
    FailOn | None,
    typer.Option(
        "--fail-on",
        help="From which severity on the exit code is 1: error (the default), warning or never.",
        show_default=False,
    ),
]
LoginTimeout = Annotated[
    str | None,
    typer.Option(
        "--login-timeout",
        metavar="DURATION",
        help="One deadline over everything done to a target, resolver included: 250ms, 5s, 1m. Default: the profile's, else 5s.",
        show_default=False,
    ),
]
NoColor = Annotated[bool, typer.Option("--no-color", help="No colour (also: NO_COLOR, TERM=dumb).")]
Debug = Annotated[bool, typer.Option("--debug", help="On an error, show the traceback; passwords are masked in it.")]


def read_duration(option: str, text: str | None, *, least: float, most: float) -> float | None:
    """Seconds from an option's text. Raises UsageError naming the option and its range."""
    if text is None:
        return None
    from dbdoctor.model.duration import parse_duration

    try:
        seconds = parse_duration(text)
    except ValueError as error:
        raise UsageError(f"`{option}` is not a duration", cause=str(error), help=f"for example `{option} 5s`") from None
    if not least <= seconds <= most:
        raise UsageError(
            f"`{option}` must lie between {_as_typed(least)} and {_as_typed(most)}", help=f"for example `{option} 5s`"
        )
    return seconds


def _as_typed(seconds: float) -> str:
    """As the help has it: 7d, 24h, 0.2s."""
    for unit, length in (("d", 86400), ("h", 3600), ("m", 60)):
        if seconds % length == 0 and seconds > (length if unit == "d" else 0):
            return f"{seconds / length:g}{unit}"
    return f"{seconds:g}s"


def show_traceback(error: BaseException) -> None:
    """With --debug: where it came from, on stderr, every known secret masked."""
    if not debug_wanted:
        return
    import traceback

    from dbdoctor.model.secret import redact

    print(redact("".join(traceback.format_exception(error))).rstrip(), file=sys.stderr)


def exit_code_for(findings: Iterable[Finding], fail_on: FailOn) -> ExitCode:
    """1 when a finding is at or above the severity that fails."""
    if fail_on is FailOn.NEVER:
        return ExitCode.OK
    from dbdoctor.model.finding import Severity

    least = Severity(fail_on.value).rank
    return ExitCode.FINDINGS if any(finding.severity.rank >= least for finding in findings) else ExitCode.OK


def hide_arguments(words: Iterable[str]) -> None:
    """Take a DSN off the process title: anybody on this machine can read the arguments of a process."""
    if not any(_may_hold_a_password(word) for word in words):
        return
    try:
        import setproctitle
    except ImportError:
        return
    command = sys.argv[1] if len(sys.argv) > 1 else ""
    setproctitle.setproctitle(f"dbdoctor {command}".strip())


def _may_hold_a_password(word: str) -> bool:
    low = word.lower()
    named = "pass" in low or "pwd" in low or "psw" in low
    return named or (":" in word.partition("://")[2].rpartition("@")[0])
