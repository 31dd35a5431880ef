"""What a simulation tries, and for how long: pure."""

from __future__ import annotations

import pytest

from dbdoctor.faults.kinds import all_faults
from dbdoctor.model.trial import PoolPlan, Scale
from dbdoctor.trials.planning import make_plan

SCALE = Scale(4.0, 350.0)
PLAIN = PoolPlan("plain", "")


@pytest.mark.parametrize(
    ("pool", "least"),
    [
        (PLAIN, 2.0),
        (PoolPlan("user-timeout", "", connect_args={"tcp_user_timeout": 5000}), 10.0),
        (PoolPlan("connect-timeout", "", connect_args={"connect_timeout": 3}), 6.0),
        (PoolPlan("query-timeout", "", query_timeout=2.0), 6.0),
    ],
)
def test_a_pool_is_given_the_time_that_its_own_limit_takes(pool, least):
    plan = make_plan([all_faults()["silent-drop"]], [pool], SCALE, sessions=5, cap=2.0)
    (trial,) = plan.trials
    assert trial.cap >= least


@pytest.mark.parametrize(
    "fault", ["login-stall", "failover-read-only", "lost-reply", "black-hole-proxy", "silent-drop"]
)
def test_what_may_last_until_it_is_cut_off_is_told_so(fault):
    plan = make_plan([all_faults()[fault]], [PLAIN], SCALE, sessions=5, cap=30.0)
    assert plan.longest >= 30.0
    assert plan.quickest < 10.0


def test_what_ends_by_itself_is_told_so():
    plan = make_plan([all_faults()["closed"]], [PLAIN], SCALE, sessions=5, cap=30.0)
    assert plan.longest == plan.quickest < 10.0
