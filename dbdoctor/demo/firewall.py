"""A firewall before the demo's server that forgets idle connections: run in a process of its own, never imported.

`python -m dbdoctor.demo.firewall HOST PORT SECONDS` says the port that it listens on, and how it drops, on one line of
standard output, and ends with its standard input.
"""

from __future__ import annotations

import socket
import sys

from dbdoctor.faults.kinds import all_faults
from dbdoctor.faults.loop import READ, Loop
from dbdoctor.faults.relay import Relay
from dbdoctor.faults.silence import can_silence


def run(host: str, port: int, seconds: float) -> None:
    """Pass on until the end of standard input."""
    code = "silent-drop" if can_silence() else "reset"
    loop = Loop()
    relay = Relay(loop, all_faults()[code](seconds), lambda: _dial(host, port))
    relay.fault.begin(relay)
    ended = False

    def end(_ready: int) -> None:
        nonlocal ended
        ended = True

    loop.watch(sys.stdin, READ, end)
    print(f"{relay.port} {code}", flush=True)  # noqa: T201 - what the demo waits for
    try:
        while not ended:
            loop.turn(1.0)
    finally:
        relay.close()
        loop.close()


def _dial(host: str, port: int) -> socket.socket:
    made = socket.socket()
    made.setblocking(False)
    made.connect_ex((host, port))
    return made


if __name__ == "__main__":
    run(sys.argv[1], int(sys.argv[2]), float(sys.argv[3]))
