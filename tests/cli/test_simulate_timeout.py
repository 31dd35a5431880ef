"""`dbdoctor simulate-timeout` as a user runs it."""

from __future__ import annotations

import json

import pytest

from dbdoctor.faults.kinds import all_faults
from tests.servers.cli import run_dbdoctor
from tests.servers.workspace import free_port

_SHORT = ("--yes", "--idle", "1s", "--cap", "2s", "--drop", "closed,silent-drop", "--pool", "default,recycle-below")


@pytest.fixture(scope="module")
def simulated(postgres):
    return run_dbdoctor("simulate-timeout", postgres.dsn(), *_SHORT, "--json", timeout=60)


def test_the_json_has_a_case_for_each_fault_and_pool(simulated):
    assert simulated.exit_code == 0, simulated.stderr
    found = json.loads(simulated.stdout)
    assert found["schema"] == "dbdoctor.simulate-timeout/1"
    assert found["idle_timeout_seconds"] == 1
    assert found["stands_for_seconds"] == 350
    outcomes = {(case["fault"], case["pool"]): case["outcome"] for case in found["cases"]}
    assert outcomes == {
        ("closed", "default"): "one-error",
        ("closed", "recycle-below"): "survives",
        ("silent-drop", "default"): "hangs",
        ("silent-drop", "recycle-below"): "survives",
    }
    assert found["cheapest"]["name"] == "recycle-below"
    assert any("pool_recycle=" in line for line in found["cheapest"]["code"])


def test_it_says_beforehand_what_it_will_do_and_leaves_nothing(simulated, postgres):
    assert "4 trials (2 faults, 2 pools)" in simulated.stderr
    assert "opens at most 5 sessions" in simulated.stderr
    assert not simulated.left_behind
    assert not simulated.outlived_by
    assert postgres.execute("SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE 'dbdoctor-%'") == [(0,)]


def test_a_hang_is_told_with_how_long_it_would_have_been(simulated):
    case = next(one for one in json.loads(simulated.stdout)["cases"] if one["outcome"] == "hangs")
    assert case["hang_seconds"] >= 2
    assert case["would_hang"]["at_least_seconds"] > case["hang_seconds"]
    assert "tcp_retries2" in case["would_hang"]["because"]
    assert len(case["ghost_sessions"]) == 1


def test_the_matrix_for_people(postgres):
    result = run_dbdoctor("simulate-timeout", postgres.dsn(), *_SHORT, timeout=60)
    assert result.exit_code == 0, result.stderr
    assert "the cheapest that survives all of it: recycle-below" in result.stdout
    assert "hangs" in result.stdout
    assert all(len(line) <= 80 for line in result.stdout.splitlines())
    assert "\x1b" not in result.stdout


def test_without_a_terminal_it_wants_to_be_told(postgres):
    result = run_dbdoctor("simulate-timeout", postgres.dsn(), "--drop", "closed", "--pool", "default")
    assert result.exit_code == 2
    assert "--yes" in result.stderr
    assert not result.stdout


def test_no_way_in_is_told_as_check_tells_it():
    dsn = f"postgresql://app:hunter-secret-2@127.0.0.1:{free_port()}/shop"
    result = run_dbdoctor("simulate-timeout", dsn, "--yes", "--json")
    assert result.exit_code == 3
    found = json.loads(result.stdout)
    assert [finding["code"] for finding in found["findings"]] == ["connection-refused"]
    assert found["cases"] == []
    assert "hunter-secret-2" not in result.stdout + result.stderr
    text = run_dbdoctor("simulate-timeout", dsn, "--yes")
    assert text.exit_code == 3
    assert "error[connection-refused]" in text.stdout


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--drop", "tea-break"), "there is no fault `tea-break`"),
        (("--pool", "swimming"), "there is no pool `swimming`"),
        (("--pool", "current"), "the current pool is not known"),
        (("--idle", "banana"), "`--idle` is not a duration"),
        (("--idle", "5ms"), "`--idle` must lie between"),
        (("--idle", "3s", "--for-real"), "`--idle` scales, and `--for-real` does not"),
        (("--cap", "0s"), "`--cap` must lie between"),
        (("--workers", "0"), "--workers"),
    ],
)
def test_bad_input_is_a_clear_error(postgres, arguments, words):
    result = run_dbdoctor("simulate-timeout", postgres.dsn(), "--yes", *arguments)
    assert result.exit_code == 2
    assert words in result.stderr
    assert "help:" in result.stderr
    assert not result.stdout


def test_the_lists_need_no_target():
    result = run_dbdoctor("simulate-timeout", "--drop", "list", "--pool", "list")
    assert result.exit_code == 0
    for code in all_faults():
        assert f" {code}: " in result.stdout
    for name in ("default", "belt-and-braces", "keep-alive-thread", "driver-manager-pooling"):
        assert f" {name}: " in result.stdout


def test_what_the_config_states_is_the_current_pool(postgres, tmp_path):
    config = tmp_path / "dbdoctor.toml"
    config.write_text(
        f'[targets.shop]\ndsn = "{postgres.dsn()}"\npath_idle_timeout = "240s"\n'
        'pool_size = 3\npool_recycle = "1h"\npool_pre_ping = false\n'
    )
    result = run_dbdoctor(
        "simulate-timeout", "shop", "--config", config, "--yes", "--json",
        "--idle", "1s", "--cap", "1s", "--drop", "closed", "--pool", "current", timeout=60,
    )  # fmt: skip
    found = json.loads(result.stdout)
    assert found["stands_for_seconds"] == 240
    # Three requests at once, and each connection was closed. Who comes after the first error may get a new one already.
    (case,) = found["cases"]
    assert case["pool"] == "current"
    assert case["outcome"] == ("one-error" if case["failed"] == 1 else "errors")
    assert 1 <= case["failed"] <= 3
    assert result.exit_code == 1, result.stdout
    assert any(finding["severity"] == "error" for finding in found["findings"])


def test_a_roles_own_limit_is_kept_to(start_postgres):
    postgres = start_postgres()
    postgres.execute("CREATE ROLE few LOGIN PASSWORD 'hunter-secret-2' CONNECTION LIMIT 3")
    dsn = postgres.dsn(user="few", password="hunter-secret-2")
    result = run_dbdoctor("simulate-timeout", dsn, *_SHORT, timeout=60)
    assert result.exit_code == 3
    assert "too few sessions are free" in result.stderr
    assert "too many connections" not in postgres.log


def test_no_more_sessions_than_workers(postgres):
    words = ("--yes", "--idle", "1s", "--cap", "2s", "--drop", "closed", "--workers", "1", "--json")
    result = run_dbdoctor("simulate-timeout", postgres.dsn(), *words, "--pool", "default,keep-alive-thread", timeout=60)
    assert result.exit_code == 0, result.stderr
    assert "at most 1 session of its own" in result.stderr
    assert "left out: keep-alive-thread" in result.stderr
    found = json.loads(result.stdout)
    assert [case["pool"] for case in found["cases"]] == ["default"]
    alone = run_dbdoctor("simulate-timeout", postgres.dsn(), *words, "--pool", "keep-alive-thread", timeout=60)
    assert alone.exit_code == 2
    assert "help: allow more with `--workers`" in alone.stderr


def test_a_fault_that_there_is_not_is_told_before_the_server_is_asked():
    result = run_dbdoctor(
        "simulate-timeout", f"postgresql://app@127.0.0.1:{free_port()}/x", "--drop", "killed", "--yes"
    )
    assert result.exit_code == 2
    assert "`killed` is not a fault of postgresql" in result.stderr
