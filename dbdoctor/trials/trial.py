"""One trial under way: its relay, its application in a process of its own, and what that has told so far."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import time
from collections.abc import Callable
from typing import Any

from dbdoctor.faults.loop import READ, Loop
from dbdoctor.faults.relay import LOOPBACK, Relay
from dbdoctor.model.trial import Ghost, Record, Request
from dbdoctor.trials.dialer import Dial
from dbdoctor.trials.judge import BARELY
from dbdoctor.trials.orders import Lines, StageOrder, TrialOrder, request_from_json

# How long an application may take, beyond the login timeout, until its pool is full (seconds).
_WARM_UP = 10.0
# So long after the pool is used again the server's sessions are looked at, and those of dropped flows freed (seconds).
_FIRST_LOOK = 0.5
# A request that began late is looked at again so soon (seconds).
_AGAIN = 0.1

TOO_BUSY = "this machine was too busy: the fault came too late to say anything"
"""Why a trial could not be made that is worth another attempt."""
PAST_US = (
    "not testable here, because the server sends its clients on to another address, past the faults (Azure SQL Database's "
    "connection policy Redirect, read-only routing); run with the connection policy Proxy, or against that address"
)
"""Why a trial could not be made at all."""


class Trial:
    """Begins when made.

    `look` asks for the sessions that the server has of this trial, `terminate` has them ended; `connect`
    has one more opened when there is room; `ended` is told the record.
    """

    def __init__(
        self,
        order: TrialOrder,
        whole: StageOrder,
        loop: Loop,
        dial: Dial,
        *,
        look: Callable[[Trial], None],
        terminate: Callable[[Trial], None],
        connect: Callable[[Trial, Callable[[], None]], None],
        ended: Callable[[Trial, Record], None],
    ) -> None:
        from dbdoctor.faults.kinds import all_faults

        self.order = order
        self._loop = loop
        self._look = look
        self._ended = ended
        self._fault = all_faults()[order.fault](order.idle)
        self._idle_for = order.idle * order.pool.idle_factor + order.pool.idle_extra
        self._have_them_ended = terminate
        self._terminating = False
        self.relay = Relay(
            loop,
            self._fault,
            dial,
            terminate=self._terminate,
            admit=lambda go: connect(self, go),
            quiet_for=self._idle_for,
        )
        self.relay.hold()
        self._where = whole.where
        self._requests: dict[tuple[str, int], Request] = {}
        self._warm: tuple[int, ...] | None = None
        self._held: tuple[int, ...] | None = None
        self._broken: str | None = None
        self._pings = 0
        self._opened_before = 0
        self._messages_before = 0
        self._ghosts: dict[int, Ghost] | None = None
        self._finishing = False
        self._looking = False
        self._began = time.monotonic()
        self._went_idle = self._began
        self._lines, self._child = self._start(whole)
        loop.watch(self._lines, READ, lambda _ready: self._hear())
        loop.after(whole.login_timeout + _WARM_UP, self._check_warm)

    @property
    def is_warm(self) -> bool:
        """Whether its pool has been full; what it opens now was not foreseen."""
        return self._warm is not None

    @property
    def sessions(self) -> int:
        """How many sessions the server may hold for it now, or will when its pool is full."""
        expected = self.order.pool.threads if self._warm is None else 0
        return max(self.relay.sessions, expected)

    def looked(self, found: list[Ghost] | None) -> None:
        """The sessions of this trial that the server has; None when nobody could look."""
        self._looking = False
        if found is not None:
            # A connection that the application has no longer, and the server still: which session that is, only those
            # tell that served nobody since.
            served = {request.session for request in self._requests.values()}
            unserved = [ghost for ghost in found if ghost.session not in served]
            unserved.sort(key=lambda ghost: ghost.session not in (self._warm or ()))
            gone = unserved[: self.relay.orphans]
            self._ghosts = {**(self._ghosts or {}), **{ghost.session: ghost for ghost in gone}}
        if self._finishing:
            self._finish()
        else:
            self.relay.release_orphans()

    def terminated(self) -> None:
        """The server has been told to end the sessions."""
        self._terminating = False
        self.relay.late |= time.monotonic() > self._went_idle + self._idle_for

    def look_early(self) -> None:
        """Look at the sessions that the application can no longer reach, if there are any, and free the server of them."""
        if not self._finishing and not self._looking and self.relay.orphans:
            self._looking = True
            self._look(self)

    def abort(self) -> None:
        """End it, with nothing left behind and nothing told."""
        self._kill()
        self.relay.close()

    # Inside

    def _terminate(self) -> None:
        self._terminating = True
        self._have_them_ended(self)

    def _start(self, whole: StageOrder) -> tuple[Lines, int]:
        ours, theirs = socket.socketpair()
        child = os.fork()
        if child == 0:
            from dbdoctor.trials.child import live

            live(theirs, self.order, whole, self._fault, self.relay.port)  # never returns
        theirs.close()
        ours.setblocking(False)
        return Lines(ours), child

    def _hear(self) -> None:
        for told in self._lines.receive():
            self._take(told)
        if self._lines.ended and not self._finishing:
            if self._held is None and self._broken is None:
                self._broken = "the application's process ended by itself (the driver crashed?)"
            self._look_last()

    def _take(self, told: dict[str, Any]) -> None:
        event = told["event"]
        if event == "warm":
            self._warm_now(tuple(told["sessions"]))
        elif event == "ping":
            self._pings += 1
        elif event in ("start", "end"):
            self._request(told)
        elif event == "broken":
            self._broken = self._of_the_server(told["why"])
            self._look_last()
        elif event == "done":
            self._held = tuple(told["held"])
            self._look_last()

    def _warm_now(self, sessions: tuple[int, ...]) -> None:
        self._warm = sessions
        self._went_idle = time.monotonic()
        self._opened_before = self.relay.opened
        self._messages_before = self.relay.messages
        if not self.relay.sessions and self.order.pool.pool_class != "NullPool":
            self._broken = PAST_US
            self._look_last()
            return
        self.relay.go_on()
        self._fault.begin(self.relay)
        self._loop.after(self._idle_for + _FIRST_LOOK, self.look_early)
        self._loop.after(self._idle_for + self.order.cap, self._cut_off)

    def _request(self, told: dict[str, Any]) -> None:
        key = (str(told["thread"]), int(told["round"]))
        if told["event"] == "start":
            self._requests[key] = Request(key[1], told["began"], None)
            return
        values = {name: told[name] for name in ("round", "began", "seconds", "session", "error")}
        if values["error"]:
            values["error"]["message"] = self._of_the_server(values["error"]["message"])
        self._requests[key] = request_from_json(values)

    def _of_the_server(self, text: str) -> str:
        """The driver's words with the server's own place, where the application saw the relay's."""
        if isinstance(self._where.address, str):
            return text
        host, port = self._where.address
        text = text.replace(f"({LOOPBACK}), port {self.relay.port} ", f"({host}), port {port} ")
        return text.replace(f", port {self.relay.port} ", f", port {port} ")

    def _check_warm(self) -> None:
        if self._warm is None and not self._finishing:
            self._broken = self._broken or "the application's pool was not filled in time"
            self._look_last()

    def _cut_off(self) -> None:
        """Now, or when a request that might be taken for one that hangs has been given its time."""
        if not self._finishing and self._is_undecided():
            self._loop.after(_AGAIN, self._cut_off)
        else:
            self._look_last()

    def _is_undecided(self) -> bool:
        """Whether a request has been under way for long, and not for as long as one may hang."""
        passed = time.monotonic() - self._went_idle
        enough = max(self.order.cap, BARELY)
        if passed >= self._idle_for + 2 * enough + BARELY:
            return False
        ages = [passed - one.began for one in self._requests.values() if one.seconds is None]
        least = BARELY if len(ages) < len(self._requests) else 0.0
        return any(least <= age < enough for age in ages)

    def _look_last(self) -> None:
        if self._finishing:
            return
        self._finishing = True
        self._loop.watch(self._lines, 0, lambda _ready: None)
        if not self._looking:
            self._look(self)

    def _finish(self) -> None:
        self._kill()
        connects = self.relay.opened - self._opened_before
        self.relay.close()
        ghosts = None if self._ghosts is None else tuple(self._ghosts[number] for number in sorted(self._ghosts))
        if self.relay.late or self._terminating:
            self._broken = self._broken or TOO_BUSY
        record = Record(
            fault=self.order.fault,
            pool=self.order.pool.name,
            idle=self.order.idle,
            requests=tuple(self._requests[key] for key in sorted(self._requests)),
            warm=self._warm or (),
            held=self._held,
            connects=connects if self._warm is not None else 0,
            messages=self.relay.messages - self._messages_before if self._warm is not None else 0,
            pings=self._pings,
            ghosts=ghosts,
            broken=self._broken,
            cut_off_after=time.monotonic() - self._went_idle,
            warm_seconds=self._went_idle - self._began if self._warm is not None else None,
        )
        self._ended(self, record)

    def _kill(self) -> None:
        self._loop.watch(self._lines, 0, lambda _ready: None)
        with contextlib.suppress(ProcessLookupError):
            os.kill(self._child, signal.SIGKILL)
        with contextlib.suppress(ChildProcessError):
            os.waitpid(self._child, 0)
        self._lines.end.close()
