"""What every fault has in common: a path that passes everything on, and the moments at which it may do otherwise."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar, NamedTuple

from dbdoctor.model.target import Product
from dbdoctor.model.trial import Scenario

if TYPE_CHECKING:
    from dbdoctor.faults.flow import Flow
    from dbdoctor.faults.relay import Relay


class Surroundings(NamedTuple):
    """What decides whether a fault can be tried on a target.

    `version` is the server's number (PostgreSQL: 180006); `pooler` the name of one that sits between. `encrypted`: the
    target's sessions use TLS; `insists_on_tls`: its driver would refuse one without. `near`: the server is on this machine.
    """

    product: Product
    version: int = 0
    pooler: str | None = None
    encrypted: bool = False
    insists_on_tls: bool = False
    near: bool = True


def no_silence() -> str:
    """Why a fault that needs lost packets cannot be tried where the kernel does not let us lose them, and what would help."""
    if sys.platform != "linux":
        return (
            "not testable here, because packets can be dropped for real on Linux only; run with Linux, "
            "in a container with `--cap-add NET_ADMIN`"
        )
    return (
        "not testable here, because this user may not drop packets and may not have a network namespace of its own; "
        "run with `sudo`, or in a container with `--cap-add NET_ADMIN`"
    )


class Fault:
    """A path without a fault; each fault says what it does differently. `idle` is its idle timeout in seconds.

    `code` names it on the command line, `title` says what it is, `stands_for` which devices do this. `counts_keepalives`:
    whether a TCP keepalive probe restarts its idle timer. `needs_silence`: it is only real with packets lost in the
    kernel. `writes`: the application also sends a statement that only a writable server takes, and that changes nothing.

    What the verdicts' words follow from: `acknowledges`: what the application sends is acknowledged though nothing comes
    of it, so that no setting of TCP ends a wait. `by_idleness`: it strikes because nothing has passed for long, and not at
    any moment. `away`: for some seconds the server is not there, so that errors come from logins and from one that is well.
    `stalls_login`: what hangs is a login.
    """

    code: ClassVar[str] = ""
    title: ClassVar[str] = ""
    stands_for: ClassVar[str] = ""
    products: ClassVar[tuple[Product, ...]] = (Product.POSTGRESQL, Product.SQLSERVER)
    scenario: ClassVar[Scenario] = Scenario.IDLE
    counts_keepalives: ClassVar[bool] = True
    needs_silence: ClassVar[bool] = False
    writes: ClassVar[bool] = False
    acknowledges: ClassVar[bool] = False
    by_idleness: ClassVar[bool] = True
    away: ClassVar[bool] = False
    stalls_login: ClassVar[bool] = False
    by_default: ClassVar[bool] = False

    def __init__(self, idle: float) -> None:
        self.idle = idle

    @classmethod
    def unable(cls, around: Surroundings) -> str | None:
        """Why it cannot be tried there ("not testable here, because ..., run with ..."), or None."""
        if around.product not in cls.products:
            return f"not testable here, because it is no fault of {around.product.value}"
        return None

    def session_settings(self) -> Mapping[str, str]:
        """Settings that the application's sessions are opened with."""
        return {}

    def connect_arguments(self) -> Mapping[str, str]:
        """What the driver is told beyond the target's and the pool's own arguments, over both (PostgreSQL: libpq's keywords)."""
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
