"""TLS that ends in the relay, so that a fault can close a connection as TLS does it, or without.

The certificate is made for the occasion and verified by nobody; the traffic between relay and server is not encrypted,
so it stays on this machine, or was not encrypted before.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import functools
import os
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from dbdoctor.faults.fault import Fault, Surroundings
from dbdoctor.faults.flow import Flow
from dbdoctor.faults.startup import GSSENC_REQUEST, NO, SSL_REQUEST, YES, FirstMessages
from dbdoctor.model.target import Product

if TYPE_CHECKING:
    import ssl

# No file has this name: libpq then looks for none of its own.
_NO_FILE = "/nonexistent/dbdoctor"
_ONE_DAY = dt.timedelta(days=1)


class Session:
    """The TLS session of one flow, between the application and the relay."""

    def __init__(self, flow: Flow) -> None:
        import ssl

        self._flow = flow
        self._in, self._out = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context().wrap_bio(self._in, self._out, server_side=True)
        self._first: FirstMessages | None = FirstMessages()
        self._ready = False
        self._waiting = bytearray()

    def from_client(self, data: bytes) -> None:
        """The application sent this: the server is sent what it means."""
        if self._first is not None:
            self._first.feed(data)
            data = self._ask()
        self._in.write(data)
        self._advance()

    def from_server(self, data: bytes) -> None:
        """The server sent this: the application is sent it, encrypted."""
        self._waiting += data
        self._advance()

    def say_goodbye(self) -> None:
        """Send close_notify, the alert with which TLS ends in order."""
        import ssl

        with contextlib.suppress(ssl.SSLError):
            self._tls.unwrap()
        self._deliver()

    def _ask(self) -> bytes:
        """See to the requests that come before TLS; gives what belongs to TLS already."""
        assert self._first is not None
        while (found := self._first.next()) is not None:
            code, message = found
            if code == GSSENC_REQUEST:
                self._flow.to_client(NO)
                continue
            if code == SSL_REQUEST:
                self._flow.to_client(YES)
                message = b""
            rest = message + self._first.rest()
            self._first = None
            return rest
        return b""

    def _advance(self) -> None:
        import ssl

        try:
            if not self._ready:
                self._tls.do_handshake()
                self._ready = True
            if self._waiting:
                self._tls.write(bytes(self._waiting))
                self._waiting.clear()
            while data := self._tls.read(65536):
                self._flow.to_server(data)
        except (ssl.SSLWantReadError, ssl.SSLZeroReturnError):
            pass
        except ssl.SSLError:
            self._deliver()
            self._flow.end_client()
            return
        self._deliver()

    def _deliver(self) -> None:
        if data := self._out.read():
            self._flow.to_client(data)


class EndsTls(Fault):
    """A path whose near half is encrypted, whatever the target says, and whose far half is not."""

    products = (Product.POSTGRESQL,)
    counts_keepalives = False

    def __init__(self, idle: float) -> None:
        super().__init__(idle)
        self._sessions: dict[Flow, Session] = {}
        context()  # before the application's process is forked

    @classmethod
    def unable(cls, around: Surroundings) -> str | None:
        """Where the far half would take encryption from a session that asked for it, or that had it over a network."""
        if around.insists_on_tls or (around.encrypted and not around.near):
            return (
                "not testable here, because the relay would have to talk to the server without TLS; "
                "run with a server that may be used without TLS, for example the target `demo`"
            )
        return super().unable(around)

    def connect_arguments(self) -> Mapping[str, str]:
        """TLS, with a certificate that nobody verifies."""
        return {
            "sslmode": "require",
            "sslrootcert": _NO_FILE,
            "sslcert": _NO_FILE,
            "sslkey": _NO_FILE,
            "sslcrl": _NO_FILE,
            "gssencmode": "disable",
            "channel_binding": "disable",
        }

    def session(self, flow: Flow) -> Session:
        """The TLS session of a flow."""
        return self._sessions[flow]

    def opened(self, flow: Flow) -> None:
        """Connect to the server, and wait for the application to ask for TLS."""
        self._sessions[flow] = Session(flow)
        flow.dial()

    def from_client(self, flow: Flow, data: bytes) -> None:
        """Decrypt."""
        self._sessions[flow].from_client(data)

    def from_server(self, flow: Flow, data: bytes) -> None:
        """Encrypt."""
        self._sessions[flow].from_server(data)


@functools.cache
def context() -> ssl.SSLContext:
    """A server's, with a certificate of this process's own, which OpenSSL reads from a file."""
    import ssl

    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with _file(_certificate()) as name:
        made.load_cert_chain(name)
    return made


@contextlib.contextmanager
def _file(content: bytes) -> Iterator[str]:
    """The name of a file of ours with this content: in memory where the system has that, so that no end leaves it."""
    if sys.platform == "linux":
        with os.fdopen(os.memfd_create("dbdoctor"), "wb") as file:
            file.write(content)
            file.flush()
            yield f"/proc/self/fd/{file.fileno()}"
        return
    descriptor, name = tempfile.mkstemp(prefix="dbdoctor-", suffix=".pem")
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
        yield name
    finally:
        Path(name).unlink()


def _certificate() -> bytes:
    """A self-signed certificate with its key, PEM."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import NameOID

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "dbdoctor")])
    now = dt.datetime.now(dt.UTC)
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    builder = builder.serial_number(x509.random_serial_number())
    signed = builder.not_valid_before(now - _ONE_DAY).not_valid_after(now + _ONE_DAY).sign(key, hashes.SHA256())
    return signed.public_bytes(serialization.Encoding.PEM) + key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
