"""The recorder in a program names the line of code that leaks, and none in a program that is well."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.leaks.place import roomy_server
from tests.leaks.programs.everything import FIRST, PROGRAMS, SECOND, UNSEEN
from tests.leaks.recorded import LINES, NOTHING_RECORDED, measure_recorded
from tests.servers.postgresql import PostgresServer

# Of each kind of judgement one, and every kind that no server can see; the others run with the slow tests.
CHOSEN = (
    *UNSEEN,
    "sessions-never-closed",
    "engine-per-request-kept",
    "transaction-across-remote-calls",
    "error-path-rolled-back",
    "async-sessions-never-closed",
    "pool-with-steady-traffic",
    "pool-at-rest",
    "listener",
    "leader-by-session-lock",
    "behind-pgbouncer",
    "slow-exporter",
)


def test_every_leak_has_its_line_or_a_reason_why_not() -> None:
    leaking = {name for name, program in PROGRAMS.items() if program.leaks}
    assert set(LINES) | NOTHING_RECORDED == leaking
    assert not set(LINES) & NOTHING_RECORDED


@pytest.mark.timeout(180)
def test_leaks_are_named_and_healthy_programs_are_not(start_postgres: Callable[..., PostgresServer]) -> None:
    recorded = measure_recorded(roomy_server(start_postgres), CHOSEN)
    assert not recorded.wrong(), f"\n{recorded.table()}"
    assert not recorded.strays, recorded.strays
    # A pooler tells its clients ids of its own, which must not be taken for the server's.
    behind = [group for group in recorded.report["groups"] if group["application"] == "behind-pgbouncer"]
    assert behind
    assert all(group["recorder"] is None for group in behind)


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("names", [FIRST, SECOND], ids=["first", "second"])
def test_every_program(start_postgres: Callable[..., PostgresServer], names: tuple[str, ...]) -> None:
    recorded = measure_recorded(roomy_server(start_postgres), names)
    print(recorded.table())
    assert not recorded.wrong(), f"\n{recorded.table()}"
    assert not recorded.strays, recorded.strays
