import os
import socket
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import psycopg2
import pytest

from dbdoctor.demo.embedded import EmbeddedServer, embedded_postgresql, embedded_server
from dbdoctor.model.target import Product, Target
from tests.demo.place import processes_of


@pytest.fixture(autouse=True)
def in_place(place, monkeypatch):
    monkeypatch.setenv("TMPDIR", str(place))


def ask(target: Target, query: str, **more: Any) -> Any:
    assert target.password is not None
    arguments: dict[str, Any] = {
        "host": target.endpoints[0].host,
        "port": target.endpoints[0].port,
        "user": target.user,
        "password": target.password.reveal(),
        "dbname": target.database,
        **more,
    }
    connection = psycopg2.connect(**arguments)
    try:
        with connection.cursor() as cursor:
            cursor.execute(query)
            return cursor.fetchone()
    finally:
        connection.close()


def test_an_ordinary_user_who_may_monitor():
    with embedded_postgresql() as target:
        assert target.product is Product.POSTGRESQL
        assert target.shown == f"postgresql://demo@127.0.0.1:{target.endpoints[0].port}/demo"
        row = ask(
            target,
            """SELECT current_user::text, current_database()::text, rolsuper, pg_has_role('pg_monitor', 'member'),
                      current_setting('server_encoding'), current_setting('dynamic_shared_memory_type')
                 FROM pg_roles WHERE rolname = current_user""",
        )
    assert row == ("demo", "demo", False, True, "UTF8", "mmap")


def test_the_superuser_and_the_socket():
    with embedded_server() as server:
        assert ask(server.admin, "SELECT rolsuper FROM pg_roles WHERE rolname = current_user") == (True,)
        over_socket = ask(server.target, "SELECT inet_server_addr()", host=str(server.socket_directory))
    assert over_socket == (None,)


@pytest.mark.parametrize("host", ["127.0.0.1", "socket"])
def test_nobody_comes_in_without_the_password(host):
    with embedded_server() as server:
        where = str(server.socket_directory) if host == "socket" else host
        for target in (server.target, server.admin):
            with pytest.raises(psycopg2.OperationalError, match="password authentication failed"):
                ask(target, "SELECT 1", host=where, password="guess")


def test_it_listens_on_the_loopback_only():
    with embedded_postgresql() as target:
        port = target.endpoints[0].port
        rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
        listening = {row[1] for row in rows if row[3] == "0A" and row[1].endswith(f":{port:04X}")}
        assert listening == {f"0100007F:{port:04X}"}
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", port)) != 0


def test_progress_is_told_before_each_step():
    lines: list[str] = []
    with embedded_postgresql(on_progress=lines.append):
        pass
    assert lines == ["initialising a PostgreSQL 18 cluster", "starting it"]


def test_everything_is_gone_at_once(place):
    with embedded_server() as server:
        assert server.socket_directory.parent == place
        assert server.socket_directory.stat().st_mode & 0o777 == 0o700
        assert len(processes_of(place)) >= 2
    assert list(place.iterdir()) == []
    assert processes_of(place) == []


def test_also_when_the_body_raises(place):
    with pytest.raises(ZeroDivisionError), embedded_postgresql():
        _ = 1 // 0
    assert list(place.iterdir()) == []
    assert processes_of(place) == []


def test_also_when_telling_progress_raises(place):
    def broken(_: str) -> None:
        raise BrokenPipeError

    with pytest.raises(BrokenPipeError), embedded_postgresql(on_progress=broken):
        pytest.fail("not reached")
    assert list(place.iterdir()) == []
    assert processes_of(place) == []


def test_two_at_the_same_time():
    def one(_: int) -> tuple[EmbeddedServer, Any]:
        with embedded_server() as server:
            return server, ask(server.target, "SELECT current_setting('port')::int")

    with ThreadPoolExecutor(2) as pool:
        (first, (first_port,)), (second, (second_port,)) = pool.map(one, range(2))
    assert first.target.endpoints[0].port == first_port
    assert second.target.endpoints[0].port == second_port
    assert first_port != second_port
    assert first.target.password != second.target.password


def test_the_callers_environment_does_not_reach_it(monkeypatch):
    hostile = {"PATH": "", "PGPORT": "1", "PGDATA": "/nonexistent", "PGOPTIONS": "--broken", "LC_ALL": "xx_YY.nonsense"}
    hostile |= {"PYTHONPATH": "/nonexistent", "PYTHONSTARTUP": "/nonexistent", "TZ": "Mars/Olympus", "PGUSER": "root"}
    for name, value in hostile.items():
        monkeypatch.setenv(name, value)
    with embedded_postgresql() as target:
        monkeypatch.delenv("PGOPTIONS")
        assert ask(target, "SELECT current_setting('timezone'), current_setting('lc_messages')") == ("UTC", "C")


@pytest.mark.parametrize("name", ["with space", "com,ma", 'quo"te', "apo'strophe", "dollar$HOME", "ümlaut"])
def test_a_temporary_directory_with_an_odd_name(place, monkeypatch, name):
    odd = place / name
    odd.mkdir()
    odd.chmod(0o1777)
    monkeypatch.setenv("TMPDIR", str(odd))
    monkeypatch.setattr(tempfile, "tempdir", None)
    with embedded_server() as server:
        assert server.socket_directory.parent == odd
        assert list(server.socket_directory.glob(".s.PGSQL.*[0-9]"))  # libpq itself cannot name one with a comma
        assert ask(server.target, "SELECT 1") == (1,)
    assert list(odd.iterdir()) == []
    odd.rmdir()


def test_a_temporary_directory_too_long_for_a_socket(place, monkeypatch):
    long = place / ("x" * 100)
    long.mkdir()
    long.chmod(0o1777)
    monkeypatch.setenv("TMPDIR", str(long))
    with embedded_server() as server:
        assert server.socket_directory.parent == Path("/tmp")
        assert ask(server.target, "SELECT 1", host=str(server.socket_directory)) == (1,)
    assert not server.socket_directory.exists()
    long.rmdir()


def test_a_temporary_directory_with_a_line_break(place, monkeypatch):
    odd = place / "new\nline"
    odd.mkdir()
    odd.chmod(0o1777)
    monkeypatch.setenv("TMPDIR", str(odd))
    with embedded_server() as server:
        assert server.socket_directory.parent == Path("/tmp")
    assert not server.socket_directory.exists()
    odd.rmdir()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root's server runs as somebody else")
def test_a_temporary_directory_that_the_server_may_not_enter(place, monkeypatch):
    private = place / "private"
    private.mkdir(mode=0o700)
    monkeypatch.setenv("TMPDIR", str(private))
    with embedded_server() as server:
        assert server.socket_directory.parent == Path("/tmp")
    assert not server.socket_directory.exists()
    private.rmdir()
