"""The server's side of TLS: inside TDS, and around it as TDS 8 has it."""

from __future__ import annotations

import ssl

from tests.servers.certificates import Pair


def server_context(pair: Pair) -> ssl.SSLContext:
    """For TLS inside TDS, with that certificate. Capped at 1.2, for with 1.3's session tickets both ODBC drivers hang."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(pair.certificate, pair.key)
    return context


def strict_context(pair: Pair) -> ssl.SSLContext:
    """For TLS around TDS 8, with that certificate: any version, and the protocol's name by ALPN."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["tds/8.0"])
    context.load_cert_chain(pair.certificate, pair.key)
    return context
