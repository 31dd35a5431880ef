"""What is kept is bounded: places for names, the history that is judged; and a thread that hangs is told. No server."""

from __future__ import annotations

import threading

from dbdoctor.model.examination import Examination
from dbdoctor.model.leaks import GroupKey, GroupReport, Verdict, WatchOptions
from dbdoctor.model.server import ServerFacts, Slots
from dbdoctor.model.session import IDLE, Session
from dbdoctor.model.snapshot import EndedSessions, Gap, Snapshot
from dbdoctor.rules.sessions import judge_leaks
from dbdoctor.serve.fleet import Fleet
from dbdoctor.serve.labels import MOST_GROUPS, OTHERS, Places
from dbdoctor.serve.metrics import METRICS
from dbdoctor.serve.page import Page, lines_of
from dbdoctor.serve.state import Counts, Failed, Group, Seen, StageTime, State
from dbdoctor.serve.target_watch import Pacing
from dbdoctor.serve.window import WINDOW, Window
from dbdoctor.targets.parse import parse_dsn
from tests.cli.test_startup import imported
from tests.serve.serving import series_of
from tests.servers.wire import Conversation, FakeServer


def group(name: str, verdict: Verdict = Verdict.OK, sessions: int = 1) -> GroupReport:
    return GroupReport(GroupKey(name, "app", "shop"), sessions, 0, sessions, 0, 0, verdict)


def test_new_names_all_the_time_find_no_places() -> None:
    places, shown = Places(), set()
    for second in range(3000):
        groups = places.settle([group(f"random-{second}-{n}") for n in range(30)], float(second))
        assert sum(sum(one.counts) for one in groups) == 30
        shown |= {one.application for one in groups}
    assert OTHERS in shown
    assert len(shown) <= MOST_GROUPS + 1


def test_a_leak_finds_a_place_though_healthy_names_took_what_they_could() -> None:
    places = Places()
    places.settle([group(f"healthy-{n}") for n in range(100)], 0.0)
    groups = places.settle([*(group(f"healthy-{n}") for n in range(100)), group("leaky", Verdict.LEAK)], 1.0)
    assert groups[0][:3] == ("leaky", "app", "shop")
    assert len(groups) <= MOST_GROUPS + 1


def test_a_place_is_free_an_hour_after_its_group_was_last_seen() -> None:
    places = Places()
    places.settle([group(f"old-{n}") for n in range(100)], 0.0)
    assert {one.application for one in places.settle([group("new")], 3599.0)} == {OTHERS}
    assert {one.application for one in places.settle([group("new")], 3601.0)} == {"new"}


def test_names_that_are_alike_when_cut_are_one() -> None:
    (one,) = Places().settle([group("x" * 70, sessions=2), group("x" * 80, Verdict.LEAK, 3)], 0.0)
    assert (sum(one.counts), one.verdict) == (5, Verdict.LEAK)


def session(number: int, at: float) -> Session:
    return Session(number, at, "app", "shop", "api", "10.0.0.1", 5000, IDLE, at, None, at, None, False, None)


def test_every_metric_is_there_when_its_value_is_known() -> None:
    target = parse_dsn("postgresql://app@db/shop")
    counts = Counts(1, 2, 3, 4)
    seen = Seen(
        at=1e9,
        took=0.01,
        counts=counts,
        verdicts=dict.fromkeys(Verdict, 1),
        groups=(Group("api", "app", "shop", counts, Verdict.LEAK),),
        slots=Slots(100, 3, 60),
        exhausted_in=120.0,
        longest_idle_in_transaction=7.0,
        oldest_transaction=8.0,
        ghosts=2,
        ended=EndedSessions(1, 2, 3),
    )
    state = State(
        "shop",
        target,
        up=True,
        failed=Failed("login", "too-many-clients"),
        stages=(StageTime("login", 0.5),),
        logged_in_at=1e9,
        looked_at=1e9,
        findings={("slots-nearly-full", "error"): 1},
        facts=ServerFacts("PostgreSQL", "18.1", 180001),
        seen=seen,
    )
    lines = lines_of(state)
    assert [metric.name for metric in METRICS if not lines[metric.name + "_total" * (metric.kind == "counter")]] == []
    found = series_of(Page(1).text([lines]).decode())
    assert found["dbdoctor_slots_exhausted_in_seconds", frozenset({("target", "shop")})] == 120
    assert found["dbdoctor_sessions_ended_total", frozenset({("target", "shop"), ("how", "fatal")})] == 2
    labels = {"target": "shop", "application": "api", "user": "app", "db_namespace": "shop", "verdict": "leak"}
    assert found["dbdoctor_group_verdict", frozenset(labels.items())] == 1


def test_help_costs_no_import_of_the_client() -> None:
    code, names = imported("serve", "--help")
    assert code == 0
    assert "prometheus_client" not in names


def test_what_happened_once_is_not_held_against_a_server_for_ever() -> None:
    window, said, samples = Window(WatchOptions()), [], []
    for step in range(int(2.5 * WINDOW / 60)):
        at = 1e9 + step * 60.0
        ended = EndedSessions(0 if step < 5 else 3, 0, 0)
        window.add(Snapshot(at, (session(1, 1e9),), ended=ended))
        report = judge_leaks(window.history, parse_dsn("postgresql://app@db/shop"), None)
        said.append(any(finding.code == "clients-vanished" for finding in report.findings))
        samples.append(window.history.samples)
    assert said[:5] == [False] * 5
    assert said[5] is True
    assert said[-1] is False
    assert max(samples) <= WINDOW / 60 + 1
    # Once there has been half a window, there always is.
    assert min(samples[int(WINDOW / 60) :]) >= WINDOW / 120


def test_a_gap_is_a_gap_for_whatever_is_judged() -> None:
    window = Window(WatchOptions())
    for step in range(50):
        window.add(Snapshot(1e9 + step * 60.0, (session(1, 1e9),)))
    window.gap(Gap(1e9 + 3000, 1e9 + 3100, "lost"))
    for step in range(30):
        window.add(Snapshot(1e9 + 3100 + step * 60.0, (session(1, 1e9),)))
    assert len(window.history.gaps) == 1


def test_a_thread_that_hangs_is_told_and_the_others_go_on() -> None:
    hold = threading.Event()
    said: list[str] = []

    def judge(examination: Examination) -> Examination:
        if examination.target.database == "hangs":
            hold.wait(30)
        return examination

    targets = [parse_dsn(f"postgresql://app@127.0.0.1:1/{name}") for name in ("hangs", "fails")]
    fleet = Fleet(targets, Pacing(0.2, 300.0), judge=judge, say=said.append)
    fleet.start()
    try:
        while fleet.states()[1].up is None:
            hold.wait(0.01)
        assert fleet.hanging == 0
        fleet._watches[0].due = 0.0  # as if its time were up
        states = fleet.states()
        assert [state.failed and state.failed.code for state in states] == ["driver-hung", "connection-refused"]
        assert b'dbdoctor_failure{error_type="driver-hung",stage="login"' in fleet.text()
        assert fleet.hanging == 1
    finally:
        hold.set()
        assert fleet.stop(10) == 0
    assert any("driver-hung" in line for line in said)


def test_a_login_that_hangs_is_given_up_at_the_end() -> None:
    asked = threading.Event()

    def silent(talk: Conversation) -> None:
        asked.set()
        talk.stay_silent()

    with FakeServer(silent) as server:
        target = parse_dsn(f"postgresql://app@127.0.0.1:{server.port}/x")
        fleet = Fleet([target], Pacing(60.0, 300.0, 120.0), judge=lambda it: it, say=lambda _: None)
        fleet.start()
        assert asked.wait(20)
        assert fleet.stop(20) == 0


def test_a_fault_of_ours_is_told_as_such_and_tried_again() -> None:
    faults: list[Exception] = []

    def judge(examination: Examination) -> Examination:
        raise RuntimeError("a fault of ours")

    target = parse_dsn("postgresql://app@127.0.0.1:1/x")
    fleet = Fleet([target], Pacing(0.2, 300.0), judge=judge, say=lambda _: None, on_fault=faults.append)
    fleet.start()
    waiting = threading.Event()
    while len(faults) < 2:
        waiting.wait(0.01)
    (state,) = fleet.states()
    assert fleet.stop(10) == 0
    assert state.failed == ("query", "internal-error")
    assert str(faults[0]) == "a fault of ours"


def test_one_that_waits_for_its_next_turn_does_not_count_as_hanging() -> None:
    target = parse_dsn("postgresql://app@127.0.0.1:1/x")
    fleet = Fleet([target], Pacing(3600.0, 3600.0, 0.5), judge=lambda it: it, say=lambda _: None)
    fleet.start()
    waiting = threading.Event()
    (watch,) = fleet._watches
    while watch.state.up is None or watch.due != float("inf"):
        waiting.wait(0.01)
    assert fleet.hanging == 0
    assert fleet.stop(10) == 0
