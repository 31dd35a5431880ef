"""TLS inside TDS: the context. Capped at 1.2, for with 1.3's session tickets both ODBC drivers hang."""

from __future__ import annotations

import ssl

from tests.servers.certificates import Pair


def server_context(pair: Pair) -> ssl.SSLContext:
    """The server's side, with that certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(pair.certificate, pair.key)
    return context
