"""A server that goes away by itself during a simulation spoils its trials: nothing is concluded from them."""

from __future__ import annotations

import contextlib
import time

import pytest

from dbdoctor.model.trial import PoolPlan
from dbdoctor.targets.parse import parse_dsn
from dbdoctor.trials.observer import PostgresqlObserver
from dbdoctor.trials.orders import TrialOrder
from dbdoctor.trials.simulation import Progress, Simulation
from tests.servers.postgresql import PostgresServer
from tests.trials.simulating import order_of

pytestmark = pytest.mark.timeout(180)


class Accident:
    """Something that happens to the server once, two seconds after the first trial has begun."""

    def __init__(self, server: PostgresServer, what: str) -> None:
        self._server = server
        self._what = what
        self._due: float | None = None
        self.happened = False

    def note(self, progress: Progress) -> None:
        if self._due is None and progress.under_way:
            self._due = time.monotonic() + 2.0
        if self._due is not None and not self.happened and time.monotonic() >= self._due:
            self.happened = True
            self._server.stop("immediate")
            if self._what == "restart":
                self._server.start()


@pytest.mark.parametrize("what", ["stop", "restart"])
def test_what_was_seen_then_says_nothing(start_postgres, what):
    postgres = start_postgres()
    accident = Accident(postgres, what)
    trials = [TrialOrder(0, "closed", 4.0, PoolPlan("default", ""), 3.0)]
    order = order_of(postgres.dsn(), trials)._replace(login_timeout=3.0)
    with contextlib.closing(PostgresqlObserver(parse_dsn(postgres.dsn()), 3.0)) as observer:
        found = Simulation(order, observer, accident.note).run()
    assert accident.happened
    assert "the server itself was gone or was restarted" in (found[0].broken or "")
