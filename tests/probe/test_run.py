"""Many probes at once: our own fault in one, a hanging driver in another, and none harms the rest."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator

import pytest

from dbdoctor.model.examination import Examination
from dbdoctor.model.stage import Stage, StageName, StageStarted
from dbdoctor.model.target import Endpoint, Product, Target
from dbdoctor.probe import run
from dbdoctor.probe.deadline import Deadline
from dbdoctor.probe.events import Event

OnEvent = Callable[[Event], None]


def target(host: str) -> Target:
    return Target(Product.POSTGRESQL, (Endpoint(host, 5432),), user="app")


@pytest.fixture
def over() -> Iterator[threading.Event]:
    """Lets the hanging stand-ins end with their test."""
    event = threading.Event()
    yield event
    event.set()


@pytest.fixture
def probes(monkeypatch: pytest.MonkeyPatch, over: threading.Event) -> None:
    """Stand-ins for the probe, chosen by the host's name: a driver that hangs, or that has a fault, is not to be had."""

    def stand_in(target: Target, deadline: Deadline, _samples: int, on_event: OnEvent) -> Examination:
        host = target.endpoints[0].host
        on_event(StageStarted(StageName.LOGIN, "app"))
        if host == "hangs":
            over.wait(30)
        if host == "faulty":
            raise ZeroDivisionError("t-pass9")
        while host == "chatty" and deadline.elapsed < 1.5:
            on_event(Stage(StageName.QUERY, ok=True, seconds=0.0, detail="again"))
            over.wait(0.005)
        return Examination(target, connected=True, seconds=deadline.elapsed)

    monkeypatch.setattr(run, "_probe_of", lambda _: stand_in)


def examine(
    *hosts: str, login_timeout: float, on_fault: Callable[[BaseException], None] = lambda _: None
) -> tuple[dict[str, tuple[Examination, float]], list[float]]:
    started, ticks = time.monotonic(), []
    found = {}
    for index, examination in run.examine_all(
        [target(host) for host in hosts],
        login_timeout=login_timeout,
        samples=1,
        on_progress=lambda *_: None,
        on_tick=lambda: ticks.append(time.monotonic() - started),
        on_fault=on_fault,
    ):
        found[hosts[index]] = examination, time.monotonic() - started
    return found, ticks


@pytest.mark.usefixtures("probes")
def test_our_own_fault_in_one_leaves_the_others_alone() -> None:
    faults: list[BaseException] = []
    found, _ = examine("good", "faulty", "fine", login_timeout=5.0, on_fault=faults.append)
    assert found["good"][0].connected
    assert found["fine"][0].connected
    broken = found["faulty"][0]
    assert not broken.connected
    assert [finding.code for finding in broken.findings] == ["internal-error"]
    assert "ZeroDivisionError" in broken.findings[0].title
    assert "t-pass9" not in repr(broken)
    assert [(stage.name, stage.ok) for stage in broken.stages] == [(StageName.LOGIN, False)]
    assert [type(fault) for fault in faults] == [ZeroDivisionError]


@pytest.mark.usefixtures("probes")
def test_a_hung_driver_is_given_up_in_time_while_another_target_talks() -> None:
    found, ticks = examine("hangs", "chatty", login_timeout=0.4)
    examination, after = found["hangs"]
    assert [finding.code for finding in examination.findings] == ["driver-hung"]
    assert 0.4 + run.GRACE <= after <= 0.4 + 0.3
    assert examination.seconds <= 0.4 + 0.3
    assert len([tick for tick in ticks if tick < 0.6]) >= 1


@pytest.mark.usefixtures("probes")
def test_a_report_that_waits_in_the_queue_is_not_a_hung_driver() -> None:
    """The caller may take its time over one target's answer; those of the others came in time all the same."""
    answers = run.examine_all(
        [target(host) for host in ("good", "fine", "well")],
        login_timeout=0.1,
        samples=1,
        on_progress=lambda *_: None,
        on_tick=lambda: None,
    )
    first = next(answers)
    threading.Event().wait(0.1 + run.GRACE + 0.1)  # the very thing under test: a caller that is late
    assert all(examination.connected for _, examination in [first, *answers])


def test_evidence_is_for_programs() -> None:
    from dbdoctor.model.stage import Failure
    from dbdoctor.probe.failures import find

    values: dict[str, object] = {
        "seconds": "0.4 s",
        "waited_seconds": 0.4,
        "where": "db1:5432",
        "reason": "x",
        "rows": ["a"],
        "host": "db1",
    }
    finding = find(Failure("driver-hung", StageName.LOGIN, values=values))
    assert finding.evidence == {"waited_seconds": 0.4, "host": "db1", "stage": "login"}
    assert finding.rows == ("a",)
    assert "0.4 s" in finding.title
