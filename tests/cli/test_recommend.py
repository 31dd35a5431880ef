"""`dbdoctor recommend` as a user runs it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from tests.servers.cli import run_dbdoctor
from tests.servers.terminal import run_on_terminal
from tests.servers.workspace import free_port

ROOT = Path(__file__).resolve().parents[2]
TRACE = ROOT / "tests" / "recordings" / "checkouts.csv"
SECRET = "hunter-secret-2"
_BUSY_CLIENT = """
import sys, threading, psycopg2
def work(ready):
    with psycopg2.connect(sys.argv[1]) as connection:
        cursor = connection.cursor()
        cursor.execute("SELECT 1")
        ready.release()
        stop.wait()
    connection.close()
stop, ready = threading.Event(), threading.Semaphore(0)
threads = [threading.Thread(target=work, args=(ready,)) for _ in range(int(sys.argv[2]))]
for thread in threads: thread.start()
for thread in threads: ready.acquire()
print("ready", flush=True)
sys.stdin.read()
stop.set()
for thread in threads: thread.join()
"""


def recommended(*arguments: str | Path, code: int = 0, **fields):
    result = run_dbdoctor("recommend", *arguments, "--json", **fields)
    assert result.exit_code == code, result.stderr
    return json.loads(result.stdout)


def why(found, setting: str):
    return next(one for one in found["because"] if one["setting"] == setting)


def config(place: Path, dsn: str, **more: object) -> Path:
    lines = [f'[targets.shop]\ndsn = "{dsn}"', *(f"{key} = {json.dumps(value)}" for key, value in more.items())]
    path = place / "dbdoctor.toml"
    path.write_text("\n".join(lines) + "\n")
    return path


def test_a_trace_alone_needs_no_server_and_no_target(tmp_path):
    """The directory has a config whose server does not exist: it is not asked."""
    config(tmp_path, f"postgresql://app:{SECRET}@127.0.0.1:{free_port()}/shop")
    found = recommended("--trace", TRACE, cwd=tmp_path)
    assert found["schema"] == "dbdoctor.recommend/1"
    assert found["target"] is None
    assert found["demand"]["source"] == "trace"
    assert found["demand"]["checkouts"] == 3956
    assert found["demand"]["processes"] == 2
    assert 9 <= found["settings"]["pool_size"] + found["settings"]["max_overflow"] <= 13
    assert found["size_range"]["least"] <= found["connections"] <= found["size_range"]["most"] + 1
    assert found["prediction"]["wait_p99_seconds"] <= 0.010
    assert found["verified"] is None
    assert found["findings"] == []


def test_every_setting_has_a_reason_and_evidence():
    found = recommended("--trace", TRACE, "--idle-timeout", "aws-nlb", "--deadline", "8s")
    assert [one["setting"] for one in found["because"]] == list(found["settings"])
    for one in found["because"]:
        assert one["value"] == found["settings"][one["setting"]]
        assert one["reason"]
        assert one["evidence"]
    assert why(found, "pool_recycle")["evidence"]["idle_timeout_seconds"] == 350
    assert found["settings"]["pool_recycle"] < 350
    assert found["settings"]["pool_timeout"] < 8


def test_a_wish_for_less_waiting_costs_connections():
    sizes = [
        recommended("--trace", TRACE, "--wait-target", target)["connections"]
        for target in ("p90=200ms", "p99=50ms", "p99.9=1ms")
    ]
    assert sizes == sorted(sizes)
    assert sizes[0] < sizes[-1]


def test_a_trace_may_come_compressed_or_from_stdin_or_as_json_lines(tmp_path):
    import csv
    import gzip

    packed, lines = tmp_path / "trace.csv.gz", tmp_path / "trace.jsonl"
    packed.write_bytes(gzip.compress(TRACE.read_bytes()))
    with TRACE.open() as file:
        lines.write_text("".join(json.dumps(row) + "\n" for row in csv.DictReader(file)))
    expected = recommended("--trace", TRACE)["settings"]
    assert recommended("--trace", packed)["settings"] == expected
    assert recommended("--trace", lines)["settings"] == expected
    assert recommended("--trace", "-", stdin=TRACE.read_text())["settings"] == expected


def test_lines_that_cannot_be_read_are_named(tmp_path):
    trace = tmp_path / "trace.csv"
    trace.write_text("arrival,wait,use,process\n0.1,0,0.2,a\nbanana,0,0.1,a\n0.5,0,-1,a\n0.7,0,0.2,a\n1.0,0,0.1,a\n")
    notes = " ".join(recommended("--trace", trace)["notes"])
    assert "2 lines could not be read" in notes
    assert "line 3: `arrival` is not a number" in notes
    assert "line 4: `use` is negative" in notes


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "it is empty"),
        ("arrival,wait,use\n", "it is empty"),
        ("hello\nworld\n", "line 1: a CSV file begins with the names of its columns"),
        ("arrival,use\nx,1\ny,1\n", "line 2: `arrival` is not a number"),
        ('{"arrival": 1}\n', "line 1: `use` is missing"),
        ("arrival,use\n1,1\nx,1\ny,1\nz,1\n", "most lines of the trace could not be read"),
    ],
)
def test_what_is_no_trace_is_a_clear_error(tmp_path, text, words):
    trace = tmp_path / "trace"
    trace.write_text(text)
    result = run_dbdoctor("recommend", "--trace", trace)
    assert result.exit_code == 2
    assert words in result.stderr
    assert "help:" in result.stderr
    assert not result.stdout


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--trace", "/nowhere/trace.csv"), "the trace could not be read"),
        (("--trace", "/"), "there is no recording in `/`"),
        (("--rate", "200"), "`--rate` needs `--use-time`"),
        (("--use-time", "20ms"), "`--use-time` needs `--rate`"),
        (("--burst", "3"), "`--burst` needs `--rate`"),
        (("--rate", "nan", "--use-time", "20ms"), "`--rate` must lie between"),
        (("--rate", "1000000", "--use-time", "1h"), "connections in use on average"),
        (("--rate", "2", "--use-time", "1s", "--burst", "0.5"), "`--burst` must lie between"),
        (("--trace", "x", "--rate", "3", "--use-time", "1s"), "two sources of the same demand"),
        (("--trace", "x", "--for", "3s"), "two sources of the same demand"),
        (("--for", "banana"), "`--for` is not a duration"),
        (("--idle-timeout", "aws-nlbb"), "did you mean `aws-nlb`"),
        (("--idle-timeout", "3ms"), "`--idle-timeout` must lie between"),
        (("--server", "apache"), "known are gunicorn"),
        (("--wait-target", "soon"), "for example `--wait-target p99=50ms`"),
        (("--wait-target", "p30=1s"), "for example `--wait-target p99=50ms`"),
        (("--wait-target", "p99=soon"), "`--wait-target` is not a duration"),
        (("--what-if", "replicas"), "`--what-if` wants a key and a value"),
        (("--what-if", "moons=3"), "the keys are processes"),
        (("--what-if", "pool_size=0"), "`--what-if pool_size` must be a whole number"),
        (("--what-if", "rate=-1"), "`--what-if rate` is not a rate"),
        (("--what-if", "rate=5"), "`--what-if rate` needs `--rate`"),
        (("--rate", "5", "--use-time", "5ms", "--what-if", "rate=1e7,use_time=1h"), "connections in use on average"),
        (("--processes", "0"), "--processes"),
        (("--format", "yaml"), "--format"),
    ],
)
def test_bad_input_is_a_clear_error(arguments, words):
    result = run_dbdoctor("recommend", *arguments)
    assert result.exit_code == 2
    assert words in result.stderr
    assert "help:" in result.stderr
    assert not result.stdout


def test_with_nothing_at_all_it_says_what_could_be_named():
    result = run_dbdoctor("recommend", "--no-config")
    assert result.exit_code == 2
    assert "no target" in result.stderr


def test_stated_figures_are_of_all_processes_together():
    found = recommended("--rate", "400", "--use-time", "20ms", "--processes", "2", "--replicas", "2")
    assert found["demand"]["source"] == "stated"
    assert found["demand"]["rate_per_second"] == 100
    assert found["demand"]["load"] == pytest.approx(2.0)
    assert found["budget"]["rows"][0]["pools"] == 4
    assert found["prediction"] is None


def test_the_server_and_the_config_bound_it(postgres, tmp_path):
    """One connection for each of 12 pools does not fit beside the other service of the config: what to give up is said."""
    path = config(tmp_path, postgres.dsn(), pool_size=5, max_overflow=10, processes=2, replicas=6)
    with path.open("a") as file:
        file.write(f'[targets.jobs]\ndsn = "{postgres.dsn()}"\npool_size = 3\nmax_overflow = 0\nprocesses = 4\n')
        file.write(f'[targets.far]\ndsn = "postgresql://far:{SECRET}@db.example.org/x"\npool_size = 3\n')
        file.write(
            '[targets.secretive]\ndsn = "postgresql://far:${NOT_SET_ANYWHERE}@db.example.org/x"\npool_size = 3\n'
        )
    found = recommended("shop", "--config", path, "--trace", TRACE, "--surge", "2", code=1)
    budget = found["budget"]
    assert [row["service"] for row in budget["rows"]] == ["shop", "jobs"]
    shop, jobs = budget["rows"]
    assert shop["pools"] == 16
    assert jobs["pools"] == 4
    assert budget["total"] == sum(row["pools"] * row["each"] for row in budget["rows"])
    limit, reserved = (
        int(postgres.execute(f"SHOW {name}")[0][0]) for name in ("max_connections", "superuser_reserved_connections")
    )
    assert limit - reserved - 10 <= budget["usable"] <= limit - reserved
    assert budget["fits"]
    assert shop["each"] < shop["wanted"]
    assert any("would meet the target" in text for text in found["incomplete"])
    assert found["current"]["pool_size"] == 5
    codes = {finding["code"] for finding in found["findings"]}
    assert "fleet-exceeds-slots" in codes
    assert any("secretive could not be read" in note for note in found["notes"])
    assert SECRET not in json.dumps(found)


def test_the_gate_passes_for_what_was_pasted(postgres, tmp_path):
    """TOML for the profile is pasted into its config; then nothing is to be changed, and nothing is found."""
    path = config(tmp_path, postgres.dsn(), path_idle_timeout="350s")
    pasted = run_dbdoctor(
        "recommend", "shop", "--config", path, "--rate", "5", "--use-time", "200ms", "--format", "toml"
    )
    assert pasted.exit_code == 0, pasted.stderr
    table = tomllib.loads(pasted.stdout)["targets"]["shop"]
    lines = [f"{key} = {json.dumps(value)}" for key, value in table.items() if key != "parameters"]
    parameters = [f"{key} = {json.dumps(value)}" for key, value in table["parameters"].items()]
    with path.open("a") as file:
        file.write("\n".join([*lines, "[targets.shop.parameters]", *parameters]) + "\n")
    arguments = ("shop", "--config", path, "--rate", "5", "--use-time", "200ms", "--fail-on", "warning")
    found = recommended(*arguments)
    assert found["current_is_fine"], [one for one in found["because"] if one["changes"]]
    assert found["findings"] == []
    text = run_dbdoctor("recommend", *arguments)
    assert text.exit_code == 0
    assert "the current settings are fine: nothing to change" in text.stdout
    assert "create_engine" not in text.stdout


def test_the_settings_of_a_live_engine_are_compared(postgres, tmp_path):
    (tmp_path / "shopapp.py").write_text(
        "from sqlalchemy import create_engine\n"
        f"engine = create_engine({postgres.dsn(scheme='postgresql+psycopg2')!r}, pool_size=1, max_overflow=0)\n"
    )
    result = run_dbdoctor("recommend", "shopapp:engine", "--trace", TRACE, "--idle-timeout", "240s", cwd=tmp_path)
    assert result.exit_code == 0, result.stderr
    assert "now and then" in result.stdout
    row = next(line for line in result.stdout.splitlines() if line.startswith("  pool_size  "))
    assert row.split()[1] == "1"
    assert row.split()[-1] == "change"
    assert "warning[recycle-above-idle-timeout]" in result.stdout
    assert run_dbdoctor(
        "recommend", "shopapp:engine", "--trace", TRACE, "--idle-timeout", "240s", "--fail-on", "warning", cwd=tmp_path
    ).exit_code == 1  # fmt: skip


def test_offline_compares_without_a_connection(tmp_path):
    path = config(tmp_path, f"postgresql://app:{SECRET}@127.0.0.1:{free_port()}/shop", pool_size=2, max_overflow=0)
    found = recommended("shop", "--config", path, "--trace", TRACE, "--offline")
    assert found["current"]["pool_size"] == 2
    assert found["server"] is None
    assert why(found, "pool_size")["changes"]
    assert found["current_prediction"]["wait_p99_seconds"] > found["prediction"]["wait_p99_seconds"]
    assert SECRET not in json.dumps(found)


def test_no_way_in_is_told_as_check_tells_it():
    dsn = f"postgresql://app:{SECRET}@127.0.0.1:{free_port()}/shop"
    found = recommended(dsn, code=3)
    assert [finding["code"] for finding in found["findings"]] == ["connection-refused"]
    assert found["settings"] is None
    assert set(found) == set(recommended("--trace", TRACE))
    text = run_dbdoctor("recommend", dsn)
    assert text.exit_code == 3
    assert "error[connection-refused]" in text.stdout
    code = run_dbdoctor("recommend", dsn, "--format", "python")
    assert code.exit_code == 3
    assert not code.stdout
    assert all(SECRET not in result.stdout + result.stderr for result in (text, code))


def test_sessions_that_are_busy_are_counted_by_process(postgres):
    """Two clients keep three and one transactions open; both run here, so that their processes are seen."""
    clients = [
        subprocess.Popen(
            [sys.executable, "-c", _BUSY_CLIENT, postgres.dsn(), str(sessions)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        for sessions in (3, 1)
    ]
    try:
        for client in clients:
            assert client.stdout is not None
            assert client.stdout.readline() == b"ready\n"
        found = recommended(postgres.dsn(), "--for", "2s")
    finally:
        for client in clients:
            client.communicate(timeout=20)
    assert found["demand"]["source"] == "samples"
    assert found["demand"]["processes"] >= 2
    assert found["demand"]["most_at_once"] == 3
    assert found["connections"] == 4
    assert why(found, "pool_size")["evidence"]["samples"] >= 4


def test_samples_of_a_saturated_machine_are_warned_about(postgres):
    """The server runs here, and all of this machine's processors are busy for as long as it is sampled."""
    code = "import os\nwhile os.getppid() != 1: pass"
    burners = [subprocess.Popen([sys.executable, "-c", code]) for _ in range(2 * (os.cpu_count() or 1))]
    client = subprocess.Popen(
        [sys.executable, "-c", _BUSY_CLIENT, postgres.dsn(), "2"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    try:
        assert client.stdout is not None
        assert client.stdout.readline() == b"ready\n"
        seen = recommended(postgres.dsn(), "--for", "2s")
        client.communicate(timeout=20)
        unseen = recommended(postgres.dsn(dbname="template1"), "--for", "1s")
    finally:
        for one in (client, *burners):
            one.kill()
            one.communicate()
    assert seen["demand"]["source"] == "samples"
    assert any("saturated" in note and "far too low" in note for note in seen["notes"])
    assert unseen["demand"]["source"] == "nothing"
    assert any("saturated" in note and "may not have been seen" in note for note in unseen["notes"])


def test_a_server_that_nobody_uses_gives_a_rule_of_thumb(start_postgres):
    server = start_postgres("embedded")
    result = run_dbdoctor("recommend", server.dsn(), "--for", "1s", "--server", "fastapi")
    assert result.exit_code == 0, result.stderr
    assert "a rule of thumb" in result.stdout
    assert "no busy session" in result.stdout
    assert "one connection for each of the 40 threads" in " ".join(result.stdout.split())


def test_ctrl_c_while_sampling_leaves_nothing(postgres):
    def interrupt(running):
        running.wait_for("sampling sessions")
        running.send_signal(signal.SIGINT, group=True)

    result = run_dbdoctor("recommend", postgres.dsn(), "--for", "60s", after_start=interrupt)
    assert result.exit_code == 130
    assert "interrupted" in result.stderr
    assert not result.stdout
    assert not result.outlived_by
    assert not result.left_behind


@pytest.mark.parametrize("output", ["python", "toml", "env"])
def test_only_what_is_to_be_pasted_is_on_stdout(output):
    result = run_dbdoctor("recommend", "--trace", TRACE, "--format", output, "--idle-timeout", "350s")
    assert result.exit_code == 0, result.stderr
    assert not result.stderr
    if output == "python":
        given = {}
        code = result.stdout.replace("from sqlalchemy import create_engine", "")
        exec(code, {"create_engine": lambda _url, **settings: given.update(settings), "url": "x"})
        assert given["pool_recycle"] == 280
        assert given["connect_args"]["connect_timeout"] == 5
    elif output == "toml":
        assert tomllib.loads(result.stdout)["engine"]["pool_recycle"] == 280
    else:
        lines = [line for line in result.stdout.splitlines() if not line.startswith("#")]
        assert "SQLALCHEMY_POOL_RECYCLE=280" in lines
        assert all(line.startswith("SQLALCHEMY_") for line in lines)


def test_the_python_code_runs_with_sqlalchemy():
    import sqlalchemy

    code = run_dbdoctor("recommend", "--trace", TRACE, "--format", "python").stdout
    names: dict[str, object] = {"url": "postgresql+psycopg2://app@127.0.0.1/shop"}
    exec(code, names)
    engine = names["engine"]
    assert isinstance(engine, sqlalchemy.Engine)
    assert engine.pool.size() >= 9  # type: ignore[attr-defined]
    engine.dispose()


def test_what_ifs_stand_beside_the_recommendation():
    found = recommended(
        "--trace", TRACE, "--replicas", "2", "--processes", "1",
        "--what-if", "replicas=4", "--what-if", "pool_size=3,max_overflow=0", "--what-if", "wait_target=p90=1s",
        "--what-if", "pool_size=3,max_overflow=0,pool_timeout=1ms",
    )  # fmt: skip
    more, small, patient, hasty = found["what_if"]
    assert more["changes"] == {"replicas": 4}
    assert not more["forced"]
    assert more["budget"]["rows"][0]["pools"] == 4
    assert more["settings"]["pool_size"] < found["settings"]["pool_size"]
    assert small["forced"]
    assert small["prediction"]["wait_p99_seconds"] > found["prediction"]["wait_p99_seconds"]
    assert small["budget"]["total"] == 2 * 3
    assert hasty["settings"]["pool_timeout"] == 0.001
    assert hasty["prediction"]["timeouts"] > small["prediction"]["timeouts"]
    assert patient["settings"]["pool_size"] < found["settings"]["pool_size"]


def test_the_sweep_falls_as_the_pool_grows():
    rows = recommended("--trace", TRACE, "--sweep")["sweep"]
    assert [row["size"] for row in rows if row["chosen"]] == [recommended("--trace", TRACE)["connections"]]
    assert rows[0]["wait_mean_seconds"] is None, "two connections for a load of 2.4: that has no end"
    waits = [row["wait_mean_seconds"] for row in rows if row["wait_mean_seconds"] is not None]
    assert len(waits) > 5
    assert waits == sorted(waits, reverse=True)
    assert all(row["connections"] == 2 * row["size"] for row in rows)
    assert rows[0]["timeouts"] > 0
    text = run_dbdoctor("recommend", "--trace", TRACE, "--sweep").stdout
    assert "every size around" in text
    assert "█" in text


def test_every_number_can_be_traced():
    text = run_dbdoctor("recommend", "--trace", TRACE, "--explain-numbers", "--threads", "8").stdout
    assert "the numbers" in text
    assert "offered_load = 2.4" in text
    assert "the threads of a process = 8" in text
    assert "Erlang C = " in text


def test_the_lists_need_no_target():
    result = run_dbdoctor("recommend", "--server", "list", "--idle-timeout", "list")
    assert result.exit_code == 0
    assert "gunicorn: 1 at once" in result.stdout
    assert "azure-lb: " in result.stdout


@pytest.mark.parametrize("columns", [80, 140])
def test_on_a_terminal_nothing_is_wider_than_it(columns):
    result = run_on_terminal(
        "recommend", "--trace", str(TRACE), "--sweep", "--idle-timeout", "aws-nlb", "--surge", "1", columns=columns
    )
    assert result.exit_code == 0
    assert all(len(line) <= columns for line in result.screen)
    assert "7 settings recommended; from a trace" in result.screen


def test_the_secret_of_a_target_is_nowhere(postgres):
    dsn = postgres.dsn()
    password = dsn.partition("://")[2].partition("@")[0].partition(":")[2]
    assert password
    for extra in ((), ("--json",), ("--format", "env"), ("--debug", "--explain-numbers")):
        result = run_dbdoctor("recommend", dsn, "--rate", "10", "--use-time", "5ms", *extra)
        assert result.exit_code == 0, result.stderr
        assert password not in result.stdout + result.stderr


def test_three_services_share_a_server_by_what_waiting_it_takes_off(start_postgres, tmp_path):
    """Each with a demand of its own: by a trace, by a rate, and by the pool that it has; in a rollout of one of them."""
    server = start_postgres(settings={"max_connections": 60})
    (tmp_path / "shop.csv").write_text(TRACE.read_text())
    path = config(tmp_path, server.dsn(), trace="shop.csv", processes=2, replicas=2, surge=1, pool_size=5)
    with path.open("a") as file:
        file.write(f'[targets.jobs]\ndsn = "{server.dsn()}"\nrate = 60\nuse_time = "50ms"\nprocesses = 3\nsurge = 1\n')
        file.write(f'[targets.reports]\ndsn = "{server.dsn()}"\npool_size = 4\nmax_overflow = 0\n')
        file.write(f'[targets.lost]\ndsn = "{server.dsn()}"\ntrace = "nowhere.csv"\npool_size = 1\nmax_overflow = 0\n')
    found = recommended("shop", "--config", path, code=1)
    assert found["demand"]["source"] == "trace"
    budget = found["budget"]
    rows = {row["service"]: row for row in budget["rows"]}
    assert [rows[name]["pools"] for name in ("shop", "jobs", "reports", "lost")] == [6, 6, 1, 1]
    assert budget["usable"] == 60 - 3 - 3
    assert budget["total"] == sum(row["pools"] * row["each"] for row in budget["rows"]) <= budget["usable"]
    assert budget["fits"]
    assert rows["jobs"]["wanted"] < 15, "what its demand asks for, not SQLAlchemy's 5 + 10"
    assert all(1 < rows[name]["each"] < rows[name]["wanted"] for name in ("shop", "jobs"))
    assert rows["shop"]["each"] == found["connections"]
    notes = " ".join(found["notes"])
    assert "nothing is known of the demand of reports: it is taken to need the 4" in notes
    assert "the demand of lost is not known: the trace could not be read" in notes
    assert "fleet-exceeds-slots" in {finding["code"] for finding in found["findings"]}


def test_a_role_s_own_limit_binds_its_own_services_only(start_postgres, tmp_path):
    server = start_postgres(settings={"max_connections": 60})
    server.execute("CREATE ROLE narrow LOGIN PASSWORD 'narrow' CONNECTION LIMIT 8")
    narrow = server.dsn(user="narrow", password="narrow")
    path = config(tmp_path, narrow, rate=400, use_time="20ms")
    with path.open("a") as file:
        file.write(f'[targets.jobs]\ndsn = "{server.dsn()}"\nrate = 400\nuse_time = "20ms"\n')
    rows = {row["service"]: row for row in recommended("shop", "--config", path)["budget"]["rows"]}
    assert rows["shop"]["each"] <= 8
    assert rows["jobs"]["each"] == rows["jobs"]["wanted"] > 8
