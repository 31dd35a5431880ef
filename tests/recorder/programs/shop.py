# mypy: allow-untyped-defs, allow-untyped-calls, allow-untyped-decorators
"""A program that checks connections out in every way there is, and prints what the recorder must have seen.

Run in a process of its own: `shop.py OUT URL SCENARIO`. A line with `# take: NAME` is where a checkout is asked for; the
program prints, as JSON, how many there were of each and what it measured itself. Runs with SQLAlchemy 1.4 to 2.1.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import gc
import importlib
import json
import sys
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import Any

OUT, URL, SCENARIO = sys.argv[1:4]
if SCENARIO == "gevent":
    importlib.import_module("gevent.monkey").patch_all()

from dbdoctor.recorder.recorder import Settings  # noqa: E402
from dbdoctor.recorder.start import start  # noqa: E402

start(Settings(OUT, leak_after=3600.0))

from sqlalchemy import create_engine, exc, pool, text  # noqa: E402
from sqlalchemy.orm import Session  # noqa: E402

taken: Counter[str] = Counter()
facts: dict[str, Any] = {"taken": taken, "pids": [], "timed": []}
PID = text("select pg_backend_pid()")


def pid(connection) -> None:
    if URL.startswith("postgresql"):
        facts["pids"].append(connection.execute(PID).scalar())
    else:
        connection.execute(text("select 1"))


def count(name: str) -> None:
    taken[name] += 1


def sync() -> None:
    engine = create_engine(URL, pool_size=4, max_overflow=0)
    for _ in range(3):
        count("connect")
        with engine.connect() as connection:  # take: connect
            pid(connection)
        count("begin")
        with engine.begin() as connection:  # take: begin
            pid(connection)
        count("raw")
        engine.raw_connection().close()  # take: raw
        with Session(engine) as session:
            count("session")
            pid(session)  # outer take: session
        with Session(engine) as session, session.begin():
            count("session-begin")
            session.execute(text("select 1"))  # take: session-begin
            session.execute(text("select 2"))
        with Session(engine) as session:
            count("session-connection")
            session.connection()  # take: session-connection
            session.commit()
            count("session-again")
            session.execute(text("select 3"))  # take: session-again
    nested(engine)
    decorated(engine)
    count("generator")
    for _ in rows(engine):
        pass
    count("contextmanager")
    with managed(engine) as connection:
        pid(connection)
    for _ in range(2):
        thread = threading.Thread(target=in_thread, args=(engine,), name="the shop's thread")
        thread.start()
        thread.join()
    with ThreadPoolExecutor(4) as threads:
        list(threads.map(functools.partial(in_pool, engine), range(40)))
    timed(engine)
    engine.dispose()


def nested(engine) -> None:
    def inner() -> None:
        count("nested")
        with engine.connect() as connection:  # take: nested
            pid(connection)

    again = inner
    again()


def checked(function):
    @functools.wraps(function)
    def wrapped(engine):
        return function(engine)

    return wrapped


@checked
def decorated(engine) -> None:
    count("decorated")
    with engine.connect() as connection:  # take: decorated
        pid(connection)


def rows(engine):
    with engine.connect() as connection:  # take: generator
        yield 1
        pid(connection)
        yield 2


@contextlib.contextmanager
def managed(engine):
    with engine.connect() as connection:  # take: contextmanager
        yield connection


def in_thread(engine) -> None:
    count("thread")
    with engine.connect() as connection:  # take: thread
        pid(connection)


def in_pool(engine, _number: int) -> None:
    count("pool")
    with engine.connect() as connection:  # take: pool
        pid(connection)


def timed(engine) -> None:
    """A wait and a use between two measurements of our own: what is recorded lies in between."""
    held = [engine.connect() for _ in range(4)]  # take: held
    for _ in held:
        count("held")
    timer = threading.Timer(0.3, lambda: held.pop().close())
    asked = time.perf_counter()
    timer.start()
    count("timed")
    connection = engine.connect()  # take: timed
    got = time.perf_counter()
    time.sleep(0.2)
    back = time.perf_counter()
    connection.close()
    end = time.perf_counter()
    timer.join()
    for one in held:
        one.close()
    facts["timed"].append([0.2, got - asked, back - got, end - asked])


async def asynchronous() -> None:
    from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine

    engine = create_async_engine(URL, pool_size=3, max_overflow=1)

    async def ask(connection) -> None:
        facts["pids"].append((await connection.execute(PID)).scalar())

    async def task(number: int) -> None:
        count("task")
        async with engine.connect() as connection:  # take: task
            await ask(connection)
            await asyncio.sleep(0.01)

    for _ in range(3):
        count("async-connect")
        async with engine.connect() as connection:  # take: async-connect
            await ask(connection)
        count("async-begin")
        async with engine.begin() as connection:  # take: async-begin
            await connection.run_sync(pid)
        async with AsyncSession(engine) as session:
            count("async-session")
            await session.execute(PID)  # take: async-session
        async with AsyncSession(engine) as session:
            count("run-sync")
            await session.run_sync(synchronous)
    await asyncio.gather(*(task(number) for number in range(20)))
    asked = time.perf_counter()
    count("async-timed")
    connection = await engine.connect()  # take: async-timed
    got = time.perf_counter()
    await asyncio.sleep(0.2)
    back = time.perf_counter()
    await connection.close()
    facts["timed"].append([0.0, got - asked, back - got, time.perf_counter() - asked])
    await engine.dispose()


def synchronous(session) -> None:
    session.execute(text("select 1"))  # take: run-sync


def gevent() -> None:
    green_threads = importlib.import_module("gevent")
    engine = create_engine(URL, poolclass=pool.QueuePool, pool_size=3, max_overflow=0)

    def green(number: int) -> None:
        count("green")
        with engine.connect() as connection:  # take: green
            connection.execute(text("select 1"))
            green_threads.sleep(0.01)

    green_threads.joinall([green_threads.spawn(green, number) for number in range(20)], raise_error=True)
    engine.dispose()


def events() -> None:
    engine = create_engine(URL, pool_size=1, max_overflow=2, pool_timeout=0.2)
    connection = engine.connect()
    pid(connection)
    connection.invalidate()
    connection.close()
    connection = engine.connect()
    record = connection.connection._connection_record
    record.invalidate(soft=True)
    connection.close()
    engine.connect().close()
    holders = [engine.connect() for _ in range(3)]  # take: holder
    try:
        engine.connect()  # take: refused
    except exc.TimeoutError:
        facts["refused"] = True
    for one in holders:
        one.close()
    connection = engine.connect()
    connection.detach()
    connection.close()
    fairy = engine.raw_connection()  # take: garbage
    fairy.cursor().execute("select 1")
    del fairy
    gc.collect()
    engine.dispose()
    aged = create_engine(URL, pool_size=1, pool_recycle=1)
    aged.connect().close()
    time.sleep(1.1)
    aged.connect().close()
    aged.dispose()
    broken = create_engine(URL + "_that_is_not_there")
    try:
        broken.connect()  # take: failed
    except exc.DBAPIError as error:
        facts["failed"] = type(error.orig).__name__


def pools() -> None:
    """Pool classes; each with one checkout that is counted, and one that is nested where that can be."""
    for name in ("SingletonThreadPool", "StaticPool", "AssertionPool", "NullPool", "QueuePool"):
        given = {"pool_use_lifo": True} if name == "QueuePool" else {}
        shared = {"check_same_thread": False} if name == "StaticPool" else {}
        engine = create_engine("sqlite://", poolclass=getattr(pool, name), connect_args=shared, **given)
        for _ in range(5):
            count(name)
            use(engine)
        if name == "SingletonThreadPool":
            with engine.connect() as connection:  # take: outer
                count("outer")
                with engine.connect() as inner:  # of the same checkout
                    pid(inner)
                pid(connection)
        engine.dispose()


def use(engine) -> None:
    with engine.connect() as connection:
        pid(connection)


def main() -> None:
    if SCENARIO == "asynchronous":
        asyncio.run(asynchronous())
    else:
        globals()[SCENARIO]()
    print(json.dumps(facts))


if __name__ == "__main__":
    main()
