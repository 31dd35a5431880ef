"""`dbdoctor recommend` on what is not a plain PostgreSQL server: behind PgBouncer, and on SQL Server."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.servers import odbc
from tests.servers.cli import run_dbdoctor

TRACE = Path(__file__).resolve().parents[1] / "recordings" / "checkouts.csv"
PATIENT = ("--login-timeout", "20s")  # the tests' SQL Server is slow on a busy machine


def test_behind_a_transaction_pooler_there_is_no_pool_of_ones_own(postgres, start_pgbouncer):
    dsn = start_pgbouncer(postgres.port, pool_mode="transaction").dsn()
    result = run_dbdoctor("recommend", dsn, "--trace", TRACE, "--json")
    assert result.exit_code == 0, result.stderr
    found = json.loads(result.stdout)
    assert found["settings"]["poolclass"] == "NullPool"
    assert "pool_size" not in found["settings"]
    assert [one["setting"] for one in found["server_settings"]] == ["default_pool_size"]
    assert found["budget"] is None
    code = run_dbdoctor("recommend", dsn, "--trace", TRACE, "--format", "python")
    assert "from sqlalchemy.pool import NullPool" in code.stdout
    assert "poolclass=NullPool," in code.stdout
    text = run_dbdoctor("recommend", dsn, "--trace", TRACE, "--sweep", "--what-if", "pool_size=3")
    assert text.exit_code == 0, text.stderr
    assert "poolclass = NullPool: PgBouncer in transaction mode" in text.stdout
    assert "default_pool_size" in text.stdout


@pytest.mark.parametrize("driver", ["microsoft", "freetds"])
def test_on_sql_server(start_tds, driver):
    dsn = start_tds().dsn(driver)
    result = run_dbdoctor(
        "recommend", dsn, "--rate", "100", "--use-time", "20ms", "--idle-timeout", "azure-sql", "--json", *PATIENT,
        env=odbc.environment(),
    )  # fmt: skip
    assert result.exit_code == 0, result.stderr
    found = json.loads(result.stdout)
    assert found["server"].startswith("SQL Server")
    assert found["settings"]["connect_args"] == {"timeout": 5}
    assert found["settings"]["pool_recycle"] < 1800
    # Its workers bound no sessions: thousands may rest.
    assert found["budget"]["usable"] > 32_000
    assert "the server's slots: 32767" in found["budget"]["usable_working"]
    assert any("workers" in note for note in recommend_many(dsn)["notes"])


def recommend_many(dsn: str) -> Any:
    result = run_dbdoctor(
        "recommend", dsn, "--rate", "40000", "--use-time", "20ms", "--processes", "400", "--json", *PATIENT,
        env=odbc.environment(),
    )  # fmt: skip
    assert result.exit_code == 0, result.stderr
    return json.loads(result.stdout)


def test_on_sql_server_it_is_verified_too(start_tds, tmp_path):
    """Through the ODBC driver: both pools in turn, and through the idle timeout; two connections cannot carry it."""
    config = tmp_path / "dbdoctor.toml"
    lines = (
        f"dsn = {json.dumps(start_tds().dsn('microsoft'))}",
        "pool_size = 1",
        "max_overflow = 1",
        "pool_recycle = -1",
    )
    config.write_text("\n".join(("[targets.shop]", *lines, "rate = 12", 'use_time = "150ms"', "burst = 1")) + "\n")
    result = run_dbdoctor(
        "recommend", "shop", "--config", config, "--idle-timeout", "240s", "--verify", "--verify-for", "2s", "--yes",
        "--json", env=odbc.environment(), timeout=120,
    )  # fmt: skip
    assert result.exit_code in {0, 1}, result.stderr
    found = json.loads(result.stdout)
    assert found["demand"]["source"] == "stated"
    now, then = found["verified"]["pools"]
    assert (now["settings"], then["settings"]) == ("current", "recommended")
    for one in (now, then):
        assert one["errors"] == 0, one["error"]
        assert one["checkouts"] == 2 * found["verified"]["checkouts"] > 20
        assert one["use_mean_seconds"] > 0.05
    assert now["measured"]["wait_mean_seconds"] > 2 * then["measured"]["wait_mean_seconds"]
    outcome = {(one["fault"], one["pool"]): one["outcome"] for one in found["verified"]["faults"]}
    assert outcome["reset-on-use", "recommended"] == "survives"
    assert set(outcome) == {
        (fault, pool) for fault in ("reset-on-use", "silent-drop") for pool in ("current", "recommended")
    }


def test_sql_servers_sessions_are_sampled_by_the_process_that_they_tell(start_tds):
    """Two processes of one host, by a login that is not ours: three busy sessions, and one; and a process that rests."""
    server = start_tds()
    for process in (4711, 4711, 4711, 4712):
        written = server.transaction(age=100, log_records=3)
        server.inject(idle=90, age=200, open_transaction_count=1, transactions=(written,), host_process_id=process)
    server.inject(idle=90, age=200, host_process_id=4713)
    result = run_dbdoctor(
        "recommend", server.dsn("microsoft"), "--for", "3s", "--json", *PATIENT, env=odbc.environment()
    )
    assert result.exit_code == 0, result.stderr
    found = json.loads(result.stdout)
    assert found["demand"]["source"] == "samples"
    assert found["demand"]["processes"] == 3
    assert found["demand"]["most_at_once"] == 3
    assert found["connections"] == 4
    assert any("those of shop are counted" in note for note in found["notes"])


def test_what_pgbouncer_admits_bounds_the_pool(postgres, start_pgbouncer):
    """In session mode each client keeps a server connection, and its console tells how many there are, and for how long."""
    limits = {"default_pool_size": 9, "reserve_pool_size": 2, "max_client_conn": 60, "client_idle_timeout": 300}
    pgbouncer = start_pgbouncer(postgres.port, pool_mode="session", settings=limits)
    result = run_dbdoctor("recommend", pgbouncer.dsn(), "--trace", TRACE, "--processes", "2", "--json")
    assert result.exit_code == 0, result.stderr
    found = json.loads(result.stdout)
    assert found["budget"]["usable"] == 11
    assert "PgBouncer's pool: pool_size 9 + 2 in reserve" in found["budget"]["usable_working"]
    assert found["connections"] == 5
    assert found["settings"]["pool_recycle"] == 240
    recycle = next(one for one in found["because"] if one["setting"] == "pool_recycle")
    assert "client_idle_timeout" in recycle["reason"]


def test_a_console_that_is_closed_to_us_is_said_and_the_config_speaks_for_it(postgres, start_pgbouncer, tmp_path):
    pgbouncer = start_pgbouncer(postgres.port, pool_mode="session", settings={"admin_users": "somebody"})
    lines = (f'[targets.shop]\ndsn = "{pgbouncer.dsn()}"', "pooler_pool_size = 6")
    config = tmp_path / "dbdoctor.toml"
    config.write_text("\n".join(lines) + "\n")
    result = run_dbdoctor("recommend", "shop", "--config", config, "--trace", TRACE, "--processes", "1", "--json")
    assert result.exit_code == 0, result.stderr
    found = json.loads(result.stdout)
    assert found["connections"] == 6
    assert any("its admin console does not let us ask" in note for note in found["notes"])
