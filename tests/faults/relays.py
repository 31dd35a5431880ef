"""Relays in a process of their own, each with a fault, before a real server."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

from dbdoctor.faults.fault import Fault
from dbdoctor.faults.kinds import all_faults
from dbdoctor.faults.loop import Loop
from dbdoctor.faults.relay import Relay
from tests.servers.postgresql import PostgresServer


class Relays:
    """Any number of relays on one loop in one thread; whatever is asked of one is done there."""

    def __init__(self, server: PostgresServer) -> None:
        self._server = server
        self._loop = Loop()
        self._ended = False
        self._asked: list[Callable[[], None]] = []
        self._ours, self._theirs = socket.socketpair()
        self._made: list[Relay] = []
        self._loop.watch(self._theirs, 1, lambda _ready: self._answer())
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def make(self, fault: str | Fault, idle: float, *, quiet_for: float = 0.0, terminate: Any = None) -> Relay:
        """A relay before the server; its fault has begun."""
        made = all_faults()[fault](idle) if isinstance(fault, str) else fault

        def make() -> Relay:
            relay = Relay(self._loop, made, self._dial, terminate=terminate or (lambda: None), quiet_for=quiet_for)
            self._made.append(relay)
            return relay

        relay: Relay = self.do(make)
        return relay

    def begin(self, relay: Relay) -> None:
        """The application is idle from now on."""
        self.do(lambda: relay.fault.begin(relay))

    def do(self, what: Callable[[], Any]) -> Any:
        """Have it done by the loop's thread, and give what came of it."""
        done: Future[Any] = Future()

        def work() -> None:
            try:
                done.set_result(what())
            except BaseException as error:
                done.set_exception(error)

        self._asked.append(work)
        self._ours.send(b".")
        return done.result(10)

    def close(self) -> None:
        """End all of it."""
        self.do(self._end)
        self._thread.join()
        self._ours.close()
        self._theirs.close()

    def _end(self) -> None:
        for relay in self._made:
            relay.close()
        self._ended = True

    def _run(self) -> None:
        while not self._ended:
            self._loop.turn(1.0)
        self._loop.close()

    def _answer(self) -> None:
        self._theirs.recv(1)
        self._asked.pop(0)()

    def _dial(self) -> socket.socket:
        made = socket.socket()
        made.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            made.connect(("127.0.0.1", self._server.port))
        return made


class Path:
    """A relay, and what a client with bare psycopg2 says and sees through it."""

    def __init__(self, relays: Relays, server: PostgresServer, fault: str | Fault, idle: float, **more: Any) -> None:
        self.relays = relays
        self.server = server
        self.idle = idle
        self.relay = relays.make(fault, idle, **more)

    def connect(self, **parameters: Any) -> Any:
        """A connection through the relay."""
        arguments = {**self.relay.fault.connect_arguments(), **parameters}
        options = " ".join(f"-c {key}={value}" for key, value in self.relay.fault.session_settings().items())
        if options:
            arguments["options"] = options
        return self.server.connect(port=self.relay.port, **arguments)

    def begin(self) -> None:
        """Idle from now on."""
        self.relays.begin(self.relay)

    def struck(self) -> None:
        """Wait until the fault has struck the only flow."""
        wait_for(lambda: self.relay.flows[0].struck or self.relay.flows[0].ended)


def wait_for(what: Callable[[], Any], seconds: float = 15.0) -> None:
    """Until it holds."""
    end = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < end, "it did not come"
        time.sleep(0.01)
