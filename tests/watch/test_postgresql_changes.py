"""A look asks only for what has changed since the last one, and gives the same as a look at everything."""

import contextlib
import random

import pytest

from dbdoctor.databases.postgresql_sessions import look_question
from dbdoctor.model.session import ABORTED, IDLE, IDLE_IN_TRANSACTION
from dbdoctor.probe.deadline import Deadline
from dbdoctor.watch import postgresql_source
from dbdoctor.watch.postgresql_source import PostgresqlSource
from tests.databases.asking import TRUST
from tests.servers.postgresql import PostgresServer
from tests.watch.looking import PATIENCE, find, pid_of, session, source, wait_until_alone


@pytest.fixture(scope="module", params=["13", "18"])
def running(request):
    with PostgresServer(request.param, hba=TRUST) as started:
        started.execute("CREATE ROLE app LOGIN")
        started.execute("CREATE ROLE other LOGIN")
        started.execute("CREATE ROLE watcher LOGIN IN ROLE pg_monitor")
        yield started


@pytest.fixture
def server(running, monkeypatch):
    # What happened before the last look counts as old at once.
    monkeypatch.setattr(postgresql_source, "_MARGIN", 0.0)
    wait_until_alone(running)
    return running


def unchanged(looking: PostgresqlSource) -> set[int]:
    """The sessions of which the server would say now that they are as they were."""
    assert looking._last is not None
    rows = looking._connection.ask(look_question(looking._last.since), Deadline.after(5))
    return {row[0] for row in rows if row[14] is None}


def everything(looking: PostgresqlSource):
    """A look at all there is, by somebody who knows nothing yet; without the test's own sessions, which come and go."""
    other = PostgresqlSource(looking.target)
    try:
        other.open(PATIENCE)
        return {one.id: one for one in other.look(PATIENCE).sessions if one.user == "other"}
    finally:
        other.close()


def changes(looking: PostgresqlSource):
    return {one.id: one for one in looking.look(PATIENCE).sessions if one.user == "other"}


def test_what_rests_is_not_asked_for_again(server):
    with session(server, "SELECT 1") as resting, session(server, "BEGIN") as moving, source(server) as looking:
        first = looking.look(PATIENCE)
        assert unchanged(looking) == {pid_of(resting), pid_of(moving)}
        second = looking.look(PATIENCE)
        assert find(second, pid_of(resting)) is find(first, pid_of(resting))
        assert second.slots == first.slots
        with moving.cursor() as cursor, contextlib.suppress(Exception):
            cursor.execute("SELECT 1/0")
        assert unchanged(looking) == {pid_of(resting)}
        third = looking.look(PATIENCE)
        assert find(second, pid_of(moving)).state == IDLE_IN_TRANSACTION
        assert find(third, pid_of(moving)).state == ABORTED
        moving.close()
        with session(server) as newcomer:
            assert {one.id for one in looking.look(PATIENCE).sessions} >= {pid_of(resting), pid_of(newcomer)}


def test_a_snapshot_that_is_held_grows_older_all_the_same(server):
    server.execute("CREATE TABLE IF NOT EXISTS numbers (a int)")
    server.execute("GRANT SELECT ON numbers TO other")
    begin = "BEGIN ISOLATION LEVEL REPEATABLE READ"
    with session(server, begin, "SELECT * FROM numbers") as pinning, source(server) as looking:
        ages = []
        for _ in range(3):
            ages.append(find(looking.look(PATIENCE), pid_of(pinning)).holds_back or 0)
            assert pid_of(pinning) in unchanged(looking)
            server.execute("INSERT INTO numbers VALUES (1)")
        assert ages == [ages[0], ages[0] + 1, ages[0] + 2]
        assert find(looking.look(PATIENCE, thorough=True), pid_of(pinning)).holds_back == ages[0] + 3


def test_what_is_granted_meanwhile_is_seen(server):
    server.execute("CREATE ROLE newly LOGIN")
    try:
        with session(server, "SELECT 1") as opened, source(server, "newly") as looking:
            assert find(looking.look(PATIENCE), pid_of(opened)).hidden
            server.execute("GRANT pg_monitor TO newly")
            seen = looking.look(PATIENCE)
            assert (find(seen, pid_of(opened)).state, find(seen, pid_of(opened)).hidden) == (IDLE, False)
            assert seen.missing == ()
            server.execute("REVOKE pg_monitor FROM newly")
            assert find(looking.look(PATIENCE), pid_of(opened)).hidden
    finally:
        wait_until_alone(server)
        server.execute("DROP ROLE newly")


@pytest.mark.parametrize("jump", [-3600.0, 3600.0])
def test_after_a_clock_was_set_everything_is_asked_for(server, jump):
    with session(server, "SELECT 1") as opened, source(server) as looking:
        looking.look(PATIENCE)
        assert looking._last is not None
        looking._last = looking._last._replace(at=looking._last.at - jump, since=looking._last.since - jump)
        # By the last look's clock this has happened long ago.
        looking._reader._kept = {
            pid: (row, one._replace(state="stale")) for pid, (row, one) in looking._reader._kept.items()
        }
        looking._reader._kept = {pid: ((), one) for pid, (_, one) in looking._reader._kept.items()}
        assert find(looking.look(PATIENCE), pid_of(opened)).state == IDLE


def test_any_life_looks_the_same_either_way(server):
    dice = random.Random(20261121)
    statements = (
        "SELECT 1",
        "BEGIN",
        "COMMIT",
        "SELECT 1/0",
        "SELECT pg_advisory_lock(1)",
        "SET application_name = 'x'",
    )
    with contextlib.ExitStack() as stack, source(server) as looking:
        living = [stack.enter_context(contextlib.closing(server.connect(user="other"))) for _ in range(8)]
        for _ in range(40):
            for _ in range(dice.randrange(4)):
                number = dice.randrange(len(living))
                if dice.random() < 0.2:
                    living[number].close()
                    living[number] = stack.enter_context(contextlib.closing(server.connect(user="other")))
                else:
                    with living[number].cursor() as cursor, contextlib.suppress(Exception):
                        cursor.execute("SET lock_timeout = 1;" + dice.choice(statements))
            pids = {pid_of(one) for one in living}
            seen, all_there_is = changes(looking), everything(looking)
            assert {pid: seen[pid] for pid in pids} == {pid: all_there_is[pid] for pid in pids}
