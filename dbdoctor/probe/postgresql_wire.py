"""PostgreSQL's frontend/backend protocol 3.0, as much as a start-up needs.

Source: PostgreSQL documentation, "Frontend/Backend Protocol", "Message Formats" and "Error and Notice Message Fields".
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from typing import NamedTuple

SSL_REQUEST = struct.pack("!ii", 8, 80877103)
TERMINATE = b"X\x00\x00\x00\x04"
# Nothing sent before the login is done is longer than this; a larger claim means that it is not PostgreSQL.
LONGEST_MESSAGE = 100_000

_AUTHENTICATION = {
    0: "no password (trust, peer, or the client certificate)",
    2: "Kerberos V5",
    3: "a password in clear text",
    5: "an MD5 password",
    6: "SCM credentials",
    7: "GSSAPI",
    9: "SSPI",
}
_SASL = 10


class ServerError(NamedTuple):
    """An ErrorResponse. `code` is the SQLSTATE; `routine` the server's C function, in no human language."""

    code: str
    message: str
    severity: str = "FATAL"
    routine: str = ""
    detail: str = ""
    hint: str = ""


class AuthenticationAsked(NamedTuple):
    """What the server asks for: `kind` is the protocol's number, `mechanisms` those of SASL, `shown` for people."""

    kind: int
    mechanisms: tuple[str, ...] = ()

    @property
    def shown(self) -> str:
        """For people: `SCRAM-SHA-256`, `an MD5 password`, `no password ...`."""
        return "/".join(self.mechanisms) or _AUTHENTICATION.get(self.kind, f"method {self.kind}")


def startup_message(parameters: Mapping[str, str]) -> bytes:
    """The StartupMessage of protocol 3.0 with these parameters (`user`, `database`, ...)."""
    body = b"".join(k.encode() + b"\0" + v.encode("utf-8", "replace") + b"\0" for k, v in parameters.items())
    return struct.pack("!ii", len(body) + 9, 196608) + body + b"\0"


def looks_like_message(header: bytes) -> bool:
    """Whether five bytes can begin an answer to a StartupMessage: R, E, v, N, S, K or Z and a believable length."""
    return header[:1] in b"REvNSKZ" and 4 <= int.from_bytes(header[1:5], "big") <= LONGEST_MESSAGE


def read_error(body: bytes) -> ServerError:
    """An ErrorResponse's body; bytes that are not UTF-8 are replaced, for the server's encoding is not known yet."""
    fields = {part[:1]: part[1:].decode("utf-8", "replace") for part in body.split(b"\0") if part}
    return ServerError(
        code=fields.get(b"C", ""),
        message=fields.get(b"M", ""),
        severity=fields.get(b"V") or fields.get(b"S", "FATAL"),
        routine=fields.get(b"R", ""),
        detail=fields.get(b"D", ""),
        hint=fields.get(b"H", ""),
    )


def read_authentication(body: bytes) -> AuthenticationAsked:
    """An Authentication message's body. Raises ValueError when it is too short to be one."""
    if len(body) < 4:
        raise ValueError("an authentication message has at least four bytes")
    kind = int.from_bytes(body[:4], "big")
    names = body[4:].split(b"\0") if kind == _SASL else []
    return AuthenticationAsked(kind, tuple(name.decode("ascii", "replace") for name in names if name))
