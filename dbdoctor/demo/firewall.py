"""A firewall before the demo's server that forgets idle connections: run in a process of its own, never imported.

`python -m dbdoctor.demo.firewall HOST PORT SECONDS DIRECTORY` says the port that it listens on, and how it drops, on one line of
standard output. It ends with its standard input: after a word there that is all; without one the demo was killed, and the
directory, which nobody else can remove then, goes too.
"""

from __future__ import annotations

import os
import shutil
import socket
import sys
import time

from dbdoctor.faults.kinds import all_faults
from dbdoctor.faults.loop import READ, Loop
from dbdoctor.faults.relay import Relay
from dbdoctor.faults.silence import can_silence

_TRIES, _PAUSE = 40, 0.1  # seconds


def run(host: str, port: int, seconds: float) -> bool:
    """Pass on until the end of standard input; gives whether the demo said that it ends."""
    code = "silent-drop" if can_silence() else "reset"
    loop = Loop()
    relay = Relay(loop, all_faults()[code](seconds), lambda: _dial(host, port))
    relay.fault.begin(relay)
    ended = False

    said = b""

    def end(_ready: int) -> None:
        nonlocal ended, said
        said = os.read(sys.stdin.fileno(), 100)
        ended = True

    loop.watch(sys.stdin, READ, end)
    print(f"{relay.port} {code}", flush=True)  # noqa: T201 - what the demo waits for
    try:
        while not ended:
            loop.turn(1.0)
    finally:
        relay.close()
        loop.close()
    return bool(said)


def remove(directory: str) -> None:
    """Remove it, again and again while the shop's processes, which end now too, may still write."""
    for _ in range(_TRIES):
        shutil.rmtree(directory, ignore_errors=True)
        time.sleep(_PAUSE)


def _dial(host: str, port: int) -> socket.socket:
    made = socket.socket()
    made.setblocking(False)
    made.connect_ex((host, port))
    return made


if __name__ == "__main__":
    if not run(sys.argv[1], int(sys.argv[2]), float(sys.argv[3])):
        remove(sys.argv[4])
