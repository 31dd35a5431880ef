"""`main`: runs the application, shows every error in one shape on stderr, and turns it into an exit code."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import NoReturn

from dbdoctor.cli import options
from dbdoctor.cli.signals import stop_on_terminate
from dbdoctor.errors import DbdoctorError, ExitCode
from dbdoctor.model.secret import redact


def main() -> NoReturn:
    """Run this process's command line and exit with its code."""
    code = run(sys.argv[1:])
    _flush()
    sys.exit(code)


def run(arguments: Sequence[str]) -> int:
    """Run one command line and give its exit code; nothing is raised."""
    options.debug_wanted = "--debug" in arguments
    try:
        with stop_on_terminate():
            return _run_app(arguments)
    except KeyboardInterrupt:
        return _interrupted()
    except DbdoctorError as error:
        show_error(error.what, cause=error.cause, help=error.help)
        return _with_traceback(error, error.exit_code)
    except BrokenPipeError:
        return _pipe_gone()
    except Exception as error:  # noqa: BLE001 - the last line of defence: no traceback, no secret, a code of its own
        return _own_fault(error)


def _run_app(arguments: Sequence[str]) -> int:
    from typer import TyperException

    from dbdoctor.cli.app import application

    try:
        result = application()(list(arguments), prog_name="dbdoctor", standalone_mode=False)
    except TyperException as error:
        text = error.format_message()
        if type(error).__name__ == "NoArgsIsHelpError":
            _say(text)
            return ExitCode.USAGE
        show_error(_usage_text(text), help="see `dbdoctor --help`")
        return int(getattr(error, "exit_code", ExitCode.USAGE))
    return int(result) if isinstance(result, int) else ExitCode.OK


def show_error(what: str, *, cause: str | None = None, help: str | None = None) -> None:
    """An error on stderr, in the one shape that all errors have; redacted, whatever it holds."""
    from dbdoctor.render.clean import clean
    from dbdoctor.render.style import Style

    _flush()
    style = Style.of(sys.stderr)
    _say(f"{style.severity('error', 'error:')} {clean(redact(what), 2000)}")
    if cause:
        _say(f"  cause: {clean(redact(cause), 1000)}")
    if help:
        _say(f"\n{style.paint('help:', 'cyan')} {clean(redact(help), 2000)}")


def _usage_text(text: str) -> str:
    """Typer's own words, as a sentence like ours: no capital, no full stop."""
    text = " ".join(text.split()).rstrip(".")
    return text[:1].lower() + text[1:]


def _interrupted() -> int:
    _flush()
    _say("interrupted")
    return ExitCode.INTERRUPTED


def _pipe_gone() -> int:
    """The reader of our output has gone (`| head`): that is no fault, and nothing more can be said."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return ExitCode.OK


def _own_fault(error: Exception) -> int:
    show_error(
        f"dbdoctor itself failed ({type(error).__name__}); this is a fault of dbdoctor, not of your database",
        help="run it again with `--debug` and report what it prints; passwords are masked in it",
    )
    return _with_traceback(error, ExitCode.INTERNAL)


def _with_traceback(error: BaseException, code: ExitCode) -> int:
    if options.debug_wanted:
        import traceback

        _say(redact("".join(traceback.format_exception(error))).rstrip())
    return code


def _say(text: str) -> None:
    try:
        print(
            text.encode(sys.stderr.encoding or "utf-8", "backslashreplace").decode(sys.stderr.encoding or "utf-8"),
            file=sys.stderr,
        )
    except (BrokenPipeError, ValueError):
        return


def _flush() -> None:
    try:
        sys.stdout.flush()
    except (BrokenPipeError, ValueError):
        _pipe_gone()
