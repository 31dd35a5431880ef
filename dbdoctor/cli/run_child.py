"""The command as a child in our own process group: started as it would be without us, its signals passed on, its end shared.

Signals are not handled but waited for, since only so a process learns who sent one: what comes from the terminal has
reached the child already, what a process sent reached us alone.
"""

from __future__ import annotations

import contextlib
import errno
import os
import signal
import sys
import time
from collections.abc import Callable, Mapping, Sequence

from dbdoctor.errors import DbdoctorError

NOT_FOUND, NOT_EXECUTABLE = 127, 126
"""The exit codes of `env` and of shells, for a command that is not there and one that cannot be executed."""

_FORWARDED = frozenset(
    {
        signal.SIGINT,
        signal.SIGTERM,
        signal.SIGHUP,
        signal.SIGQUIT,
        signal.SIGUSR1,
        signal.SIGUSR2,
        signal.SIGWINCH,
        signal.SIGTTIN,
        signal.SIGTTOU,
        signal.SIGCONT,
    }
)
_STOP_BY_TERMINAL = frozenset({signal.SIGTTIN, signal.SIGTTOU})
# siginfo(2): the kernel's own doing, as when a key was pressed on the terminal.
_FROM_KERNEL = 128
# What Python itself ignores from its start on, and a program must not inherit.
_IGNORED_BY_PYTHON = (signal.SIGPIPE, signal.SIGXFSZ)


class CommandNotStartedError(DbdoctorError):
    """The command could not be started; `code` is what `env` would have exited with."""

    def __init__(self, what: str, code: int, *, cause: str | None = None, help: str | None = None) -> None:
        super().__init__(what, cause=cause, help=help)
        self.code = code


class Child:
    """The running command. From the making of this on, signals wait until `wait` takes them."""

    def __init__(self, command: Sequence[str], environment: Mapping[str, str], closed: Sequence[int] = ()) -> None:
        """Start it; `closed` are the standard descriptors that were closed when we were started.

        Raises CommandNotStartedError.
        """
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)  # ignored, it would take the exit code with it
        self._mask = signal.pthread_sigmask(signal.SIG_BLOCK, {*_FORWARDED, signal.SIGCHLD})
        try:
            self.pid = self._spawn(list(command), dict(environment), closed)
        except BaseException:
            signal.pthread_sigmask(signal.SIG_SETMASK, self._mask)
            raise
        self._status: int | None = None

    def wait(self, every: float, meanwhile: Callable[[], object]) -> int:
        """Pass signals on until the command has ended, calling `meanwhile` each so many seconds.

        Gives its exit code, or the negative number of the signal that ended it.
        """
        due = time.monotonic() + every
        while self._status is None:
            left = due - time.monotonic()
            if left <= 0:
                meanwhile()
                due = time.monotonic() + every
                continue
            received = signal.sigtimedwait({*_FORWARDED, signal.SIGCHLD}, left)
            if received is None:
                continue
            if received.si_signo == signal.SIGCHLD:
                self._reap()
            else:
                self._pass_on(received)
        return os.waitstatus_to_exitcode(self._status)

    def close(self) -> None:
        """Signals reach us again as before; those that came for the command, which has ended, are dropped."""
        while signal.sigtimedwait(_FORWARDED, 0):
            pass
        signal.pthread_sigmask(signal.SIG_SETMASK, self._mask)

    def _spawn(self, command: list[str], environment: dict[str, str], closed: Sequence[int]) -> int:
        file = command[0]
        actions = [(os.POSIX_SPAWN_CLOSE, number) for number in closed]

        def spawn(words: list[str]) -> int:
            return os.posix_spawnp(
                words[0],
                words,
                environment,
                file_actions=actions,
                setsigmask=self._mask,
                setsigdef=_IGNORED_BY_PYTHON,
            )

        try:
            return spawn(command)
        except OSError as error:
            place = _found(file)
            if error.errno == errno.ENOEXEC and place:  # a script without #!, which execvp(3) gives to the shell
                return spawn(["/bin/sh", place, *command[1:]])
            raise _not_started(file, error) from None
        except ValueError:
            raise CommandNotStartedError("the command has a NUL character in it", NOT_EXECUTABLE) from None

    def _reap(self) -> None:
        """Whoever ended: as the first process of a container we inherit orphans, too."""
        with contextlib.suppress(ChildProcessError):
            while True:
                pid, status = os.waitpid(-1, os.WNOHANG)
                if pid == 0:
                    return
                if pid == self.pid:
                    self._status = status

    def _pass_on(self, received: signal.struct_siginfo) -> None:
        number = received.si_signo
        if received.si_code != _FROM_KERNEL:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)
        elif number in _STOP_BY_TERMINAL:  # it stopped the child; the shell waits to see us stop
            os.kill(os.getpid(), signal.SIGSTOP)


def end_like(code: int) -> int:
    """For the very end: dies of the signal that ended the child, or gives the exit code to end with."""
    if code >= 0:
        return code
    sys.stdout.flush()
    sys.stderr.flush()
    number = -code
    with contextlib.suppress(OSError, ValueError):
        import resource

        # 1 and not 0, which core patterns that are programs do not heed: core(5). The child has dumped its own.
        hard = resource.getrlimit(resource.RLIMIT_CORE)[1]
        resource.setrlimit(resource.RLIMIT_CORE, (1 if hard else 0, hard))
    with contextlib.suppress(OSError, ValueError):
        if number not in {signal.SIGKILL, signal.SIGSTOP}:
            signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {number})
    return 128 + number  # as the first process of a container, whom no signal kills


def _found(file: str) -> str | None:
    import shutil

    return file if "/" in file else shutil.which(file)


def _not_started(file: str, error: OSError) -> CommandNotStartedError:
    name, is_assignment, _ = file.partition("=")
    if is_assignment and name.isidentifier():  # its value may be a password
        return CommandNotStartedError(
            f"there is no command {name}=...",
            NOT_FOUND,
            help=f"for a variable put `env` before it: `env {name}=... COMMAND`",
        )
    if "://" in file:
        return CommandNotStartedError(
            "a URL is no command", NOT_FOUND, help="name a program: `dbdoctor run -- python FILE`"
        )
    if error.errno in {errno.ENOENT, errno.ENOTDIR}:
        place = _found(file)
        if place and os.path.exists(place):  # noqa: PTH110 - a script whose interpreter is not there
            return CommandNotStartedError(
                f"cannot run {file}: the interpreter that its first line names is not there",
                NOT_FOUND,
                help="look at its first line: `head -1 FILE`",
            )
        return CommandNotStartedError(f"there is no command {file}", NOT_FOUND, help="check its name and $PATH")
    return CommandNotStartedError(
        f"cannot run {file}",
        NOT_EXECUTABLE,
        cause=error.strerror,
        help="a script that is not executable is run by its interpreter: `dbdoctor run -- python FILE`",
    )
