"""When the slots run out, foretold after 30 s, and when they did."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from typing import Any, NamedTuple

import pytest

from tests.leaks.fleet import Fleet, RunningProgram, program_environment
from tests.leaks.place import furnish
from tests.leaks.programs.everything import PROGRAMS
from tests.servers.cli import run_dbdoctor
from tests.servers.postgresql import PostgresServer

WATCHED = 30.0


class Case(NamedTuple):
    """A leak of one session each `every` seconds on a server of so many slots, beside these healthy programs."""

    every: float
    max_connections: int
    beside: tuple[str, ...] = ()


CASES = (
    Case(0.5, 160),
    Case(2.0, 44),
    Case(1.0, 110, ("pool-with-steady-traffic", "churn-of-several-threads", "bursts-with-overflow")),
)


class Outcome(NamedTuple):
    """Seconds from the last sample until the slots ran out: as foretold (None: nothing was), and as it was."""

    case: Case
    foretold: float | None
    actual: float
    slots: dict[str, Any]

    @property
    def error(self) -> float:
        """The part by which the foretold time is wrong."""
        return abs(self.foretold / self.actual - 1) if self.foretold is not None else float("inf")


def run(case: Case, server: PostgresServer) -> Outcome:
    dsn = furnish(server, PROGRAMS)
    with contextlib.ExitStack() as stack:
        stack.enter_context(Fleet(dsn, case.beside))
        leaking = RunningProgram("leaking", program_environment(dsn, every=case.every), "leak-at-a-constant-rate")
        stack.callback(leaking.stop)
        assert leaking.read_line(30) == "ready"
        result = run_dbdoctor(
            *("leaks", dsn, "--no-config", "--for", f"{WATCHED:g}s", "--interval", "1s", "--json"), timeout=WATCHED + 30
        )
        assert result.exit_code in {0, 1}, result.stderr
        report = json.loads(result.stdout)
        word, at = leaking.read_line(case.max_connections * case.every).split()
        assert word == "refused"
    last_sample = datetime.fromisoformat(report["observed"]["to"]).timestamp()
    slots = report["slots"]
    return Outcome(case, slots["exhausted_in_seconds"], float(at) - last_sample, slots)


@pytest.mark.timeout(300)
def test_the_slots_run_out_when_it_was_foretold(start_postgres: Callable[..., PostgresServer]) -> None:
    started = time.monotonic()
    servers = [start_postgres("embedded", settings={"max_connections": case.max_connections}) for case in CASES]
    with ThreadPoolExecutor(len(CASES)) as pool:
        outcomes = list(pool.map(run, CASES, servers))
    for outcome in outcomes:
        print(f"{outcome.case}: foretold {outcome.foretold} s, was {outcome.actual:.1f} s ({outcome.error:.1%})")
    print(f"{time.monotonic() - started:.0f} s")
    # A time that came before the forecast was made would prove nothing.
    assert all(outcome.actual > 15 for outcome in outcomes), outcomes
    assert all(outcome.error <= 0.15 for outcome in outcomes), outcomes
