"""A SQL Server session that idles, in our own words of TDS: the login in a thread, the rest when the socket is ready."""

from __future__ import annotations

import contextlib
import os
import threading
import time
from typing import TYPE_CHECKING

from dbdoctor.measure.link import Answered, Event, Failed, Gone, Opened, Touched, glimpse, probe_after
from dbdoctor.model.measured import Drop
from dbdoctor.model.secret import redact
from dbdoctor.model.session import Identity
from dbdoctor.model.target import Target
from dbdoctor.probe.channel import ClosedError
from dbdoctor.probe.deadline import Deadline, DeadlinePassedError, Recall
from dbdoctor.probe.tds import wire

if TYPE_CHECKING:
    from dbdoctor.probe.resolve import Address
    from dbdoctor.probe.tds.channel import TdsChannel
    from dbdoctor.probe.tds.encryption import EncryptionPlan
    from dbdoctor.probe.tds.negotiate import TdsNegotiator

_USE = "SELECT 1"
# The rest of an answer whose first bytes are there (seconds).
_REST = 1.0


class SqlServerLink:
    """One session. The password goes over the wire as the driver would send it: after TLS where the plan asks for it."""

    def __init__(
        self, number: int, target: Target, address: Address, plan: EncryptionPlan, login_timeout: float
    ) -> None:
        self.number = number
        self.identity: Identity | None = None
        self.wants_write = False
        self._target = target
        self._address = address
        self._plan = plan
        self._recall = Recall()
        self._deadline = Deadline.after(login_timeout, self._recall)
        self._told, self._tell = os.pipe()
        self._thread: threading.Thread | None = None
        self._tds: TdsChannel | None = None
        self._problem = ""
        self._opened = False
        self._in_use = False
        self._sent = 0.0

    def start(self) -> None:
        """Log in, in a thread that ends with the login timeout."""
        self._deadline = self._deadline.within(self._deadline.seconds)
        self._thread = threading.Thread(target=self._log_in, daemon=True)
        self._thread.start()

    def fileno(self) -> int:
        """The socket, or what tells of the login's end."""
        if not self._opened:
            return self._told
        assert self._tds is not None
        return self._tds.below.plain.fileno()

    def step(self, now: float) -> Event | None:
        """The login's end, an answer, or what nobody asked for."""
        if not self._opened:
            if self._tds is None:
                return Failed(self._problem)
            self._opened = True
            return Opened(min(self._sent, now))
        seen = glimpse(self.fileno())
        if seen.end is not None:
            return Gone(seen.end)
        return self._listen() if seen.has_data else None

    def use(self) -> Event | None:
        """Send `SELECT 1`."""
        assert self._tds is not None
        self._in_use = True
        try:
            self._tds.below.deadline = Deadline.after(_REST)
            self._tds.send(wire.SQL_BATCH, wire.batch(_USE))
        except ClosedError as error:
            return Gone(Drop.RESET if error.reset else Drop.CLOSED)
        except (DeadlinePassedError, OSError):
            return Gone(Drop.SILENT)
        return None

    def set_keepalive(self, seconds: int) -> None:
        """Let TCP probe it."""
        if self._opened:
            probe_after(self.fileno(), seconds)

    def close(self) -> None:
        """Close it, whatever it is about."""
        self._recall.ask()
        if self._thread is not None:
            self._thread.join(_REST)
        if self._tds is not None:
            self._tds.below.close()
        for end in (self._told, self._tell):
            with contextlib.suppress(OSError):
                os.close(end)
        self._told = self._tell = -1

    # Inside

    def _listen(self) -> Event:
        assert self._tds is not None
        self._tds.below.deadline = Deadline.after(_REST)
        try:
            body = self._tds.receive()
        except ClosedError as error:
            return Gone(Drop.RESET if error.reset else Drop.CLOSED)
        except Exception as error:  # noqa: BLE001 (a TLS alert, half a message: the session is of no use any more)
            return Gone(Drop.CLOSED, redact(str(error)) or None)
        if self._in_use:
            self._in_use = False
            return Answered()
        with contextlib.suppress(ValueError):
            errors = wire.read_login_answer(body).errors
            if errors:
                return Gone(Drop.SERVER_ERROR, redact(errors[-1].message))
        return Touched()

    def _log_in(self) -> None:
        try:
            self._tds = self._logged_in()
        except Exception as error:  # noqa: BLE001 (whatever it is, the loop has to be told)
            self._problem = redact(str(error)) or type(error).__name__
        with contextlib.suppress(OSError):
            os.write(self._tell, b".")

    def _logged_in(self) -> TdsChannel:
        """The session. Raises whatever goes wrong, with the socket closed."""
        from dbdoctor.probe.connect import connect_one
        from dbdoctor.probe.tds.negotiate import TdsNegotiator

        attempt = connect_one(self._address, self._deadline)
        if attempt.socket is None:
            raise ConnectionError("no connection")
        negotiator = TdsNegotiator(attempt, self._plan, self._deadline)
        negotiator.patience = negotiator.channel.deadline = self._deadline
        try:
            return self._let_in(negotiator)
        except BaseException:
            negotiator.channel.close()
            raise

    def _let_in(self, negotiator: TdsNegotiator) -> TdsChannel:
        from dbdoctor.probe.tds import login

        negotiator.begin()
        encrypted = negotiator.result.answer
        self._sent = time.monotonic()
        texts, read_only = login._texts(self._target, self._address), login._read_only(self._target)
        negotiator.tds.send(wire.LOGIN7, wire.login(texts, read_only=read_only))
        if encrypted and encrypted.encryption is wire.Encryption.OFF and not self._plan.strict:
            negotiator.tds.stop_tls()
        answer = wire.read_login_answer(negotiator.tds.receive())
        if answer.routed_to:
            raise ConnectionError("the server sends its clients to another one")
        if not answer.let_in:
            raise PermissionError(answer.errors[0].message if answer.errors else "not let in")
        return negotiator.tds
