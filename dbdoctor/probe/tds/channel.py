"""TDS messages over a connection, and TLS inside them: the handshake's records travel as PRELOGIN messages."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dbdoctor.probe.channel import Channel, ClosedError
from dbdoctor.probe.tds import wire

if TYPE_CHECKING:
    import ssl


class NotTdsError(Exception):
    """What came is no TDS; `received` has its first bytes."""

    def __init__(self, received: bytes) -> None:
        super().__init__("not TDS")
        self.received = received


class TdsChannel:
    """Whole messages in and out, under the deadline of the channel below; raises what that raises, and NotTdsError."""

    def __init__(self, below: Channel) -> None:
        self.below = below
        self._tls: ssl.SSLObject | None = None
        self._incoming: ssl.MemoryBIO | None = None
        self._outgoing: ssl.MemoryBIO | None = None

    def send(self, kind: int, body: bytes) -> None:
        """Send one message in one packet."""
        data = wire.packet(kind, body)
        if self._tls is not None and self._outgoing is not None:
            self._tls.write(data)
            data = self._outgoing.read()
        self.below.send(data)

    def receive(self) -> bytes:
        """The body of the next message."""
        body, last = b"", False
        while not last:
            header = self._exactly(wire.HEADER_LENGTH, first=not body)
            try:
                _, last, length = wire.read_header(header)
            except ValueError as error:
                raise NotTdsError(header) from error
            body += self._exactly(length)
            if len(body) > wire.LONGEST_MESSAGE:
                raise NotTdsError(body[:16])
        return body

    def start_tls(self, context: ssl.SSLContext, server_name: str | None) -> ssl.SSLObject:
        """Do the handshake in PRELOGIN messages. Raises ssl.SSLError as it comes."""
        import ssl

        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        tls = context.wrap_bio(incoming, outgoing, server_hostname=server_name)
        while True:
            try:
                tls.do_handshake()
                done = True
            except ssl.SSLWantReadError:
                done = False
            except ssl.SSLError:
                self._say_alert(outgoing.read())
                raise
            flight = outgoing.read()
            if flight:
                self.below.send(wire.packet(wire.PRELOGIN, flight))
            if done:
                break
            incoming.write(self.receive())
        self._tls, self._incoming, self._outgoing = tls, incoming, outgoing
        return tls

    def stop_tls(self) -> None:
        """Back to plain text, as after a login of which nothing else is encrypted."""
        self._tls = None

    def _say_alert(self, alert: bytes) -> None:
        """Tell the server why, so that its log has it; whether it gets there does not matter."""
        if alert:
            try:
                self.below.send(wire.packet(wire.PRELOGIN, alert))
            except ClosedError:
                return

    def _exactly(self, count: int, *, first: bool = False) -> bytes:
        if self._tls is not None:
            return self._decrypted(count)
        data = b""
        while len(data) < count:
            try:
                data += self.below.receive(count - len(data))
            except ClosedError as error:
                raise ClosedError(reset=error.reset, received=data if first else b"") from error
            # Seen at its first byte, what is no TDS is not waited for until there are eight of them.
            if first and data[0] not in (wire.REPLY, wire.PRELOGIN):
                raise NotTdsError(data)
        return data

    def _decrypted(self, count: int) -> bytes:
        import ssl

        assert self._tls is not None
        assert self._incoming is not None
        data = b""
        while len(data) < count:
            try:
                data += self._tls.read(count - len(data))
            except ssl.SSLWantReadError:
                self._incoming.write(self.below.receive())
            except (ssl.SSLEOFError, ssl.SSLZeroReturnError) as error:
                raise ClosedError from error
        return data
