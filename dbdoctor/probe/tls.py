"""Stage three: TLS as libpq would have it (`sslmode`, `sslrootcert`, client certificate), with the reason when it fails.

Our handshake exists to name the cause; whether the application gets in is decided by libpq's own, in the login stage.
Sources for what the parameters mean: PostgreSQL documentation, "SSL Support", and libpq's fe-secure-openssl.c.
"""

from __future__ import annotations

import ipaddress
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from dbdoctor.model.target import Target
from dbdoctor.targets.libpq.home import home_directory

if TYPE_CHECKING:
    import ssl

_VERSIONS = {"TLSv1": "TLSv1", "TLSv1.1": "TLSv1_1", "TLSv1.2": "TLSv1_2", "TLSv1.3": "TLSv1_3"}
# X509_V_ERR_* of OpenSSL's x509_vfy.h: the verifier's own numbers, in no human language.
_BY_NUMBER = {
    9: "certificate-not-yet-valid",
    10: "certificate-expired",
    18: "certificate-untrusted",
    19: "certificate-untrusted",
    20: "certificate-untrusted",
    21: "certificate-untrusted",
    2: "certificate-untrusted",
    23: "certificate-revoked",
    26: "certificate-untrusted",
    62: "certificate-wrong-name",
    64: "certificate-wrong-name",
}


class TlsSetupError(Exception):
    """The client's own side is not in order (no such root certificate, an unreadable key): `code` names it."""

    def __init__(self, code: str, cause: str, path: str = "") -> None:
        super().__init__(cause)
        self.code = code
        self.cause = cause
        self.path = path


class TlsPlan(NamedTuple):
    """What libpq will ask of TLS. `verify_chain` also holds for `prefer` and `require` when a root.crt lies at its place."""

    mode: str
    direct: bool
    verify_chain: bool
    verify_name: bool
    root: str | None
    certificate: str | None
    key: str | None

    @property
    def required(self) -> bool:
        """Whether a connection without TLS is refused by the client."""
        return self.mode in ("require", "verify-ca", "verify-full")

    @property
    def first(self) -> bool:
        """Whether TLS is tried before plain text (`allow` is the other way round)."""
        return self.mode not in ("disable", "allow")


NO_TLS = TlsPlan("disable", direct=False, verify_chain=False, verify_name=False, root=None, certificate=None, key=None)
"""The plan for a unix socket, whatever `sslmode` says: libpq looks at no file for it."""


def plan_tls(target: Target) -> TlsPlan:
    """Read the plan from the target's parameters, with libpq's defaults. Raises TlsSetupError for a missing root."""
    parameters = target.parameters
    home = (home_directory(os.environ) or Path("/nonexistent")) / ".postgresql"
    root = parameters.get("sslrootcert") or str(home / "root.crt")
    mode = parameters.get("sslmode") or ("verify-full" if root == "system" else "prefer")
    has_root = root == "system" or Path(root).is_file()
    verify = mode in ("verify-ca", "verify-full")
    if verify and not has_root:
        raise TlsSetupError("root-certificate-missing", f"there is no root certificate at {root}", root)
    certificate = parameters.get("sslcert") or str(home / "postgresql.crt")
    return TlsPlan(
        mode=mode,
        direct=parameters.get("sslnegotiation") == "direct",
        verify_chain=verify or has_root,
        verify_name=mode == "verify-full",
        root=root if has_root else None,
        certificate=certificate if Path(certificate).is_file() and parameters.get("sslcertmode") != "disable" else None,
        key=parameters.get("sslkey") or str(home / "postgresql.key"),
    )


def make_context(plan: TlsPlan, target: Target, *, verify: bool) -> ssl.SSLContext:
    """A client context for this plan. Raises TlsSetupError when a file of ours cannot be used."""
    import ssl

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    minimum = _VERSIONS.get(target.parameters.get("ssl_min_protocol_version", "TLSv1.2"))
    if minimum:
        context.minimum_version = ssl.TLSVersion[minimum]
    maximum = _VERSIONS.get(target.parameters.get("ssl_max_protocol_version", ""))
    if maximum:
        context.maximum_version = ssl.TLSVersion[maximum]
    if plan.direct:
        context.set_alpn_protocols(["postgresql"])
    if verify and plan.root:
        _load_roots(context, plan.root)
        context.verify_mode = ssl.CERT_REQUIRED
    if plan.certificate:
        _load_client_certificate(context, plan, target)
    return context


def _load_roots(context: ssl.SSLContext, root: str) -> None:
    import ssl

    if root == "system":
        context.load_default_certs()
        return
    try:
        context.load_verify_locations(cafile=root)
    except (ssl.SSLError, OSError) as error:
        raise TlsSetupError("root-certificate-unreadable", str(error.strerror or error), root) from error


def _load_client_certificate(context: ssl.SSLContext, plan: TlsPlan, target: Target) -> None:
    import ssl

    key = plan.key or ""
    secret = target.secret_parameters.get("sslpassword")
    if not Path(key).is_file():
        raise TlsSetupError("client-key-unreadable", f"there is no private key at {key}", key)
    if _too_open(Path(key)):
        raise TlsSetupError("client-key-too-open", f"{key} can be read by group or others", key)
    try:
        context.load_cert_chain(plan.certificate or "", key, password=secret.reveal if secret else lambda: "")
    except (ssl.SSLError, OSError) as error:
        raise TlsSetupError("client-key-unreadable", str(error.strerror or error), key) from error


def _too_open(key: Path) -> bool:
    """libpq's rule: 0600 or less, or 0640 or less when root owns it."""
    status = key.stat()
    return bool(status.st_mode & (0o037 if status.st_uid == 0 else 0o077))


def name_verification_error(error: ssl.SSLCertVerificationError) -> tuple[str, str]:
    """(code, OpenSSL's words) of a chain that did not verify."""
    return _BY_NUMBER.get(error.verify_code, "certificate-untrusted"), str(error.verify_message)


def name_handshake_error(error: ssl.SSLError) -> str:
    """The code of a handshake that failed for another reason than our own verification."""
    reason = (error.reason or "").upper()
    for words, code in (
        (("CERTIFICATE_REQUIRED", "HANDSHAKE_FAILURE"), "client-certificate-required"),
        (("UNKNOWN_CA", "BAD_CERTIFICATE", "CERTIFICATE_EXPIRED", "CERTIFICATE_REVOKED"), "client-certificate-refused"),
        (("UNSUPPORTED_PROTOCOL", "PROTOCOL_VERSION", "INAPPROPRIATE_FALLBACK"), "tls-version-refused"),
        (("WRONG_VERSION_NUMBER", "HTTP_REQUEST", "PACKET_LENGTH", "RECORD_LAYER"), "wrong-service"),
    ):
        if any(word in reason for word in words):
            return code
    return "tls-handshake-failed"


def name_matches(certificate: Mapping[str, Any], host: str) -> bool:
    """libpq's rule: any subject alternative name that fits; the common name only when none is of the host's own kind.

    `certificate` is what `SSLSocket.getpeercert()` gives; `host` is what the DSN names (an address when there is no name).
    """
    names = [(str(kind), str(value)) for kind, value in certificate.get("subjectAltName", ())]
    address = _as_ip(host)
    for kind, value in names:
        if kind == "DNS" and matches_pattern(value.lower(), host.lower()):
            return True
        if kind == "IP Address" and address is not None and _as_ip(value) == address:
            return True
    if any(kind == ("IP Address" if address else "DNS") for kind, _ in names):
        return False
    return any(matches_pattern(value.lower(), host.lower()) for value in _common_names(certificate))


def _common_names(certificate: Mapping[str, Any]) -> list[str]:
    return [value for part in certificate.get("subject", ()) for key, value in part if key == "commonName"]


def matches_pattern(pattern: str, host: str) -> bool:
    """Whether a name of a certificate, which may begin with `*.` for one label, is this host. Both in lower case."""
    if pattern.startswith("*."):
        first, dot, rest = host.partition(".")
        return bool(first and dot) and rest == pattern[2:]
    return pattern == host


def _as_ip(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(text.split("%", 1)[0])
    except ValueError:
        return None
