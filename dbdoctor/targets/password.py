"""`password_command`: a command whose first line of output is the password, run without a shell and with a deadline."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from dbdoctor.errors import ConfigError
from dbdoctor.model.duration import format_duration
from dbdoctor.model.secret import Secret, redact
from dbdoctor.targets.config_env import Place

if TYPE_CHECKING:
    import subprocess

_LONGEST_CAUSE = 200


@dataclass(frozen=True, slots=True)
class PasswordCommand:
    """What to run, in which directory, for how many seconds at most, and where it was written."""

    words: tuple[str, ...] = field(repr=False)
    directory: Path
    timeout: float
    place: Place


def run_commands(commands: Sequence[PasswordCommand], environment: Mapping[str, str]) -> list[Secret]:
    """The password of each command, all run at once; the same command in the same directory is run once.

    ConfigError of the first, in the order given, that fails: with its exit status and the first line of its stderr.
    """
    wanted = {(command.words, command.directory): command for command in reversed(commands)}
    outcomes: dict[tuple[tuple[str, ...], Path], Secret | ConfigError] = {}

    def run(command: PasswordCommand) -> None:
        try:
            outcomes[command.words, command.directory] = run_command(command, environment)
        except ConfigError as error:
            outcomes[command.words, command.directory] = error

    if len(wanted) == 1:
        run(*wanted.values())
    elif wanted:
        _at_once([(run, command) for command in wanted.values()])
    passwords = []
    for command in commands:
        outcome = outcomes[command.words, command.directory]
        if isinstance(outcome, ConfigError):
            raise outcome
        passwords.append(outcome)
    return passwords


def _at_once(calls: Sequence[tuple[object, PasswordCommand]]) -> None:
    import threading

    threads = [threading.Thread(target=call, args=(command,), daemon=True) for call, command in calls]  # type: ignore[arg-type]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def run_command(command: PasswordCommand, environment: Mapping[str, str]) -> Secret:
    """The password that one command prints. ConfigError when it cannot be run, fails, says nothing, or takes too long."""
    import subprocess

    try:
        process = subprocess.Popen(  # noqa: S603  no shell, and the file is trusted to run it
            command.words,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=command.directory,
            env=dict(environment),
            start_new_session=True,
        )
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else None
        raise ConfigError(
            f"{command.place}: the command could not be run",
            cause=reason or "not a command",
            help="give the full path of a program that can be run; it is run without a shell",
        ) from None
    try:
        output, complaints = process.communicate(timeout=command.timeout)
    except subprocess.TimeoutExpired:
        _kill_group(process)
        raise ConfigError(
            f"{command.place}: the command did not end within {format_duration(command.timeout)}",
            help="let it answer without asking anything, or raise `login_timeout`",
        ) from None
    except BaseException:
        _kill_group(process)
        raise
    return _password(command, process.returncode, output, complaints)


def _password(command: PasswordCommand, status: int, output: bytes, complaints: bytes) -> Secret:
    # Remembered before anything is said: a command may print the password and fail all the same.
    lines = output.decode("utf-8", "replace").strip().splitlines()
    for line in lines:
        Secret(line.strip())
    if status != 0:
        how = f"ended with exit status {status}" if status > 0 else f"was ended by signal {-status}"
        raise ConfigError(
            f"{command.place}: the command {how}",
            cause=_first_line(complaints),
            help="run it by hand in the same directory to see why",
        )
    first = output.decode("utf-8", "replace").partition("\n")[0].strip()
    if not first or "\0" in first:
        raise ConfigError(
            f"{command.place}: the command's first line of output is no password",
            cause=_first_line(complaints),
            help="let it print the password, and nothing before it, to stdout",
        )
    return Secret(first)


def _first_line(complaints: bytes) -> str | None:
    for line in redact(complaints.decode("utf-8", "replace")).splitlines():
        if line.strip():
            return "".join(letter if letter.isprintable() else " " for letter in line.strip())[:_LONGEST_CAUSE]
    return None


def _kill_group(process: subprocess.Popen[bytes]) -> None:
    import signal
    import subprocess

    try:
        os.killpg(process.pid, signal.SIGKILL)
    except (OSError, AttributeError):
        process.kill()
    # What has left the group may still hold the pipes open: it is not waited for.
    for pipe in (process.stdout, process.stderr):
        if pipe is not None:
            pipe.close()
    try:
        process.wait(timeout=1)
    except subprocess.TimeoutExpired:
        return
