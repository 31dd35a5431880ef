"""A whole simulation on the tests' SQL Server: pools and faults in, cases and records out."""

from __future__ import annotations

import contextlib
import secrets
import socket
from collections.abc import Sequence

from dbdoctor.faults.kinds import all_faults
from dbdoctor.model.trial import Case, Ghost, Host, PoolPlan, Record
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
# At once; and what a busy machine kept from being tried is tried again, a few at a time.
_SESSIONS = (12, 4, 2)
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
        self._target = parse_dsn(server.dsn(driver, **words), environment={})
        self._where = Where(int(socket.AF_INET), ("127.0.0.1", server.port))
        self._private = private
        orders = [TrialOrder(number, fault, idle, pool, cap) for number, (fault, pool) in enumerate(trials)]
        self.left: list[Ghost] = []
        found: dict[int, Record] = {}
        with contextlib.closing(SqlServerObserver(self._target, _LOGIN_TIMEOUT)) as observer:
            for sessions in _SESSIONS:
                found |= self._run(
                    observer, [one for one in orders if _is_to_be_tried(found.get(one.number))], sessions
                )
        self.records: dict[tuple[str, str], Record] = {}
        self.cases: dict[tuple[str, str], Case] = {}
        for one in orders:
            key = (one.fault, one.pool.name)
            self.records[key] = found[one.number]
            self.cases[key] = judge(found[one.number], one.pool, facts_of(all_faults()[one.fault]), _HOST)

    def _run(self, observer: SqlServerObserver, trials: Sequence[TrialOrder], sessions: int) -> dict[int, Record]:
        if not trials:
            return {}
        order = StageOrder(
            trials=tuple(trials),
            product=self._target.product.value,
            connect=connect_of(self._target, []),
            where=self._where,
            prefix=f"dbdoctor-{secrets.token_hex(4)}-",
            sessions=sessions,
            private=self._private,
            login_timeout=_LOGIN_TIMEOUT,
        )
        records = Simulation(order, observer, lambda _progress: None).run()
        self.left += observer.look(order.prefix) or []
        return records


def _is_to_be_tried(record: Record | None) -> bool:
    return record is None or (record.broken is not None and "not testable here" not in record.broken)
