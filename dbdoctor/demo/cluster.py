"""What is run: initdb and postgres, with settings for a server that lives for a minute and need not survive a crash."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from dbdoctor.demo.workplace import Account, acting_as

SUPERUSER = "postgres"

SETTINGS: Mapping[str, str] = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_permissions": "0700",
    "timezone": "UTC",
    "log_timezone": "UTC",
    # Nothing here outlives the process, so nothing need reach the disk.
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "min_wal_size": "2MB",
    "max_wal_size": "64MB",
    # Small, so that it starts fast beside whatever else the machine does.
    "max_connections": "40",
    "shared_buffers": "16MB",
    "max_logical_replication_workers": "0",
    "io_method": "sync",
    # In the data directory instead of /dev/shm, where a killed server would leave it.
    "dynamic_shared_memory_type": "mmap",
}


def version_command(install: Path) -> list[str]:
    """The command that only tells the version, and so whether the server's user can run it at all."""
    return [str(install / "bin" / "postgres"), "-V"]


def initdb_command(install: Path, data: Path, password_file: Path, sockets: Path) -> list[str]:
    """The command that makes the cluster. Its locale is built in, so that it is the same on every system."""
    settings = {**SETTINGS, "unix_socket_directories": _quoted_directory(sockets)}
    return [
        str(install / "bin" / "initdb"),
        *("--pgdata", str(data), "--username", SUPERUSER, "--pwfile", str(password_file)),
        *("--auth", "scram-sha-256", "--encoding", "UTF8", "--locale", "C"),
        *("--locale-provider", "builtin", "--builtin-locale", "C.UTF-8"),
        *("--no-sync", "--no-instructions", "--no-clean", "--wal-segsize", "1"),
        *(word for name, value in settings.items() for word in ("--set", f"{name}={value}")),
    ]


def _quoted_directory(directory: Path) -> str:
    """One element of `unix_socket_directories`, which is a list: a comma or a quote in the path must not end it."""
    return '"' + str(directory).replace('"', '""') + '"'


def single_user_command(install: Path, data: Path) -> list[str]:
    """The command that takes statements from stdin, one a line, before there is a server to connect to."""
    return [str(install / "bin" / "postgres"), "--single", "-D", str(data), "postgres"]


def ordinary_user(user: str, password: str, database: str) -> str:
    """The statements for the user that the demo connects as. It may monitor, as a well-kept application's role may."""
    literal = password.replace("'", "''")
    return (
        f"CREATE ROLE \"{user}\" LOGIN PASSWORD '{literal}'\n"
        f'GRANT pg_monitor TO "{user}"\n'
        f'CREATE DATABASE "{database}" OWNER "{user}"\n'
    )


def server_command(install: Path, data: Path, port: int) -> list[str]:
    """The command that runs the server in the foreground."""
    return [str(install / "bin" / "postgres"), "-D", str(data), "-p", str(port)]


def environment() -> dict[str, str]:
    """Only what the programs need: the caller's `PGPORT`, `PGOPTIONS` or `LC_ALL` must not reach them."""
    kept = {name: os.environ[name] for name in ("LD_LIBRARY_PATH",) if name in os.environ}
    return {"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC", **kept}


def popen_arguments(account: Account | None, directory: Path) -> dict[str, Any]:
    """Keyword arguments of subprocess.Popen: its own session (a terminal's Ctrl-C is ours to handle), and not root."""
    arguments: dict[str, Any] = {"env": environment(), "start_new_session": True, "cwd": str(directory)}
    if account is not None:
        arguments |= {"user": account.uid, "group": account.gid, "extra_groups": []}
    return arguments


def major_version(answer: str) -> str | None:
    """`18` from `postgres (PostgreSQL) 18.6`; None when that is not what a PostgreSQL answers to `-V`."""
    match = re.match(r"postgres \(PostgreSQL\) (\d+)", answer)
    return match[1] if match else None


def is_ready(data: Path, pid: int) -> bool:
    """Whether the postmaster `pid` says that it admits users: line 8 of postmaster.pid, which is what pg_ctl waits for."""
    try:
        lines = (data / "postmaster.pid").read_text().splitlines()
    except OSError:
        return False
    return len(lines) >= 8 and lines[0] == str(pid) and lines[7].strip() == "ready"


def complaint(log: str) -> str | None:
    """The line of a program's output that says what went wrong, without its time stamp; None when it said nothing."""
    lines = [line.strip() for line in log.splitlines() if line.strip()]
    for line in lines:
        match = re.search(r"(?:FATAL|PANIC|ERROR|error): +(.*)", line)
        if match:
            return match[1]
    return lines[-1] if lines else None


def remove_shared_memory(data: Path, account: Account | None) -> None:
    """Remove the System V segment of a server that was killed before it could.

    PostgreSQL takes the data directory's inode number as the segment's key (src/backend/port/sysv_shmem.c).
    """
    import ctypes

    try:
        key = data.stat().st_ino
        segments = Path("/proc/sysvipc/shm").read_text().splitlines()[1:]
    except OSError:
        return
    owner = account.uid if account else os.geteuid()
    remove = ctypes.CDLL(None).shmctl
    for segment in _orphans(segments, key, owner):
        with acting_as(account):
            remove(segment, 0, None)  # IPC_RMID


def _orphans(segments: list[str], key: int, owner: int) -> Iterator[int]:
    for line in segments:
        # key shmid perms size cpid lpid nattch uid ...
        fields = [int(word) for word in line.split()[:8] if word.lstrip("-").isdigit()]
        if len(fields) == 8 and (fields[0] - key) % 2**32 == 0 and fields[6] == 0 and fields[7] == owner:
            yield fields[1]
