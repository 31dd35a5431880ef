"""Where the embedded server lives, and as whom it runs: a directory of its own, and never root.

PostgreSQL refuses to run as root. So under root the server runs as a user that every system has and that owns nothing;
no user is created.
"""

from __future__ import annotations

import os
import pwd
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

# sockaddr_un.sun_path on Linux is 108 bytes with its NUL (unix(7)).
_LONGEST_SOCKET_PATH = 107
_LONGEST_SOCKET_NAME = ".s.PGSQL.65535"
_ACCOUNTS = ("nobody", "daemon", "postgres", "bin")


class CannotStartError(Exception):
    """The embedded server cannot be started: what, the cause in the system's words, and one thing to do."""

    def __init__(self, what: str, *, cause: str | None = None, help: str | None = None) -> None:
        super().__init__(what)
        self.what = what
        self.cause = cause
        self.help = help


@dataclass(frozen=True, slots=True)
class Account:
    """An existing user without rights, as whom the server runs when we are root."""

    name: str
    uid: int
    gid: int


def server_account() -> Account | None:
    """As whom the server must run; None is "as ourselves". Raises CannotStartError when root finds no ordinary user."""
    if os.geteuid() != 0:
        return None
    for name in _ACCOUNTS:
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        if entry.pw_uid != 0:
            return _tried(Account(name, entry.pw_uid, entry.pw_gid))
    raise CannotStartError(
        "PostgreSQL does not run as root, and this system has no unprivileged user",
        cause=f"none of these users exists: {', '.join(_ACCOUNTS)}",
        help="run `dbdoctor` as an ordinary user",
    )


def _tried(account: Account) -> Account:
    try:
        with acting_as(account):
            return account
    except OSError as error:
        raise CannotStartError(
            f"PostgreSQL does not run as root, and root here may not become {account.name}",
            cause=str(error),
            help="run `dbdoctor` as an ordinary user, or give the container the capabilities SETUID, SETGID and CHOWN",
        ) from None


@contextmanager
def acting_as(account: Account | None) -> Iterator[None]:
    """Have the file and IPC rights of `account` for a moment (effective ids only; this process has one thread)."""
    if account is None:
        yield
        return
    uid, gid = os.geteuid(), os.getegid()
    os.setegid(account.gid)
    try:
        os.seteuid(account.uid)
        yield
    finally:
        os.seteuid(uid)
        os.setegid(gid)


def make_directory(account: Account | None, *, executable: bool) -> Path:
    """A new directory (mode 0700) that the server can reach, short enough for a socket in it; the caller removes it.

    `executable` asks that programs may be run from it. `$TMPDIR` comes first. Raises CannotStartError.
    """
    refusals = []
    for parent in dict.fromkeys((tempfile.gettempdir(), "/tmp", "/var/tmp", "/dev/shm")):  # noqa: S108 - mkdtemp below
        refusal = _refusal(parent, account, executable=executable)
        if refusal is None:
            return _make(Path(parent), account)
        refusals.append(f"{parent}: {refusal}")
    raise CannotStartError(
        "there is no place for the embedded PostgreSQL's files",
        cause="; ".join(refusals),
        help="set `TMPDIR` to a directory that every user may enter and write",
    )


def _refusal(parent: str, account: Account | None, *, executable: bool) -> str | None:
    if any(ord(letter) < 32 for letter in parent):
        return "its name has a line break, which PostgreSQL's files cannot hold"
    longest = f"{parent}/dbdoctor-demo-12345678/{_LONGEST_SOCKET_NAME}"
    if len(os.fsencode(longest)) > _LONGEST_SOCKET_PATH:
        return "its path is too long for a unix socket"
    if executable and os.path.isdir(parent) and os.statvfs(parent).f_flag & os.ST_NOEXEC:  # noqa: PTH112
        return "no program may be run from it"
    if not os.access(parent, os.W_OK | os.X_OK):
        return "not writable"
    with acting_as(account):
        if not os.access(parent, os.X_OK, effective_ids=True):
            return f"user {account.name if account else ''} may not enter it"
    return None


def _make(parent: Path, account: Account | None) -> Path:
    directory = Path(tempfile.mkdtemp(prefix="dbdoctor-demo-", dir=parent))
    if account is not None:
        try:
            os.chown(directory, account.uid, account.gid)
        except OSError:
            directory.rmdir()
            raise
    return directory


def copy_installation(install: Path, libraries: Path, directory: Path, account: Account | None) -> Path:
    """Copy what the server needs of the wheel into `directory` (16 MB), for a user who may not enter where it is.

    The layout stays that of the wheel, since its programs find their libraries by it. Gives the copied installation.
    """
    copied = directory / "wheel" / install.parent.name / install.name
    for program in ("postgres", "initdb"):
        (copied / "bin").mkdir(parents=True, exist_ok=True)
        (copied / "bin" / program).write_bytes((install / "bin" / program).read_bytes())
        (copied / "bin" / program).chmod(0o755)
    (copied / "lib").mkdir()
    for module in ("plpgsql.so", "dict_snowball.so"):  # the two that initdb loads
        shutil.copyfile(install / "lib" / module, copied / "lib" / module)
    shutil.copytree(install / "share", copied / "share", copy_function=shutil.copyfile)
    if libraries.is_dir():
        shutil.copytree(libraries, directory / "wheel" / libraries.name, copy_function=shutil.copyfile)
    _hand_over(directory / "wheel", account)
    return copied


def _hand_over(directory: Path, account: Account | None) -> None:
    if account is None:
        return
    for where, _, files in os.walk(directory):
        for path in (where, *(os.path.join(where, name) for name in files)):  # noqa: PTH118 - 700 files, 4 times faster
            os.chown(path, account.uid, account.gid)
