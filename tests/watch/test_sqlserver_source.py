"""What a look at SQL Server gives: every kind of server, logins without rights, clocks that change, servers that go."""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Callable

import pytest

from dbdoctor.model.session import ACTIVE, IDLE, IDLE_IN_TRANSACTION
from dbdoctor.model.snapshot import Wanted
from dbdoctor.targets.parse import parse_dsn
from dbdoctor.watch.source import SourceLostError, SourceSlowError
from dbdoctor.watch.sqlserver_source import SqlServerSource
from tests.servers.tds import PROFILES, Account, Delay, End, ShownRequest, Silence, SqlError, TdsServer
from tests.servers.tds import profiles as rights
from tests.servers.tds.controls import Refuse
from tests.servers.tds.shown import NEVER
from tests.watch.looking_sqlserver import DRIVERS, PATIENCE, _drivers, find, source

__all__ = ["_drivers"]

Start = Callable[..., TdsServer]
HOUR = dt.timedelta(hours=1)
# Of these nothing can be asked but what they are.
WITHOUT_SESSIONS = "synapse-like"
WITHOUT_TRANSACTIONS = "babelfish-like"


def _people(server: TdsServer) -> tuple[int, int, int]:
    """One that rests with its driver's empty transaction, one that has written, one that waits for it."""
    empty = server.transaction(age=99.9)  # begun by the COMMIT, within it
    resting = server.inject(idle=100, age=300, open_transaction_count=1, transactions=(empty,), last_text="SELECT 1")
    written = server.transaction(age=95, log_records=4)
    writer = server.inject(
        idle=90,
        age=200,
        open_transaction_count=1,
        transactions=(written,),
        last_text="(@P1 int,@P2 nvarchar(20))UPDATE item SET amount=@P1 WHERE name=@P2",
    )
    now = server.clock.local()
    request = ShownRequest(
        now - dt.timedelta(seconds=5),
        status="suspended",
        command="UPDATE",
        wait_type="LCK_M_X",
        wait_milliseconds=5000,
        blocked_by=writer,
    )
    waiter = server.inject(status="running", idle=5, request=request, program_name="waits")
    return resting, writer, waiter


@pytest.mark.parametrize("driver", DRIVERS)
@pytest.mark.parametrize("profile", [name for name in PROFILES if name != WITHOUT_SESSIONS])
def test_every_kind_of_server(profile: str, driver: str, start_tds: Start) -> None:
    server = start_tds(profile)
    resting, writer, waiter = _people(server)
    other = server.inject(database_id=1, program_name="elsewhere")
    with source(server, driver) as opened:
        snapshot = opened.look(PATIENCE)
        snapshot = opened.explain(snapshot, Wanted((resting, writer), True), PATIENCE)
    seen = {session.id for session in snapshot.sessions}
    assert seen == {resting, writer, waiter} | (set() if server.profile.is_database else {other})
    assert snapshot.slots is not None
    assert snapshot.slots.used == len(seen) + 1
    assert find(snapshot, resting).state == IDLE
    assert find(snapshot, waiter).state == ACTIVE
    session = find(snapshot, writer)
    assert (session.user, session.database, session.application, session.process) == ("shop", "shop", "shop", 4711)
    assert (session.client, session.client_port) == ("10.0.0.7", None if server.profile.is_database else 50000)
    assert snapshot.at - (session.changed_at or 0) == pytest.approx(90, abs=2)
    if profile == WITHOUT_TRANSACTIONS:
        # Whether it holds anything cannot be known, and that is said.
        assert (session.state, session.unsure) == (IDLE, True)
        assert "whether an open transaction has done anything" in [missing.what for missing in snapshot.missing]
        return
    assert snapshot.missing == ()
    assert not any(one.unsure for one in snapshot.sessions)
    assert (session.state, session.writes) == (IDLE_IN_TRANSACTION, True)
    detail = snapshot.details[writer]
    assert (detail.statement, detail.log_bytes) == ("UPDATE item SET amount=@P1 WHERE name=@P2", 480)
    assert snapshot.details[resting].statement == "COMMIT or ROLLBACK /* after: SELECT 1 */"
    (waits,) = snapshot.waiters
    assert (waits.id, waits.blocked_by) == (waiter, (writer,))
    assert find(snapshot, waiter).waits_for == "Lock"


@pytest.mark.parametrize("driver", DRIVERS)
def test_a_server_without_the_view_of_sessions_says_so(driver: str, start_tds: Start) -> None:
    server = start_tds(WITHOUT_SESSIONS)
    made = SqlServerSource(parse_dsn(server.dsn(driver), environment={}))
    try:
        assert made.open(PATIENCE).restricted
        for _ in range(2):
            snapshot = made.look(PATIENCE)
            assert snapshot.sessions == ()
            (missing,) = snapshot.missing
            assert "Invalid object name 'sys.dm_exec_sessions'" in missing.reason
            assert "dbdoctor check" in (missing.help or "")
        server.sessions.live()[0].end("rst")
        with pytest.raises(SourceLostError):
            made.look(PATIENCE)
    finally:
        made.close()
    server.sessions.wait_for(0)


GRANTS = {
    "2016": "GRANT VIEW SERVER STATE TO [reader];",
    "2019": "GRANT VIEW SERVER STATE TO [reader];",
    "2022": "GRANT VIEW SERVER PERFORMANCE STATE TO [reader];",
    "2025": "GRANT VIEW SERVER PERFORMANCE STATE TO [reader];",
    "managed-instance": "GRANT VIEW SERVER STATE TO [reader];",
    "azure-sql-db-standard": "GRANT VIEW DATABASE STATE TO [reader];",
    "fabric-like": "GRANT VIEW DATABASE STATE TO [reader];",
}


@pytest.mark.parametrize("driver", DRIVERS)
@pytest.mark.parametrize("profile", GRANTS)
def test_a_login_without_rights_is_told_the_right_one(profile: str, driver: str, start_tds: Start) -> None:
    server = start_tds(profile)
    _people(server)
    made = SqlServerSource(parse_dsn(server.dsn(driver, UID="reader"), environment={}))
    facts = made.open(PATIENCE)
    snapshot = made.look(PATIENCE)
    made.close()
    assert facts.restricted
    assert facts.slots is None
    assert snapshot.sessions == ()
    assert snapshot.missing[0].what == "the sessions of other logins"
    assert snapshot.missing[0].help == GRANTS[profile]


def test_a_small_tier_of_azure_is_named_as_such(start_tds: Start) -> None:
    account = Account(rights=frozenset({rights.VIEW_DATABASE_STATE}))
    server = start_tds("azure-sql-db-basic", accounts={"sa": account})
    resting, writer, _ = _people(server)
    with source(server) as opened:
        snapshot = opened.look(PATIENCE)
        assert {resting, writer} < {session.id for session in snapshot.sessions}
        assert snapshot.slots is not None
        assert snapshot.slots.limit == 300
        missing = {one.what: one for one in snapshot.missing}
    told = missing["whether an open transaction has done anything"]
    assert "in the service tier Basic" in told.reason
    assert told.help == "ALTER SERVER ROLE ##MS_ServerStateReader## ADD MEMBER [sa];"


@pytest.mark.parametrize("zone", [dt.timedelta(0), 2 * HOUR, dt.timedelta(hours=-9, minutes=-30)])
def test_times_are_the_servers_whatever_its_zone_and_however_wrong(zone: dt.timedelta, start_tds: Start) -> None:
    server = start_tds("2022", offset=zone, skew=dt.timedelta(seconds=700))
    number = server.inject(idle=30, age=200)
    with source(server) as opened:
        snapshot = opened.look(PATIENCE)
        session = find(snapshot, number)
    assert snapshot.at - time.time() == pytest.approx(700, abs=2)
    assert snapshot.at - (session.changed_at or 0) == pytest.approx(30, abs=2)
    assert snapshot.at - (session.started_at or 0) == pytest.approx(200, abs=2)


@pytest.mark.parametrize(("before", "after"), [(2 * HOUR, HOUR), (HOUR, 2 * HOUR)])
def test_a_change_of_daylight_saving_changes_no_session(
    before: dt.timedelta, after: dt.timedelta, start_tds: Start
) -> None:
    server = start_tds("2022", offset=before)
    transaction = server.transaction(age=600, log_records=1)
    server.inject(idle=500, age=4000, open_transaction_count=1, transactions=(transaction,))
    with source(server) as opened:
        first = opened.look(PATIENCE)
        server.clock.offset = after
        second = opened.look(PATIENCE)
        assert second.sessions == first.sessions
        assert 0 <= second.at - first.at < 2
        assert [one.outcome for one in opened.terminate([first.sessions[0].identity], PATIENCE)] == ["ended"]


def test_an_hour_set_back_leaves_no_times_in_the_future(start_tds: Start) -> None:
    server = start_tds("2022", offset=2 * HOUR)
    number = server.inject(idle=300, age=600)
    server.clock.offset = HOUR
    with source(server) as opened:
        snapshot = opened.look(PATIENCE)
        assert snapshot.at - (find(snapshot, number).changed_at or 0) == pytest.approx(300, abs=2)


def test_a_session_that_never_asked_anything(start_tds: Start) -> None:
    server = start_tds("2022")
    numbers = [server.inject(age=50, last_request_end=end) for end in (None, NEVER)]
    beginning = server.inject(login_time=NEVER, status="dormant", last_request_end=None)
    with source(server) as opened:
        snapshot = opened.look(PATIENCE)
    for number in numbers:
        session = find(snapshot, number)
        assert session.statement_at is None
        assert session.changed_at == session.started_at
        assert session.state == IDLE
    assert find(snapshot, beginning).started_at is None


def test_sessions_of_several_connections_and_of_none(start_tds: Start) -> None:
    server = start_tds("2022")
    several = server.inject(mars_sessions=3)
    none = server.inject(client_address=None)
    local = server.inject(client_address="<local machine>", client_port=None)
    server.inject(is_user_process=False)
    with source(server) as opened:
        snapshot = opened.look(PATIENCE)
    assert [session.id for session in snapshot.sessions] == [several, none, local]
    assert [session.client for session in snapshot.sessions] == ["10.0.0.7", "app1", "local"]


def test_what_blocks_holds_something_even_without_a_log_record(start_tds: Start) -> None:
    server = start_tds("2022")
    number = server.inject(
        idle=40, age=200, open_transaction_count=1, transactions=(server.transaction(age=39.9),), last_text="SELECT 1"
    )
    request = ShownRequest(server.clock.local(), status="suspended", wait_type="LCK_M_X", blocked_by=number)
    with source(server) as opened:
        assert find(opened.look(PATIENCE), number).state == IDLE
        waiter = server.inject(status="running", request=request)
        assert find(opened.look(PATIENCE), number).state == IDLE_IN_TRANSACTION
        server.sessions.take_out(waiter)
        # What it held then it holds to the end of its transaction.
        assert find(opened.look(PATIENCE), number).state == IDLE_IN_TRANSACTION
        server.inject(number, idle=1, age=200, open_transaction_count=1, transactions=(server.transaction(age=0.9),))
        assert find(opened.look(PATIENCE), number).state == IDLE


def test_a_transaction_that_a_statement_began_is_a_real_one(start_tds: Start) -> None:
    server = start_tds("2022")
    implicit = server.transaction(age=40, name="implicit_transaction")
    number = server.inject(idle=40, age=200, open_transaction_count=1, transactions=(implicit,))
    with source(server) as opened:
        assert find(opened.look(PATIENCE), number).state == IDLE_IN_TRANSACTION


def test_ids_that_are_no_sessions_block_nobody(start_tds: Start) -> None:
    server = start_tds("2022")
    now = server.clock.local()
    for blocker in (-2, -3, -5):
        request = ShownRequest(now, status="suspended", wait_type="PAGELATCH_SH", blocked_by=blocker)
        server.inject(status="running", request=request)
    with source(server) as opened:
        snapshot = opened.explain(opened.look(PATIENCE), Wanted((), True), PATIENCE)
    assert snapshot.waiters == ()
    assert {session.waits_for for session in snapshot.sessions} == {"PAGELATCH_SH"}


@pytest.mark.parametrize("driver", DRIVERS)
def test_a_look_is_one_question(driver: str, start_tds: Start) -> None:
    server = start_tds("2022")
    _people(server)
    with source(server, driver) as opened:
        (own,) = server.sessions.live()
        before = len(own.texts)
        for _ in range(3):
            opened.look(PATIENCE, thorough=True)
        asked = own.texts[before:]
        assert len(asked) == 3
        assert len(set(asked)) == 1, "the server keeps one plan for it"


@pytest.mark.parametrize("driver", DRIVERS)
def test_a_server_that_refuses_the_hints_is_asked_without(driver: str, start_tds: Start) -> None:
    server = start_tds("2022")
    number = server.inject()
    refusal = Refuse(SqlError(8622, message="Query processor could not produce a query plan because of the hints."))
    server.controls.at("query", refusal, matching="HASH JOIN")
    with source(server, driver) as opened:
        assert [session.id for session in opened.look(PATIENCE).sessions] == [number]


@pytest.mark.parametrize("driver", DRIVERS)
def test_an_answer_that_does_not_come_is_slow_in_time(driver: str, start_tds: Start) -> None:
    server = start_tds("2022")
    with source(server, driver) as opened:
        opened.look(PATIENCE)
        server.controls.at("query", Silence(), times=1)
        began = time.monotonic()
        with pytest.raises(SourceSlowError):
            opened.look(1.0)
        assert time.monotonic() - began < 1.3
        with pytest.raises(SourceLostError):
            opened.look(1.0)
        opened.open(PATIENCE)
        assert opened.look(PATIENCE).sessions is not None


@pytest.mark.parametrize("driver", DRIVERS)
def test_a_slow_answer_leaves_the_connection_good(driver: str, start_tds: Start) -> None:
    server = start_tds("2022")
    with source(server, driver) as opened:
        rule = server.controls.at("query", Delay(2.5), times=1)
        with pytest.raises(SourceSlowError):
            opened.look(2.0)
        rule.remove()


@pytest.mark.parametrize("how", ["fin", "rst", "kill"])
@pytest.mark.parametrize("driver", DRIVERS)
def test_a_server_that_goes_is_lost_and_found_again(driver: str, how: str, start_tds: Start) -> None:
    server = start_tds("2022")
    number = server.inject()
    with source(server, driver) as opened:
        identity = find(opened.look(PATIENCE), number).identity
        (own,) = server.sessions.live()
        own.end(how)
        server.sessions.wait_for(0)
        with pytest.raises(SourceLostError):
            opened.look(PATIENCE)
        opened.open(PATIENCE)
        assert find(opened.look(PATIENCE), number).identity == identity


@pytest.mark.parametrize("driver", DRIVERS)
def test_a_server_that_ends_in_the_middle_of_a_question_is_lost(driver: str, start_tds: Start) -> None:
    server = start_tds("2022")
    with source(server, driver) as opened:
        server.controls.at("query", End("rst"), matching="dm_exec_sessions")
        with pytest.raises(SourceLostError):
            opened.look(PATIENCE)


@pytest.mark.parametrize("driver", DRIVERS)
def test_hostile_names_and_statements_come_as_one_clean_line(driver: str, start_tds: Start) -> None:
    server = start_tds("2022")
    number = server.inject(
        idle=9,
        age=99,
        program_name="a\x1b[31m\nb\u202e",
        last_text="SELECT '\x00\x07\u202e\ud800' \r\n FROM t WHERE password = 'hunter2' " + "x" * 100_000,
    )
    with source(server, driver) as opened:
        snapshot = opened.explain(opened.look(PATIENCE), Wanted((number,)), PATIENCE)
    statement = snapshot.details[number].statement or ""
    assert 10 < len(statement) <= 1000
    assert statement.isprintable()
    assert "hunter2" not in statement
