"""Where the recorder's files are, and how they are named."""

from __future__ import annotations

import os
import tempfile
import time

SUFFIX = ".jsonl"
OLDER_SUFFIX = ".1.jsonl"
VARIABLE = "DBDOCTOR_RECORDER"  # what `dbdoctor run` tells the processes under it, as JSON


def default_directory() -> str:
    """The directory that holds one directory a run; the first of two that can be written.

    `$XDG_STATE_HOME` or `~/.local/state`, and else, as for a user without a home, one in the directory of temporary files.
    """
    state = os.environ.get("XDG_STATE_HOME") or os.path.join(os.path.expanduser("~"), ".local", "state")
    for place in (os.path.join(state, "dbdoctor", "recordings"), fallback_directory()):
        try:
            os.makedirs(place, mode=0o700, exist_ok=True)
        except OSError:
            continue
        if os.access(place, os.W_OK | os.X_OK):
            return place
    return fallback_directory()


def fallback_directory() -> str:
    """The directory used where there is no home to write to."""
    user = os.getuid() if hasattr(os, "getuid") else "user"
    return os.path.join(tempfile.gettempdir(), f"dbdoctor-{user}", "recordings")


def new_run() -> str:
    """A new directory for the files of one run, readable for this user alone. Raises OSError when it cannot be made."""
    name = time.strftime("%Y%m%d-%H%M%S", time.gmtime())
    place = os.path.join(default_directory(), f"{name}-{os.getpid()}")
    os.makedirs(place, mode=0o700, exist_ok=True)
    return place


def file_name(process: int, began: float) -> str:
    """The name of a process's file."""
    return f"{process}-{int(began * 1e6)}{SUFFIX}"


def start_ticks(process: int) -> int | None:
    """When the process began, in the kernel's ticks since boot (field 22 of /proc/PID/stat), or None where that is not told."""
    try:
        with open(f"/proc/{process}/stat", "rb") as file:
            return int(file.read().rpartition(b")")[2].split()[19])
    except (OSError, ValueError, IndexError):
        return None
