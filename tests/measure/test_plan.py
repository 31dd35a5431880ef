"""The plan: which idle ages are tried, on how many connections, and what it promises."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dbdoctor.measure.plan import make_plan, start_times, width
from dbdoctor.model.device import known_timeouts

UP_TO = st.floats(2, 86400 * 7)
RESOLUTION = st.floats(0.005, 0.2)
CONNECTIONS = st.integers(1, 100)


@settings(max_examples=60, deadline=None)
@given(UP_TO, RESOLUTION, CONNECTIONS)
def test_the_ages_ascend_to_the_limit(up_to: float, resolution: float, connections: int) -> None:
    plan = make_plan(up_to, resolution, connections, known_timeouts())
    assert list(plan.ages) == sorted(set(plan.ages))
    assert up_to < plan.ages[-1] <= up_to + 0.6 + width(up_to, resolution)
    assert plan.longest >= plan.ages[-1]


@given(UP_TO, st.floats(0, 86400))
def test_a_resumed_plan_begins_above_what_is_known(up_to: float, above: float) -> None:
    plan = make_plan(up_to, 0.02, 24, known_timeouts(), above=above)
    assert plan.ages[0] > above or above >= up_to


@given(UP_TO)
def test_the_values_of_known_devices_have_a_bracket_of_their_own(up_to: float) -> None:
    plan = make_plan(up_to, 0.02, 24, known_timeouts())
    for value in plan.tight:
        low = max(age for age in plan.ages if age < value)
        high = min(age for age in plan.ages if age > value)
        assert high - low <= width(value, 0.02) + 0.2


def test_by_default_every_known_value_up_to_half_an_hour_is_found_in_time() -> None:
    plan = make_plan(1800.0, 0.02, 24, known_timeouts())
    starts = start_times(plan.ages, 24)
    assert set(plan.tight) == {value for value in known_timeouts() if value <= 1800}
    assert plan.longest < 1.05 * 1800
    for value in plan.tight:
        high = min(age for age in plan.ages if age > value)
        assert starts[plan.ages.index(high)] + high <= 1.15 * value


@pytest.mark.parametrize("connections", [1, 4, 12])
def test_with_few_connections_it_takes_longer(connections: int) -> None:
    assert make_plan(1800.0, 0.02, connections, known_timeouts()).longest > make_plan(1800.0, 0.02, 48).longest
