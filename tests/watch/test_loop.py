"""The loop on real servers: its rate, and what it makes of slow answers, lost servers and times in which nobody looked."""

from __future__ import annotations

import contextlib
import itertools
import os
import select
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from dbdoctor.model.snapshot import Snapshot, Wanted
from dbdoctor.targets.parse import parse_dsn
from dbdoctor.watch.loop import Enrich, Loop, Turn
from dbdoctor.watch.pace import Pace
from dbdoctor.watch.postgresql_source import PostgresqlSource
from dbdoctor.watch.source import SourceLostError
from dbdoctor.watch.stop import Stop, StoppedError
from tests.servers.postgresql import PostgresServer
from tests.servers.wire import Conversation, FakeServer

Starter = Callable[..., PostgresServer]


@contextlib.contextmanager
def looping(
    dsn: str,
    *,
    seconds: float | None,
    interval: float = 0.2,
    wanted: Callable[[Snapshot], Wanted] = lambda _: Wanted(),
    enrich: Enrich | None = None,
    stop: Stop | None = None,
    login_timeout: float = 2.0,
) -> Iterator[Loop]:
    source = PostgresqlSource(parse_dsn(dsn, environment={}))
    try:
        yield Loop(
            source,
            interval=interval,
            seconds=seconds,
            login_timeout=login_timeout,
            wanted=wanted,
            enrich=enrich,
            stop=stop,
        )
    finally:
        source.close()


def until(turns: Iterator[Turn], true: Callable[[Turn], object], patience: float = 20.0) -> list[Turn]:
    """Turns up to the first of which it is true."""
    taken: list[Turn] = []
    deadline = time.monotonic() + patience
    for turn in turns:
        taken.append(turn)
        if true(turn):
            return taken
        assert time.monotonic() < deadline, [t.events for t in taken if t.events]
    raise AssertionError(f"it ended before: {taken[-3:]}")


def told(turns: list[Turn]) -> list[str]:
    return [event.kind for turn in turns for event in turn.events]


def seen(turn: Turn) -> bool:
    return turn.snapshot is not None


def test_it_looks_so_often_in_that_time(postgres: PostgresServer) -> None:
    with looping(postgres.dsn(), seconds=1.4, interval=0.3) as loop:
        began = time.monotonic()
        turns = list(loop.turns())
        took = time.monotonic() - began
    snapshots = [turn.snapshot for turn in turns if turn.snapshot]
    steps = [later.at - earlier.at for earlier, later in itertools.pairwise(snapshots)]
    assert turns[0].facts is not None
    assert len(snapshots) == 6
    assert sum(steps) == pytest.approx(1.4, abs=0.15)
    assert 1.4 <= took < 2.5
    thorough = [one.prepared is not None for one in snapshots]
    assert thorough == [True, False, False, False, False, True]
    assert not any(turn.gap or turn.events for turn in turns)
    assert loop.lost is None


def test_a_single_look(postgres: PostgresServer) -> None:
    with looping(postgres.dsn(), seconds=0) as loop:
        turns = list(loop.turns())
    assert [seen(turn) for turn in turns] == [False, True]
    assert turns[1].snapshot is not None
    assert turns[1].snapshot.prepared is not None


def test_what_is_found_here_is_there_before_it_asks(postgres: PostgresServer) -> None:
    """What `enrich` adds is known to `wanted`, and what is wanted is asked for."""
    marked = frozenset({1})
    asked: list[frozenset[int]] = []

    def enrich(snapshot: Snapshot, *, thorough: bool) -> Snapshot:
        return Snapshot(snapshot.at, snapshot.sessions, clients_gone=marked)

    def wanted(snapshot: Snapshot) -> Wanted:
        asked.append(snapshot.clients_gone)
        return Wanted(tuple(session.id for session in snapshot.sessions))

    with (
        contextlib.closing(postgres.connect(application_name="one")) as one,
        looping(postgres.dsn(), seconds=0, wanted=wanted, enrich=enrich) as loop,
    ):
        one.cursor().execute("select 42")
        snapshot, pid = list(loop.turns())[-1].snapshot, one.info.backend_pid
    assert asked == [marked]
    assert snapshot is not None
    assert snapshot.details[pid].statement == "select 42"


def test_no_first_login_is_an_error() -> None:
    with looping("postgresql://app@127.0.0.1:1/shop", seconds=None) as loop, pytest.raises(SourceLostError):
        list(loop.turns())


def test_a_restart_is_a_gap(start_postgres: Starter) -> None:
    server = start_postgres()
    with looping(server.dsn(), seconds=None) as loop:
        turns = loop.turns()
        until(turns, seen)
        # Two starts are told apart from two seconds on.
        until(turns, lambda turn: turn.snapshot and turn.snapshot.at - started(server) > 2.5)
        server.stop("fast")
        lost = until(turns, lambda turn: turn.events)
        server.start()
        back = until(turns, seen)
    assert told(lost) == ["lost"]
    assert told(back)[-1] == "reconnected"
    assert "restarted" in back[-2].events[0].text
    assert back[-2].facts is not None
    gap = back[-1].gap
    assert gap is not None
    assert gap.reason == "the server was restarted"
    assert back[-1].snapshot is not None
    assert gap.until == back[-1].snapshot.at
    assert gap.since < gap.until


def started(server: PostgresServer) -> float:
    return float(server.execute("select extract(epoch from pg_postmaster_start_time())")[0][0])


def test_a_session_ended_by_an_operator_comes_back(postgres: PostgresServer) -> None:
    with looping(postgres.dsn(), seconds=None) as loop:
        turns = loop.turns()
        until(turns, seen)
        postgres.execute("select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'dbdoctor'")
        back = until(turns, lambda turn: turn.gap)
    assert told(back) == ["lost", "reconnected"]
    gap = back[-1].gap
    assert gap is not None
    assert gap.reason.startswith("the connection was lost: ")
    assert "restarted" not in back[-2].events[0].text


def test_a_changed_password_is_said_and_tried_on(start_postgres: Starter) -> None:
    server = start_postgres()
    server.execute("create role shop login password 'first' in role pg_monitor")
    with looping(server.dsn(user="shop", password="first"), seconds=None) as loop:
        turns = loop.turns()
        until(turns, seen)
        server.execute("alter role shop password 'second'")
        server.execute("select pg_terminate_backend(pid) from pg_stat_activity where usename = 'shop'")
        refused = until(turns, lambda turn: any("password" in event.text for event in turn.events))
        server.execute("alter role shop password 'first'")
        back = until(turns, seen)
    assert told(refused) == ["lost", "lost"]
    assert told(back) == ["reconnected"]
    assert back[-1].gap is not None


class SlowPath:
    """Relays to a server; its answers are `delay` seconds late."""

    def __init__(self, port: int) -> None:
        self.delay = 0.0
        self._port = port

    def __call__(self, talk: Conversation) -> None:
        with socket.create_connection(("127.0.0.1", self._port)) as server:
            while True:
                for ready in select.select([talk.socket, server], [], [])[0]:
                    data = ready.recv(65536)
                    if not data:
                        return
                    if ready is server:
                        time.sleep(self.delay)
                    (talk.socket if ready is server else server).sendall(data)


def test_a_slow_server_is_asked_less_often(postgres: PostgresServer, wire: Callable[..., FakeServer]) -> None:
    path = SlowPath(postgres.port)
    dsn = postgres.dsn().replace(str(postgres.port), str(wire(path).port))
    with looping(dsn, seconds=None, interval=0.25, login_timeout=30.0) as loop:
        turns = loop.turns()
        until(turns, seen)
        path.delay = 0.15  # in time for the answer, but too much of the interval
        slow = until(turns, lambda turn: turn.interval == 0.5)
        path.delay = 0.45  # more than one look may take: the connection is given up, and another one made
        slower = until(turns, lambda turn: turn.interval > 0.5)
        back = until(turns, seen)
        path.delay = 0.0
        quick = until(turns, lambda turn: turn.interval == 0.25, 60.0)
    assert told(slow) == ["slow"]
    assert slow[-1].snapshot is not None
    assert told(slower) == ["slow"]
    assert any(turn.facts for turn in back)
    assert set(told(back)) <= {"slow"}
    assert slower[-1].events[0].text == "the server answers slowly: looking every 1.0 s now"
    assert quick[-1].events[0].text == "the server answers in time again: looking every 250 ms now"


def test_a_server_that_hangs_is_lost_and_found(start_postgres: Starter) -> None:
    server = start_postgres()
    with looping(server.dsn(), seconds=None) as loop:
        turns = loop.turns()
        until(turns, seen)
        server.pause()
        lost = until(turns, lambda turn: any(event.kind == "lost" for event in turn.events))
        server.resume()
        back = until(turns, seen)
    assert told(lost) == ["slow", "lost"]
    assert told(back) == ["reconnected"]
    assert back[-1].gap is not None


def test_a_one_shot_that_loses_its_server_for_good(start_postgres: Starter) -> None:
    server = start_postgres()
    with looping(server.dsn(), seconds=1.5) as loop:
        turns = loop.turns()
        until(turns, seen)
        server.stop("immediate")
        rest = list(turns)
    assert loop.lost
    assert rest[-1].gap is not None
    assert rest[-1].gap.until - rest[-1].gap.since > 0.5
    assert told(rest)[0] == "lost"


def test_a_time_in_which_nobody_looked_is_a_gap(postgres: PostgresServer, monkeypatch: pytest.MonkeyPatch) -> None:
    with looping(postgres.dsn(), seconds=None) as loop:
        turns = loop.turns()
        until(turns, seen)
        time.sleep(1.6)  # as a program that was stopped does
        late = until(turns, seen)
        ordinary = until(turns, seen)
        clock = time.time
        monkeypatch.setattr(time, "time", lambda: clock() + 3600)
        time.sleep(1.6)
        slept = until(turns, seen)
    gaps = [turn.gap.reason if turn.gap else None for turn in (late[-1], ordinary[-1], slept[-1])]
    assert gaps == ["dbdoctor was kept from looking", None, "this computer slept"]


def test_the_end_can_be_asked_for_while_it_waits(postgres: PostgresServer) -> None:
    stop = Stop()
    with looping(postgres.dsn(), seconds=None, interval=60.0, stop=stop) as loop:
        turns = loop.turns()
        until(turns, seen)
        threading.Timer(0.2, stop.request).start()
        began = time.monotonic()
        assert list(turns) == []
    assert time.monotonic() - began < 2.0


def test_the_end_can_be_asked_for_while_the_server_hangs(start_postgres: Starter) -> None:
    """A look may take seconds; who asks for the end by a signal does not wait for it."""
    server, stop = start_postgres(), Stop()
    source = PostgresqlSource(parse_dsn(server.dsn(), environment={}))
    source.open(5.0)
    before = signal.signal(signal.SIGUSR1, lambda *_: stop.request())
    server.pause()
    try:
        threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGUSR1)).start()
        began = time.monotonic()
        with pytest.raises(StoppedError):
            stop.call(lambda: source.look(10.0))
        assert time.monotonic() - began < 2.0
        with pytest.raises(StoppedError):
            stop.call(lambda: pytest.fail("it was called"))
    finally:
        signal.signal(signal.SIGUSR1, before)
        server.resume()
        source.close()


def test_the_pace_follows_the_server() -> None:
    pace = Pace(1.0)
    assert pace.timeout == pytest.approx(0.8)
    assert not pace.answered(0.4)
    assert pace.answered(0.6)
    assert pace.interval == 2.0
    assert [pace.slow() for _ in range(6)] == [True, True, True, True, False, False]
    assert pace.interval == 30.0
    assert pace.timeout == 5.0
    assert [pace.answered(0.01) for _ in range(4)] == [False, True, False, True]
    assert pace.interval == 30.0 / 16
    assert not pace.answered(0.3)
    while pace.interval > 1.0:
        pace.answered(0.01)
    assert pace.interval == 1.0
    assert not any(pace.answered(0.01) for _ in range(10))


@pytest.mark.parametrize("period", [1.0, 2.0, 3.0, 4.0])
def test_looks_keep_step_with_nothing(period: float) -> None:
    """Of what repeats itself, ten looks see its beginning and its end."""
    pace = Pace(2.0)
    moments = [beat * 2.0 + pace.spread() for beat in range(1, 11)]
    steps = [later - earlier for earlier, later in itertools.pairwise(moments)]
    assert 1.2 < min(steps) < max(steps) < 3.3
    phases = sorted(moment % period / period for moment in moments)
    assert phases[0] < 0.2
    assert phases[-1] > 0.8


def test_an_hour_is_not_stretched() -> None:
    pace = Pace(3600.0)
    assert all(0 <= pace.spread() < 2.0 for _ in range(100))


def test_a_pace_slower_than_the_slowest_stays_as_asked() -> None:
    pace = Pace(3600.0)
    assert not pace.slow()
    assert pace.interval == 3600.0
    assert Pace(0.2).timeout == pytest.approx(0.2)
