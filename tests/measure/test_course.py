"""The course of a measurement, on a path that is simulated: it finds every timeout, in time, with what it may open."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dbdoctor.measure.plan import width
from dbdoctor.model.measured import Bracket, Drop
from tests.measure.simulated import ANNOUNCED, KNOWN, Path, Run, measure

DROPS = st.sampled_from([Drop.SILENT, Drop.RESET_ON_USE, Drop.RESET, Drop.CLOSED, Drop.SERVER_ERROR])
TRIPS = st.sampled_from([0.0005, 0.02, 0.1])
TIMEOUTS = st.one_of(st.floats(1, 15), st.floats(1, 1800), st.sampled_from([one for one in KNOWN if one <= 1800]))


def found(run: Run, path: Path, resolution: float = 0.02) -> None:
    low, high = run.bracket
    assert path.timeout is not None
    assert high is not None
    assert low <= path.timeout <= high
    # What announces itself is seen up to a look of the device at its clock too late.
    least = 0.36 + path.trip if path.drop in ANNOUNCED else 0.0
    assert high - low <= max(least, width(high, resolution)) + 2 * path.trip + 0.05
    assert run.drop is path.drop


@settings(max_examples=250, deadline=None)
@given(TIMEOUTS, DROPS, TRIPS)
def test_it_finds_the_timeout_in_time(timeout: float, drop: Drop, trip: float) -> None:
    path = Path(timeout, drop, trip=trip)
    run = measure(path)
    found(run, path)
    soon = timeout in KNOWN or drop in ANNOUNCED
    assert run.seconds <= (1.15 if soon else 2.3) * timeout + 2
    assert run.most_open <= 24


@settings(max_examples=60, deadline=None)
@given(st.floats(1, 3600), DROPS, st.integers(1, 60), st.floats(0.005, 0.1))
def test_with_any_number_of_connections(timeout: float, drop: Drop, connections: int, resolution: float) -> None:
    path = Path(timeout, drop)
    run = measure(path, up_to=3600, connections=connections, resolution=resolution)
    found(run, path, resolution)
    assert run.most_open <= connections


@settings(max_examples=60, deadline=None)
@given(st.floats(1, 300), st.sampled_from(sorted(ANNOUNCED)))
def test_a_device_that_looks_at_its_clock_three_times_a_second(timeout: float, drop: Drop) -> None:
    run = measure(Path(timeout, drop, tick=1 / 3))
    low, high = run.bracket
    assert high is not None
    assert low - 0.05 <= timeout <= high
    assert high - timeout <= max(0.34, 0.02 * timeout) + 0.05


@settings(max_examples=30, deadline=None)
@given(st.floats(2, 7200))
def test_a_path_without_a_timeout(up_to: float) -> None:
    run = measure(Path(None), up_to=up_to)
    assert run.bracket.at_most is None
    assert run.bracket.at_least >= up_to
    assert run.seconds <= 1.15 * up_to + 3
    assert run.drop is Drop.NONE


@settings(max_examples=60, deadline=None)
@given(st.floats(2, 1200), st.sampled_from([Drop.SILENT, Drop.CLOSED]), st.sets(st.integers(0, 40), max_size=3))
def test_single_accidents_do_not_mislead(timeout: float, drop: Drop, accidents: set[int]) -> None:
    """A connection of which nothing comes back, once in a while."""
    path = Path(timeout, drop, accidents=frozenset(accidents))
    run = measure(path)
    low, high = run.bracket
    if run.trouble:  # several accidents look like an outage: it begins anew
        assert len(accidents) > 1
        return
    assert high is not None
    # Of accidents alone one could be next to the other, and be taken for the truth below it, but never above.
    assert low <= timeout
    if len(accidents) < 2:
        assert timeout <= high


@settings(max_examples=40, deadline=None)
@given(st.floats(30, 1700), st.floats(0.1, 0.9))
def test_the_end_of_all_connections_at_once_is_no_idle_timeout(up_to: float, share: float) -> None:
    run = measure(Path(None, outage_at=share * up_to), up_to=up_to)
    assert run.trouble


def test_also_before_any_connection_was_used() -> None:
    assert measure(Path(None, outage_at=0.8)).trouble


@settings(max_examples=40, deadline=None)
@given(st.floats(2, 1500), st.floats(0.05, 0.95), DROPS)
def test_it_is_resumed_above_what_was_known(timeout: float, share: float, drop: Drop) -> None:
    path = Path(timeout, drop)
    run = measure(path, bracket=Bracket(share * timeout, None))
    found(run, path)
    assert run.seconds <= 3 * timeout + 3


def test_an_end_that_stays_alone_is_an_accident() -> None:
    from dbdoctor.measure.ends import End, Verdict, judge_ends

    one = End(9.9, 10.0, 100.0, Drop.CLOSED)
    assert judge_ends([one], [3.0, 5.0]) is Verdict.UNDECIDED
    assert judge_ends([one], [3.0, 50.0]) is Verdict.ACCIDENT
    assert judge_ends([one, one], [3.0]) is Verdict.TIMEOUT
    assert judge_ends([one, End(2.0, 2.1, 100.0, Drop.CLOSED)], []) is Verdict.OUTAGE


@pytest.mark.parametrize("late", [0.05, 0.5])
def test_a_loop_that_is_late_is_still_right(late: float) -> None:
    path = Path(100.0, Drop.SILENT, late=late)
    low, high = measure(path).bracket
    assert high is not None
    assert low <= 100.0 <= high
