"""The servers as pytest fixtures: those of the session start when a test first asks, the factories' end with the test."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.servers import certificates as certificates_module
from tests.servers.binaries import MATRIX, german_locale
from tests.servers.certificates import Certificates
from tests.servers.haproxy import HAProxy
from tests.servers.pgbouncer import PgBouncer
from tests.servers.postgresql import PostgresServer
from tests.servers.tds import TdsServer
from tests.servers.wire import FakeServer, Handler
from tests.servers.wire_faults import CATALOGUE


@pytest.fixture(scope="session")
def certificates() -> Certificates:
    """Good certificates and bad ones."""
    return certificates_module.certificates()


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """PostgreSQL 18 without TLS, shared by the session: leave it as you found it."""
    with PostgresServer("embedded") as server:
        yield server


@pytest.fixture(scope="session")
def postgres_tls(certificates: Certificates) -> Iterator[PostgresServer]:
    """PostgreSQL 15 with TLS, shared by the session: leave it as you found it."""
    with PostgresServer("debian15", tls=certificates.server) as server:
        yield server


@pytest.fixture(scope="session")
def postgres_german(certificates: Certificates) -> Iterator[PostgresServer]:
    """PostgreSQL 15 with TLS that speaks German, shared by the session."""
    speaks = {"LOCPATH": str(german_locale())}
    german = {"lc_messages": "de_DE.UTF-8"}
    with PostgresServer("debian15", tls=certificates.server, settings=german, environment=speaks) as server:
        yield server


@pytest.fixture(scope="session", params=MATRIX)
def postgres_matrix(request: pytest.FixtureRequest, certificates: Certificates) -> Iterator[PostgresServer]:
    """Each of PostgreSQL 13 to 18, with TLS, one after the other."""
    with PostgresServer(request.param, tls=certificates.server) as server:
        yield server


@pytest.fixture
def start_postgres() -> Iterator[Callable[..., PostgresServer]]:
    """`start_postgres(version, **as_of_PostgresServer, until="ready")`: a server of the test's own."""
    with contextlib.ExitStack() as stack:

        def start(version: str = "embedded", *, until: str = "ready", **arguments: object) -> PostgresServer:
            server = PostgresServer(version, **arguments)  # type: ignore[arg-type]
            return stack.enter_context(server.start(until))

        yield start


@pytest.fixture
def start_pgbouncer() -> Iterator[Callable[..., PgBouncer]]:
    """`start_pgbouncer(server_port, **as_of_PgBouncer)`: a PgBouncer of the test's own."""
    with contextlib.ExitStack() as stack:

        def start(server_port: int, **arguments: object) -> PgBouncer:
            return stack.enter_context(PgBouncer(server_port, **arguments))  # type: ignore[arg-type]

        yield start


@pytest.fixture
def start_haproxy() -> Iterator[Callable[..., HAProxy]]:
    """`start_haproxy((host, port), ..., **as_of_HAProxy)`: a HAProxy of the test's own."""
    with contextlib.ExitStack() as stack:

        def start(*backends: tuple[str, int], **arguments: object) -> HAProxy:
            return stack.enter_context(HAProxy(*backends, **arguments))  # type: ignore[arg-type]

        yield start


@pytest.fixture
def start_tds() -> Iterator[Callable[..., TdsServer]]:
    """`start_tds(profile, **as_of_TdsServer)`: a server for SQL Server's drivers, of the test's own."""
    with contextlib.ExitStack() as stack:

        def start(profile: str = "2022", **arguments: object) -> TdsServer:
            return stack.enter_context(TdsServer(profile, **arguments))  # type: ignore[arg-type]

        yield start


@pytest.fixture
def wire() -> Iterator[Callable[..., FakeServer]]:
    """`wire("http")` or `wire(handler)`: a fake server from the CATALOGUE, or of the test's own making."""
    with contextlib.ExitStack() as stack:

        def start(what: str | Handler, *, host: str = "127.0.0.1", port: int = 0) -> FakeServer:
            handler = CATALOGUE[what] if isinstance(what, str) else what
            return stack.enter_context(FakeServer(handler, host=host, port=port))

        yield start


def available() -> str:
    """Which servers are installed, for pytest's header."""
    from tests.servers.binaries import VERSIONS, home_of
    from tests.servers.odbc import DRIVERS
    from tests.servers.workspace import MissingServerError, installed

    on, off = [], []
    for version in VERSIONS:
        try:
            name = f"PostgreSQL {version}"
            home_of(version, copied=False)
            on.append(name)
        except MissingServerError:
            off.append(name)
    for program in ("pgbouncer", "haproxy", "openssl", "ip", "nft", "localedef"):
        try:
            installed(program)
            on.append(Path(program).name)
        except MissingServerError:
            off.append(program)
    for name, find in DRIVERS.items():
        try:
            find()
            on.append(f"{name}'s ODBC driver")
        except MissingServerError:
            off.append(f"{name}'s ODBC driver")
    missing = f"; MISSING: {', '.join(off)} (python3 tests/run.py installs them)" if off else ""
    return f"servers: {', '.join(on)}{missing}"
