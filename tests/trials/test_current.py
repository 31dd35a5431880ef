"""The user's own pool: from what its engine or its profile says to a plan that is to scale."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dbdoctor.model.pool import PoolSettings
from dbdoctor.model.target import Endpoint, Product, Target
from dbdoctor.model.trial import PoolPlan, Scale
from dbdoctor.targets.live_engine import read_engine
from dbdoctor.trials.current import current, without_timing
from dbdoctor.trials.scaling import IDLE_FACTOR, Keepalive, found_dead

SCALE = Scale(4.0, 350.0)
TARGET = Target(Product.POSTGRESQL, (Endpoint("db", 5432),))
MSSQL = Target(Product.SQLSERVER, (Endpoint("db", 1433),), parameters={"Driver": "ODBC Driver 18 for SQL Server"})


def planned(target: Target, scale: Scale = SCALE, **more: Any) -> PoolPlan:
    found = current(target, scale, **more)
    assert found.plan is not None, found.reason
    assert found.plan.name == "current"
    return found.plan


def test_nothing_known_is_said() -> None:
    found = current(TARGET, SCALE)
    assert found.plan is None
    assert "module:engine" in found.reason
    assert current(replace(TARGET, parameters={"keepalives_idle": "3"}), SCALE).plan is None, "of the driver alone"


def test_settings_are_shortened_and_told_with_their_real_values() -> None:
    plan = planned(
        replace(
            TARGET,
            pool=PoolSettings(pool_size=8, max_overflow=2, pool_recycle=3600, pool_pre_ping=True, pool_use_lifo=True),
            parameters={"keepalives_idle": "60", "keepalives_interval": "10", "keepalives_count": "3"},
        )
    )
    assert plan.pool_recycle == pytest.approx(3600 / 350 * 4)
    assert (plan.pool_size, plan.max_overflow, plan.pool_pre_ping, plan.pool_use_lifo) == (8, 2, True, True)
    assert plan.connect_args == {"keepalives_idle": 1, "keepalives_interval": 1, "keepalives_count": 3}
    assert plan.real["pool_recycle"] == "41.1 s stands for 1h 00m"
    code = "\n".join(plan.lines)
    assert "pool_recycle=3600" in code
    assert '"keepalives_idle": 60' in code


@given(
    st.floats(1, 100_000),
    st.integers(1, 10_000),
    st.builds(Scale, st.floats(2.0, 30.0), st.floats(30.0, 7200.0)),
)
def test_what_is_below_stays_below(recycle: float, idle: int, scale: Scale) -> None:
    target = replace(TARGET, pool=PoolSettings(pool_recycle=recycle), parameters={"keepalives_idle": str(idle)})
    plan = planned(target, scale)
    assert plan.pool_recycle / scale.trial == pytest.approx(recycle / scale.real)
    trial = Keepalive(*(int(plan.connect_args[f"keepalives_{name}"]) for name in Keepalive._fields))
    assert (trial.idle < scale.trial) == (idle < scale.real)
    real = Keepalive(idle, 75, 9)
    back = IDLE_FACTOR * scale.trial + plan.idle_extra
    assert (found_dead(trial, scale.trial) < back) == (found_dead(real, scale.real) <= IDLE_FACTOR * scale.real)


def test_a_live_engine_is_rebuilt() -> None:
    import sqlalchemy

    engine = sqlalchemy.create_engine(
        "postgresql+psycopg2://app@db/shop",
        pool_size=3,
        pool_recycle=1800,
        connect_args={"keepalives_idle": 600, "tcp_user_timeout": 30000, "connect_timeout": 7},
    )
    plan = planned(read_engine(engine, {}), threads=5)
    assert (plan.pool_size, plan.max_overflow, plan.threads) == (3, 10, 5)
    assert plan.pool_recycle == pytest.approx(1800 * 4 / 350)
    assert int(plan.connect_args["keepalives_idle"]) > 4
    assert plan.connect_args["tcp_user_timeout"] == 5000
    assert "30000 ms" in plan.real["tcp_user_timeout"]
    assert "not to scale" in plan.real["tcp_user_timeout"]
    assert plan.connect_args["connect_timeout"] == "7"


def test_an_asynchronous_engine_is_tried_with_psycopg2_and_says_so() -> None:
    from sqlalchemy.ext.asyncio import create_async_engine

    engine = create_async_engine("postgresql+asyncpg://app@db/shop", pool_size=2)
    found = current(read_engine(engine.sync_engine, {}), SCALE)
    assert found.plan is not None
    assert found.plan.pool_class == "QueuePool"
    assert any("asyncpg" in note for note in found.notes)


def test_no_more_threads_than_connections() -> None:
    small = replace(TARGET, pool=PoolSettings(pool_size=1, max_overflow=1, processes=4))
    assert planned(small, threads=5).threads == 2
    assert planned(replace(TARGET, pool=PoolSettings(pool_class="StaticPool")), threads=5).threads == 1
    assert planned(replace(TARGET, pool=PoolSettings(pool_size=0)), threads=5).threads == 5


def test_other_pools_are_named_or_replaced() -> None:
    plan = planned(replace(TARGET, pool=PoolSettings(pool_class="NullPool")))
    assert plan.pool_class == "NullPool"
    assert plan.lines == ("engine = create_engine(url, poolclass=NullPool)",)
    assert plan.cost > planned(replace(TARGET, pool=PoolSettings(pool_pre_ping=True))).cost
    own = current(replace(TARGET, pool=PoolSettings(pool_class="OurPool")), SCALE)
    assert own.plan is not None
    assert own.plan.pool_class == "QueuePool"
    assert any("OurPool" in note for note in own.notes)


def test_what_a_profile_does_not_state_is_said_to_be_sqlalchemys_default() -> None:
    found = current(replace(TARGET, pool=PoolSettings(pool_size=5, pool_pre_ping=True)), SCALE)
    assert found.plan is not None
    assert any("SQLAlchemy's default: pool_recycle" in note for note in found.notes)
    whole = PoolSettings(pool_recycle=-1, pool_pre_ping=False)
    assert not current(replace(TARGET, pool=whole), SCALE).notes
    off = planned(replace(TARGET, pool=whole, parameters={"keepalives": "0"}))
    assert off.connect_args == {"keepalives": 0}


def test_the_servers_keepalive_in_options_is_shortened_too() -> None:
    plan = planned(
        replace(
            TARGET,
            pool=PoolSettings(pool_size=5),
            parameters={"options": "-c search_path=shop -c tcp_keepalives_idle=60 -c tcp_keepalives_interval=10"},
        )
    )
    assert plan.connect_args["options"] == "-c search_path=shop -c tcp_keepalives_idle=1 -c tcp_keepalives_interval=1"
    late = planned(
        replace(TARGET, pool=PoolSettings(), parameters={"options": "-c tcp_keepalives_idle=400"}),
    )
    assert late.connect_args["options"] == "-c tcp_keepalives_idle=5"


def test_sql_servers_keepalive_is_the_drivers_own_unless_stated() -> None:
    plan = planned(replace(MSSQL, pool=PoolSettings(pool_size=5)))
    assert plan.connect_args == {"KeepAlive": "1", "KeepAliveInterval": "1"}
    stated = replace(
        MSSQL, pool=PoolSettings(), parameters={**MSSQL.parameters, "KeepAlive": "700", "ConnectRetryCount": "0"}
    )
    assert int(planned(stated).connect_args["KeepAlive"]) == 8
    assert planned(stated).connect_args["ConnectRetryCount"] == "0"
    freetds = current(replace(MSSQL, pool=PoolSettings(), parameters={"Driver": "FreeTDS"}), SCALE)
    assert freetds.plan is not None
    assert freetds.plan.connect_args["KeepAlive"] == "1"
    assert freetds.plan.real["KeepAlive"] == "1 s stands for 40 s"


def test_the_tables_pools_begin_without_the_users_timing() -> None:
    given_ = {"host": "db", "keepalives_idle": "60", "tcp_user_timeout": "1", "options": "-c a=b", "KeepAlive": "9"}
    assert without_timing(given_) == {"host": "db", "options": "-c a=b"}
    odbc = {"kind": "microsoft", "keywords": {"UID": "app", "KeepAlive": "9", "ConnectRetryCount": "0"}}
    assert without_timing(odbc) == {"kind": "microsoft", "keywords": {"UID": "app"}}
