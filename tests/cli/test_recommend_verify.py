"""`dbdoctor recommend --verify` as a user runs it: announced, asked, run on a real server, and nothing left behind."""

from __future__ import annotations

import json
import os
import signal
import time
from pathlib import Path

import pytest

from tests.servers.cli import run_dbdoctor, start_dbdoctor
from tests.servers.postgresql import PASSWORD, PostgresServer
from tests.servers.terminal import run_on_terminal
from tests.sizing import demands


@pytest.fixture
def trace(tmp_path: Path) -> Path:
    """Four seconds of fifty checkouts a second of 60 ms on average: three are in use on average, and two cannot do it."""
    found = demands.poisson(3, 4.0)  # of 20 ms each: three times slower
    path = tmp_path / "trace.csv"
    lines = (f"{3 * at:.4f},0,{3 * use:.4f},web-1\n" for at, use in zip(found.arrivals, found.uses, strict=True))
    path.write_text("arrival,wait,use,process\n" + "".join(lines))
    return path


def _config(place: Path, dsn: str, *lines: str) -> Path:
    path = place / "dbdoctor.toml"
    path.write_text("\n".join([f'[targets.shop]\ndsn = "{dsn}"', *lines]) + "\n")
    return path


def _sessions(postgres: PostgresServer) -> int:
    return int(postgres.execute("SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE 'dbdoctor%'")[0][0])


def _none_left(postgres, seconds: float = 10.0) -> bool:
    end = time.monotonic() + seconds
    while _sessions(postgres):
        if time.monotonic() > end:
            return False
        time.sleep(0.05)
    return True


@pytest.mark.alone
def test_both_pools_are_run_in_turn_and_through_the_idle_timeout(postgres, trace, tmp_path):
    """The current pool of two cannot carry it; what is recommended can, and outlives the idle timeout."""
    config = _config(
        tmp_path, postgres.dsn(), "pool_size = 2", "max_overflow = 0", 'path_idle_timeout = "350s"', "pool_recycle = -1"
    )
    result = run_dbdoctor(
        "recommend", "shop", "--config", config, "--trace", trace, "--verify", "--verify-for", "1s", "--yes", "--json",
        "--wait-target", "p99=100ms", timeout=90,
    )  # fmt: skip
    assert result.exit_code in {0, 1}, result.stderr
    found = json.loads(result.stdout)["verified"]
    assert (found["window_seconds"], found["incomplete"]) == (1.0, None)
    now, then = found["pools"]
    assert (now["settings"], then["settings"]) == ("current", "recommended")
    assert now["checkouts"] == then["checkouts"] == 2 * found["checkouts"]
    assert now["runs"] == then["runs"] == 2
    assert now["predicted"]["wait_p95_seconds"] > 0.3
    assert now["measured"]["wait_p95_seconds"] > 0.3
    assert then["predicted"]["wait_p95_seconds"] < 0.1
    for one in (now, then):
        assert one["errors"] == 0, one["error"]
        span = one["measured_range"]["wait_mean"]
        assert span["least_seconds"] <= one["measured"]["wait_mean_seconds"] <= span["most_seconds"]
        assert (one["agrees"] is None) == (one["void"] is not None)
    outcome = {(one["fault"], one["pool"]): one for one in found["faults"]}
    assert outcome["reset-on-use", "current"]["outcome"] in {"one-error", "errors"}
    assert outcome["reset-on-use", "recommended"]["outcome"] == "survives"
    assert "opens at most" in result.stderr
    assert _none_left(postgres)


@pytest.mark.alone
def test_for_people(postgres, trace):
    result = run_dbdoctor(
        "recommend", postgres.dsn(), "--trace", trace, "--verify", "--verify-for", "1s", "--yes",
        "--statement", "SELECT pg_sleep(0.02) WHERE 'a%' LIKE 'a%'", timeout=60,
    )  # fmt: skip
    assert result.exit_code == 0, result.stderr
    assert "verified by running it" in result.stdout
    assert " checkouts in 1.0 s, each your statement" in result.stdout
    assert "the prediction" in result.stdout or "the measurement is void" in result.stdout
    assert all(len(line) <= 80 for line in result.stdout.splitlines())
    assert "runs your statement, and is rolled back" in result.stderr
    assert "pg_sleep" not in result.stderr + result.stdout


def test_a_failing_statement_voids_it_and_tells_no_secret(postgres):
    """With stated figures, which are made into a demand."""
    result = run_dbdoctor(
        "recommend", postgres.dsn(), "--rate", "40", "--use-time", "20ms", "--verify", "--verify-for", "1s", "--yes",
        "--json", "--statement", "SELECT no_such_column", timeout=60,
    )  # fmt: skip
    found = json.loads(result.stdout)["verified"]
    (then,) = found["pools"]
    assert 40 <= then["checkouts"] <= 2 * 240
    assert then["settings"] == "recommended"
    assert "checkouts failed" in then["void"]
    assert "no_such_column" in then["error"]
    assert PASSWORD not in result.stdout + result.stderr


def test_without_a_terminal_it_wants_to_be_told(postgres, trace):
    result = run_dbdoctor("recommend", postgres.dsn(), "--trace", trace, "--verify")
    assert result.exit_code == 2
    assert "`--verify` asks before it opens sessions" in result.stderr
    assert not result.stdout


def test_who_says_no_gets_the_recommendation_alone(postgres, trace):
    def say_no(running, descriptor):
        running.wait_for("Begin?", 30)
        os.write(descriptor, b"n\n")

    result = run_on_terminal("recommend", postgres.dsn(), "--trace", trace, "--verify", after_start=say_no)
    assert result.exit_code == 0
    assert "nothing was opened" in result.drawn
    assert "pool_size" in result.drawn
    assert "verified by running it" not in result.drawn


def test_it_leaves_others_their_sessions(start_postgres, trace):
    postgres = start_postgres(settings={"max_connections": 8, "superuser_reserved_connections": 3})
    result = run_dbdoctor(
        "recommend", postgres.dsn(), "--trace", trace, "--verify", "--yes", "--wait-target", "p99=1ms"
    )
    assert result.exit_code == 3, result.stdout
    assert "too few sessions are free there" in result.stderr


def test_interrupted_it_leaves_nothing_and_says_what_it_has(postgres, trace):
    with start_dbdoctor(
        "recommend", postgres.dsn(), "--trace", trace, "--verify", "--yes", "--statement", "SELECT pg_sleep(30)"
    ) as running:
        running.wait_for("running the demand", 30)
        end = time.monotonic() + 20
        while _sessions(postgres) < 3 and time.monotonic() < end:
            time.sleep(0.05)
        running.send_signal(signal.SIGINT, group=True)
        result = running.finish(30)
    assert result.exit_code == 130, result.stderr
    assert "not all of it was run: interrupted" in result.stdout
    assert "Traceback" not in result.stderr
    assert not result.outlived_by
    assert not result.left_behind
    assert _none_left(postgres)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("demo", "--verify"), "needs one whose arrivals are known"),
        (("--verify", "--rate", "10", "--use-time", "10ms"), "needs a server"),
        (("--verify", "--rate", "10", "--use-time", "10ms", "--verify-for", "1ms"), "needs a server"),
        (("demo", "--verify", "--rate", "10", "--use-time", "10ms", "--offline"), "needs a server"),
        (("demo", "--verify", "--rate", "10", "--use-time", "10ms", "--verify-for", "1ms"), "`--verify-for` must lie"),
        (("demo", "--verify", "--rate", "10", "--use-time", "10ms", "--statement", " "), "`--statement` is empty"),
        (("demo", "--verify", "--rate", "10", "--use-time", "10ms", "--format", "env"), "shows nothing of `--verify`"),
        (("demo", "--statement", "SELECT 1"), "`--statement` belongs to `--verify`"),
        (("demo", "--yes"), "`--yes` belongs to `--verify`"),
    ],
)
def test_bad_input_is_a_clear_error(arguments, words):
    result = run_dbdoctor("recommend", *arguments)
    assert result.exit_code == 2
    assert words in result.stderr
    assert "help:" in result.stderr


@pytest.mark.alone
def test_several_processes_are_run_at_the_same_time(postgres, tmp_path):
    """Each with a pool of its own: one is busy, the other hardly, and the sessions of both are announced."""
    path = tmp_path / "trace.csv"
    busy = (f"{n / 25:.3f},0,0.1,busy" for n in range(75))
    calm = (f"{n / 4:.3f},0,0.02,calm" for n in range(12))
    path.write_text("\n".join(("arrival,wait,use,process", *busy, *calm)) + "\n")
    result = run_dbdoctor(
        "recommend", postgres.dsn(), "--trace", path, "--verify", "--verify-for", "2s", "--yes", "--json", timeout=90
    )
    assert result.exit_code == 0, result.stderr
    found = json.loads(result.stdout)
    verified = found["verified"]
    assert (verified["processes"], verified["process"]) == (2, "busy")
    (then,) = verified["pools"]
    assert then["runs"] == 2
    assert then["checkouts"] == 2 * verified["checkouts"]
    assert 50 + 6 <= verified["checkouts"] <= 51 + 10
    assert then["errors"] == 0
    assert f"opens at most {2 * found['connections']} sessions of its own" in result.stderr
    assert "by 2 processes" in result.stderr
    assert _none_left(postgres)


def test_no_more_processes_than_there_is_room_for(start_postgres):
    server = start_postgres(settings={"max_connections": 14})
    result = run_dbdoctor(
        "recommend", server.dsn(), "--rate", "160", "--use-time", "20ms", "--burst", "1", "--processes", "8",
        "--wait-target", "p99=100ms", "--verify", "--verify-for", "1s", "--yes", "--json", timeout=90,
    )  # fmt: skip
    assert result.exit_code == 0, result.stderr
    verified = json.loads(result.stdout)["verified"]
    assert 1 <= verified["processes"] < 8
    assert any("of 8 processes was run" in note for note in verified["notes"])


@pytest.mark.alone
def test_without_a_pool_it_is_the_pooler_that_is_verified(postgres, start_pgbouncer, tmp_path):
    """Eight of 200 ms arrive at once, again and again, for four connections of the pooler: half of them wait as long."""
    pgbouncer = start_pgbouncer(postgres.port, settings={"default_pool_size": 4, "max_client_conn": 200})
    path = tmp_path / "trace.csv"
    rows = (f"{second},0,0.2,{process}" for second in range(3) for process in "aabbccdd")
    path.write_text("\n".join(("arrival,wait,use,process", *rows)) + "\n")
    arguments = ("recommend", pgbouncer.dsn(), "--trace", path, "--verify", "--verify-for", "3s", "--yes", "--json")
    result = run_dbdoctor(*arguments, "--wait-target", "p99=1s", timeout=90)
    assert result.exit_code == 0, result.stderr
    found = json.loads(result.stdout)
    assert found["settings"]["poolclass"] == "NullPool"
    (then,) = found["verified"]["pools"]
    assert then["pool_class"] == "NullPool"
    assert then["errors"] == 0, then["error"]
    assert then["checkouts"] == then["measured"]["connects"] == then["predicted"]["connects"] == 48
    # Half of them for as long as it takes to connect, to use and to return.
    assert 0.09 <= then["predicted"]["wait_mean_seconds"] <= 0.25
    assert 0.09 <= then["measured"]["wait_mean_seconds"] <= then["predicted"]["wait_mean_seconds"] + 0.5
    assert then["measured"]["wait_p95_seconds"] >= 0.18
    assert "of 4 processes was run together" in result.stderr
    clients = pgbouncer.execute("SHOW CLIENTS", dbname="pgbouncer")
    assert not [row for row in clients if any(str(cell).startswith("dbdoctor") for cell in row)]


def test_a_pooler_whose_size_is_not_known_cannot_be_verified(postgres, start_pgbouncer, trace):
    pgbouncer = start_pgbouncer(postgres.port, settings={"admin_users": "somebody"})
    result = run_dbdoctor("recommend", pgbouncer.dsn(), "--trace", trace, "--verify", "--yes")
    assert result.exit_code == 3
    assert "how many server connections the pooler has is not known" in result.stderr
    assert "pooler_pool_size" in result.stderr


def test_a_pooler_that_admits_too_few_clients_is_spared(postgres, start_pgbouncer, trace):
    pgbouncer = start_pgbouncer(postgres.port, settings={"max_client_conn": 12})
    result = run_dbdoctor("recommend", pgbouncer.dsn(), "--trace", trace, "--verify", "--yes")
    assert result.exit_code == 3
    assert "the pooler admits 12 clients" in result.stderr
