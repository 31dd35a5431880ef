"""TLS for the fake servers: in the middle of a conversation, with the certificate of `certificates`."""

from __future__ import annotations

import ssl

from tests.servers.certificates import Pair, certificates
from tests.servers.wire import ClientGoneError, Conversation


def server_context(pair: Pair | None = None) -> ssl.SSLContext:
    """The server's side of TLS; the good certificate unless told."""
    pair = pair or certificates().server
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pair.certificate, pair.key)
    return context


def speak_tls(talk: Conversation, pair: Pair | None = None) -> None:
    """Turns the conversation into TLS; ClientGoneError when the client will not."""
    try:
        talk.socket = server_context(pair).wrap_socket(talk.socket, server_side=True)
    except OSError as error:
        raise ClientGoneError from error
