"""The cheapest pool that survives, and what is given when none does."""

from __future__ import annotations

from collections.abc import Mapping

from hypothesis import given
from hypothesis import strategies as st

from dbdoctor.model.target import Product
from dbdoctor.model.trial import Case, Outcome, Scale
from dbdoctor.trials.cheapest import cheapest
from dbdoctor.trials.pools import pools
from tests.trials.records import case, plan

OK, ONE, MANY, HANG = Outcome.SURVIVES, Outcome.ONE_ERROR, Outcome.ERRORS, Outcome.HANGS
CHEAP, DEAR = plan("cheap", cost=1), plan("dear", cost=9)


def cases(**of_pool: Mapping[str, Outcome | None]) -> list[Case]:
    return [case(fault, pool, outcome) for pool, found in of_pool.items() for fault, outcome in found.items()]


def test_the_price_decides_among_survivors() -> None:
    best = cheapest([DEAR, CHEAP], cases(cheap={"a": OK, "b": OK}, dear={"a": OK, "b": OK}))
    assert best is not None
    assert (best.pool, best.survives, best.still_seen, best.untried) == (CHEAP, True, (), ())


def test_surviving_comes_before_the_price() -> None:
    best = cheapest([CHEAP, DEAR], cases(cheap={"a": OK, "b": ONE}, dear={"a": OK, "b": OK}))
    assert best is not None
    assert best.pool is DEAR


def test_of_the_same_price_the_one_with_fewer_settings() -> None:
    more = plan("more", connect_args={"a": 1, "b": 2}, cost=1)
    fewer = plan("fewer", connect_args={"a": 1}, cost=1)
    best = cheapest([more, fewer], cases(more={"a": OK}, fewer={"a": OK}))
    assert best is not None
    assert best.pool is fewer


def test_if_none_survives_the_least_harm_and_what_is_still_seen() -> None:
    best = cheapest([CHEAP, DEAR], cases(cheap={"a": HANG, "b": OK}, dear={"a": ONE, "b": MANY}))
    assert best is not None
    assert (best.pool, best.survives) == (DEAR, False)
    assert [one.fault for one in best.still_seen] == ["a", "b"]


def test_what_could_not_be_tried_with_anything_does_not_count() -> None:
    best = cheapest([CHEAP, DEAR], cases(cheap={"a": OK, "b": None}, dear={"a": OK, "b": None}))
    assert best is not None
    assert (best.pool, best.survives, best.untried) == (CHEAP, True, ("b",))


def test_what_was_not_tried_with_a_pool_is_not_proven() -> None:
    best = cheapest([CHEAP, DEAR], cases(cheap={"a": OK, "b": None}, dear={"a": OK, "b": OK}))
    assert best is not None
    assert best.pool is DEAR
    interrupted = cheapest([CHEAP, DEAR], cases(cheap={"a": OK}, dear={"a": OK, "b": OK}))
    assert interrupted is not None
    assert interrupted.pool is DEAR


def test_nothing_tried_is_no_answer() -> None:
    assert cheapest([CHEAP], cases(cheap={"a": None})) is None
    assert cheapest([], []) is None


outcomes = st.sampled_from([OK, ONE, MANY, HANG, None])
matrices = st.lists(st.tuples(st.integers(0, 20), outcomes, outcomes), min_size=1, max_size=6)


@given(matrices)
def test_whoever_survives_all_and_costs_less_would_have_been_named(rows: list[tuple[int, Outcome, Outcome]]) -> None:
    plans = [plan(f"p{number}", cost=cost) for number, (cost, _, _) in enumerate(rows)]
    found = [case(fault, f"p{n}", seen) for n, (_, a, b) in enumerate(rows) for fault, seen in (("a", a), ("b", b))]
    best = cheapest(plans, found)
    tried = [place for place in (1, 2) if any(row[place] for row in rows)]
    survivors = [cost for cost, *row in rows if tried and all(row[place - 1] is OK for place in tried)]
    assert (best is not None and best.survives) == bool(survivors)
    if best is not None and best.survives:
        assert best.pool.cost == min(survivors)
        assert not best.still_seen


def test_its_code_is_the_pools() -> None:
    table = pools(Product.POSTGRESQL, Scale(4.0, 350.0))
    best = cheapest([table["recycle-below"]], [case("a", "recycle-below", OK)])
    assert best is not None
    assert best.lines == ("engine = create_engine(url, pool_recycle=280)",)
