# mypy: allow-untyped-defs, allow-untyped-calls
"""A shop of several processes whose pools are often empty, and its own stopwatch: `demand.py OUT URL SECONDS`.

Two processes take connections in threads, one in asyncio's tasks. Each writes OUT/PROCESS.csv when it ends: of every
checkout when it was asked for (seconds since 1970), how long it waited, how long it was used, and the process.
The server counts too: every checkout takes one number of the sequence `taken`.
"""

from __future__ import annotations

import asyncio
import csv
import multiprocessing
import os
import random
import sys
import threading
import time
from contextlib import closing
from pathlib import Path

from sqlalchemy import create_engine, text
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.orm import Session

THREADS = 6
POOL = {"pool_size": 2, "max_overflow": 1}
WORK = text("select pg_sleep(:seconds), nextval('taken')")
MEAN_USE, MEAN_PAUSE = 0.02, 0.06  # seconds


class Stopwatch:
    """Reads the clock before and after what the program calls; nothing of the recorder is in it."""

    def __init__(self):
        self.rows = []
        # The clock that the recorder uses too runs evenly; this says when it began.
        self.zero = time.time() - time.perf_counter()

    def add(self, asked, got, back):
        self.rows.append((self.zero + asked, got - asked, back - got, os.getpid()))

    def write(self, place):
        with (Path(place) / f"{os.getpid()}.csv").open("w", newline="") as file:
            csv.writer(file).writerows([("arrival", "wait", "use", "process"), *self.rows])


def ways(engine):
    """Ways to take a connection: each gives what is to be closed, and what executes."""

    def plainly():
        connection = engine.connect()
        return connection, connection

    def by_a_session():
        session = Session(engine)
        return session, session.connection()

    return plainly, by_a_session


def work(engine, watch, until, seed):
    draw = random.Random(seed)
    while time.monotonic() < until:
        time.sleep(draw.expovariate(1 / MEAN_PAUSE))
        take = draw.choice(ways(engine))
        asked = time.perf_counter()
        closes, connection = take()
        got = time.perf_counter()
        with closing(closes):
            connection.execute(WORK, {"seconds": draw.expovariate(1 / MEAN_USE)})
        watch.add(asked, got, time.perf_counter())


def in_threads(place, url, seconds, number):
    engine, watch = create_engine(url, **POOL), Stopwatch()
    until = time.monotonic() + seconds
    threads = [threading.Thread(target=work, args=(engine, watch, until, 100 * number + one)) for one in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    engine.dispose()
    watch.write(place)


async def work_in_a_task(engine, watch, until, seed):
    draw = random.Random(seed)
    while time.monotonic() < until:
        await asyncio.sleep(draw.expovariate(1 / MEAN_PAUSE))
        asked = time.perf_counter()
        connection = await engine.connect()
        got = time.perf_counter()
        await connection.execute(WORK, {"seconds": draw.expovariate(1 / MEAN_USE)})
        await connection.close()
        watch.add(asked, got, time.perf_counter())


async def in_tasks(place, url, seconds, number):
    engine = create_async_engine(url.replace("+psycopg2:", "+asyncpg:"), **POOL)
    watch, until = Stopwatch(), time.monotonic() + seconds
    await asyncio.gather(*(work_in_a_task(engine, watch, until, 100 * number + one) for one in range(THREADS)))
    await engine.dispose()
    watch.write(place)


def process(place, url, seconds, number):
    if number:
        in_threads(place, url, seconds, number)
    else:
        asyncio.run(in_tasks(place, url, seconds, number))


def main():
    place, url, seconds = sys.argv[1], sys.argv[2], float(sys.argv[3])
    context = multiprocessing.get_context("fork")
    children = [context.Process(target=process, args=(place, url, seconds, number)) for number in range(3)]
    for child in children:
        child.start()
    for child in children:
        child.join()
    sys.exit(any(child.exitcode for child in children))


if __name__ == "__main__":
    main()
