"""What was seen is written and read back as it was, whatever texts a server sends; what is torn costs one snapshot."""

from __future__ import annotations

import errno
import json
import multiprocessing
import os
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dbdoctor.errors import UsageError
from dbdoctor.model.holding import Frame, Holding
from dbdoctor.model.leaks import WatchOptions
from dbdoctor.model.pool import PoolSettings
from dbdoctor.model.secret import Secret, remember
from dbdoctor.model.server import Missing, Pooler, ServerFacts, Slots
from dbdoctor.model.session import ClientProcess, Detail, PooledClient, Session, Waiter
from dbdoctor.model.snapshot import EndedSessions, Gap, PreparedTransaction, ReplicationSlot, Snapshot
from dbdoctor.model.target import Endpoint, Product, Target
from dbdoctor.watch.recorder import Recorder
from dbdoctor.watch.recording import Decoder, Encoder, columns, keyword
from dbdoctor.watch.replay import Replay

TARGET = Target(
    Product.POSTGRESQL,
    (Endpoint("db1", 5432),),
    user="app",
    password=Secret("correct horse battery"),
    database="shop",
    pool=PoolSettings(5, 10, processes=4),
    thresholds={"idle": 60.0},
)
FACTS = ServerFacts(
    "PostgreSQL",
    "18.1",
    180001,
    uptime=3600.0,
    slots=Slots(100, 3, 5, (("app", "shop", 4),)),
    pooler=Pooler("PgBouncer", "1.23", "transaction"),
    missing=(Missing("what", "why", "GRANT pg_monitor TO me"),),
    extra={"states": {"idle": 4}},
)
OPTIONS = WatchOptions(120.0, 5.0, ("application", "user"))

# Two halves of a surrogate pair that stand side by side are one letter in JSON; no decoder gives them to us.
_letters = st.characters(exclude_categories=[]).filter(lambda letter: not "\ud800" <= letter <= "\udbff")
_hostile = st.sampled_from(
    ["[/red]", "\x1b[31m", "\x1b]0;t\x07", "a\nb", "\u202eabc", '"},{"', "\udc80", "\0", "x" * 5000]
)
_texts = st.text(_letters, max_size=20) | _hostile
_times = st.none() | st.floats(0, 4e9)
_ids = st.integers(1, 2**31 - 1)
_sessions = st.builds(
    Session,
    id=_ids,
    started_at=_times,
    user=st.none() | _texts,
    database=st.none() | _texts,
    application=st.none() | _texts,
    client=st.none() | _texts,
    client_port=st.none() | st.integers(-1, 65535),
    state=st.none() | st.sampled_from(["active", "idle", "idle in transaction"]),
    changed_at=_times,
    transaction_at=_times,
    statement_at=_times,
    waits_for=st.none() | _texts,
    writes=st.booleans(),
    holds_back=st.none() | st.integers(0, 2**31),
    kind=st.sampled_from(["client", "replication", "other"]),
    hidden=st.booleans(),
    transaction_key=st.none() | _texts,
    process=st.none() | _ids,
)
_details = st.builds(
    Detail,
    _times,
    st.none() | _texts,
    st.integers(0, 99),
    st.none() | _texts,
    st.none() | _texts,
    st.integers(0, 99),
)
_processes = st.builds(ClientProcess, _ids, st.none() | _texts, st.none() | _texts, st.none() | _texts, _times)
_pooled = st.builds(PooledClient, *[st.none() | _texts, st.none() | _ids, *[st.none() | _texts] * 5])
_frames = st.lists(st.builds(Frame, _texts, st.integers(0, 99999), _texts), max_size=4).map(tuple)
_holdings = st.builds(
    Holding,
    _ids,
    _times,
    _frames,
    st.floats(0, 1e6),
    st.none() | _ids,
    st.none() | _texts,
    st.none() | _texts,
    st.booleans(),
)
_snapshots = st.builds(
    Snapshot,
    at=st.floats(0, 4e9),
    sessions=st.lists(_sessions, max_size=6, unique_by=lambda session: session.id).map(tuple),
    slots=st.none() | st.builds(Slots, _ids, _ids, _ids, st.lists(st.tuples(_texts, _texts, _ids)).map(tuple)),
    details=st.dictionaries(_ids, _details, max_size=3),
    waiters=st.lists(st.builds(Waiter, _ids, _times, st.lists(_ids).map(tuple)), max_size=3).map(tuple),
    prepared=st.none()
    | st.lists(
        st.builds(
            PreparedTransaction, _texts, st.floats(0, 4e9), st.none() | _texts, st.none() | _texts, st.none() | _ids
        )
    ).map(tuple),
    replication_slots=st.none()
    | st.lists(st.builds(ReplicationSlot, _texts, st.booleans(), st.none() | _ids, st.none() | _texts)).map(tuple),
    ended=st.none() | st.builds(EndedSessions, _ids, _ids, _ids),
    processes=st.dictionaries(_ids, _processes, max_size=3),
    clients_gone=st.frozensets(_ids, max_size=3),
    pooled_clients=st.dictionaries(_ids, _pooled, max_size=3),
    holdings=st.dictionaries(_ids, _holdings, max_size=3),
    missing=st.lists(st.builds(Missing, _texts, _texts, st.none() | _texts), max_size=2).map(tuple),
    took=st.floats(0, 60),
)


def session(id_: int, **changes: Any) -> Session:
    plain = Session(
        id_, 1000.0 + id_, "app", "shop", "api", "10.0.0.5", 40000, "idle", 2000.0, None, 1999.0, None, False, None
    )
    return plain._replace(**changes)


def record(path: Path, *snapshots: Snapshot, statements: bool = False, target: Target = TARGET) -> None:
    recorder = Recorder(path, target, OPTIONS, interval=2.0, statements=statements)
    recorder.facts(FACTS)
    for one in snapshots:
        recorder.snapshot(one)
    recorder.close()


def replayed(path: Path) -> tuple[list[Snapshot], list[Gap], tuple[str, ...]]:
    replay = Replay(path)
    turns = list(replay.turns())
    snapshots = [turn.snapshot for turn in turns if turn.snapshot]
    return snapshots, [turn.gap for turn in turns if turn.gap], replay.notes


@settings(max_examples=150, deadline=None)
@given(st.lists(_snapshots, min_size=1, max_size=4))
def test_a_snapshot_is_read_as_it_was_written(snapshots: list[Snapshot]) -> None:
    encoder, decoder = Encoder(statements=True), Decoder(columns())
    for one in snapshots:
        line = encoder.line(one)
        assert "\n" not in line
        assert decoder.snapshot(json.loads(line)) == one


@settings(max_examples=60, deadline=None)
@given(_snapshots, st.data())
def test_what_stays_is_written_once(first: Snapshot, data: st.DataObject) -> None:
    """Sessions that stay, change, go and come, in any order, over several lines of one whole snapshot."""
    encoder, decoder = Encoder(statements=True), Decoder(columns())
    now = first
    for step in range(5):
        assert decoder.snapshot(json.loads(encoder.line(now))) == now
        stay = [one for one in now.sessions if data.draw(st.booleans())]
        new = [one for one in data.draw(st.lists(_sessions, max_size=2)) if all(one.id != s.id for s in stay)][:1]
        changed = [one._replace(state="active") if data.draw(st.booleans()) else one for one in stay]
        order = data.draw(st.permutations([*changed, *new]))
        now = Snapshot(first.at + step, tuple(order), details=first.details, processes=first.processes)


@settings(max_examples=150, deadline=None)
@given(
    st.recursive(st.none() | st.integers() | st.text(max_size=5), lambda c: st.lists(c) | st.dictionaries(st.text(), c))
)
def test_no_line_does_harm(value: object) -> None:
    """Whatever stands in a line, it is a snapshot or a ValueError."""
    decoder = Decoder(columns())
    decoder.snapshot({"whole": 1, "at": 1.0, "sessions": [list(session(1))]})
    for line in (
        {"like": 1, "at": 2.0, "sessions": value},
        {"like": 1, "at": 2.0, "sessions": [value]},
        {"whole": 2, "at": value},
        {"whole": 2, "at": 2.0, "details": value, "processes": {"set": value}},
        {"whole": 2, "at": 2.0, "details": {"set": {"1": value}}, "slots": value, "waiters": [value]},
        {"whole": 2, "at": 2.0, "sessions": [[value] * len(Session._fields)]},
    ):
        try:
            found = decoder.snapshot(line)
        except ValueError:
            continue
        assert all(isinstance(one, Session) for one in found.sessions)


def test_a_recording_is_read_as_it_was_made(tmp_path: Path) -> None:
    path = tmp_path / "file"
    many = [Snapshot(float(at), (session(1), session(2, changed_at=float(at)))) for at in range(2000, 2100)]
    record(path, *many)
    replay = Replay(path)
    turns = list(replay.turns())
    assert [turn.snapshot for turn in turns if turn.snapshot] == many
    assert [turn.facts for turn in turns if turn.facts] == [FACTS]
    assert replay.options == OPTIONS
    assert replay.interval == 2.0
    target = replay.target
    assert (target.shown, target.pool, target.thresholds) == (TARGET.shown, TARGET.pool, TARGET.thresholds)
    assert replay.notes == ()
    assert path.stat().st_mode & 0o077 == 0


def test_a_lost_line_is_one_lost_snapshot(tmp_path: Path) -> None:
    path = tmp_path / "file"
    many = [Snapshot(float(at), (session(1),)) for at in range(2000, 2040)]
    record(path, *many)
    lines = path.read_bytes().splitlines(keepends=True)
    del lines[10]
    path.write_bytes(b"".join(lines))
    assert replayed(path)[0] == [*many[:8], *many[9:]]


@pytest.mark.parametrize("rest", [2, 20, 200])
def test_a_torn_last_line_is_said(tmp_path: Path, rest: int) -> None:
    path = tmp_path / "file"
    record(path, *[Snapshot(float(at), (session(1),), slots=Slots(40, 3, 2)) for at in (1, 2, 3)])
    size = path.stat().st_size
    lines = path.read_bytes().splitlines(keepends=True)
    os.truncate(path, size - min(rest, len(lines[-1]) - 1))
    snapshots, _, notes = replayed(path)
    assert [one.at for one in snapshots] == [1.0, 2.0]
    assert notes == ("the recording's last line is torn: its snapshot is lost",)


def test_a_recording_goes_on_after_a_crash(tmp_path: Path) -> None:
    """A torn line in the middle takes no other with it, and the time in between is a gap."""
    path = tmp_path / "file"
    record(path, Snapshot(1.0, (session(1),)), Snapshot(2.0, (session(1),)))
    os.truncate(path, path.stat().st_size - 5)
    record(path, Snapshot(90.0, (session(1),)), Snapshot(91.0, (session(1),)))
    snapshots, gaps, notes = replayed(path)
    assert [one.at for one in snapshots] == [1.0, 90.0, 91.0]
    assert gaps == [Gap(1.0, 90.0, "the recording was interrupted")]
    assert notes == ("1 line of the recording could not be read and is left out",)


def test_a_gap_is_recorded(tmp_path: Path) -> None:
    remember("correct horse battery")
    path = tmp_path / "file"
    recorder = Recorder(path, TARGET, OPTIONS, interval=2.0, statements=False)
    recorder.facts(FACTS)
    recorder.gap(Gap(1.0, 9.0, "the connection was lost: correct horse battery"))
    recorder.close()
    assert replayed(path)[1] == [Gap(1.0, 9.0, "the connection was lost: ***")]


def test_no_secret_and_no_statement_is_written(tmp_path: Path) -> None:
    remember("correct horse battery")
    path = tmp_path / "file"
    one = session(1, application="api correct horse battery")
    process = ClientProcess(5, "run --password 'correct horse battery'")
    detail = Detail(1.0, "select secret_of_the_table from t")
    record(path, Snapshot(1.0, (one,), details={1: detail}, processes={1: process}))
    text = path.read_text()
    assert "correct horse" not in text
    assert "secret_of_the_table" not in text
    assert '"SELECT"' in text
    assert not {key for key in json.loads(text.splitlines()[0])["of"] if "pass" in key}


def test_statements_are_written_when_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "file"
    record(path, Snapshot(1.0, (session(1),), details={1: Detail(1.0, "select a from t")}), statements=True)
    assert replayed(path)[0][0].details[1].statement == "select a from t"


@pytest.mark.parametrize(
    ("statement", "word"),
    [
        (None, None),
        ("", ""),
        ("  listen jobs", "LISTEN"),
        ("FETCH 100 FROM c", "FETCH"),
        ("rollback;", "ROLLBACK"),
        ("select\n1", "SELECT"),
        ("hunter2", None),
        ("   ", None),
        ("/* hunter2 */ select 1", None),
        ("IF @@TRANCOUNT > 0 ROLLBACK", "IF @@TRANCOUNT"),
    ],
)
def test_of_a_statement_only_its_kind_is_kept(statement: str | None, word: str | None) -> None:
    assert keyword(statement) == word


@pytest.mark.parametrize(
    "content",
    [
        b"root:x:0:0\n",
        b"{}\n",
        b"[]\n",
        b"\xff\xfe\n",
        b'{"schema":"dbdoctor.recording/2"}\n',
        b'{"schema":"dbdoctor.recording/1"}\n',
        b'{"schema":["dbdoctor.recording/1"]}\n',
        b'{"schema":"dbdoctor.recording/1","of":{},"options":{},"interval":"x","columns":7}\n',
        b"\0" * 5000,
        b"[" * 100_000 + b"\n",
    ],
)
def test_another_file_is_refused_and_left_alone(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "file"
    path.write_bytes(content)
    with pytest.raises(UsageError):
        Replay(path)
    with pytest.raises(UsageError):
        record(path, Snapshot(1.0, ()))
    assert path.read_bytes() == content


def test_a_recording_of_another_target_is_not_continued(tmp_path: Path) -> None:
    path = tmp_path / "file"
    record(path, Snapshot(1.0, ()))
    before = path.read_bytes()
    with pytest.raises(UsageError, match="another target"):
        record(path, Snapshot(2.0, ()), target=Target(Product.POSTGRESQL, (Endpoint("db2", 5432),)))
    assert path.read_bytes() == before


def test_what_is_no_plain_file_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path, tmp_path / "pipe", Path("/dev/null"), tmp_path / "no" / "file"):
        with pytest.raises(UsageError):
            record(path, Snapshot(1.0, ()))
    with pytest.raises(UsageError):
        Replay(tmp_path)


def test_two_do_not_write_one_recording(tmp_path: Path) -> None:
    path = tmp_path / "file"
    recorder = Recorder(path, TARGET, OPTIONS, interval=2.0, statements=False)
    with pytest.raises(UsageError, match="another dbdoctor"):
        record(path)
    recorder.close()
    record(path)


def _fills_up(path: str, answers: multiprocessing.SimpleQueue[object]) -> None:
    import resource
    import signal

    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (6000, 6000))
    recorder = Recorder(Path(path), TARGET, OPTIONS, interval=2.0, statements=False)
    recorder.facts(FACTS)
    for at in range(100):
        recorder.snapshot(Snapshot(float(at), tuple(session(id_, changed_at=float(at)) for id_ in range(1, 5))))
    recorder.close()
    answers.put(recorder.failed)


def test_a_full_disk_ends_the_recording_and_not_the_watch(tmp_path: Path) -> None:
    path = tmp_path / "file"
    context = multiprocessing.get_context("spawn")
    answers = context.SimpleQueue()
    process = context.Process(target=_fills_up, args=(str(path), answers))
    process.start()
    process.join(30)
    assert process.exitcode == 0
    assert os.strerror(errno.EFBIG) in answers.get()
    snapshots, _, notes = replayed(path)
    assert [one.at for one in snapshots] == [float(at) for at in range(len(snapshots))]
    assert len(snapshots) > 2
    assert notes


def test_two_thousand_sessions_are_cheap_and_small(tmp_path: Path) -> None:
    """A whole line and one of which a tenth has changed: CPU far below a tick, the second a fifth of the first at most."""
    path = tmp_path / "file"
    recorder = Recorder(path, TARGET, OPTIONS, interval=2.0, statements=False)
    recorder.facts(FACTS)
    whole = tuple(session(id_, application=f"api-{id_ % 20}") for id_ in range(1, 2001))
    changed = tuple(one._replace(changed_at=5e9) if one.id % 10 == 0 else one for one in whole)
    sizes, cpu = [path.stat().st_size], []
    for at, sessions in enumerate((whole, changed, changed)):
        started = time.process_time()
        recorder.snapshot(Snapshot(float(at), sessions))
        cpu.append(time.process_time() - started)
        sizes.append(path.stat().st_size)
    recorder.close()
    first, second = sizes[1] - sizes[0], sizes[2] - sizes[1]
    assert first < 2000 * 160
    assert second < first / 5
    assert max(cpu[0], min(cpu[1:])) < 0.015 * 3  # measured: 4 and 1 ms; other tests share the machine
