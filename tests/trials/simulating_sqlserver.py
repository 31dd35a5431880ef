"""A whole simulation on the tests' SQL Server: pools and faults in, cases and records out."""

from __future__ import annotations

import contextlib
import secrets
import socket
from collections.abc import Sequence

from dbdoctor.faults.kinds import all_faults
from dbdoctor.model.trial import Case, Host, PoolPlan, Record
from dbdoctor.targets.parse import parse_dsn
from dbdoctor.trials.judge import judge
from dbdoctor.trials.observer_sqlserver import SqlServerObserver
from dbdoctor.trials.orders import StageOrder, TrialOrder, Where
from dbdoctor.trials.planning import facts_of
from dbdoctor.trials.simulation import Simulation
from dbdoctor.trials.targets import connect_of
from tests.servers.tds import TdsServer

IDLE = 2.0
_LOGIN_TIMEOUT = 15.0  # many processes start at once, on a machine that others use too
_HOST = Host(retries=15, keepalive=(7200, 75, 9))


class Simulated:
    """The records of what was tried, and the cases they amount to, by fault and pool; `words` overrule the DSN's."""

    def __init__(
        self,
        server: TdsServer,
        driver: str,
        trials: Sequence[tuple[str, PoolPlan]],
        cap: float,
        *,
        idle: float = IDLE,
        private: bool = False,
        **words: str,
    ) -> None:
        target = parse_dsn(server.dsn(driver, **words), environment={})
        orders = [TrialOrder(number, fault, idle, pool, cap) for number, (fault, pool) in enumerate(trials)]
        order = StageOrder(
            trials=tuple(orders),
            product=target.product.value,
            connect=connect_of(target, []),
            where=Where(int(socket.AF_INET), ("127.0.0.1", server.port)),
            prefix=f"dbdoctor-{secrets.token_hex(4)}-",
            sessions=40,
            private=private,
            login_timeout=_LOGIN_TIMEOUT,
        )
        with contextlib.closing(SqlServerObserver(target, _LOGIN_TIMEOUT)) as observer:
            records = Simulation(order, observer, lambda _progress: None).run()
            self.left = observer.look(order.prefix)
        self.records: dict[tuple[str, str], Record] = {}
        self.cases: dict[tuple[str, str], Case] = {}
        for one in orders:
            key = (one.fault, one.pool.name)
            self.records[key] = records[one.number]
            self.cases[key] = judge(records[one.number], one.pool, facts_of(all_faults()[one.fault]), _HOST)
