"""What every fault has in common: a path that passes everything on, and the moments at which it may do otherwise."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar

from dbdoctor.model.target import Product
from dbdoctor.model.trial import Scenario

if TYPE_CHECKING:
    from dbdoctor.faults.flow import Flow
    from dbdoctor.faults.relay import Relay


class Fault:
    """A path without a fault; each fault says what it does differently. `idle` is its idle timeout in seconds.

    `code` names it on the command line, `title` says what it is, `stands_for` which devices do this. `counts_keepalives`:
    whether a TCP keepalive probe restarts its idle timer. `needs_silence`: it is only real with packets lost in the
    kernel. `writes`: the application also sends a statement that only a writable server takes, and that changes nothing.
    """

    code: ClassVar[str] = ""
    title: ClassVar[str] = ""
    stands_for: ClassVar[str] = ""
    products: ClassVar[tuple[Product, ...]] = (Product.POSTGRESQL, Product.SQLSERVER)
    scenario: ClassVar[Scenario] = Scenario.IDLE
    counts_keepalives: ClassVar[bool] = True
    needs_silence: ClassVar[bool] = False
    writes: ClassVar[bool] = False
    by_default: ClassVar[bool] = False

    def __init__(self, idle: float) -> None:
        self.idle = idle

    def session_settings(self) -> Mapping[str, str]:
        """Settings that the application's sessions are opened with."""
        return {}

    def begin(self, relay: Relay) -> None:
        """The application has used all its connections, and goes idle (or into its long query) now."""

    def opened(self, flow: Flow) -> None:
        """The application opened a connection."""
        flow.dial()

    def on_idle(self, flow: Flow) -> None:
        """Nothing has passed for the idle timeout; told once of each flow."""

    def used_after(self, flow: Flow, by: str) -> None:
        """Something arrived, data or a keepalive probe, after `on_idle`, from "client" or "server"."""

    def from_client(self, flow: Flow, data: bytes) -> None:
        """The application sent this."""
        flow.to_server(data)

    def from_server(self, flow: Flow, data: bytes) -> None:
        """The server sent this."""
        flow.to_client(data)

    def client_closed(self, flow: Flow) -> None:
        """The application closed its end."""
        flow.end_server()

    def server_closed(self, flow: Flow) -> None:
        """The server closed its end."""
        flow.end_client()
