"""LOGIN7: who logs in, from which program and process, into which database."""

from __future__ import annotations

import struct
from dataclasses import dataclass, field

from tests.servers.tds import tokens

FIXED = struct.Struct("<IIIIIIBBBBiI")
TDS_7_4, TDS_8_0 = 0x74000004, 0x08000000
HAS_FEATURES = 0x10
READ_ONLY_INTENT = 0x20
SESSION_RECOVERY, UTF8 = 0x01, 0x0A
TEXTS = ("host", "user", "password", "program", "server", "extension", "interface", "language", "database")
COLLATION = bytes.fromhex("0904d00034")  # SQL_Latin1_General_CP1_CI_AS


@dataclass(frozen=True)
class Login:
    """What a client says of itself."""

    user: str
    password: str = field(repr=False)
    database: str
    host: str
    program: str
    # The name that the client called the server by.
    server: str
    # The driver's library: "ODBC", "Microsoft ODBC Driver 18", ...
    interface: str
    process_id: int
    packet_size: int
    tds_version: int
    read_only: bool
    # Each feature that the client asked for, with its data.
    features: dict[int, bytes]


def parse(body: bytes) -> Login:
    """A LOGIN7 message; ValueError or struct.error when it is none."""
    if len(body) < FIXED.size + 4 * len(TEXTS):
        raise ValueError("a LOGIN7 that is cut short")
    _, version, packet_size, _, process_id, _, _, _, kind, flags, _, _ = FIXED.unpack_from(body)

    def raw(index: int) -> bytes:
        offset, length = struct.unpack_from("<HH", body, FIXED.size + 4 * index)
        return body[offset : offset + 2 * length]

    texts = {
        name: (_revealed(raw(index)) if name == "password" else raw(index)).decode("utf-16-le", "replace")
        for index, name in enumerate(TEXTS)
        if name != "extension"
    }
    return Login(
        user=texts["user"],
        password=texts["password"],
        database=texts["database"],
        host=texts["host"],
        program=texts["program"],
        server=texts["server"],
        interface=texts["interface"],
        process_id=process_id,
        packet_size=packet_size,
        tds_version=version,
        read_only=bool(kind & READ_ONLY_INTENT),
        features=_features(body) if flags & HAS_FEATURES else {},
    )


def _revealed(hidden: bytes) -> bytes:
    """A password as it was before the client swapped its half-bytes."""
    return bytes((((byte ^ 0xA5) << 4) & 0xF0) | ((byte ^ 0xA5) >> 4) for byte in hidden)


def _features(body: bytes) -> dict[int, bytes]:
    (offset,) = struct.unpack_from("<H", body, FIXED.size + 4 * TEXTS.index("extension"))
    (position,) = struct.unpack_from("<I", body, offset)
    features: dict[int, bytes] = {}
    while body[position] != 0xFF:
        number, length = struct.unpack_from("<BI", body, position)
        features[number] = body[position + 5 : position + 5 + length]
        position += 5 + length
    return features


def welcome(
    login: Login, *, database: str, packet_size: int, version: tuple[int, int, int], server: str, recovers: bool
) -> bytes:
    """The answer to a login that succeeds; `recovers` acknowledges session recovery where the client asked for it."""
    words = [
        tokens.changed_text(tokens.DATABASE, database, "master"),
        tokens.information(5701, f"Changed database context to '{database}'.", server, state=2),
        tokens.changed(tokens.COLLATION, tokens.short_bytes(COLLATION), b"\0"),
        tokens.changed_text(tokens.LANGUAGE, "us_english", ""),
        tokens.information(5703, "Changed language setting to us_english.", server),
        tokens.login_acknowledged(
            TDS_8_0 if login.tds_version == TDS_8_0 else TDS_7_4, "Microsoft SQL Server", version
        ),
        tokens.changed_text(tokens.PACKET_SIZE, str(packet_size), str(login.packet_size)),
    ]
    if login.features:
        accepted = {UTF8: b"\x01"} if UTF8 in login.features else {}
        if recovers and SESSION_RECOVERY in login.features:
            accepted[SESSION_RECOVERY] = b""
        words.append(tokens.features_acknowledged(accepted))
    return b"".join([*words, tokens.done()])
