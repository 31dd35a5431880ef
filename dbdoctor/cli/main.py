"""`main`: runs the application, shows every error in one shape on stderr, and turns it into an exit code."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Sequence
from typing import NoReturn

from dbdoctor.cli import options
from dbdoctor.cli.signals import ignore_signals, raise_on_terminate, stop_on_terminate
from dbdoctor.cli.streams import prepare_streams
from dbdoctor.errors import DbdoctorError, ExitCode, UsageError
from dbdoctor.model.secret import redact, remember

# What was told on stderr of the command line under way: every error, and that it was interrupted.
_told: list[str] = []
# Its words. A DSN may stand where a file is expected, and an error that names the file must not tell the password.
_typed: list[str] = []


def main() -> NoReturn:
    """Run this process's command line and exit with its code."""
    try:
        raise_on_terminate()
        prepare_streams()
        code = _run(sys.argv[1:])
        ignore_signals()
    except KeyboardInterrupt:  # before the first or after the last line of _run
        ignore_signals()
        code = _interrupted()
    _end(code)


def _end(code: int) -> NoReturn:
    """Leave at once: all is said, and everything that was started has been stopped where it was started.

    Taking the interpreter apart costs 4 ms for nothing, and would meet threads that hang in a driver.
    """
    _flush()
    with contextlib.suppress(OSError, ValueError):
        sys.stderr.flush()
    os._exit(code)


def run(arguments: Sequence[str]) -> int:
    """Run one command line and give its exit code; nothing is raised."""
    with stop_on_terminate():
        return _run(arguments)


def _run(arguments: Sequence[str]) -> int:
    options.debug_wanted = "--debug" in arguments
    _typed[:] = arguments
    _told.clear()
    code = _run_house(arguments)
    return _unknown() if _told and _is_for_nagios(arguments) else code


def _is_for_nagios(arguments: Sequence[str]) -> bool:
    """Whether monitoring asks, to which our exit codes would mean something else."""
    joined = f" {' '.join(arguments).lower()} "
    return arguments[:1] == ["check"] and (" --format nagios " in joined or " --format=nagios " in joined)


def _unknown() -> int:
    """What was told on stderr is the status line, too: monitoring reads stdout alone."""
    from dbdoctor.render.formats import nagios

    with contextlib.suppress(UsageError):  # stdout cannot be written: that is what was told
        print(nagios.unknown(redact(_told[-1])), flush=True)
    return nagios.UNKNOWN


def _run_house(arguments: Sequence[str]) -> int:
    try:
        return _run_app(arguments)
    except KeyboardInterrupt:
        return _interrupted()
    except DbdoctorError as error:
        default = "see `dbdoctor --help`" if isinstance(error, UsageError) else None
        show_error(error.what, cause=error.cause, help=error.help or default)
        return _with_traceback(error, error.exit_code)
    except Exception as error:  # noqa: BLE001 - the last line of defence: no traceback, no secret, a code of its own
        return _own_fault(error)


def _run_app(arguments: Sequence[str]) -> int:
    from typer import TyperException

    from dbdoctor.cli.app import command

    try:
        result = command(arguments[0] if arguments else None)(
            list(arguments), prog_name="dbdoctor", standalone_mode=False
        )
    except TyperException as error:
        text = error.format_message()
        if type(error).__name__ == "NoArgsIsHelpError":
            _say(text)
            return ExitCode.USAGE
        show_error(_usage_text(text), help="see `dbdoctor --help`")
        return int(getattr(error, "exit_code", ExitCode.USAGE))
    if result == ExitCode.INTERRUPTED:  # what Typer makes of a KeyboardInterrupt
        raise KeyboardInterrupt
    sys.stdout.flush()
    return int(result) if isinstance(result, int) else ExitCode.OK


def show_error(what: str, *, cause: str | None = None, help: str | None = None) -> None:
    """An error on stderr, in the one shape that all errors have; redacted, whatever it holds."""
    from dbdoctor.render.clean import clean
    from dbdoctor.render.style import Style

    _flush()
    _remember_typed_secrets()
    _told.append(f"{what}: {cause}" if cause else what)
    style = Style.of(sys.stderr)
    _say(f"{style.severity('error', 'error:')} {clean(redact(what), 2000)}")
    if cause:
        _say(f"  cause: {clean(redact(cause), 1000)}")
    if help:
        _say(f"\n{style.paint('help:', 'cyan')} {clean(redact(help), 2000)}")


def _remember_typed_secrets() -> None:
    for word in _typed:
        if "@" in word or "=" in word:
            from dbdoctor.targets.parse import probable_secrets

            for secret in probable_secrets(word):
                remember(secret)


def _usage_text(text: str) -> str:
    """Typer's own words, as a sentence like ours: no capital, no full stop."""
    text = " ".join(text.split()).rstrip(".")
    return text[:1].lower() + text[1:]


def _interrupted() -> int:
    _flush()
    _told.append("interrupted")
    _say("interrupted")
    return ExitCode.INTERRUPTED


def _own_fault(error: Exception) -> int:
    show_error(
        f"dbdoctor itself failed ({type(error).__name__}); this is a fault of dbdoctor, not of your database",
        help="run it again with `--debug` and report what it prints; passwords are masked in it",
    )
    return _with_traceback(error, ExitCode.INTERNAL)


def _with_traceback(error: BaseException, code: ExitCode) -> int:
    options.show_traceback(error)
    return code


def _say(text: str) -> None:
    encoding = sys.stderr.encoding or "utf-8"  # a StringIO in the place of stderr has none
    print(text.encode(encoding, "backslashreplace").decode(encoding), file=sys.stderr)


def _flush() -> None:
    with contextlib.suppress(UsageError):  # the result cannot be written, and another error is being told
        sys.stdout.flush()
