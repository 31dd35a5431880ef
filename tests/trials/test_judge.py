"""From records to verdicts: real records, and those that hypothesis makes up."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dbdoctor.model.target import Product
from dbdoctor.model.trial import Outcome, Record, Request, Scale
from dbdoctor.trials.host import read_host
from dbdoctor.trials.judge import judge, untestable
from dbdoctor.trials.orders import TrialOrder
from dbdoctor.trials.planning import facts_of
from dbdoctor.trials.pools import pools
from tests.servers.postgresql import PostgresServer
from tests.trials.records import CLOSED, HOST, LOST, SILENT, failed, ghost, hung, ok, plan, record
from tests.trials.simulating import simulate


def test_one_request_served_at_once_survives() -> None:
    case = judge(record(ok(5.0)), plan(), SILENT, HOST)
    assert (case.outcome, case.failed, case.requests) == (Outcome.SURVIVES, 0, 1)
    assert case.first_response == case.recovered == pytest.approx(0.01)
    assert (case.error, case.hang, case.would_hang) == (None, None, None)


def test_one_error_then_served() -> None:
    case = judge(record(failed(5.0), ok(5.02, 0.03, 1), connects=1, ghosts=(ghost(),)), plan(), SILENT, HOST)
    assert (case.outcome, case.failed, case.requests) == (Outcome.ONE_ERROR, 1, 2)
    assert case.first_response == pytest.approx(0.05), "from the first time it was asked, not the second"
    assert case.error == LOST
    assert case.reconnects == 1
    assert case.ghost_bound is not None
    assert case.ghost_bound.most == 7875


def test_an_error_for_each_of_two_threads_is_errors() -> None:
    """Each error has a user behind it."""
    both = record(failed(5.0), failed(5.0), ok(5.02), ok(5.02))
    case = judge(both, plan(threads=2), SILENT, HOST)
    assert (case.outcome, case.failed) == (Outcome.ERRORS, 2)


def test_an_error_that_nobody_recovered_from_is_not_one_error() -> None:
    assert judge(record(failed(5.0)), plan(), SILENT, HOST).outcome is Outcome.ERRORS
    half = judge(record(failed(5.0), ok(5.0)), plan(threads=2), SILENT, HOST)
    assert (half.outcome, half.recovered) == (Outcome.ERRORS, None)
    assert half.first_response is not None


def test_a_request_that_did_not_end_hangs() -> None:
    case = judge(record(hung(5.0)), plan(), SILENT, HOST)
    assert (case.outcome, case.failed, case.hang) == (Outcome.HANGS, 1, 30.0)
    assert case.would_hang is not None
    assert case.would_hang.least > 900
    assert case.first_response is None


def test_one_thread_that_hangs_is_not_hidden_by_another_that_is_served() -> None:
    case = judge(record(ok(5.0), hung(5.0)), plan(threads=2), SILENT, HOST)
    assert (case.outcome, case.failed) == (Outcome.HANGS, 1)
    assert case.first_response == pytest.approx(0.01)
    assert case.recovered is None


def test_a_hang_longer_than_its_bound_is_not_denied() -> None:
    limited = plan(connect_args={"tcp_user_timeout": 5000})
    bound = judge(record(hung(5.0)), limited, SILENT, HOST).would_hang
    assert bound is not None
    assert (bound.least, bound.most) == (30.0, None)


def test_a_request_just_begun_at_the_end_says_nothing() -> None:
    case = judge(record(failed(5.0), failed(34.0, 0.5), hung(34.8)), plan(), SILENT, HOST)
    assert (case.outcome, case.failed, case.requests) == (Outcome.ERRORS, 2, 2)
    only = judge(record(hung(34.8)), plan(), SILENT, HOST)
    assert not only.testable
    assert only.outcome is None
    assert "cut off" in only.note


def test_one_that_takes_as_long_as_others_that_failed_does_not_hang() -> None:
    """Each login takes its 10 s and fails; the last had 8 s."""
    case = judge(record(failed(5.0, 10.0), failed(15.2, 10.0), hung(27.0)), plan(), SILENT, HOST)
    assert case.outcome is Outcome.ERRORS
    longer = judge(record(failed(5.0, 1.0), hung(6.2)), plan(), SILENT, HOST)
    assert longer.outcome is Outcome.HANGS


def test_a_broken_trial_is_never_a_verdict() -> None:
    case = judge(record(ok(5.0), broken="the driver crashed"), plan(), SILENT, HOST)
    assert (case.testable, case.outcome, case.note) == (False, None, "the driver crashed")
    assert not judge(record(), plan(), SILENT, HOST).testable
    told = untestable(CLOSED, plan("lifo"), "no right to")
    assert (told.fault, told.pool, told.testable, told.note) == ("closed", "lifo", False, "no right to")


def test_a_pool_that_is_not_to_scale_has_no_verdict() -> None:
    """One second is the kernel's shortest keepalive; it does not come before a timeout of one second."""
    coarse = pools(Product.POSTGRESQL, Scale(1.0, 350.0))
    for name in ("keepalive-below", "belt-and-braces", "server-keepalive"):
        case = judge(record(ok(1.3)), coarse[name], SILENT, HOST)
        assert (case.testable, case.outcome) == (False, None)
        assert "--idle" in case.note
    assert judge(record(ok(1.3)), coarse["recycle-below"], SILENT, HOST).testable
    assert all(
        judge(record(ok(5.0)), one, SILENT, HOST).testable
        for one in pools(Product.SQLSERVER, Scale(2.0, 60.0)).values()
    )


requests = st.lists(
    st.builds(
        Request,
        st.integers(0, 5),
        st.floats(0.0, 34.0),
        st.none() | st.floats(0.0, 30.0),
        st.none() | st.just(LOST),
    ),
    max_size=8,
)


@given(requests, st.integers(1, 5), st.none() | st.just("broken"))
def test_every_record_has_a_sound_case(made: list[Request], threads: int, broken: str | None) -> None:
    clean = [one._replace(error=None) if one.seconds is None else one for one in made]
    case = judge(record(*clean, broken=broken), plan(threads=threads), SILENT, HOST)
    assert case.testable == (case.outcome is not None) == (not case.note)
    if broken:
        assert not case.testable
    if not case.testable:
        return
    assert 0 <= case.failed <= case.requests <= len(clean)
    assert (case.outcome is Outcome.SURVIVES) == (case.failed == 0)
    assert (case.outcome is Outcome.HANGS) == (case.hang is not None) == (case.would_hang is not None)
    assert case.recovered is None or case.first_response is not None
    assert case.recovered is None or case.first_response <= case.recovered  # type: ignore[operator]
    errors = sum(one.error is not None for one in clean)
    assert case.failed >= errors
    if case.outcome is Outcome.ONE_ERROR:
        assert case.failed == errors == 1


@pytest.fixture(scope="module")
def real(postgres: PostgresServer) -> dict[tuple[str, str], Record]:
    """The keep-alive thread, and what stands beside it; real pools on a real server."""
    table = pools(Product.POSTGRESQL, Scale(2.0, 350.0))
    cells = [
        ("silent-drop", "keep-alive-thread"),
        ("closed", "keep-alive-thread"),
        ("silent-drop", "default"),
        ("closed", "default"),
        ("silent-drop", "lifo"),
        ("closed", "recycle-below"),
    ]
    trials = [TrialOrder(number, fault, 2.0, table[pool], 4.0) for number, (fault, pool) in enumerate(cells)]
    return simulate(postgres.dsn(), trials).records


@pytest.mark.alone
@pytest.mark.parametrize(
    ("fault", "pool", "outcome", "errors"),
    [
        ("silent-drop", "keep-alive-thread", Outcome.HANGS, 1),
        ("closed", "keep-alive-thread", Outcome.ONE_ERROR, 1),
        ("silent-drop", "default", Outcome.HANGS, 1),
        ("closed", "default", Outcome.ONE_ERROR, 1),
        ("silent-drop", "lifo", Outcome.HANGS, 1),
        ("closed", "recycle-below", Outcome.SURVIVES, 0),
    ],
)
def test_real_records(
    real: dict[tuple[str, str], Record], fault: str, pool: str, outcome: Outcome, errors: int
) -> None:
    from dbdoctor.faults.kinds import all_faults

    table = pools(Product.POSTGRESQL, Scale(2.0, 350.0))
    case = judge(real[fault, pool], table[pool], facts_of(all_faults()[fault]), read_host(Product.POSTGRESQL))
    assert (case.outcome, case.failed) == (outcome, errors), case


@pytest.mark.alone
def test_the_keep_alive_thread_asked_once_and_saved_one_of_two(real: dict[tuple[str, str], Record]) -> None:
    seen = real["silent-drop", "keep-alive-thread"]
    served = [one.session for one in seen.requests if one.seconds is not None and one.error is None]
    assert len(served) == 1
    assert set(served) < set(seen.warm)
    assert len(seen.warm) == 2
    assert seen.pings >= 1
