"""A session is joined with the connection that it is, and with no other: not another server's, nor what a pooler made up."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import pytest

from dbdoctor.model.holding import Holding
from dbdoctor.model.session import ClientProcess, Session
from dbdoctor.model.snapshot import Snapshot
from dbdoctor.traces.follow import Follower
from dbdoctor.traces.holdings import Holdings
from dbdoctor.traces.joining import Moment, join
from tests.traces.holding_files import BEGAN, NEVER, RecorderFile

# The server's clock is an hour and a bit ahead of ours.
AHEAD = 3725.0
# A hundred seconds after the recorder began.
NOW = BEGAN + 100
PORTS = frozenset({5432})


def session(number: int, opened: float = 1.0, **changes: Any) -> Session:
    """One that was opened so many seconds after the recorder began."""
    plain = Session(
        number, BEGAN + opened + AHEAD, "app", "shop", "shop", "10.0.0.5", 40000, "idle", None, None, None, None, False, None
    )  # fmt: skip
    return plain._replace(**changes)


def joined(
    tmp_path: Path,
    *sessions: Session,
    processes: dict[int, ClientProcess] | None = None,
    file: RecorderFile | None = None,
) -> dict[int, int | None]:
    """The number of each session's connection; None where its process has it beside the pools."""
    if file is None:
        file = RecorderFile(tmp_path)
        file.connect(1, 1.0, session=100)
    follower = Follower(file.path)
    follower.read(NEVER)
    snapshot = Snapshot(NOW + AHEAD, sessions, processes=processes or {})
    found = join(snapshot, [follower], Moment(NOW, PORTS))
    follower.close()
    return {identity[0]: match.connection.number if match.connection else None for identity, match in found.items()}


def test_the_difference_of_the_clocks_does_not_matter(tmp_path: Path) -> None:
    assert joined(tmp_path, session(100)) == {100: 1}


@pytest.mark.parametrize(
    "other",
    [
        session(101),
        session(100, opened=30.0),
        session(100, opened=-10.0),
        session(100, database="other"),
        session(100, started_at=None),
        session(100, hidden=True),
        session(100, kind="replication"),
    ],
    ids=["id", "younger", "older", "database", "unknown age", "hidden", "replication"],
)
def test_what_differs_is_another_session(tmp_path: Path, other: Session) -> None:
    assert joined(tmp_path, other) == {}


@pytest.mark.parametrize(
    ("process", "expected"),
    [
        (ClientProcess(4711), {100: 1}),
        (ClientProcess(4712), {}),
        (ClientProcess(4711, pooler="PgBouncer"), {}),
        (ClientProcess(999, pooler="PgBouncer"), {}),
        (ClientProcess(999, forwarder="HAProxy"), {100: 1}),
    ],
    ids=["its own", "another", "a pooler of that id", "a pooler", "a forwarder"],
)
def test_the_process_that_has_the_socket_must_be_the_one_that_records(
    tmp_path: Path, process: ClientProcess, expected: dict[int, int]
) -> None:
    assert joined(tmp_path, session(100), processes={100: process}) == expected


def test_another_port_is_another_server_unless_the_process_is_known(tmp_path: Path) -> None:
    """Two servers started together give out the same ids at the same time; a tunnel's port is another one, too."""
    file = RecorderFile(tmp_path)
    file.connect(1, 1.0, session=100, port=5433)
    assert joined(tmp_path, session(100), file=file) == {}
    assert joined(tmp_path, session(100), file=file, processes={100: ClientProcess(4711)}) == {100: 1}


def test_two_that_fit_are_none(tmp_path: Path) -> None:
    file = RecorderFile(tmp_path)
    file.connect(1, 1.0, session=100)
    file.connect(2, 1.5, session=100)
    assert joined(tmp_path, session(100), file=file) == {}


def test_a_login_may_take_long(tmp_path: Path) -> None:
    file = RecorderFile(tmp_path)
    file.connect(1, 9.0, session=100, took=8.0)
    assert joined(tmp_path, session(100, opened=1.0), file=file) == {100: 1}


def test_what_was_there_before_the_recorder_needs_its_process(tmp_path: Path) -> None:
    file = RecorderFile(tmp_path)
    file.connect(1, None, session=100)
    before = session(100, opened=-500.0)
    assert joined(tmp_path, before, file=file) == {}
    assert joined(tmp_path, before, file=file, processes={100: ClientProcess(4711)}) == {100: 1}
    assert joined(tmp_path, session(100, opened=50.0), file=file, processes={100: ClientProcess(4711)}) == {}


def test_what_a_recorded_process_has_beside_its_pools_is_told(tmp_path: Path) -> None:
    processes = {7: ClientProcess(4711), 8: ClientProcess(4711), 9: ClientProcess(4711)}
    sessions = (session(7, 20.0), session(8, -20.0), session(9, 99.0))
    # The second one is older than the recorder, and the third so young that it may not be written yet.
    assert joined(tmp_path, *sessions, processes=processes) == {7: None}


def test_without_ids_only_what_is_unique_on_both_sides(tmp_path: Path) -> None:
    """SQL Server: the client's process id and the time of its login."""
    file = RecorderFile(tmp_path)
    for number, at in ((1, 1.0), (2, 20.0), (3, 20.4), (4, 50.0)):
        file.connect(number, at, port=None)
    sessions = [session(50 + n, at, process=4711) for n, at in ((1, 1.0), (2, 20.0), (3, 20.4), (4, 50.1))]
    assert joined(tmp_path, *sessions, file=file) == {51: 1, 54: 4}
    assert joined(tmp_path, *(one._replace(process=4712) for one in sessions), file=file) == {}
    assert joined(tmp_path, session(60, 1.2, process=4711), *sessions, file=file) == {54: 4}


def held(file: RecorderFile, *sessions: Session) -> tuple[dict[int, Holding], list[str]]:
    """What a look finds, with the process's clock as ours; the sessions' ages count from now."""
    found = Holdings(lambda: [file.path], PORTS)
    snapshot = found.enrich(Snapshot(time.time() + AHEAD, sessions), thorough=True)
    found.close()
    return dict(snapshot.holdings), [missing.reason for missing in snapshot.missing]


def recent(tmp_path: Path, **header: Any) -> tuple[RecorderFile, Session]:
    """A process that began ten seconds ago, has one session since nine, and took it five seconds ago."""
    began = time.time() - 10
    file = RecorderFile(tmp_path, began=began, **header)
    file.site(1)
    file.connect(1, 1.0, session=100)
    return file, session(100, started_at=began + 1 + AHEAD)


def test_a_holding_is_told_by_the_servers_clock(tmp_path: Path) -> None:
    file, one = recent(tmp_path)
    file.take(1, 1, 5.0)
    holdings, missing = held(file, one)
    assert missing == []
    holding = holdings[100]
    assert holding.held(time.time() + AHEAD) == pytest.approx(5.0, abs=2.0)
    assert (holding.process, holding.leak_after, holding.thread, holding.rests) == (4711, 60.0, "worker-3", False)
    assert holding.frame is not None
    assert holding.frame.shown == "shop/orders.py:12 take_order"


def test_the_same_checkout_began_at_the_same_time_in_every_look(tmp_path: Path) -> None:
    file, one = recent(tmp_path)
    file.take(1, 1, 5.0)
    found = Holdings(lambda: [file.path], PORTS)
    told = {found.enrich(Snapshot(time.time() + AHEAD, (one,))).holdings[100].since for _ in range(5)}
    assert len(told) == 1
    # Taken anew, it is another one.
    file.line(closed=1, use=1, how="returned", site=1)
    assert found.enrich(Snapshot(time.time() + AHEAD, (one,))).holdings[100].rests
    file.take(2, 1, 8.0)
    assert found.enrich(Snapshot(time.time() + AHEAD, (one,))).holdings[100].since not in told
    found.close()


@pytest.mark.parametrize(
    ("what", "word"),
    [("disabled", "turned itself off"), ("stopped", "stopped writing"), ("ended", None)],
)
def test_a_recorder_that_is_not_at_work_is_not_believed(tmp_path: Path, what: str, word: str | None) -> None:
    file, one = recent(tmp_path)
    file.take(1, 1, 5.0)
    if what == "disabled":
        file.line(disabled="TypeError in hooks.py:40", at=1)
    elif what == "ended":
        file.line(end=5, how="exit")
    else:
        os.utime(file.path, (time.time() - 60, time.time() - 60))
    holdings, missing = held(file, one)
    assert holdings == {}
    assert len(missing) == (word is not None)
    assert all(str(word) in reason for reason in missing)


def test_of_a_sample_only_what_is_out_is_certain(tmp_path: Path) -> None:
    file, one = recent(tmp_path, sample=0.1)
    assert held(file, one) == ({}, [])
    file.take(1, 1, 5.0)
    assert 100 in held(file, one)[0]
