"""Certificates for the tests' servers and clients: good ones, and each kind of bad one, as files."""

from __future__ import annotations

import datetime as dt
import functools
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import trustme

from tests.servers.workspace import workspace

NAMES = ("localhost", "127.0.0.1", "::1")


@dataclass(frozen=True)
class Pair:
    """A certificate with its key and the authority that signed it, as PEM files."""

    certificate: Path
    key: Path
    authority: Path


@dataclass(frozen=True)
class Certificates:
    """What a server can show: each Pair is for `localhost`, 127.0.0.1 and ::1 except `wrong_name`."""

    authority: Path
    # Signed by `authority`, valid today, for this host.
    server: Pair
    # Its last day is past.
    expired: Pair
    # Its first day is still to come.
    not_yet_valid: Pair
    # For `db.example.org`.
    wrong_name: Pair
    # Good, but signed by another authority; its own `authority` says which.
    foreign: Pair
    # Signed by an authority in between, which the server sends along.
    chained: Pair
    _signer: Any

    def client(self, role: str) -> Pair:
        """A client's certificate whose common name is `role`; the key belongs to whoever runs the tests, mode 0600."""
        return _write(self._signer.issue_cert(common_name=role), self.authority, f"client-{role}", ours=True)

    def foreign_client(self, role: str) -> Pair:
        """The same, signed by an authority that the server does not trust."""
        return _write(trustme.CA().issue_cert(common_name=role), self.authority, f"foreign-{role}", ours=True)


def _write(issued: Any, authority: Path, name: str, *, ours: bool = False) -> Pair:
    place = workspace().directory(name, mode=0o755)
    chain = b"".join(blob.bytes() for blob in issued.cert_chain_pems)
    certificate = workspace().write(place / "certificate.pem", chain, mode=0o644)
    key = workspace().write(place / "key.pem", issued.private_key_pem.bytes(), mode=0o600)
    if ours:
        # libpq wants the key to be the user's own.
        os.chown(key, os.geteuid(), os.getegid())
    return Pair(certificate, key, authority)


def _authority(signer: Any, name: str) -> Path:
    place = workspace().directory(name, mode=0o755)
    return workspace().write(place / "authority.pem", signer.cert_pem.bytes(), mode=0o644)


@functools.cache
def certificates() -> Certificates:
    """The session's certificates, made when first asked for."""
    signer, other = (
        trustme.CA(organization_name="The tests' authority"),
        trustme.CA(organization_name="Another authority"),
    )
    authority, elsewhere = _authority(signer, "authority"), _authority(other, "another-authority")
    now = dt.datetime.now(dt.UTC)
    month = dt.timedelta(days=30)
    expired = signer.issue_cert(*NAMES, not_before=now - 2 * month, not_after=now - month)
    early = signer.issue_cert(*NAMES, not_before=now + month, not_after=now + 2 * month)
    return Certificates(
        authority=authority,
        server=_write(signer.issue_cert(*NAMES, common_name="localhost"), authority, "server"),
        expired=_write(expired, authority, "expired"),
        not_yet_valid=_write(early, authority, "not-yet-valid"),
        wrong_name=_write(signer.issue_cert("db.example.org"), authority, "wrong-name"),
        foreign=_write(other.issue_cert(*NAMES), elsewhere, "foreign"),
        chained=_write(signer.create_child_ca().issue_cert(*NAMES), authority, "chained"),
        _signer=signer,
    )
