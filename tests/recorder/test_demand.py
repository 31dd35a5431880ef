"""What `recommend` reads out of a recording is the demand that the program's own stopwatch and the server saw."""

from __future__ import annotations

import pytest

from tests.recorder.outside import Seen, demand_of, see
from tests.servers.postgresql import PostgresServer

SECONDS = 4.0
# Between the program's clock and the recorder's, and a session's and the program's, is code that a busy machine interrupts.
NEAR, OF_THE_SERVER = 0.05, 0.15
GRAIN = 0.0005  # seconds: what stands around a checkout in the program itself

pytestmark = pytest.mark.alone


@pytest.fixture(scope="module")
def seen(postgres: PostgresServer, tmp_path_factory: pytest.TempPathFactory) -> Seen:
    return see(postgres, tmp_path_factory.mktemp("demand"), SECONDS)


def test_not_a_checkout_more_or_less(seen: Seen) -> None:
    recorded = seen.recorded["demand"]
    assert (recorded["source"], recorded["processes"]) == ("trace", 3)
    assert recorded["checkouts"] == len(seen.timed) == seen.server_checkouts > 200
    assert seen.recorded["prediction"] is not None


def test_as_the_programs_stopwatch_has_it(seen: Seen) -> None:
    recorded, outside = seen.recorded["demand"], demand_of(seen.timed)
    assert recorded["rate_per_second"] == pytest.approx(outside["rate_per_second"], rel=0.01)
    assert recorded["use_seconds"] == pytest.approx(outside["use_seconds"], rel=NEAR, abs=GRAIN)
    assert recorded["load"] == pytest.approx(outside["load"], rel=NEAR)
    assert recorded["peak_load"] == pytest.approx(outside["peak_load"], rel=2 * NEAR)
    # Around the millisecond from which on it is a wait, what stands around a checkout in the program decides.
    least = sum(one.wait > 0.001 + 2 * GRAIN for one in seen.timed) / len(seen.timed)
    assert least - 0.02 <= recorded["waited_share"] <= outside["waited_share"] + 0.02
    assert least > 0.02
    assert abs(recorded["most_at_once"] - outside["most_at_once"]) <= 1


def test_as_the_server_has_it(seen: Seen) -> None:
    # A session is in a transaction from its first statement to the end of the rollback: nearly as long as it is out.
    recorded = seen.recorded["demand"]
    used = seen.server_use / seen.server_checkouts
    assert recorded["use_seconds"] == pytest.approx(used, rel=OF_THE_SERVER, abs=2 * GRAIN)
    assert recorded["use_seconds"] > used - 2 * GRAIN


def test_the_same_is_recommended(seen: Seen) -> None:
    sizes = [one["settings"]["pool_size"] for one in (seen.recorded, seen.replayed)]
    assert abs(sizes[0] - sizes[1]) <= 1
    assert seen.replayed["demand"]["checkouts"] == seen.recorded["demand"]["checkouts"]
