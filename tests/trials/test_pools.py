"""The table of pools: what is to scale, on which side of the timeout each value lies, and code that runs as it stands."""

from __future__ import annotations

import ast
from collections.abc import Mapping

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from dbdoctor.model.target import Product
from dbdoctor.model.trial import PoolPlan, Scale
from dbdoctor.trials.engine_code import Name, engine_lines
from dbdoctor.trials.pools import DEFAULT, pools
from dbdoctor.trials.scaling import (
    IDLE_FACTOR,
    Keepalive,
    extra_until_found,
    found_before_use,
    found_dead,
    keepalive_in_trial,
)

POSTGRESQL = [
    "default",
    "pre-ping",
    "recycle-below",
    "recycle-above",
    "keepalive-below",
    "keepalive-above",
    "keepalive-late",
    "user-timeout",
    "pre-ping+user-timeout",
    "pre-ping+keepalive-above",
    "pre-ping+keepalive-late",
    "keepalive-below+user-timeout",
    "recycle-below+user-timeout",
    "belt-and-braces",
    "null-pool",
    "lifo",
    "keep-alive-thread",
    "statement-timeout",
    "server-keepalive",
]
SQLSERVER = [
    "default",
    "pre-ping",
    "recycle-below",
    "recycle-above",
    "query-timeout",
    "pre-ping+query-timeout",
    "keepalive-below",
    "session-recovery-off",
    "driver-manager-pooling",
    "null-pool",
    "lifo",
    "keep-alive-thread",
]

scales = st.builds(Scale, st.floats(2.0, 30.0), st.floats(30.0, 7200.0))
keepalives = st.builds(Keepalive, st.integers(1, 10_000), st.integers(1, 120), st.integers(1, 20))


@pytest.mark.parametrize(("product", "names"), [(Product.POSTGRESQL, POSTGRESQL), (Product.SQLSERVER, SQLSERVER)])
def test_every_pool_is_there_under_its_name(product: Product, names: list[str]) -> None:
    table = pools(product, Scale(4.0, 350.0))
    assert set(names) <= set(table)
    assert all(plan.name == name and plan.title for name, plan in table.items())
    assert set(DEFAULT[product]) <= set(table)
    assert len(set(DEFAULT[product])) == len(DEFAULT[product]) <= 10


@given(scales)
def test_values_lie_on_their_side_of_the_timeout(scale: Scale) -> None:
    table = pools(Product.POSTGRESQL, scale)
    used = IDLE_FACTOR * scale.trial
    assert table["recycle-below"].pool_recycle < scale.trial
    assert table["recycle-above"].pool_recycle > used
    for name, plan in table.items():
        idle = plan.connect_args.get("keepalives_idle")
        if idle is None:
            continue
        keepalive = Keepalive(int(idle), int(plan.connect_args["keepalives_interval"]), _count(plan))
        comes_back = used + plan.idle_extra
        if "below" in name or name == "belt-and-braces":
            assert keepalive.idle < scale.trial
        elif "above" in name:
            assert keepalive.idle > scale.trial
            assert found_dead(keepalive, scale.trial) + 1 < comes_back
        else:
            assert keepalive.idle > comes_back


def _count(plan: PoolPlan) -> int:
    return int(plan.connect_args["keepalives_count"])


@given(scales)
def test_the_keep_alive_thread_keeps_one_of_two(scale: Scale) -> None:
    """It asks once before the timeout and not again before the application is back, at 1.25 times the timeout."""
    plan = pools(Product.POSTGRESQL, scale)["keep-alive-thread"]
    assert plan.threads == 2
    assert plan.ping_every is not None
    assert plan.ping_every < scale.trial < IDLE_FACTOR * scale.trial < 2 * plan.ping_every


@given(keepalives, scales)
def test_a_shortened_keepalive_lies_where_the_real_one_does(real: Keepalive, scale: Scale) -> None:
    trial, note = keepalive_in_trial(real, scale)
    assert trial.idle >= 1
    assert trial.interval >= 1
    assert note is None, "the idle time of a trial is 2 s at least"
    assert (trial.idle < scale.trial) == (real.idle < scale.real)


@given(keepalives, scales)
@example(Keepalive(452, 58, 2), Scale(8.0, 2261.0))
@settings(max_examples=1000)
def test_a_loss_is_found_on_the_same_side_of_the_next_use(real: Keepalive, scale: Scale) -> None:
    """Also where whole seconds are too coarse: then the application stays away until it is found."""
    trial, _ = keepalive_in_trial(real, scale)
    comes_back = IDLE_FACTOR * scale.trial
    if found_before_use(real, scale.real):
        assert found_dead(trial, scale.trial) < comes_back + extra_until_found(trial, scale.trial)
    else:
        assert found_dead(trial, scale.trial) > comes_back


def test_what_cannot_be_kept_is_said() -> None:
    _, note = keepalive_in_trial(Keepalive(60, 10, 3), Scale(1.0, 350.0))
    assert note is not None
    assert "1 s" in note


def test_unscaled_values_are_called_real() -> None:
    plan = pools(Product.POSTGRESQL, Scale(350.0, 350.0))["belt-and-braces"]
    assert plan.pool_recycle == pytest.approx(280)
    assert plan.connect_args["keepalives_idle"] == 87
    assert all("stands for" not in text for text in plan.real.values())


def test_scaled_values_say_what_they_stand_for() -> None:
    plan = pools(Product.POSTGRESQL, Scale(4.0, 350.0))["belt-and-braces"]
    assert plan.real["pool_recycle"] == "3.2 s stands for 4m 40s"
    assert plan.real["keepalives_idle"] == "1 s stands for 87 s"
    assert "not to scale" in plan.real["keepalives_interval"]


@pytest.mark.parametrize("product", list(Product))
@pytest.mark.parametrize("scale", [Scale(4.0, 350.0), Scale(240.0, 240.0), Scale(2.0, 7200.0)])
def test_the_code_is_python_and_has_the_real_values(product: Product, scale: Scale) -> None:
    for plan in pools(product, scale).values():
        keywords = _keywords("\n".join(plan.lines))
        assert ("pool_recycle" in keywords) == (plan.pool_recycle > 0)
        if plan.pool_recycle > 0:
            assert keywords["pool_recycle"] == pytest.approx(plan.pool_recycle * scale.factor, rel=0.05)
        assert keywords.get("pool_pre_ping", False) is plan.pool_pre_ping
        arguments = keywords.get("connect_args", {})
        assert isinstance(arguments, Mapping)
        if "keepalives_idle" in arguments:
            assert (arguments["keepalives_idle"] < scale.real) == (plan.connect_args["keepalives_idle"] < scale.trial)  # type: ignore[operator]


def _keywords(code: str) -> dict[str, object]:
    calls = [
        node
        for node in ast.walk(ast.parse(code))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "create_engine"
    ]
    assert len(calls) == 1
    return {
        str(word.arg): word.value.id if isinstance(word.value, ast.Name) else ast.literal_eval(word.value)
        for word in calls[0].keywords
    }


def test_prices_put_configurations_into_order() -> None:
    cost = {name: plan.cost for name, plan in pools(Product.POSTGRESQL, Scale(4.0, 350.0)).items()}
    order = ["default", "user-timeout", "keepalive-below", "recycle-below", "pre-ping", "belt-and-braces", "null-pool"]
    assert [cost[name] for name in order] == sorted({cost[name] for name in order})
    assert cost["pre-ping+user-timeout"] > cost["pre-ping"]


def test_the_drivers_own_keepalive_is_to_scale_on_sql_server() -> None:
    """30 s come before a real path's 350 s, so they do in the trial; before a path of 20 s they come too late in both."""
    assert pools(Product.SQLSERVER, Scale(4.0, 350.0))["default"].connect_args["KeepAlive"] == "1"
    assert int(pools(Product.SQLSERVER, Scale(4.0, 20.0))["default"].connect_args["KeepAlive"]) > 4
    unscaled = pools(Product.SQLSERVER, Scale(350.0, 350.0))["default"]
    assert not unscaled.connect_args
    freetds = pools(Product.SQLSERVER, Scale(4.0, 350.0), freetds=True)
    assert "keepalive-below" not in freetds, "nobody can tell it"
    assert "own 40 s" in freetds["default"].real["KeepAlive"]
    assert freetds["recycle-below"].connect_args["KeepAlive"] == "1"


def test_code_quotes_what_it_is_given() -> None:
    lines = engine_lines({"poolclass": Name("NullPool")}, {"options": '-c a="b\\c"'})
    assert _keywords("\n".join(lines)) == {"poolclass": "NullPool", "connect_args": {"options": '-c a="b\\c"'}}
