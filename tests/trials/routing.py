"""A SQL Server that sends those who log in on to another one, as Azure's gateway does with the connection policy Redirect."""

from __future__ import annotations

import contextlib
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import pytest

from tests.servers.tds import TdsServer, packets, tokens
from tests.servers.tds import login as logins
from tests.servers.tds.conversation import Conversation
from tests.servers.tds.errors import EndError
from tests.servers.tds.sessions import Session

_ROUTING = 20


@dataclass
class RoutingConversation(Conversation):
    """Names the port of another server to the application of a trial."""

    elsewhere: ClassVar[int] = 0

    def _log_in(self) -> Session:
        if self.server.port == self.elsewhere:
            return super()._log_in()
        kept = self.channel.read_message
        message = kept()
        login = logins.parse(message.body)
        if login.program == "dbdoctor":
            self.channel.read_message = lambda: message  # type: ignore[method-assign]
            try:
                return super()._log_in()
            finally:
                self.channel.read_message = kept  # type: ignore[method-assign]
        host = "127.0.0.1"
        place = struct.pack("<BHH", 0, self.elsewhere, len(host)) + host.encode("utf-16-le")
        version = self.server.facts.profile.version_numbers
        words = tokens.login_acknowledged(logins.TDS_7_4, "Microsoft SQL Server", version)
        words += tokens.changed(_ROUTING, struct.pack("<H", len(place)) + place, b"\0\0") + tokens.done()
        if self.channel.encrypted and self.encrypted_login_only:
            self.channel.stop_tls()
        self.channel.send_message(words, packets.REPLY)
        raise EndError


@contextlib.contextmanager
def routing_server() -> Iterator[TdsServer]:
    """One that sends trials on to another of the same kind."""
    with pytest.MonkeyPatch.context() as patch, TdsServer("2022") as other, TdsServer("2022") as server:
        patch.setattr(RoutingConversation, "elsewhere", other.port)
        patch.setattr("tests.servers.tds.server.Conversation", RoutingConversation)
        yield server
