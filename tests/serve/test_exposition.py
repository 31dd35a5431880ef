"""What `dbdoctor serve` exposes of real servers, of those that are not there, and of names made by enemies."""

from __future__ import annotations

import contextlib

from dbdoctor.serve.labels import MOST_GROUPS, OTHERS
from tests.cli.test_leaks import held
from tests.serve.serving import ask, series_of, serving, write_config
from tests.servers import odbc
from tests.servers.network import refused_port
from tests.servers.postgresql import PASSWORD, PostgresServer
from tests.servers.tds import TdsServer
from tests.servers.waiting import wait_until

SHORT = "[thresholds]\nidle_in_transaction = '500ms'\n"


def test_a_leak(postgres: PostgresServer) -> None:
    with (
        held(postgres, "checkout-api"),
        serving("--all", "--config", write_config({"shop": postgres.dsn()}, more=SHORT)) as at,
    ):
        at.wait_for("dbdoctor_group_verdict", application="checkout-api", verdict="leak", target="shop")
        assert at.value("dbdoctor_up", target="shop") == 1
        assert at.values("dbdoctor_failure") == {}
        assert at.value("dbdoctor_findings", code="idle-in-transaction", severity="error") == 1
        assert at.value("dbdoctor_group_sessions", application="checkout-api", state="idle_in_transaction") == 1
        assert at.value("dbdoctor_group_sessions", application="checkout-api", user="postgres", state="idle") == 0
        assert at.value("dbdoctor_groups", verdict="leak") == 1
        longest = at.value("dbdoctor_longest_idle_in_transaction_seconds")
        assert longest is not None
        assert 0.5 <= longest < 60
        slots = {name: at.value(f"dbdoctor_slots_{name}") for name in ("limit", "reserved", "used", "free")}
        assert slots == {"limit": 40, "reserved": 3, "used": 2, "free": 35}
        assert at.value("dbdoctor_ghost_sessions") == 0
        info = dict(next(iter(at.values("dbdoctor_target_info")))[1])
        assert (info["db_system_name"], info["server_port"]) == ("postgresql", str(postgres.port))
        stages = {dict(labels)["stage"] for _, labels in at.values("dbdoctor_stage_duration_seconds")}
        assert stages == {"connect", "tls", "login", "query"}


def test_there_is_one_session_a_target_and_the_figures_go_with_the_server(start_postgres) -> None:
    ours = "select count(*) from pg_stat_activity where application_name = 'dbdoctor'"
    server = start_postgres()
    config = write_config({"shop": server.dsn(), "again": server.dsn()})
    # With a login at every other look, none of which may overlap with the session before it.
    with serving("--all", "--config", config, "--login-every", "600ms", interval="300ms") as at:
        at.wait_for("dbdoctor_looks_total", 4.0, target="again", outcome="answered")
        for _ in range(40):
            assert server.execute(ours)[0][0] <= 2
        server.stop("immediate")
        at.wait_for("dbdoctor_up", 0.0, target="shop")
        at.wait_for("dbdoctor_failure", target="shop", stage="connect", error_type="connection-refused")
        assert at.values("dbdoctor_slots_used", target="shop") == {}
        assert at.values("dbdoctor_group_sessions", target="shop") == {}
        server.start()
        at.wait_for("dbdoctor_up", target="shop")
        assert at.values("dbdoctor_failure", target="shop") == {}
        result = at.end()
    assert "shop: fails at connect: connection-refused\n" in result.stderr
    assert "shop: answers again\n" in result.stderr
    assert server.execute(ours)[0][0] == 0


def test_sql_server(start_tds) -> None:
    server: TdsServer = start_tds("2022")
    with serving(server.dsn(), "--no-config", env=odbc.environment()) as at:
        at.wait_for("dbdoctor_up")
        info = dict(next(iter(at.values("dbdoctor_target_info")))[1])
        assert info["db_system_name"] == "microsoft.sql_server"
        assert at.value("dbdoctor_slots_limit") == 32767
        assert at.end().outlived_by == ()


HOSTILE = (
    'a" 1\ndbdoctor_up{target="shop"} 0',
    "# HELP dbdoctor_up\n# TYPE dbdoctor_up counter",
    "back\\slash\\",
    "\x1b[2J\x1b]0;owned\x07",
    "<script>alert(1)</script>",
    f"postgresql://app:{PASSWORD}@db/shop",
    "\u202eright to left",
    "x" * 63,
)


def test_hostile_names_are_only_names(postgres: PostgresServer) -> None:
    with contextlib.ExitStack() as stack:
        for name in HOSTILE:
            stack.enter_context(held(postgres, name))
        config = write_config({"shop": postgres.dsn()}, more=SHORT)
        at = stack.enter_context(serving("--all", "--config", config))
        wait_until(lambda: len(at.values("dbdoctor_group_verdict", verdict="leak")) == len(HOSTILE), "the leaks")
        assert set(at.values("dbdoctor_up").values()) == {1.0}
        pages = [ask(at.port, path).text for path in ("/metrics", "/", "/healthz")]
        stderr = at.end().stderr
    shown = [dict(labels) for name, labels in series_of(pages[0]) if name == "dbdoctor_group_sessions"]
    names = {labels["application"] for labels in shown}
    assert all(len(name) <= 64 and name.isprintable() for name in names)
    for text in (*pages, stderr):
        assert "superuser" not in text
        assert "\x1b" not in text
        assert "\u202e" not in text
    assert "<script>" not in pages[1]


def test_no_more_groups_than_there_are_places(start_postgres) -> None:
    server = start_postgres(settings={"max_connections": 60})
    with contextlib.ExitStack() as stack:
        for number in range(MOST_GROUPS + 10):
            stack.enter_context(contextlib.closing(server.connect(application_name=f"pod-{number:04d}")))
        at = stack.enter_context(serving(server.dsn(), "--no-config"))
        at.wait_for("dbdoctor_sessions", MOST_GROUPS + 10.0, state="idle")
        groups = at.values("dbdoctor_group_sessions", state="idle")
        assert len(groups) <= MOST_GROUPS + 1
        assert sum(groups.values()) == MOST_GROUPS + 10
        others = at.value("dbdoctor_group_sessions", state="idle", application=OTHERS)
        assert others is not None
        assert others >= 10


def test_what_cannot_be_known_is_not_there() -> None:
    names = ("one", "two")
    with refused_port() as nobody:
        config = write_config(dict.fromkeys(names, f"postgresql://app:hidden-word@127.0.0.1:{nobody}/shop"))
        with serving("--all", "--config", config) as at:
            for name in names:
                at.wait_for("dbdoctor_up", 0.0, target=name)
            shown = {name for name, _ in at.scrape() if name.startswith("dbdoctor_")}
            assert "hidden-word" not in ask(at.port, "/metrics").text
    assert shown == {
        "dbdoctor_build_info",
        "dbdoctor_targets",
        "dbdoctor_target_info",
        "dbdoctor_up",
        "dbdoctor_failure",
        "dbdoctor_stage_duration_seconds",
        "dbdoctor_last_login_timestamp_seconds",
        "dbdoctor_looks_total",
        "dbdoctor_findings",
    }
