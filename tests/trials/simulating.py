"""A whole simulation for tests: trials in, records and cases out, on a real server."""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import Sequence

from dbdoctor.faults.fault import Surroundings
from dbdoctor.model.trial import Record
from dbdoctor.probe.deadline import Deadline
from dbdoctor.probe.resolve import resolve_all
from dbdoctor.targets.parse import parse_dsn
from dbdoctor.trials.observer import PostgresqlObserver
from dbdoctor.trials.orders import StageOrder, TrialOrder, Where
from dbdoctor.trials.simulation import Simulation
from dbdoctor.trials.targets import connect_of
from dbdoctor.trials.untestable import surroundings

_LOGIN_TIMEOUT = 15.0  # many processes start at once, on a machine that others use too


def order_of(dsn: str, trials: Sequence[TrialOrder], *, sessions: int = 40, private: bool = False) -> StageOrder:
    """The order for the server that `dsn` names."""
    target = parse_dsn(dsn)
    (address,) = resolve_all(target.endpoints, Deadline.after(_LOGIN_TIMEOUT))[0].addresses[:1]
    where = Where(
        int(address.family), address.ip if address.endpoint.is_socket else (address.ip, address.endpoint.port or 5432)
    )
    return StageOrder(
        trials=tuple(trials),
        product=target.product.value,
        connect=connect_of(target, [address]),
        where=where,
        prefix=f"dbdoctor-{secrets.token_hex(4)}-",
        sessions=sessions,
        private=private,
        login_timeout=_LOGIN_TIMEOUT,
    )


class Simulated:
    """What came of a simulation: the records by (fault, pool), whether packets could be lost, what was left behind."""

    def __init__(self, dsn: str, order: StageOrder, observer_dsn: str | None = None) -> None:
        with contextlib.closing(PostgresqlObserver(parse_dsn(observer_dsn or dsn), _LOGIN_TIMEOUT)) as observer:
            simulation = Simulation(order, observer, lambda _progress: None)
            self.around: Surroundings = surroundings(order, observer.facts)
            self.by_number: dict[int, Record] = simulation.run()
        self.silence = simulation.silence
        self.records = {(record.fault, record.pool): record for record in self.by_number.values()}


def simulate(
    dsn: str,
    trials: Sequence[TrialOrder],
    *,
    sessions: int = 40,
    private: bool = False,
    observer_dsn: str | None = None,
) -> Simulated:
    """Run these trials on the server that `dsn` names; `observer_dsn` leads to it past what `dsn` goes through."""
    return Simulated(dsn, order_of(dsn, trials, sessions=sessions, private=private), observer_dsn)
