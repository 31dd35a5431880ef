"""The Browser on 1434 as Microsoft's driver asks it, and by itself."""

from __future__ import annotations

import socket
import time

import pytest

from tests.servers import odbc
from tests.servers.tds import SqlBrowser, TdsServer
from tests.servers.tds.browser import PORT

odbc.load()

import pyodbc  # noqa: E402


def ask(browser: SqlBrowser, question: bytes) -> bytes | None:
    """The answer, None when none comes."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.settimeout(0.3)
        client.sendto(question, (browser.host, browser.port))
        try:
            return client.recv(65536)
        except TimeoutError:
            return None


def test_what_it_answers() -> None:
    with SqlBrowser({"SQLEXPRESS": 50123, "other": 50124}) as browser:
        answer = ask(browser, b"\x04sqlexpress\0")
        assert answer is not None
        assert answer[0] == 5
        assert int.from_bytes(answer[1:3], "little") == len(answer) - 3
        expected = "ServerName;TESTS;InstanceName;SQLEXPRESS;IsClustered;No;Version;16.0.4175.1;tcp;50123;;"
        assert answer[3:].decode() == expected
        assert ask(browser, b"\x04nix\0") is None
        everything = ask(browser, b"\x03")
        assert everything is not None
        assert everything.count(b"InstanceName") == 2
        assert browser.asked == [b"\x04sqlexpress\0", b"\x04nix\0", b"\x03"]
    with SqlBrowser({"SQLEXPRESS": 50123}, silent=True) as silent:
        assert ask(silent, b"\x04sqlexpress\0") is None
        assert silent.asked == [b"\x04sqlexpress\0"]


@pytest.mark.xdist_group("udp-1434")
def test_a_named_instance_is_found() -> None:
    with TdsServer() as server:
        own = server.dsn("microsoft", Server="127.0.0.1\\EXPRESS")
        with SqlBrowser({"EXPRESS": server.port}, port=PORT) as browser:
            connection = pyodbc.connect(own, timeout=60)
            assert connection.execute("SELECT 1").fetchone()[0] == 1
            connection.close()
            assert browser.asked[0] == b"\x04express\0"
        started = time.monotonic()
        with SqlBrowser({}, port=PORT, silent=True), pytest.raises(pyodbc.Error) as caught:
            pyodbc.connect(own, timeout=2)
        assert caught.value.args[0] == "HYT00"
        assert time.monotonic() - started < 6
