"""What the sizing predicts, beside what a real QueuePool does.

Run by hand: python -m tests.benchmarks.sizing_real_pool [SECONDS] [PART...]. PART is own, other, churn, bursts (all, unless
told). Callers are threads, uses are sleeps, connections are dummies that take 5 ms to open; the pool is SQLAlchemy's. Each
run takes SECONDS (20 unless told) at 400 checkouts a second and more. Nothing is asserted; a machine that others use
shows it here first.
"""

from __future__ import annotations

import sys
import threading
import time
from array import array
from typing import Any, NamedTuple

from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.pool import QueuePool

from dbdoctor.model.demand import Course, Trace
from dbdoctor.model.sizing import WaitTarget
from dbdoctor.sizing.barging import PoolModel, simulate_one, wake_up_of
from dbdoctor.sizing.choice import from_trace
from dbdoctor.sizing.closed_forms import smallest_size
from dbdoctor.sizing.demand import of_trace
from dbdoctor.sizing.replay import most_at_once, replay
from tests.sizing import demands

CONNECT = 0.005
TARGET = WaitTarget(0.99, 0.010)


class Measured(NamedTuple):
    """A run: the checkouts as they were, connections opened, timeouts; how late the latest hundredth of arrivals was."""

    course: Course
    connects: int
    timeouts: int
    late: float


class _Connection:
    def rollback(self) -> None:
        pass

    def close(self) -> None:
        pass


def run(plan: Course, size: int, overflow: int = 0, connect: float = 0.0) -> Measured:
    """The plan's arrivals and uses through a real pool, by as many threads as can be wanted at once, and more."""
    opened = []

    def creator() -> Any:
        time.sleep(connect)
        opened.append(1)
        return _Connection()

    pool = QueuePool(creator, pool_size=size, max_overflow=overflow, timeout=30)
    if not connect:
        for one in [pool.connect() for _ in range(size + overflow)]:
            one.close()
    rows: list[tuple[float, float, float]] = []
    late: list[float] = []
    timeouts: list[int] = []
    lock, following = threading.Lock(), iter(range(len(plan.arrivals)))
    opened.clear()
    origin = time.perf_counter() + 0.2

    def caller() -> None:
        while True:
            with lock:
                index = next(following, None)
            if index is None:
                return
            time.sleep(max(0.0, origin + plan.arrivals[index] - time.perf_counter()))
            asked = time.perf_counter()
            try:
                connection = pool.connect()
            except PoolTimeout:
                timeouts.append(1)
                continue
            given = time.perf_counter()
            time.sleep(plan.uses[index])
            used = time.perf_counter() - given
            connection.close()
            rows.append((asked - origin, given - asked, used))
            late.append(asked - origin - plan.arrivals[index])

    threads = [threading.Thread(target=caller) for _ in range(min(400, 4 * most_at_once(plan) + 20))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    pool.dispose()
    rows.sort()
    course = Course("", *(array("d", column) for column in zip(*rows, strict=True)))
    return Measured(course, len(opened), len(timeouts), sorted(late)[int(0.99 * len(late))])


def figures(waits: list[float]) -> tuple[float, ...]:
    """Mean, p95, p99 and the longest, in milliseconds."""
    ordered = sorted(waits)
    return tuple(
        1000 * one
        for one in (
            sum(ordered) / len(ordered),
            ordered[int(0.95 * len(ordered))],
            ordered[int(0.99 * len(ordered))],
            ordered[-1],
        )
    )


def beside(title: str, measured: list[float], predicted: list[float | None]) -> None:
    did, said = figures(measured), figures([wait for wait in predicted if wait is not None])
    for name, one, other in zip(("mean", "p95", "p99", "longest"), did, said, strict=True):
        off = f"{(other / one - 1):+7.1%}" if one > 0.05 else "      -"
        print(f"{title:34} {name:8} measured {one:9.2f} ms  predicted {other:9.2f} ms  {off}", flush=True)


def own(seconds: float) -> None:
    """The same trace, the same pool."""
    for name, shape, size in (("Poisson", demands.poisson, 10), ("bursts", demands.bursty, 18)):
        done = run(shape(8, seconds), size)
        course = done.course
        wake_up = wake_up_of([course])
        print(f"own trace, {name}: a waiter takes {1e6 * wake_up:.0f} microseconds to wake up, by the trace")
        _, waits = simulate_one(course.arrivals, course.uses, PoolModel(size, connect=0.0, wake_up=wake_up))
        beside(f"own trace, {name}, {size}", list(course.waits), waits)
        longest = [
            max(
                w or 0.0
                for w in simulate_one(course.arrivals, course.uses, PoolModel(size, connect=0.0, wake_up=wake))[1]
            )
            for wake in (0.0, wake_up, 6 * wake_up)
        ]
        fair = max(replay(course.arrivals, course.uses, size))
        print(
            f"{'':34} longest  measured {1000 * max(course.waits):9.2f} ms  range {1000 * min(fair, *longest):.1f} to "
            f"{1000 * max(fair, *longest):.1f} ms"
        )


def other(seconds: float) -> None:
    """Recorded at an ample pool, predicted for smaller ones."""
    plan = demands.poisson(8, seconds)
    recorded = run(plan, 40)
    ample = recorded.course
    print(
        f"recorded; a hundredth of the arrivals was {1000 * recorded.late:.1f} ms late or more: the machine's doing",
        flush=True,
    )
    for size in (9, 10, 11, 12, 14):
        done = run(plan, size)
        _, waits = simulate_one(ample.arrivals, ample.uses, PoolModel(size, connect=0.0))
        load = sum(ample.uses) / ample.span / size
        beside(f"another size, Poisson, {size} ({load:.0%})", list(done.course.waits), waits)
        print(f"{'':34} a hundredth of the arrivals was {1000 * done.late:.1f} ms late or more", flush=True)


def churn(seconds: float) -> None:
    """Connections opened, with overflow that is thrown away."""
    plan = demands.poisson(8, seconds)
    for size, overflow in ((5, 10), (10, 5), (15, 0)):
        done = run(plan, size, overflow, CONNECT)
        course = done.course
        # A recorded use begins when the connection is there; the model adds what opening takes by itself.
        did, _ = simulate_one(course.arrivals, course.uses, PoolModel(size, overflow, connect=CONNECT + 0.0001))
        print(
            f"churn {size}+{overflow:<2}  measured {done.connects:5} connects ({done.connects / course.span:5.1f}/s)  "
            f"predicted {did.connects:5}  {did.connects / done.connects - 1:+.1%}; "
            f"timeouts {done.timeouts} and {did.timeouts}",
            flush=True,
        )


def bursts(seconds: float) -> None:
    """The recommended size for bursts, and the smallest that keeps the target on the real pool."""
    plan = demands.bursty(8, seconds)
    ample = run(plan, 80).course
    trace = Trace((ample,), len(ample.arrivals), ample.span, 1)
    choice = from_trace(trace, of_trace(trace), TARGET)
    print(f"bursts: recommended {choice.size}, range {choice.range}", flush=True)
    print(f"bursts: Erlang C at the rate between bursts says {smallest_size(8, demands.USE, *TARGET)}", flush=True)
    for size in range(choice.size - 4, choice.size + 4):
        waits = list(run(plan, size).course.waits)
        print(
            f"bursts: {size} connections: {sum(w > TARGET.wait for w in waits) / len(waits):6.2%} wait longer than 10 ms, "
            f"p99 {figures(waits)[2]:.1f} ms",
            flush=True,
        )


PARTS = {"own": own, "other": other, "churn": churn, "bursts": bursts}

if __name__ == "__main__":
    words = sys.argv[1:]
    length = float(words.pop(0)) if words and words[0].replace(".", "").isdigit() else 20.0
    for part in words or PARTS:
        PARTS[part](length)
