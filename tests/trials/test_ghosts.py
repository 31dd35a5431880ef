"""What stays behind on the server: only what nobody will tell it of."""

from __future__ import annotations

import pytest

from dbdoctor.model.trial import PoolPlan
from dbdoctor.trials.orders import TrialOrder
from tests.trials.simulating import simulate

pytestmark = pytest.mark.timeout(180)

RECYCLE = PoolPlan("recycle", "", pool_recycle=0.5)


def test_a_close_that_comes_late_leaves_nothing_behind(postgres):
    faults = ("slow-network", "silent-drop")
    trials = [TrialOrder(number, fault, 1.0, RECYCLE, 8.0) for number, fault in enumerate(faults)]
    found = simulate(postgres.dsn(), trials)
    slow, dropped = (found.records[fault, "recycle"] for fault in faults)
    assert slow.broken is None
    assert slow.ghosts == ()
    assert slow.connects == 1
    assert len(dropped.ghosts or ()) == 1
