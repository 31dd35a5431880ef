"""Never are more sessions open at once than allowed, also when a drop leaves some on the server."""

from __future__ import annotations

import re

import pytest

from dbdoctor.model.trial import PoolPlan
from dbdoctor.trials.orders import TrialOrder
from tests.trials.simulating import simulate

pytestmark = [pytest.mark.timeout(180), pytest.mark.alone]

# A session that is told to end may still do so while the next one logs in.
_ENDING = 2
_EVENT = re.compile(r"\[(\d+)\] \S+ LOG:  (connection authorized|disconnection):")


def _most_at_once(log: str) -> int:
    """Of the sessions that the server's log tells of."""
    open_now: set[str] = set()
    most = 0
    for pid, event in _EVENT.findall(log):
        if event == "disconnection":
            open_now.discard(pid)
        else:
            open_now.add(pid)
        most = max(most, len(open_now))
    return most


def test_lost_sessions_make_room_for_new_ones(start_postgres):
    postgres = start_postgres(settings={"log_disconnections": "on"})
    allowed = 8
    # Each of them logs in anew at the same moment, when the server still holds the session before.
    pools = [PoolPlan(f"recycle-{number}", "", pool_recycle=0.5) for number in range(allowed)]
    trials = [TrialOrder(number, "silent-drop", 1.0, pool, 5.0) for number, pool in enumerate(pools)]
    found = simulate(postgres.dsn(), trials, sessions=allowed)
    for record in found.records.values():
        assert [request.error for request in record.requests] == [None], record
        assert record.ghosts is not None
        assert len(record.ghosts) == 1
        assert record.connects == 1
    observer = 1
    assert allowed + observer <= _most_at_once(postgres.log) <= allowed + observer + _ENDING
