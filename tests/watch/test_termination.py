"""Which sessions are ended on request: planned on values, and done on a real server by the command itself."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator, Sequence
from typing import Any

import pytest

from dbdoctor.errors import CannotLookError, ExitCode, UsageError
from dbdoctor.model.finding import Skipped
from dbdoctor.model.leaks import GroupKey, GroupReport, LeaksReport, Observed, SessionReport, Verdict
from dbdoctor.model.session import ACTIVE, CLIENT, IDLE, IDLE_IN_TRANSACTION, OTHER, REPLICATION, Session
from dbdoctor.model.snapshot import Snapshot
from dbdoctor.targets.parse import parse_dsn
from dbdoctor.watch import termination
from dbdoctor.watch.postgresql_source import PostgresqlSource
from dbdoctor.watch.termination import Plan, by_hand, parse_ids, plan, still_so
from tests.databases.asking import TRUST
from tests.replacing import replace
from tests.servers.cli import Result, run_dbdoctor
from tests.servers.postgresql import PostgresServer
from tests.servers.terminal import run_on_terminal
from tests.servers.waiting import wait_until
from tests.watch.looking import PATIENCE, pid_of, wait_for_rows, wait_until_alone

LEAK, OK, SUSPECT, UNKNOWN = Verdict.LEAK, Verdict.OK, Verdict.SUSPECT, Verdict.UNKNOWN


def one(id_: int, verdict: Verdict = LEAK, **changes: Any) -> SessionReport:
    values: dict[str, Any] = {
        "started_at": 1000.0 + id_,
        "user": "app",
        "database": "shop",
        "application": "shop",
        "client": "10.0.0.5",
        "client_port": 4000,
        "state": IDLE_IN_TRANSACTION,
        "changed_at": 1100.0,
        "transaction_at": 1100.0,
        "statement_at": 1100.0,
        "waits_for": None,
        "writes": False,
        "holds_back": None,
        "kind": CLIENT,
    }
    session = Session(id_, **{**values, **changes})
    return SessionReport(session, verdict, "a reason", 100.0, 10.0, 10.0)


def report(*sessions: SessionReport, groups: Sequence[GroupReport] = ()) -> LeaksReport:
    observed = Observed(1000.0, 1200.0, 3, 2.0)
    return LeaksReport("postgresql://db", observed, None, None, tuple(groups), (), (), sessions)


def ids(found: Plan) -> tuple[int, ...]:
    return tuple(identity[0] for identity in found.identities)


def test_only_leaks_are_ended() -> None:
    found = plan(report(one(1), one(2, OK), one(3, SUSPECT), one(4, UNKNOWN)), None)
    assert (ids(found), found.spared, found.healthy) == ((1,), (), 3)
    assert found.identities == ((1, 1001.0),)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"kind": REPLICATION}, "it replicates: ending it makes a replica or a consumer fall behind"),
        ({"kind": OTHER}, "it belongs to the server itself"),
        ({"user": "root"}, "root is a superuser"),
        ({"id_": 77}, "it is dbdoctor's own session"),
    ],
)
@pytest.mark.parametrize("named", [False, True])
def test_these_are_spared_whatever_is_asked(changes: dict[str, Any], reason: str, named: bool) -> None:
    leak = one(**{"id_": 5, **changes})
    found = plan(report(leak), [leak.session.id] if named else None, own=77, superusers={"root"})
    assert found.to_end == ()
    assert [(spared.id, spared.reason, spared.outcome) for spared in found.spared] == [
        (leak.session.id, reason, termination.SPARED)
    ]


def test_a_named_session_is_ended_unless_nothing_is_wrong_with_it() -> None:
    found = plan(report(one(1), one(2, SUSPECT), one(3, OK), one(4)), [2, 3, 1, 99])
    assert ids(found) == (2, 1)
    assert [(spared.id, spared.outcome) for spared in found.spared] == [(3, "spared"), (99, "not-found")]
    assert "nothing is wrong with it (a reason)" in found.spared[0].reason


def test_a_spared_group_says_why() -> None:
    person = GroupReport(GroupKey(application="psql"), 1, 0, 1, 0, 0, OK, spared="a person at work")
    found = plan(report(one(3, OK, application="psql"), groups=[person]), [3])
    assert "a person at work" in found.spared[0].reason


@pytest.mark.parametrize("named", [None, [1]])
def test_a_restricted_view_ends_nothing(named: list[int] | None) -> None:
    hidden = one(2, UNKNOWN, hidden=True, state=None)
    skipped = (Skipped("x", "y", 'GRANT pg_monitor TO "app";'),)
    with pytest.raises(CannotLookError) as caught:
        plan(replace(report(one(1), hidden), skipped=skipped), named)
    assert caught.value.exit_code == ExitCode.CANNOT_LOOK
    assert caught.value.help == '`GRANT pg_monitor TO "app";`'
    group = GroupReport(GroupKey(), 5, 0, 0, 0, 5, UNKNOWN)
    with pytest.raises(CannotLookError):
        plan(report(one(1), groups=[group]), named)


@pytest.mark.parametrize("changes", [{"verdict": UNKNOWN}, {"started_at": None}, {"state": None}])
def test_a_named_session_that_could_not_be_judged_ends_nothing(changes: dict[str, Any]) -> None:
    with pytest.raises(CannotLookError):
        plan(report(one(1), one(2, **changes)), [1, 2])


def test_who_has_moved_since_the_preview_is_spared() -> None:
    waits: dict[str, Any] = {"state": ACTIVE, "transaction_at": None}
    reports = [one(1), one(2), one(3), one(4), one(5, **waits), one(6, **waits), one(7)]
    now = [
        one(1).session,
        one(2, state=ACTIVE, changed_at=1150.0).session,  # the same transaction: it may be a leak that stirs
        one(3, state=IDLE, changed_at=1150.0, transaction_at=None).session,  # it came back
        one(4, changed_at=1150.0, transaction_at=1150.0).session,  # and is lent again
        one(5, **waits).session,
        one(6, state=IDLE, changed_at=1150.0, transaction_at=None).session,
        one(7, started_at=1190.0).session,  # another session with the same id
    ]
    holds, dropped = still_so(plan(report(*reports), None), Snapshot(1200.0, tuple(now)))
    assert ids(holds) == (1, 2, 5)
    assert [(outcome.identity[0], outcome.outcome) for outcome in dropped] == [
        (3, "spared"),
        (4, "spared"),
        (6, "spared"),
        (7, "not-found"),
    ]


def test_ids_as_people_write_them() -> None:
    assert parse_ids(["4711"]) == (4711,)
    assert parse_ids(["1,2", " 3 ,2"]) == (1, 2, 3)
    assert parse_ids([]) == ()


@pytest.mark.parametrize("word", ["", "x", "1,", "-1", "0", "2147483648", "1 2", "4711;", "٣", "1.0", "9" * 5000])
def test_ids_that_are_none(word: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_ids([word])
    assert len(str(caught.value)) < 200


# --- on a server


@pytest.fixture(scope="module")
def running() -> Iterator[PostgresServer]:
    with PostgresServer("embedded", hba=TRUST) as started:
        for role in ("app", "healthy"):
            started.execute(f"CREATE ROLE {role} LOGIN")
        started.execute("CREATE ROLE watcher LOGIN IN ROLE pg_monitor, pg_signal_backend")
        started.execute("CREATE ROLE looker LOGIN IN ROLE pg_monitor")
        started.execute("CREATE TABLE orders (id int)")
        started.execute("GRANT ALL ON orders TO app, healthy")
        yield started


class Sessions:
    """Two leaked checkouts, a pool at rest, and a superuser's open transaction."""

    def __init__(self, server: PostgresServer, stack: contextlib.ExitStack) -> None:
        self.server = server
        leaked = ["BEGIN", "INSERT INTO orders VALUES (1)"]
        self.leaks = [self._session(stack, leaked, "app", "shop") for _ in range(2)]
        self.pool = [self._session(stack, ["SELECT 1"], "healthy", "pool") for _ in range(3)]
        self.superuser = self._session(stack, ["BEGIN", "SELECT 1"], "postgres", "rooted")

    def _session(self, stack: contextlib.ExitStack, statements: list[str], user: str, application: str) -> int:
        opened = stack.enter_context(contextlib.closing(self.server.connect(user=user, application_name=application)))
        for statement in statements:
            opened.cursor().execute(statement)
        return pid_of(opened)

    @property
    def alive(self) -> set[int]:
        return {row[0] for row in self.server.execute("SELECT pid FROM pg_stat_activity WHERE client_port IS NOT NULL")}


@pytest.fixture
def sessions(running: PostgresServer) -> Iterator[Sessions]:
    wait_until_alone(running)
    with contextlib.ExitStack() as stack:
        yield Sessions(running, stack)


WATCH = ("--for", "3s", "--idle-in-transaction", "1s", "--no-config")


def leaks(server: PostgresServer, *arguments: str, user: str = "watcher") -> Result:
    return run_dbdoctor("leaks", server.dsn(user=user), *arguments)


def test_leaks_are_ended_and_nothing_else(sessions: Sessions) -> None:
    result = leaks(sessions.server, "--terminate-leaks", "--yes", "--json", *WATCH)
    found = json.loads(result.stdout)
    outcomes = {one["id"]: one["outcome"] for one in found["terminated"]}
    assert outcomes == {**dict.fromkeys(sessions.leaks, "ended"), sessions.superuser: "spared"}
    assert all(one["started_at"].endswith("Z") for one in found["terminated"])
    assert sessions.alive.isdisjoint(sessions.leaks)
    assert {*sessions.pool, sessions.superuser} <= sessions.alive
    assert result.exit_code == 1
    assert "to be ended: 2 sessions" in result.stderr
    assert "INSERT INTO orders" in result.stderr
    assert "postgres is a superuser" in result.stderr


def test_a_named_leak_is_ended_and_a_named_healthy_session_spared(sessions: Sessions) -> None:
    wanted = f"{sessions.leaks[0]},{sessions.pool[0]}"
    result = leaks(sessions.server, "--terminate", wanted, "--terminate", "2147483647", "--yes", *WATCH)
    assert result.exit_code == 1
    gone, kept = sessions.leaks
    assert sessions.alive >= {kept, *sessions.pool}
    assert gone not in sessions.alive
    lines = result.stdout.splitlines()
    assert f"{gone:>7}  ended  shop app@postgres from 127.0.0.1" in lines
    assert f"{sessions.pool[0]:>7}  spared  pool healthy@postgres from 127.0.0.1" in lines
    assert "2147483647  not found any more" in lines
    assert lines[-1] == "1 of 3 sessions ended"
    assert f"pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid = {sessions.pool[0]}" in result.stderr


def test_off_a_terminal_it_wants_yes_before_it_looks(sessions: Sessions) -> None:
    result = leaks(sessions.server, "--terminate-leaks", *WATCH)
    assert result.exit_code == 2
    assert "--yes" in result.stderr
    assert result.stdout == ""
    assert result.seconds < 3
    assert sessions.alive >= set(sessions.leaks)


@pytest.mark.parametrize(
    "arguments",
    [
        ("--terminate-leaks", "--terminate", "1", "--yes"),
        ("--terminate-leaks", "--yes", "--watch"),
        ("--terminate", "1", "--yes", "--replay", "x"),
        ("--terminate", "all", "--yes"),
        ("--yes",),
    ],
)
def test_what_does_not_go_together_is_said_before_anything_is_looked_at(arguments: tuple[str, ...]) -> None:
    result = run_dbdoctor("leaks", "postgresql://127.0.0.1:1/x", *arguments, "--no-config")
    assert result.exit_code == 2
    assert result.stderr.startswith("error: ")


def test_who_sees_not_all_ends_nothing(sessions: Sessions) -> None:
    result = leaks(sessions.server, "--terminate-leaks", "--yes", *WATCH, user="app")
    assert result.exit_code == 3
    assert 'GRANT pg_monitor TO "app";' in result.stderr
    assert sessions.alive >= set(sessions.leaks)


def test_who_may_not_is_told_the_grant(sessions: Sessions) -> None:
    result = leaks(sessions.server, "--terminate-leaks", "--yes", "--json", *WATCH, user="looker")
    assert result.exit_code == 3
    told = {one["id"]: one for one in json.loads(result.stdout)["terminated"]}
    assert {told[id_]["outcome"] for id_ in sessions.leaks} == {"not-allowed"}
    assert 'GRANT pg_signal_backend TO "looker";' in told[sessions.leaks[0]]["detail"]
    assert sessions.alive >= set(sessions.leaks)


@pytest.mark.parametrize(("answer", "is_ended"), [(b"y\n", True), (b"\n", False), (b"n\n", False), (b"\x04", False)])
def test_a_terminal_is_asked(sessions: Sessions, answer: bytes, is_ended: bool) -> None:
    def type_it(running: Any, descriptor: int) -> None:
        running.wait_for("[y/N]", 20)
        os.write(descriptor, answer)

    dsn = sessions.server.dsn(user="watcher")
    result = run_on_terminal("leaks", dsn, "--terminate-leaks", *WATCH, after_start=type_it)
    assert any("End these 2 sessions? [y/N]" in line for line in result.screen)
    assert sessions.alive.isdisjoint(sessions.leaks) == is_ended
    assert f"{2 if is_ended else 0} of 3 sessions ended" in result.screen
    assert set(sessions.pool) <= sessions.alive


def test_ctrl_c_at_the_question_ends_nothing(sessions: Sessions) -> None:
    def type_it(running: Any, descriptor: int) -> None:
        running.wait_for("[y/N]", 20)
        os.write(descriptor, b"\x03")

    dsn = sessions.server.dsn(user="watcher")
    result = run_on_terminal("leaks", dsn, "--terminate-leaks", *WATCH, after_start=type_it)
    assert result.exit_code == 130
    assert sessions.alive >= set(sessions.leaks)


def test_a_session_that_comes_back_while_the_question_stands_is_spared(running: PostgresServer) -> None:
    wait_until_alone(running)
    with (
        contextlib.closing(running.connect(user="app")) as lost,
        contextlib.closing(running.connect(user="app")) as back,
    ):
        for opened in (lost, back):
            opened.cursor().execute("BEGIN")

        def type_it(started: Any, descriptor: int) -> None:
            started.wait_for("[y/N]", 20)
            back.cursor().execute("ROLLBACK")
            os.write(descriptor, b"y\n")

        result = run_on_terminal("leaks", running.dsn(user="watcher"), "--terminate-leaks", *WATCH, after_start=type_it)
        assert "1 of 2 sessions ended" in result.screen
        back.cursor().execute("SELECT 1")
        wait_for_rows(running, f"SELECT 1 FROM pg_stat_activity WHERE pid = {pid_of(lost)}", "its end", 0)


def test_our_own_session_dropped_meanwhile_is_opened_again(sessions: Sessions) -> None:
    def type_it(running: Any, descriptor: int) -> None:
        running.wait_for("[y/N]", 20)
        own = "FROM pg_stat_activity WHERE usename = 'watcher'"
        sessions.server.execute(f"SELECT pg_terminate_backend(pid) {own}")
        wait_for_rows(sessions.server, f"SELECT 1 {own}", "our end", 0)
        os.write(descriptor, b"y\n")

    dsn = sessions.server.dsn(user="watcher")
    result = run_on_terminal("leaks", dsn, "--terminate-leaks", *WATCH, after_start=type_it)
    assert "2 of 3 sessions ended" in result.screen
    assert sessions.alive.isdisjoint(sessions.leaks)


def test_the_statement_by_hand_ends_that_session_and_no_later_one(running: PostgresServer) -> None:
    wait_until_alone(running)
    source = PostgresqlSource(parse_dsn(running.dsn(user="watcher"), environment={}))
    with contextlib.closing(running.connect(user="app")) as victim, contextlib.closing(source):
        source.open(PATIENCE)
        pid, started_at = next(one.identity for one in source.look(PATIENCE).sessions if one.id == pid_of(victim))
        assert started_at is not None
        assert running.execute(by_hand((pid, started_at - 1.0))) == []
        assert running.execute(by_hand((pid, started_at))) == [(True,)]
        wait_until(lambda: running.execute(f"SELECT 1 FROM pg_stat_activity WHERE pid = {pid}") == [], "its end")
