import math
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dbdoctor.sizing import closed_forms as forms
from dbdoctor.sizing.replay import replay
from tests.sizing import demands


# Printed tables of Erlang B (blocked calls) and Erlang C (delayed calls), to four places.
@pytest.mark.parametrize(
    ("load", "size", "blocked"), [(2, 4, 0.0952), (5, 5, 0.2849), (10, 10, 0.2146), (10, 15, 0.0365), (20, 30, 0.0085)]
)
def test_erlang_b_as_in_the_tables(load, size, blocked):
    assert forms.erlang_b(load, size) == pytest.approx(blocked, abs=5e-5)


@pytest.mark.parametrize(
    ("load", "size", "waits"), [(0.5, 1, 0.5), (1, 2, 0.3333), (2, 3, 0.4444), (4, 5, 0.5541), (10, 15, 0.1020)]
)
def test_erlang_c_as_in_the_tables(load, size, waits):
    assert forms.erlang_c(load, size) == pytest.approx(waits, abs=5e-5)


@given(st.integers(1, 30), st.integers(1, 40))
def test_erlang_b_is_its_definition(load, size):
    terms = [Fraction(load) ** k / math.factorial(k) for k in range(size + 1)]
    assert forms.erlang_b(load, size) == pytest.approx(float(terms[-1] / sum(terms)), rel=1e-9)


@given(st.floats(0.1, 200), st.floats(0.001, 10), st.floats(0.5, 0.999), st.floats(0, 5), st.floats(0.1, 5))
def test_the_smallest_size_is_the_smallest(load, use, share, wait, variability):
    size = forms.smallest_size(load, use, share, wait, variability)
    assert forms.wait_quantile(load, size, use, share, variability) <= wait * (1 + 1e-9)
    if size - 1 > load:
        assert forms.wait_quantile(load, size - 1, use, share, variability) > wait


def test_a_very_large_load_stays_within_a_double():
    assert 10_000 < forms.smallest_size(10_000, 0.02, 0.99, 0.01) < 10_500
    assert forms.probability_above(10_000, 10_300) == pytest.approx(0.00133, rel=0.1)


def test_on_poisson_arrivals_replay_and_erlang_c_agree():
    course = demands.poisson(load=8, seconds=1000, seed=3)
    waits = replay(course.arrivals, course.uses, 12)
    waited = sum(wait > 0 for wait in waits) / len(waits)
    assert waited == pytest.approx(forms.erlang_c(8, 12), rel=0.1)
    assert sum(waits) / len(waits) == pytest.approx(forms.mean_wait(8, 12, demands.USE), rel=0.15)


def test_saturated_is_infinite_and_everybody_waits():
    assert forms.erlang_c(5, 5) == 1
    assert forms.wait_quantile(5, 5, 1, 0.5) == math.inf
    assert forms.mean_wait(6, 5, 1) == math.inf


def test_square_root_staffing_and_poisson_tail():
    assert forms.square_root_staffing(8) == 14
    assert forms.probability_above(2, 0) == pytest.approx(1 - math.exp(-2))
    assert forms.probability_above(8, 13) == pytest.approx(0.0342, abs=1e-3)
