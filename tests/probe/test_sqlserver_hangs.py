"""Whatever hangs, wherever, with whichever driver: `check` answers within 0.3 s of its login timeout, and says where."""

from __future__ import annotations

import struct
from collections.abc import Callable

import pytest

from tests.probe.sqlserver_named import NamedSqlServer, at, driver, named_sqlserver
from tests.servers.network import black_hole, refused_port
from tests.servers.tds import Delay, End, Say, Silence, TdsServer, Trickle
from tests.servers.tds.controls import Action
from tests.servers.tds.errors import EndError
from tests.servers.tds.packets import Channel

__all__ = ["driver", "named_sqlserver"]

Start = Callable[..., TdsServer]

SILENCES = [
    ("accepted", "accepted-then-silent", "silent when accepted"),
    ("prelogin", "accepted-then-silent", "silent after PRELOGIN"),
    ("prelogin-answered", "tls-handshake-stalled", "silent in the TLS handshake"),
    ("tls", "login-stalled", "silent after TLS"),
    ("login", "login-stalled", "silent after the login was sent"),
    ("logged-in", "query-stalled", "silent after the login"),
    ("query", "query-stalled", "silent at the first query"),
]


# What comes after the login can only be silent when a slow machine has logged in before the deadline.
BEHIND_A_LOGIN = ("logged-in", "query")
DEADLINES = [
    pytest.param(*row, seconds, id=f"{seconds}-{row[0]}")
    for row in SILENCES
    for seconds in ((2.5, 5.0) if row[0] in BEHIND_A_LOGIN else (1.0, 2.5))
]


@pytest.mark.parametrize(("stage", "code", "what", "seconds"), DEADLINES)
def test_silence(
    driver: str,
    stage: str,
    code: str,
    what: str,
    seconds: float,
    start_tds: Start,
    named_sqlserver: NamedSqlServer,
) -> None:
    server = start_tds(encryption="required")
    server.controls.at(stage, Silence())  # type: ignore[arg-type]
    dsn = server.dsn(driver, **({"TrustServerCertificate": "yes"} if driver == "microsoft" else {}))
    row = seconds > 2 and stage not in ("accepted", "prelogin")
    answer = named_sqlserver(code, dsn, login_timeout=seconds, what=what, row=row)
    assert answer.object["seconds"] >= seconds * 0.6
    assert answer.seconds < seconds + 0.3 + 0.7  # and the process's own start and end


@pytest.mark.parametrize("stage", ["prelogin", "login", "logged-in"])
def test_answers_at_a_trickle(driver: str, stage: str, start_tds: Start, named_sqlserver: NamedSqlServer) -> None:
    server = start_tds()
    server.controls.at(stage, Trickle(0.4))  # type: ignore[arg-type]
    code = {"prelogin": "accepted-then-silent", "login": "login-stalled", "logged-in": "query-stalled"}[stage]
    named_sqlserver(code, server.dsn(driver), login_timeout=1.5, row=False)


@pytest.mark.parametrize("driver", ["microsoft"])
def test_a_server_that_ignores_the_cancelling(driver: str, start_tds: Start, named_sqlserver: NamedSqlServer) -> None:
    """The driver would wait three times its query timeout for the answer to its attention."""
    server = start_tds()
    server.controls.ignores_attention = True
    server.controls.at("query", Silence(), matching="SERVERPROPERTY")
    named_sqlserver("query-stalled", server.dsn(driver), login_timeout=3.0, row=False)


def test_slow_but_in_time(driver: str, start_tds: Start, named_sqlserver: NamedSqlServer) -> None:
    server = start_tds()
    server.controls.at("login", Delay(0.8), times=1)
    answer = named_sqlserver(None, server.dsn(driver), "--samples=1", exit_code=0, login_timeout=3.0, row=False)
    assert answer.object["cost"]["login_median_seconds"] >= 0.8


def test_black_hole_takes_no_longer(driver: str, named_sqlserver: NamedSqlServer) -> None:
    with black_hole() as port:
        named_sqlserver("no-answer", at(driver, "127.0.0.1", port), login_timeout=0.5, row=False)


# --- cut instead of silent


@pytest.mark.parametrize("how", ["fin", "rst"])
@pytest.mark.parametrize("stage", ["tls", "login"])
def test_cut_during_the_login(
    driver: str, stage: str, how: str, start_tds: Start, named_sqlserver: NamedSqlServer
) -> None:
    server = start_tds()
    server.controls.at(stage, End(how))  # type: ignore[arg-type]
    what = {"fin": "closed", "rst": "reset"}[how] + {"tls": " after TLS", "login": " at the login"}[stage]
    dsn = server.dsn(driver, **({} if driver == "microsoft" else {"Encryption": "request"}))
    named_sqlserver("closed-during-login", dsn, what=what)


def test_cut_at_the_first_query(driver: str, start_tds: Start, named_sqlserver: NamedSqlServer) -> None:
    server = start_tds()
    server.controls.at("query", End("rst"))
    named_sqlserver("query-failed", server.dsn(driver), what="reset at the first query")


def test_nonsense_instead_of_a_login_s_answer(driver: str, start_tds: Start, named_sqlserver: NamedSqlServer) -> None:
    server = start_tds()
    server.controls.at("login", Say(bytes.fromhex("0401001000000100") + b"\xde\xad\xbe\xef" * 2, then="fin"))
    dsn = server.dsn(driver)
    code = {"microsoft": "client-refused", "freetds": "closed-during-login"}[driver]
    named_sqlserver(code, dsn, row=False)


# --- Azure's gateway sends the client on


class Route(Action):
    """Answers the login with ENVCHANGE 20: go there."""

    def __init__(self, host: str, port: int) -> None:
        name = host.encode("utf-16-le")
        value = struct.pack("<BHH", 0, port, len(host)) + name
        change = bytes([20]) + struct.pack("<H", len(value)) + value + struct.pack("<H", 0)
        text = "Microsoft SQL Server"
        acknowledged = bytes([1]) + bytes.fromhex("74000004") + bytes([len(text)]) + text.encode("utf-16-le") + bytes(4)
        self.body = b"".join(
            bytes([token]) + struct.pack("<H", len(data)) + data
            for token, data in ((0xAD, acknowledged), (0xE3, change))
        ) + struct.pack("<BHHQ", 0xFD, 0, 0, 0)

    def __call__(self, channel: Channel, server_name: str) -> None:
        channel.send_message(self.body)
        raise EndError


def test_redirect_is_followed(driver: str, start_tds: Start, named_sqlserver: NamedSqlServer) -> None:
    gateway, database = start_tds("azure-sql-db-standard"), start_tds("azure-sql-db-standard")
    gateway.controls.at("login", Route("127.0.0.1", database.port))
    named_sqlserver(None, gateway.dsn(driver), exit_code=0, row=False)
    assert database.logins


def test_redirect_to_a_closed_port(driver: str, start_tds: Start, named_sqlserver: NamedSqlServer) -> None:
    gateway = start_tds("azure-sql-db-standard")
    with refused_port() as port:
        gateway.controls.at("login", Route("127.0.0.1", port))
        named_sqlserver(
            "azure-redirect-blocked", gateway.dsn(driver), what="Azure redirect to a closed port", login_timeout=3.0
        )


def test_redirect_into_a_black_hole(driver: str, start_tds: Start, named_sqlserver: NamedSqlServer) -> None:
    gateway = start_tds("azure-sql-db-standard")
    with black_hole() as port:
        gateway.controls.at("login", Route("127.0.0.1", port))
        answer = named_sqlserver(
            "azure-redirect-blocked", gateway.dsn(driver), what="Azure redirect into a black hole", login_timeout=3.0
        )
    assert answer.finding("azure-redirect-blocked")["evidence"]["routed_to"] == f"127.0.0.1:{port}"
