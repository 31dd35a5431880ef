"""How long a million recorded checkouts take, and how much memory: read, swept by 30 sizes, recommended from.

Run by hand: python -m tests.benchmarks.sizing_sweep [CHECKOUTS]. The lines are made as they are read, so that the memory is
what the reading and the replay take; resident sizes are the kernel's high-water marks of this process. Nothing is asserted.
"""

from __future__ import annotations

import json
import random
import resource
import sys
import time
from collections.abc import Callable, Iterator
from typing import TypeVar

from dbdoctor.model.demand import Trace
from dbdoctor.sizing.recommend import Wish, recommend
from dbdoctor.sizing.replay import sweep
from dbdoctor.sizing.trace import read_trace

Result = TypeVar("Result")


def lines(checkouts: int) -> Iterator[str]:
    """JSON lines of Poisson arrivals at an offered load of 8, of four processes."""
    draw = random.Random(1)
    now = 0.0
    for number in range(checkouts):
        now += draw.expovariate(1600)
        row = {
            "arrival": round(now, 6),
            "wait": 0,
            "use": round(draw.expovariate(50), 6),
            "process": f"web-{number % 4}",
        }
        yield json.dumps(row)


def timed(what: str, work: Callable[[], Result]) -> Result:
    wall, cpu = time.perf_counter(), time.process_time()
    result = work()
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"{what:52} {wall:7.2f} s by the clock, {cpu:7.2f} s CPU, {memory:6.0f} MiB at most so far", flush=True)
    return result


def main(checkouts: int) -> None:
    """Prints what each step took."""
    timed(f"making {checkouts:,} lines", lambda: sum(1 for _ in lines(checkouts)))
    trace: Trace = timed("making and reading them", lambda: read_trace(lines(checkouts)))
    timed(f"{trace.kept:,} checkouts by 30 sizes", lambda: sweep(trace.courses, range(1, 31)))
    timed("a whole recommendation", lambda: recommend(Wish(trace)))


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000)
