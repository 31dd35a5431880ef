import pytest

from dbdoctor.model.demand import Course, Samples, Stated, Trace
from dbdoctor.model.sizing import Surroundings, WaitTarget
from dbdoctor.sizing.barging import PoolModel, simulate_one
from dbdoctor.sizing.bootstrap import size_range
from dbdoctor.sizing.choice import from_nothing, from_samples, from_stated, from_trace
from dbdoctor.sizing.closed_forms import smallest_size
from dbdoctor.sizing.demand import busiest, of_samples, of_stated, of_trace, slices
from dbdoctor.sizing.replay import sweep
from tests.sizing import demands

TARGET = WaitTarget(0.99, 0.010)


def trace(*courses: Course) -> Trace:
    return Trace(
        courses,
        sum(len(course.arrivals) for course in courses),
        max(course.span for course in courses),
        len({course.process for course in courses}),
    )


def choose(*courses: Course, target: WaitTarget = TARGET):
    recorded = trace(*courses)
    return from_trace(recorded, of_trace(recorded), target)


def by_brute_force(course: Course, target: WaitTarget = TARGET) -> int:
    """The smallest pool that keeps the target, by SQLAlchemy's own queue, one size after the other."""
    for size in range(1, 200):
        _, waits = simulate_one(course.arrivals, course.uses, PoolModel(size, timeout=1e9, connect=0.0))
        if sum(wait is not None and wait > target.wait for wait in waits) <= (1 - target.share) * len(waits):
            return size
    raise AssertionError("no size does")


@pytest.mark.parametrize("target", [TARGET, WaitTarget(0.95, 0.005), WaitTarget(0.999, 0.1)])
@pytest.mark.parametrize("shape", [demands.poisson, demands.bursty, demands.heavy_tailed, demands.diurnal])
def test_the_size_is_the_smallest_that_keeps_the_target(shape, target):
    course = shape(seconds=40)
    choice = choose(course, target=target)
    assert abs(choice.size - by_brute_force(course, target)) <= 1
    assert choice.range is not None
    assert choice.range.least <= choice.size <= choice.range.most
    assert choice.saturated is None
    assert choice.evidence["target_wait_seconds"] == target.wait


def test_bursts_need_more_than_twice_what_erlang_c_says():
    choice = choose(demands.bursty(load=8, seconds=120, every=20))
    assert choice.size >= 26
    assert smallest_size(8, demands.USE, *TARGET) < choice.size / 2 + 1
    assert not any(check.agrees for check in choice.cross_checks)


def test_on_poisson_arrivals_the_closed_forms_agree():
    choice = choose(demands.poisson(seconds=60))
    assert {check.name for check in choice.cross_checks} == {"Erlang C", "Allen-Cunneen", "square root staffing"}
    assert all(check.agrees for check in choice.cross_checks)


def test_the_range_of_a_short_trace_holds_what_a_long_one_says():
    long = choose(demands.bursty(seconds=300)).size
    held = 0
    for seed in range(10):
        found = choose(demands.bursty(seconds=30, seed=100 + seed)).range
        assert found is not None
        held += found.least - 1 <= long <= found.most + 1
    assert held >= 8


def test_each_process_gets_what_one_process_needs():
    one = choose(demands.poisson(seconds=30)).size
    two = choose(demands.poisson(seconds=30), demands.poisson(seconds=30, seed=2)._replace(process="b"))
    assert abs(two.size - one) <= 1


def test_throttled_callers_are_replayed_as_callers():
    choice = choose(demands.closed(20, pause=0, size=5))
    assert choice.evidence["closed_loop"] is True
    assert 15 <= choice.size <= 20
    assert any("fixed number of callers" in note for note in choice.notes)


@pytest.mark.parametrize("load", [3.6, 4, 5])
def test_a_saturated_database_is_told_and_not_met_with_a_larger_pool(load):
    choice = choose(demands.saturated(load, cores=4))
    assert choice.saturated is not None
    assert "the database is the bottleneck" in choice.saturated
    assert 3 <= choice.size <= 10
    assert 3 <= choice.evidence["knee"] <= 9


@pytest.mark.parametrize(
    "course",
    [demands.poisson(), demands.bursty(), demands.heavy_tailed(), demands.diurnal(), demands.saturated(2, 4)],
    ids=["poisson", "bursty", "heavy-tailed", "diurnal", "half-busy database"],
)
def test_nothing_else_is_taken_for_a_saturated_database(course):
    assert choose(course).saturated is None


def test_a_database_overrun_from_the_first_moment_is_told_by_that_moment():
    choice = choose(demands.saturated(7, cores=4, size=40, seconds=30))
    assert choice.saturated is not None
    assert choice.size < 30


def test_where_even_that_moment_is_too_short_it_is_said():
    choice = choose(demands.saturated(20, cores=4, size=40, seconds=30))
    assert choice.saturated or any("cannot show whether the pool or the database" in note for note in choice.notes)


@pytest.mark.parametrize("callers", [12, 40])
def test_what_a_recording_cannot_show_is_said(callers):
    always = choose(demands.closed(callers, pause=0, size=callers))
    assert any("cannot show whether the pool or the database" in note for note in always.notes)
    assert not any("cannot show" in note for note in choose(demands.bursty(seconds=30)).notes)


def test_a_pool_that_was_too_small_is_not_a_saturated_database():
    plan = demands.poisson(8, 60)
    _, waits = simulate_one(plan.arrivals, plan.uses, PoolModel(6, timeout=1e9, connect=0.0))
    recorded = plan._replace(waits=type(plan.waits)("d", (wait or 0.0 for wait in waits)))
    choice = choose(recorded)
    assert choice.saturated is None
    assert abs(choice.size - by_brute_force(plan)) <= 1


def test_a_saturated_database_shared_by_several_processes():
    whole = demands.saturated(4.5, cores=4)
    parts = [
        Course(name, *(type(column)("d", column[start::2]) for column in whole[1:]))
        for start, name in enumerate(("a", "b"))
    ]
    choice = choose(*parts)
    assert choice.saturated is not None
    assert 2 <= choice.size <= 6


def test_samples_give_a_count_and_a_range():
    samples = Samples((tuple([1, 2, 3] * 40), tuple([2, 2, 6] * 40)), interval=1.0)
    demand = of_samples(samples)
    choice = from_samples(samples, demand, TARGET)
    assert (choice.size, choice.pool_size) == (7, 6)
    assert choice.range == (6, 10)
    assert demand.load == pytest.approx(8 / 3)
    assert demand.most_at_once == 6
    assert any("saturated" in note for note in of_samples(samples._replace(saturated=True)).notes)


def test_stated_figures_are_erlang_c_and_bursts_are_assumed():
    stated = Stated(rate=400, use=0.02)
    choice = from_stated(stated, of_stated(stated), TARGET)
    assert choice.pool_size == smallest_size(8, 0.02, *TARGET)
    assert choice.size == smallest_size(24, 0.02, *TARGET)
    assert "a guess" in choice.reason
    told = from_stated(stated._replace(burst=1.0), of_stated(stated), TARGET)
    assert told.size == told.pool_size == choice.pool_size
    assert "a guess" not in told.reason


def test_nothing_known_is_a_rule_of_thumb_and_says_so():
    choice = from_nothing(Surroundings())
    assert "rule of thumb" in choice.reason
    assert choice.range == (5, 20)
    assert from_nothing(Surroundings(threads=16)).size == 16


def test_the_bootstrap_is_the_same_for_the_same_seed():
    swept = sweep([demands.bursty(seconds=30)], range(5, 40))
    assert size_range(swept, *TARGET, seed=7) == size_range(swept, *TARGET, seed=7)
    assert size_range(sweep([demands.course([(0, 1)])], [1]), *TARGET) is None


def test_parts_of_a_long_trace_keep_its_peak_and_its_load():
    course = demands.bursty(seconds=100, every=50)
    part = busiest([course], 5_000)
    assert sum(len(one.arrivals) for one in part) <= 5_000
    assert any(one.arrivals[0] < 50.5 < one.arrivals[-1] or one.arrivals[0] < 0.5 for one in part)
    even = slices([demands.poisson(seconds=100)], 8_000)
    assert sum(len(one.arrivals) for one in even) == pytest.approx(8_000, rel=0.1)


def test_a_demand_in_figures():
    demand = of_trace(trace(demands.bursty(seconds=50)))
    assert demand.load == pytest.approx(8 * 1.2, rel=0.05)
    assert demand.peak_load == pytest.approx(24, rel=0.1)
    assert demand.use == pytest.approx(demands.USE, rel=0.02)
    assert demand.use_cv == pytest.approx(1, rel=0.05)
    assert any("ten minutes" in note for note in demand.notes)


def test_use_times_with_a_heavy_tail_are_told():
    assert any("vary widely" in note for note in of_trace(trace(demands.heavy_tailed())).notes)
    assert not any("vary widely" in note for note in of_trace(trace(demands.poisson(seconds=20))).notes)


def test_two_checkouts_in_a_row_are_not_the_busiest_part():
    pairs = [demands.course([(0, 0.1), (1e-9, 0.1)], f"brief-{number}") for number in range(50)]
    steady = demands.poisson(seconds=10)
    assert busiest([*pairs, steady], 1_000)[0].process == steady.process
