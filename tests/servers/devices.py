"""What ends idle connections, as real devices that all have the same face: for tests that take each in turn.

@pytest.mark.parametrize("name", DEVICES)
def test_it(name, postgres):
    with device(name, postgres, 3) as path:
        run_dbdoctor("measure-timeout", path.dsn(), prefix=path.prefix)
"""

from __future__ import annotations

import contextlib
import itertools
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Literal
from urllib.parse import quote, urlencode

from tests.servers.firewall import StatefulFirewall, Style
from tests.servers.haproxy import HAProxy
from tests.servers.pgbouncer import PgBouncer
from tests.servers.postgresql import PASSWORD, SUPERUSER, PostgresServer

Drop = Literal["silent", "reset-on-use", "closed", "server-error"]


@dataclass(frozen=True)
class Device:
    """One way to a server: where to connect, and what becomes of an idle connection there."""

    name: str
    server: PostgresServer
    # The truth: after how many seconds without use a connection is dropped, up to `late_seconds` later.
    seconds: float
    # "silent": packets vanish; "reset-on-use": the next packet is answered with a reset; "closed": an orderly end
    # without a word; "server-error": an error in the server's language, then the end. The last two come by themselves.
    drop: Drop
    # Whether the probes of TCP keepalive count as use.
    keepalive_resets_it: bool
    port: int
    host: str = "127.0.0.1"
    user: str = SUPERUSER
    # Before a command that shall use it; without root the firewalls cannot be reached otherwise.
    prefix: Sequence[str] = ()
    # Whether the tests' own process can connect to it.
    in_process: bool = True
    # How late the device may look at its clock, beyond a busy machine's own delays.
    late_seconds: float = 0.0
    # What the client is told when the device says something.
    message: str | None = None

    def dsn(self, **parameters: str | int) -> str:
        """A URL of the server through the device, with a superuser's password; `parameters` follow its `?`."""
        login = f"{self.user}:{quote(PASSWORD, safe='')}"
        query = f"?{urlencode(parameters, quote_via=quote)}" if parameters else ""
        return f"postgresql://{login}@{self.host}:{self.port}/postgres{query}"


def _firewall(name: str, style: Style, drop: Drop) -> Callable[[PostgresServer, int], AbstractContextManager[Device]]:
    @contextlib.contextmanager
    def made(server: PostgresServer, seconds: int) -> Iterator[Device]:
        with StatefulFirewall(server.port, idle_timeout=seconds, style=style) as firewall:
            yield Device(
                name,
                server,
                seconds,
                drop,
                keepalive_resets_it=True,
                port=firewall.port,
                host=firewall.host,
                prefix=firewall.command(),
                in_process=firewall.in_process,
            )

    return made


@contextlib.contextmanager
def _haproxy(server: PostgresServer, seconds: int) -> Iterator[Device]:
    """`timeout client` and `timeout server`: both sides are closed."""
    with HAProxy(("127.0.0.1", server.port), checked=False, idle_timeout=f"{seconds}s") as proxy:
        yield Device("haproxy", server, seconds, "closed", keepalive_resets_it=False, port=proxy.port)


@contextlib.contextmanager
def _pgbouncer(server: PostgresServer, seconds: int) -> Iterator[Device]:
    """`client_idle_timeout`, in transaction mode: a client to whom a server is bound is not idle for it."""
    settings = {"client_idle_timeout": seconds}
    with PgBouncer(server.port, pool_mode="transaction", settings=settings) as bouncer:
        yield Device(
            "pgbouncer",
            server,
            seconds,
            "server-error",
            keepalive_resets_it=False,
            port=bouncer.port,
            # It looks three times a second.
            late_seconds=0.34,
            message="client_idle_timeout",
        )


_numbers = itertools.count(1)


@contextlib.contextmanager
def _postgresql(server: PostgresServer, seconds: int) -> Iterator[Device]:
    """`idle_session_timeout` (PostgreSQL 14 and later) of a role of its own, so that the shared server stays as it was."""
    role = f"idle_{os.getpid()}_{next(_numbers)}"
    server.execute(f"CREATE ROLE {role} SUPERUSER LOGIN PASSWORD %s", (PASSWORD,))
    server.execute(f"ALTER ROLE {role} SET idle_session_timeout = '{seconds}s'")
    try:
        yield Device(
            "postgresql",
            server,
            seconds,
            "server-error",
            keepalive_resets_it=False,
            port=server.port,
            user=role,
            message="terminating connection due to idle-session timeout",
        )
    finally:
        server.execute("SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE usename = %s", (role,))
        server.execute(f"DROP ROLE {role}")


_MAKERS: dict[str, Callable[[PostgresServer, int], AbstractContextManager[Device]]] = {
    "firewall": _firewall("firewall", "drop", "silent"),
    "firewall-reset": _firewall("firewall-reset", "reset", "reset-on-use"),
    "haproxy": _haproxy,
    "pgbouncer": _pgbouncer,
    "postgresql": _postgresql,
}
DEVICES = tuple(_MAKERS)


def device(name: str, postgresql: PostgresServer, seconds: int) -> AbstractContextManager[Device]:
    """The device of that name before a running server, with an idle timeout of whole seconds; gone on leaving."""
    return _MAKERS[name](postgresql, seconds)
