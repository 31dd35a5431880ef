"""A process that outlives the tests to clean up after them: run as a script, standard library only.

It reads `+PID` and `-PID` lines; at end of file, which comes however the tests ended (also by kill -9), it ends what was
added and not taken away, with its children, and removes the directory given as its argument.
"""

import contextlib
import os
import shutil
import signal
import sys
import time
from pathlib import Path


def parents() -> dict[int, int]:
    """Every process's parent."""
    found = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError, ValueError, IndexError):
                found[int(entry.name)] = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
    return found


def family(roots: set[int]) -> set[int]:
    """`roots` that still run, and all that descend from them."""
    table = parents()
    known = roots & set(table)
    while more := {pid for pid, parent in table.items() if parent in known and pid not in known}:
        known |= more
    return known


def send(pids: set[int], number: int) -> None:
    for pid in pids:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(pid, number)


def running(pids: set[int]) -> set[int]:
    """Those of `pids` that are neither gone nor zombies."""
    alive = set()
    for pid in pids:
        with contextlib.suppress(OSError, IndexError):
            if Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX":
                alive.add(pid)
    return alive


def end(roots: set[int], patience: float = 3.0) -> None:
    """Ends `roots` and their descendants: politely (SIGQUIT lets PostgreSQL free its shared memory), then not."""
    everyone = family(roots)
    send(everyone, signal.SIGCONT)
    send(roots & everyone, signal.SIGQUIT)
    deadline = time.monotonic() + patience
    while (left := running(everyone)) and time.monotonic() < deadline:
        time.sleep(0.02)
    send(left, signal.SIGKILL)


def main() -> None:
    for name in ("SIGINT", "SIGTERM", "SIGHUP"):
        signal.signal(getattr(signal, name), signal.SIG_IGN)
    watched: set[int] = set()
    for line in sys.stdin:
        (watched.add if line[0] == "+" else watched.discard)(int(line[1:]))
    if watched:
        end(watched)
    shutil.rmtree(sys.argv[1], ignore_errors=True)


if __name__ == "__main__":
    main()
