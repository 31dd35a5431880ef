"""Where snapshots come from: what each product's file must be able to do, and how it fails."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol

from dbdoctor.model.finding import Finding
from dbdoctor.model.server import ServerFacts
from dbdoctor.model.session import Identity
from dbdoctor.model.snapshot import Snapshot, Wanted
from dbdoctor.model.target import Target

__all__ = ["SessionSource", "SourceLostError", "SourceSlowError", "Termination", "Wanted"]


class SourceLostError(Exception):
    """The server is not there any more, or refuses us now; the message is one clean line. Opening again may help.

    `finding` is there when the server itself refused a login.
    """

    def __init__(self, words: str, finding: Finding | None = None) -> None:
        super().__init__(words)
        self.finding = finding


class SourceSlowError(Exception):
    """The server did not answer within the statement timeout; the connection is still good, or has been closed."""


class Termination(NamedTuple):
    """What became of one session that was to be ended; `detail` says more, in one line.

    `outcome` is `ended`, `still-there`, `not-found` (gone, or another one has its id now), `not-allowed` or `spared`.
    """

    identity: Identity
    outcome: str
    detail: str = ""


class SessionSource(Protocol):
    """One read-only session on a server, from which snapshots are taken.

    `open` logs in within `seconds` and gives the server's facts; it raises SourceLostError. Every other call raises
    SourceLostError or SourceSlowError, and takes `seconds` at most: the statement timeout is below it.
    """

    target: Target

    def open(self, seconds: float) -> ServerFacts:
        """Log in, anew if need be."""
        ...

    def look(self, seconds: float, *, thorough: bool = False) -> Snapshot:
        """All sessions but our own, by one light query; `thorough` also asks what is only asked for now and then."""
        ...

    def explain(self, snapshot: Snapshot, wanted: Wanted, seconds: float) -> Snapshot:
        """The same snapshot with details of the sessions wanted, and with the waiters."""
        ...

    def terminate(self, identities: Sequence[Identity], seconds: float) -> list[Termination]:
        """End these sessions, id and start time checked in the same statement; wait and verify. Never our own."""
        ...

    def close(self) -> None:
        """Log out; never raises."""
        ...
