"""Programs that leak are told from programs that do not, all of them at once on one server."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.leaks.measure import Measured, measure, without_names
from tests.leaks.place import roomy_server
from tests.leaks.programs.everything import FIRST, PROGRAMS, SECOND
from tests.servers.postgresql import PostgresServer


def test_there_are_enough_of_both_kinds() -> None:
    leaking = [name for name in FIRST if PROGRAMS[name].leaks]
    assert len(leaking) >= 14
    assert len(FIRST) - len(leaking) >= 16
    assert {PROGRAMS[name].leaks for name in SECOND} == {True, False}
    assert all(program.why for program in PROGRAMS.values())


@pytest.mark.alone
@pytest.mark.timeout(300)
@pytest.mark.parametrize("names", [FIRST, SECOND], ids=["first", "second"])
def test_every_program_is_judged_as_it_is(
    start_postgres: Callable[..., PostgresServer], names: tuple[str, ...]
) -> None:
    """Named by application_name; then all of one role, database and address, so that only their processes differ."""
    measured = measure(roomy_server(start_postgres), names=names)
    _assert_right(measured)
    _assert_right(without_names(measured))
    measured.recording.unlink()


def _assert_right(measured: Measured) -> None:
    print(measured.table())
    said = f"\n{measured.table()}\n{measured.lives()}"
    # Whichever verdicts one counts as "leak".
    assert measured.f1("suspect") == 1.0, said
    assert measured.f1("leak") == 1.0, said
    # If the rule that everybody has were enough for this set, it would prove nothing.
    assert measured.f1_simple() < 1.0, said
