"""The recorder in a program names the line of code that leaks, and none in a program that is well."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.leaks.place import roomy_server
from tests.leaks.programs.everything import FIRST, PROGRAMS, SECOND, UNSEEN
from tests.leaks.recorded import LINES, NOTHING_RECORDED, measure_recorded
from tests.servers.postgresql import PostgresServer


def test_every_leak_has_its_line_or_a_reason_why_not() -> None:
    leaking = {name for name, program in PROGRAMS.items() if program.leaks}
    assert set(LINES) | NOTHING_RECORDED == leaking
    assert not set(LINES) & NOTHING_RECORDED


@pytest.mark.alone
@pytest.mark.timeout(300)
@pytest.mark.parametrize("names", [FIRST, (*SECOND, *UNSEEN)], ids=["first", "second and unseen"])
def test_leaks_are_named_and_healthy_programs_are_not(
    start_postgres: Callable[..., PostgresServer], names: tuple[str, ...]
) -> None:
    recorded = measure_recorded(roomy_server(start_postgres), names)
    print(recorded.table())
    assert not recorded.wrong(), f"\n{recorded.table()}"
    assert not recorded.strays, recorded.strays
    # A pooler tells its clients ids of its own, which must not be taken for the server's.
    behind = [group for group in recorded.report["groups"] if group["application"] == "behind-pgbouncer"]
    assert bool(behind) == ("behind-pgbouncer" in names)
    assert all(group["recorder"] is None for group in behind)
