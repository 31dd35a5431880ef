"""The tests' SQL Server with session recovery, and with the real one's answer to what Microsoft's driver does then."""

from __future__ import annotations

import contextlib
import struct
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from tests.servers.tds import SqlError, TdsServer, tokens
from tests.servers.tds.conversation import Conversation
from tests.servers.tds.sessions import Session

# Of the headers before a request: their length, one header's length, its type (2), the transaction's descriptor.
_HEADERS = struct.Struct("<IIH8s")


@dataclass
class RecoveringConversation(Conversation):
    """Refuses a request in a transaction that is not the session's own.

    After a session was recovered Microsoft's driver 18.6 goes on naming the transaction of the session that is gone
    (seen on the wire), and SQL Server answers 3971 (sqlalchemy/sqlalchemy#6073 shows both).
    """

    def _batch(self, session: Session, body: bytes) -> bytes:
        return self._foreign(session, body) or super()._batch(session, body)

    def _calls(self, session: Session, body: bytes) -> bytes:
        return self._foreign(session, body) or super()._calls(session, body)

    def _transaction(self, session: Session, body: bytes) -> bytes:
        return self._foreign(session, body) or super()._transaction(session, body)

    def _foreign(self, session: Session, body: bytes) -> bytes:
        named = _HEADERS.unpack_from(body)[3]
        own = session.transaction.descriptor if session.transaction else bytes(8)
        if named in (bytes(8), own):
            return b""
        words = f"The server failed to resume the transaction. Desc:{int.from_bytes(named, 'little'):x}."
        return tokens.error(SqlError(3971, message=words), self.name) + tokens.done(failed=True)


@contextlib.contextmanager
def recovering_server() -> Iterator[TdsServer]:
    """A server that acknowledges session recovery, as SQL Server 2014 and later do."""
    with pytest.MonkeyPatch.context() as patch, TdsServer("2022") as server:
        server.controls.recovers_sessions = True
        patch.setattr("tests.servers.tds.server.Conversation", RecoveringConversation)
        yield server
