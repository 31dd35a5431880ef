"""Who encrypts what, and whose certificate is believed: as each driver reads `Encrypt` and its kin.

Microsoft's driver 18 was tried for all of it: it checks the certificate whenever the whole session is encrypted, also when
only the server asked for that, unless TrustServerCertificate=yes. FreeTDS checks none by default.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from dbdoctor.databases.odbc.driver import FREETDS, Driver
from dbdoctor.model.target import Target
from dbdoctor.probe.tds.wire import Encryption
from dbdoctor.probe.tls import matches_pattern

if TYPE_CHECKING:
    import ssl

_WORDS: Mapping[str, str] = {"yes": "yes", "mandatory": "yes", "true": "yes", "strict": "strict"}
_FREETDS_WORDS: Mapping[str, str] = {"require": "yes", "strict": "strict"}
_IN_FREETDS_WORDS: Mapping[str, str] = {"yes": "require", "strict": "strict", "no": "request"}


class EncryptionPlan(NamedTuple):
    """What the driver will ask of encryption. `word` is how it is written: `Encrypt=yes`.

    `trusts` says that it believes any certificate. `names` are those of which the certificate must have one.
    `pinned` is the file of the one certificate that is believed (`ServerCertificate`).
    """

    word: str
    wanted: Encryption
    strict: bool = False
    trusts: bool = False
    names: tuple[str, ...] = ()
    pinned: str | None = None

    @property
    def required(self) -> bool:
        """Whether the driver refuses a server that cannot encrypt."""
        return self.strict or self.wanted is Encryption.ON

    def verifies(self, answered: Encryption) -> bool:
        """Whether the driver looks at the certificate, after this answer of the server."""
        return not self.trusts and (self.strict or answered is not Encryption.OFF)


def plan_encryption(target: Target, driver: Driver | None, host: str) -> EncryptionPlan:
    """The plan of `driver` for this target; without a driver, that of Microsoft's newest."""
    if driver is not None and driver.kind == FREETDS:
        return _freetds(target)
    parameters = target.parameters
    word = _written(target)
    if word is None:
        old = driver is not None and driver.version.partition(".")[0] in ("13", "17")
        word = "no" if old else "yes"
    strict = word == "strict"
    named = parameters.get("HostnameInCertificate")
    return EncryptionPlan(
        word=f"Encrypt={word}",
        wanted=Encryption.ON if word == "yes" else Encryption.OFF,
        strict=strict,
        trusts=not strict and parameters.get("TrustServerCertificate", "no").lower() == "yes",
        names=(named, host) if named else (host,),
        pinned=parameters.get("ServerCertificate") if strict else None,
    )


def _freetds(target: Target) -> EncryptionPlan:
    """Its own word counts before Microsoft's, which is translated for it."""
    word = _written(target) or "no"
    native = target.parameters.get("Encryption", "").lower() or _IN_FREETDS_WORDS[word]
    wanted = {"off": Encryption.NOT_SUPPORTED, "require": Encryption.ON}.get(native, Encryption.OFF)
    return EncryptionPlan(f"Encryption={native}", wanted, strict=native == "strict", trusts=True)


def _written(target: Target) -> str | None:
    """yes, no or strict, in Microsoft's words or FreeTDS's; None when nothing is written."""
    own, other = (target.parameters.get(name, "").lower() for name in ("Encrypt", "Encryption"))
    if own:
        return _WORDS.get(own, "no")
    return _FREETDS_WORDS.get(other, "no") if other else None


def make_context(plan: EncryptionPlan, *, verify: bool) -> ssl.SSLContext:
    """A client context for this plan. TLS inside TDS ends at 1.2; strict begins with TLS and may have 1.3.

    Authorities are the system's, as for Microsoft's driver (OpenSSL's; SSL_CERT_FILE and SSL_CERT_DIR count).
    """
    import ssl

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if plan.strict:
        context.set_alpn_protocols(["tds/8.0"])
    else:
        context.maximum_version = ssl.TLSVersion.TLSv1_2
    if not verify:
        return context
    context.load_default_certs()
    context.verify_mode = ssl.CERT_REQUIRED
    return context


def name_matches(certificate: Mapping[str, Any], names: tuple[str, ...]) -> bool:
    """Microsoft's rule, found by trying: DNS names only, addresses never; the common name only when there are no others.

    `certificate` is what `getpeercert()` gives.
    """
    alternative = certificate.get("subjectAltName", ())
    if alternative:
        has = [str(value) for kind, value in alternative if kind == "DNS"]
    else:
        has = [str(value) for part in certificate.get("subject", ()) for key, value in part if key == "commonName"]
    return any(matches_pattern(pattern.lower(), name.lower()) for pattern in has for name in names)
