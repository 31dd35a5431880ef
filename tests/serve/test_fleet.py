"""Many targets, some of which hang: nobody waits for them, the end comes at once, and nothing is left."""

from __future__ import annotations

import contextlib
import signal
import time

import pytest

from tests.serve.serving import ask, serving, write_config
from tests.servers.network import black_hole
from tests.servers.postgresql import PostgresServer
from tests.servers.waiting import wait_until
from tests.servers.wire import FakeServer
from tests.servers.wire_faults import CATALOGUE

OURS = "select count(*) from pg_stat_activity where application_name = 'dbdoctor'"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_targets_that_hang_keep_no_other_waiting_and_nothing_is_left(
    postgres: PostgresServer, number: signal.Signals
) -> None:
    with (
        black_hole() as swallows,
        FakeServer(CATALOGUE["silent"]) as silent,
        FakeServer(CATALOGUE["drips-error"]) as drips,
    ):
        ports = swallows, silent.port, drips.port
        profiles = {f"hangs-{n}": f"postgresql://app@127.0.0.1:{ports[n % 3]}/shop" for n in range(12)}
        profiles |= {f"good-{n}": postgres.dsn() for n in range(3)}
        config = write_config(profiles)
        # The first answer of those that hang would come in a minute.
        with serving("--all", "--config", config, "--login-timeout", "1m") as at:
            for n in range(3):
                at.wait_for("dbdoctor_looks_total", 3.0, target=f"good-{n}", outcome="answered")
            assert set(at.values("dbdoctor_up").values()) == {1.0}
            assert len(at.values("dbdoctor_up")) == 3
            assert postgres.execute(OURS)[0][0] == 3
            started = time.monotonic()
            result = at.end(number)
            assert time.monotonic() - started < 10
    assert result.exit_code == (130 if number == signal.SIGHUP else 0)
    assert result.stdout == ""
    assert (result.left_behind, result.outlived_by) == ((), ())
    wait_until(lambda: postgres.execute(OURS)[0][0] == 0, "our sessions to end")
    assert "Traceback" not in result.stderr


def test_targets_that_hang_are_named(postgres: PostgresServer) -> None:
    with contextlib.ExitStack() as stack:
        swallows = stack.enter_context(black_hole())
        silent = stack.enter_context(FakeServer(CATALOGUE["silent"])).port
        config = write_config(
            {"swallows": f"postgresql://app@127.0.0.1:{swallows}/a", "silent": f"postgresql://app@127.0.0.1:{silent}/a"}
        )
        at = stack.enter_context(serving("--all", "--config", config, "--login-timeout", "500ms"))
        at.wait_for("dbdoctor_failure", target="swallows", stage="connect", error_type="no-answer")
        at.wait_for("dbdoctor_failure", target="silent", stage="tls", error_type="accepted-then-silent")
        assert '"up": 0' in ask(at.port, "/healthz").text


def test_our_session_is_not_given_up_while_slots_are_short(start_postgres) -> None:
    """An application that leaks does not shut the doctor out: with all slots taken there is no login anew."""
    server = start_postgres(settings={"max_connections": 12})
    server.execute("create role app login password 'a'")
    dsn = server.dsn(user="app", password="a")
    with serving(dsn, "--no-config", "--login-every", "400ms", interval="200ms") as at, contextlib.ExitStack() as stack:
        at.wait_for("dbdoctor_up")
        for _ in range(8):
            stack.enter_context(contextlib.closing(server.connect(user="app", password="a")))
        at.wait_for("dbdoctor_slots_free", 0.0)
        at.wait_for("dbdoctor_findings", code="slots-nearly-full", severity="error")
        login = at.value("dbdoctor_last_login_timestamp_seconds")
        answered = at.value("dbdoctor_looks_total", outcome="answered") or 0.0
        wait_until(lambda: (at.value("dbdoctor_looks_total", outcome="answered") or 0.0) >= answered + 8, "eight looks")
        assert at.value("dbdoctor_last_login_timestamp_seconds") == login
        assert at.value("dbdoctor_up") == 1
        stack.close()
        wait_until(lambda: at.value("dbdoctor_last_login_timestamp_seconds") != login, "a login anew")
