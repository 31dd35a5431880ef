"""Writes tests/recordings/checkouts.csv: two minutes of a made-up shop in two processes, with bursts; the same each time.

    python -m tests.tools.record_checkouts > tests/recordings/checkouts.csv

Each process gets about 14 checkouts a second, and every ten seconds or so a second with three times as many. They use
a connection for 150 ms on average, and wait as in a fair pool of five.
"""

from __future__ import annotations

import heapq
import random
from collections.abc import Iterator

_SECONDS, _RATE, _BURST, _USE, _SIZE = 120.0, 14.0, 3.0, 0.15, 5


def checkouts(process: str, seed: int) -> Iterator[tuple[float, float, float, str]]:
    """(arrival, wait, use, process), by arrival; seconds."""
    draws = random.Random(seed)
    bursts = sorted(draws.uniform(0, _SECONDS) for _ in range(12))
    free = [0.0] * _SIZE
    now = 0.0
    while True:
        now += draws.expovariate(_RATE * _BURST)
        if now > _SECONDS:
            return
        in_burst = any(begin <= now < begin + 1 for begin in bursts)
        if not in_burst and draws.random() > 1 / _BURST:
            continue
        use = draws.lognormvariate(-0.32, 0.8) * _USE
        start = max(now, free[0])
        heapq.heapreplace(free, start + use)
        yield now, start - now, use, process


def main() -> None:
    """The file, on stdout."""
    rows = sorted([*checkouts("web-1", 11), *checkouts("web-2", 12)])
    print("arrival,wait,use,process")
    for arrival, wait, use, process in rows:
        print(f"{arrival:.4f},{wait:.4f},{use:.4f},{process}")


if __name__ == "__main__":
    main()
