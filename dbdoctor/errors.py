"""What can go wrong with the tool itself: each class carries its exit code and what to do next.

    DbdoctorError
    +-- UsageError          2  the command line, a DSN, or a setting is wrong
    |   +-- ConfigError     2  a config file is wrong, missing, or not trusted
    |   +-- ApplicationError 2 the user's own `module:attribute` could not be imported or is not an engine
    +-- CannotLookError     3  could not connect, or not allowed to look

A failed connection is not an exception in `check`: it is a finding. These are for what stops a command.
No message here may quote text in which a password could hide.
"""

from __future__ import annotations

from enum import IntEnum


class ExitCode(IntEnum):
    """What the process answers with; `README.md` lists them for people."""

    OK = 0
    """Looked, and found nothing at or above `--fail-on`."""
    FINDINGS = 1
    """Looked, and found something at or above `--fail-on`."""
    USAGE = 2
    """The command line, a DSN or a config file is wrong; nothing was looked at."""
    CANNOT_LOOK = 3
    """Could not connect, or was not allowed to look."""
    INTERNAL = 4
    """dbdoctor's own fault."""
    INTERRUPTED = 130
    """Ended by Ctrl-C or SIGTERM."""


class DbdoctorError(Exception):
    """An error in one shape: what (with names and figures), the cause in others' words, one thing to do.

    `what` and `help` are ours; `cause` is the first line of what a driver or the system said, already redacted.
    """

    exit_code: ExitCode = ExitCode.INTERNAL

    def __init__(self, what: str, *, cause: str | None = None, help: str | None = None) -> None:
        super().__init__(what)
        self.what = what
        self.cause = cause
        self.help = help


class UsageError(DbdoctorError):
    """The command line, a DSN or a setting is wrong."""

    exit_code = ExitCode.USAGE


class ConfigError(UsageError):
    """A config file is wrong, missing, or not trusted to run what it asks for."""


class ApplicationError(UsageError):
    """The user's own `module:attribute` could not be imported, or is not something with a database URL."""


class CannotLookError(DbdoctorError):
    """The server could not be reached, or does not let us look."""

    exit_code = ExitCode.CANNOT_LOOK
