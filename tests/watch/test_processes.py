"""The process behind a session of this host is found by real sockets, and nothing is claimed where there is any doubt."""

from __future__ import annotations

import contextlib
import functools
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from dbdoctor.model.snapshot import Snapshot
from dbdoctor.watch.own_connection import OwnConnection, own_connection
from dbdoctor.watch.postgresql_source import PostgresqlSource
from dbdoctor.watch.processes import LocalProcesses
from dbdoctor.watch.sockets import place
from tests.databases.asking import TRUST
from tests.servers.binaries import program
from tests.servers.network import has_ipv6, private_network
from tests.servers.postgresql import PostgresServer
from tests.servers.waiting import wait_until
from tests.servers.workspace import free_port, is_root, server_ids, workspace
from tests.watch.looking import PATIENCE, find, pid_of, source, source_of, wait_until_alone

SECRET = "pa55-w0rd/of@the;child"
CHILD = """
import sys, psycopg2
connection = psycopg2.connect(sys.argv[1])
connection.autocommit = True
cursor = connection.cursor()
print(connection.info.backend_pid, flush=True)
for statement in sys.stdin:
    cursor.execute(statement)
"""


@pytest.fixture
def server(running: PostgresServer) -> PostgresServer:
    wait_until_alone(running)  # the sessions of killed clients are still there
    return running


@pytest.fixture(scope="module")
def running() -> Iterator[PostgresServer]:
    listens = "127.0.0.1, ::1" if has_ipv6() else "127.0.0.1"
    with PostgresServer("embedded", hba=TRUST, settings={"listen_addresses": listens}) as started:
        started.execute("CREATE ROLE app LOGIN")
        started.execute("CREATE ROLE watcher LOGIN IN ROLE pg_monitor")
        yield started


class Child:
    """A Python program of its own with one session."""

    def __init__(self, dsn: str, *arguments: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", CHILD, dsn, *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert self.process.stdout
        self.session = int(self.process.stdout.readline())

    def start(self, statement: str) -> None:
        assert self.process.stdin
        self.process.stdin.write(statement + "\n")
        self.process.stdin.flush()

    def __enter__(self) -> Child:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.communicate()


class Looking:
    """Looks again and again, as the loop does."""

    def __init__(self, opened: PostgresqlSource) -> None:
        self.source = opened
        self.processes = LocalProcesses(lambda: opened.own_connection)

    def look(self) -> Snapshot:
        return self.processes.enrich(self.source.look(PATIENCE))

    def until_found(self, session: int, pid: int) -> Snapshot:
        """Until the session's process is known; it must be this one."""
        snapshot = self.until(lambda seen: session in seen.processes, f"the process of {session}")
        assert snapshot.processes[session].pid == pid
        return snapshot

    def until(self, true: Callable[[Snapshot], object], what: str) -> Snapshot:
        seen: list[Snapshot] = []

        def ask() -> bool:
            seen.append(self.look())
            return bool(true(seen[-1]))

        wait_until(ask, what)
        return seen[-1]


@contextlib.contextmanager
def looking_at(server: PostgresServer, **parameters: Any) -> Iterator[Looking]:
    with source(server, **parameters) as opened:
        yield Looking(opened)


def test_a_child_is_found_by_its_pid_and_shown_without_its_secrets(server: PostgresServer) -> None:
    dsn = server.dsn(user="app", password=SECRET)
    with Child(dsn, "--password", SECRET) as child, looking_at(server) as looking:
        snapshot = looking.until(lambda seen: child.session in seen.processes, "the child's process")
        found = snapshot.processes[child.session]
        assert found.pid == child.process.pid
        assert found.command is not None
        assert found.command.startswith(Path(sys.executable).name + " -c …")
        assert f"app:***@127.0.0.1:{server.port}" in found.command
        for part in ("pa55", "w0rd", "the;child", "the%3Bchild"):
            assert part not in found.command
        assert found.started_at is not None
        assert abs(found.started_at - time.time()) < 60
        assert found.pooler is None
        assert found.forwarder is None
        assert child.session not in snapshot.clients_gone


@pytest.mark.skipif(not has_ipv6(), reason="this machine has no IPv6")
def test_each_session_has_its_own_process_over_both_families(server: PostgresServer) -> None:
    with (
        Child(server.dsn(user="app")) as one,
        Child(server.dsn(user="app", host="::1")) as two,
        contextlib.closing(server.connect(user="app")) as ours,
        looking_at(server) as looking,
    ):
        wanted = {one.session: one.process.pid, two.session: two.process.pid, pid_of(ours): os.getpid()}
        snapshot = looking.until(lambda seen: wanted.keys() <= seen.processes.keys(), "three processes")
        assert {id_: snapshot.processes[id_].pid for id_ in wanted} == wanted


def test_what_ended_is_forgotten_and_what_is_new_is_found(server: PostgresServer) -> None:
    with looking_at(server) as looking:
        for _ in range(2):
            with Child(server.dsn(user="app")) as child:
                looking.until_found(child.session, child.process.pid)
            looking.until(functools.partial(_is_forgotten, child.session), "its end")


def test_a_client_killed_while_its_statement_runs_is_gone(server: PostgresServer) -> None:
    with (
        Child(server.dsn(user="app")) as child,
        Child(server.dsn(user="app")) as other,
        looking_at(server) as looking,
    ):
        for one in (child, other):
            one.start("SELECT pg_sleep(60)")
        looking.until(lambda seen: {child.session, other.session} <= seen.processes.keys(), "both processes")
        child.process.send_signal(signal.SIGKILL)
        child.process.wait()
        snapshot = looking.until(lambda seen: seen.clients_gone, "the client's end")
        assert snapshot.clients_gone == {child.session}
        assert snapshot.processes[child.session].pid == child.process.pid, "who it was is still told"
        server.execute("SELECT pg_terminate_backend(%s)", [child.session])
        looking.until(lambda seen: not seen.clients_gone, "the session's end")


def test_a_client_that_stands_still_is_not_gone(server: PostgresServer) -> None:
    with Child(server.dsn(user="app")) as child, looking_at(server) as looking:
        child.start("SELECT pg_sleep(60)")
        child.process.send_signal(signal.SIGSTOP)
        looking.until(lambda seen: child.session in seen.processes, "the process")
        until = time.monotonic() + 5  # more readings than it takes to call a client gone
        while time.monotonic() < until:
            assert looking.look().clients_gone == frozenset()
            time.sleep(0.1)


def test_a_child_behind_haproxy_is_not_taken_for_the_proxy_alone(server, start_haproxy) -> None:
    proxy = start_haproxy(("127.0.0.1", server.port))
    wait_until(lambda: "UP" in proxy.log or _answers(proxy.port), "the proxy")
    dsn = f"postgresql://app@127.0.0.1:{proxy.port}/postgres"
    with Child(dsn) as child, looking_at(server) as looking:
        found = looking.until(lambda seen: child.session in seen.processes, "the proxy").processes[child.session]
        assert found.pid != child.process.pid
        assert (found.forwarder, found.pooler) == ("HAProxy", None)
        assert found.command is not None
        assert found.command.startswith("haproxy ")


def test_through_haproxy_nothing_is_claimed(server, start_haproxy) -> None:
    proxy = start_haproxy(("127.0.0.1", server.port))
    wait_until(lambda: _answers(proxy.port), "the proxy")
    with (
        Child(server.dsn(user="app")) as child,
        source_of(f"postgresql://watcher@127.0.0.1:{proxy.port}/postgres") as opened,
    ):
        own = opened.own_connection
        assert own is not None
        assert not own.is_seen_as_it_is
        snapshot = Looking(opened).look()
        assert child.session in {session.id for session in snapshot.sessions}
        assert (snapshot.processes, snapshot.clients_gone) == ({}, frozenset())


def test_pgbouncer_is_named(server, start_pgbouncer) -> None:
    pooler = start_pgbouncer(
        server.port, auth_type="any", databases={"*": f"host=127.0.0.1 port={server.port} user=app"}
    )
    with (
        Child(f"postgresql://app@127.0.0.1:{pooler.port}/postgres") as child,
        looking_at(server) as looking,
    ):
        child.start("BEGIN")
        snapshot = looking.until(lambda seen: seen.processes, "the pooler's process")
        assert {process.pooler for process in snapshot.processes.values()} == {"PgBouncer"}


def test_without_the_proof_nothing_is_claimed(server: PostgresServer) -> None:
    """The same sockets, but the server sees us elsewhere, or our socket is not in the table."""
    with Child(server.dsn(user="app")) as child, source(server) as opened:
        own = opened.own_connection
        assert own is not None
        doubtful: list[OwnConnection | None] = [
            None,
            own._replace(seen_as=place("127.0.0.1", 1)),
            own._replace(seen_as=None),
            own._replace(inode=own.inode + 1),
            own._replace(client=place("127.0.0.1", 1), seen_as=place("127.0.0.1", 1)),
            own._replace(server=place("127.0.0.1", 1)),
        ]
        for one in doubtful:
            processes = LocalProcesses(functools.partial(_itself, one))
            for _ in range(3):
                snapshot = processes.enrich(opened.look(PATIENCE))
                assert (snapshot.processes, snapshot.clients_gone) == ({}, frozenset()), one
        assert child.session in {session.id for session in snapshot.sessions}


def test_a_new_connection_of_ours_is_a_new_proof(server: PostgresServer) -> None:
    with Child(server.dsn(user="app")) as child, looking_at(server) as looking:
        looking.until(lambda seen: child.session in seen.processes, "the process")
        looking.source.open(PATIENCE)
        with Child(server.dsn(user="app")) as other:
            snapshot = looking.until(lambda seen: other.session in seen.processes, "the new session's process")
            assert snapshot.processes[child.session].pid == child.process.pid


@pytest.mark.skipif(not is_root(), reason="only the server's own user and root may see its namespace")
def test_over_a_unix_socket_the_server_itself_tells_where_it_is(server: PostgresServer) -> None:
    with Child(server.dsn(user="app")) as child, looking_at(server, host=server.socket_directory) as looking:
        own = looking.source.own_connection
        assert own is not None
        assert own.server_pid == server.pid
        snapshot = looking.until(lambda seen: child.session in seen.processes, "the process")
        assert snapshot.processes[child.session].pid == child.process.pid


@pytest.mark.skipif(not is_root(), reason="only the server's own user and root may see its files")
def test_clients_of_the_unix_socket_are_found(server: PostgresServer) -> None:
    with (
        Child(server.dsn(user="app", host=server.socket_directory)) as child,
        Child(server.dsn(user="app", host=server.socket_directory)) as other,
        looking_at(server, host=server.socket_directory) as looking,
    ):
        looking.until_found(child.session, child.process.pid)
        snapshot = looking.until_found(other.session, other.process.pid)
        assert find(snapshot, child.session).client == "local"
        own = looking.source.own_connection
        assert own is not None
        for doubtful in (
            own._replace(session=child.session),
            own._replace(session=None),
            own._replace(server_pid=None),
        ):
            processes = LocalProcesses(functools.partial(_itself, doubtful), budget=10)
            assert processes.enrich(looking.source.look(PATIENCE)).processes == {}


@pytest.mark.skipif(not is_root(), reason="needs root, to become somebody else")
def test_without_rights_a_client_is_neither_known_nor_gone(server: PostgresServer) -> None:
    """The sockets of others are there for everybody to see, but not their owners."""
    with Child(server.dsn(user="app")) as child:
        child.start("SELECT pg_sleep(60)")
        user, group = (str(number) for number in server_ids())
        argv = [sys.executable, "-c", _AS_SOMEBODY_ELSE, server.dsn(user="watcher"), str(child.session), user, group]
        seen = subprocess.run(argv, capture_output=True, text=True, check=True, timeout=60)
        assert seen.stdout.split() == ["seen", "unknown", "not-gone"]


_AS_SOMEBODY_ELSE = """
import os, sys, time
from dbdoctor.targets.parse import parse_dsn
from dbdoctor.watch.postgresql_source import PostgresqlSource
from dbdoctor.watch.processes import LocalProcesses
dsn, session, user, group = sys.argv[1], *map(int, sys.argv[2:])
source = PostgresqlSource(parse_dsn(dsn, environment={}))
source.open(5)
while session not in LocalProcesses(lambda: source.own_connection, budget=10).enrich(source.look(5)).processes:
    pass  # as root all is found, and all is imported
os.setgroups([]); os.setgid(group); os.setuid(user)
source.open(5)
processes = LocalProcesses(lambda: source.own_connection, budget=10)
until, found, gone = time.monotonic() + 5, False, False
while time.monotonic() < until:
    seen = processes.enrich(source.look(5))
    found, gone = found or session in seen.processes, gone or bool(seen.clients_gone)
    time.sleep(0.1)
print("seen" if session in [one.id for one in seen.sessions] else "unseen")
print("found" if found else "unknown", "gone" if gone else "not-gone")
"""


@pytest.mark.skipif(not is_root(), reason="needs a network namespace")
def test_a_server_in_another_network_is_not_taken_for_one_here() -> None:
    """Its loopback sessions have the same addresses and ports as sockets of ours, and are not ours."""
    with (
        private_network() as prefix,
        ServerElsewhere(prefix) as elsewhere,
        _same_sockets_here_and(elsewhere) as (session, client_port),
        source_of(elsewhere.dsn(host=elsewhere.socket_directory)) as opened,
    ):
        own = opened.own_connection
        assert own is not None
        assert own.server_pid == elsewhere.pid, "the kernel tells which process it is, and so where it is"
        assert not own.is_seen_as_it_is
        looking = Looking(opened)
        for _ in range(3):
            snapshot = looking.look()
            found = find(snapshot, session)
            assert (found.client, found.client_port) == ("127.0.0.1", client_port)
            assert (snapshot.processes, snapshot.clients_gone) == ({}, frozenset())
        # The same sockets do deceive whoever trusts addresses alone.
        looking.processes = LocalProcesses(lambda: own._replace(server_pid=os.getpid()))
        deceived = looking.until(lambda seen: session in seen.processes, "what is not so")
        assert deceived.processes[session].pid == os.getpid()


@pytest.mark.skipif(not is_root(), reason="needs network namespaces")
def test_towards_a_server_elsewhere_a_client_of_ours_is_found() -> None:
    """A pair of networks: the server in one, a client and we in the other. Clients beside the server are not ours."""
    with (
        private_network() as prefix,
        ServerElsewhere(prefix, {"listen_addresses": "*"}) as elsewhere,
        elsewhere.client() as (beside, _),
        subprocess.Popen(
            ["unshare", "--net", sys.executable, "-c", _FROM_ANOTHER_NETWORK, str(elsewhere.port), CHILD],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        ) as we,
    ):
        assert we.stdout
        assert we.stdout.readline() == "there\n"
        there, here = str(elsewhere.pid), str(we.pid)
        _run(f"ip link add pair0 netns {there} type veth peer name pair1 netns {here}")
        for pid, name, address in ((there, "pair0", "10.213.0.1/24"), (here, "pair1", "10.213.0.2/24")):
            enter = f"nsenter --net=/proc/{pid}/ns/net ip"
            _run(f"{enter} addr add {address} dev {name}")
            _run(f"{enter} link set {name} up")
        output, _ = we.communicate("go on\n", timeout=60)
        child, session, found, gone = output.split()
        assert (found, gone) == (f"{session}={child}", "frozenset()")
        assert int(session) != beside


_FROM_ANOTHER_NETWORK = """
import subprocess, sys, time
from dbdoctor.targets.parse import parse_dsn
from dbdoctor.watch.postgresql_source import PostgresqlSource
from dbdoctor.watch.processes import LocalProcesses
print("there", flush=True)
sys.stdin.readline()
dsn = f"postgresql://postgres@10.213.0.1:{sys.argv[1]}/postgres"
with subprocess.Popen([sys.executable, "-c", sys.argv[2], dsn], stdin=-1, stdout=-1, text=True) as child:
    session = int(child.stdout.readline())
    source = PostgresqlSource(parse_dsn(dsn, environment={}))
    source.open(5)
    processes = LocalProcesses(lambda: source.own_connection, budget=10)
    until = time.monotonic() + 10
    while session not in (seen := processes.enrich(source.look(5))).processes and time.monotonic() < until:
        time.sleep(0.1)
    found = ",".join(f"{id}={process.pid}" for id, process in seen.processes.items())
    print(child.pid, session, found or None, seen.clients_gone)
    child.kill()
"""


def _run(command: str) -> None:
    subprocess.run(command.split(), check=True, capture_output=True)


class ServerElsewhere(PostgresServer):
    """A server in a network of its own, in reach by its unix socket."""

    def __init__(self, prefix: list[str], settings: Mapping[str, str | int] | None = None) -> None:
        super().__init__("embedded", hba=TRUST, settings=settings)
        self._prefix = prefix

    def _launch(self) -> None:
        self._configure()
        user, group = (str(number) for number in server_ids())
        argv = [*self._prefix, "setpriv", "--reuid", user, "--regid", group, "--clear-groups"]
        argv += [str(program(self.version, "postgres")), "-D", str(self.data), "-p", str(self.port), "-k"]
        with self.log_path.open("ab") as log:
            self._process = subprocess.Popen(
                [*argv, str(self.directory)], cwd=self.data, env=workspace().environment(), stdout=log, stderr=log
            )
        workspace().watch(self._process.pid, "postgres")

    @contextlib.contextmanager
    def client(self) -> Iterator[tuple[int, int]]:
        """A client in the same network: the id of its session, and its port."""
        script = (
            "import psycopg2, sys; connection = psycopg2.connect(sys.argv[1]); cursor = connection.cursor();"
            "cursor.execute('SELECT pg_backend_pid(), inet_client_port()'); print(*cursor.fetchone(), flush=True);"
            "sys.stdin.read()"
        )
        argv = ["nsenter", f"--net=/proc/{self.pid}/ns/net", sys.executable, "-c", script, self.dsn()]
        with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as client:
            assert client.stdout
            session, port = client.stdout.readline().split()
            yield int(session), int(port)
            client.kill()


@contextlib.contextmanager
def _same_sockets_here_and(elsewhere: ServerElsewhere) -> Iterator[tuple[int, int]]:
    """A client there, and a connection of our own from the same port to the same port, on our loopback."""
    with socket.create_server(("127.0.0.1", elsewhere.port)) as listener, contextlib.ExitStack() as stack:
        while True:
            session, client_port = stack.enter_context(elsewhere.client())
            client = stack.enter_context(socket.socket())
            with contextlib.suppress(OSError):  # somebody here has just that port: another client, then
                client.bind(("127.0.0.1", client_port))
                break
        client.connect(("127.0.0.1", elsewhere.port))
        stack.enter_context(listener.accept()[0])
        yield session, client_port


def _itself(own: OwnConnection | None) -> OwnConnection | None:
    return own


def _is_forgotten(session: int, seen: Snapshot) -> bool:
    return session not in seen.processes


def _answers(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1) as probe:
        probe.settimeout(0.3)
        with contextlib.suppress(TimeoutError):
            return bool(probe.recv(1))
        return True
    return False


def test_a_descriptor_that_is_no_socket_gives_nothing() -> None:
    with Path(os.devnull).open() as file:
        assert own_connection(file.fileno(), ("127.0.0.1", 5432), 5432) is None
    assert own_connection(free_port(), ("127.0.0.1", 5432), 5432) is None
