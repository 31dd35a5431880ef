"""A look at a certificate that did not verify: whom it names, who signed it, until when; for the finding's evidence only."""

from __future__ import annotations

from typing import Any

from dbdoctor.model.target import Target
from dbdoctor.probe import postgresql_wire as wire
from dbdoctor.probe.channel import Channel, ClosedError
from dbdoctor.probe.connect import connect_one
from dbdoctor.probe.deadline import Deadline, DeadlinePassedError
from dbdoctor.probe.resolve import Address
from dbdoctor.probe.tls import TlsPlan, make_context


def fetch_certificate(address: Address, target: Target, plan: TlsPlan, deadline: Deadline) -> dict[str, Any]:
    """What `describe_certificate` says of the server's, or {}: a connection of its own, which verifies and sends nothing."""
    import ssl

    attempt = connect_one(address, deadline)
    if attempt.socket is None:
        return {}
    channel = Channel(attempt.socket, deadline)
    try:
        if not plan.direct:
            channel.send(wire.SSL_REQUEST)
            if channel.receive_exactly(1) != b"S":
                return {}
        context = make_context(plan._replace(certificate=None), target, verify=False)
        der = channel.start_tls(context, server_name(address, target)).getpeercert(binary_form=True)
        return describe_certificate(der) if der else {}
    except (ssl.SSLError, OSError, ClosedError, DeadlinePassedError):
        return {}
    finally:
        channel.close()


def server_name(address: Address, target: Target) -> str | None:
    """libpq sends the host as SNI unless `sslsni=0` or it is a numeric address (since version 14)."""
    host = address.endpoint.host
    if not host or target.parameters.get("sslsni") == "0" or host[0].isdigit() or ":" in host:
        return None
    return host if host.isascii() else None


def describe_certificate(der: bytes) -> dict[str, Any]:
    """Whom a certificate names, who signed it, and until when: `names`, `subject`, `issuer`, `not_before`, `not_after`."""
    from cryptography import x509

    try:
        certificate = x509.load_der_x509_certificate(der)
        try:
            alternative = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
            names = [str(name.value) for name in alternative if isinstance(name, (x509.DNSName, x509.IPAddress))]
        except x509.ExtensionNotFound:
            names = []
        return {
            "subject": certificate.subject.rfc4514_string(),
            "issuer": certificate.issuer.rfc4514_string(),
            "names": names,
            "not_before": certificate.not_valid_before_utc.isoformat(),
            "not_after": certificate.not_valid_after_utc.isoformat(),
        }
    except ValueError as error:
        return {"unreadable": type(error).__name__}
