"""Healthy: what changes while one looks, and ends where it should."""

from __future__ import annotations

from tests.leaks.programs.program import Host, fill, healthy, part, traffic


@healthy("the morning's load rises from one worker to ten, and the pool grows into the size it was given")
def pool_under_rising_load(host: Host) -> None:
    engine = host.engine(pool_size=10)
    host.thread(traffic, engine, host, (0.05, 0.3), (0.5, 2.0))
    host.ready()
    host.await_go()
    for _ in range(9):
        host.sleep(2.0)
        host.thread(traffic, engine, host, (0.05, 0.3), (0.5, 2.0))


@healthy("a LIFO pool after the rush: fewer and fewer of its sessions are used, the others rest")
def pool_under_falling_load(host: Host) -> None:
    engine = host.engine(pool_size=10, pool_use_lifo=True)
    fill(engine, 10)
    working = 10

    def serve(number: int) -> None:
        while number < working:
            with engine.begin() as connection:
                connection.exec_driver_sql("select pg_sleep(0.1)")
            host.sleep(0.05, 0.2)

    for number in range(10):
        host.thread(serve, number)
    host.ready()
    host.await_go()
    while working > 1:
        host.sleep(2.0)
        working -= 1


@healthy("a deploy: the new process comes with a full pool of its own, works beside the old one, and the old one goes")
def deploy(host: Host) -> None:
    old = host.start_part(web_server)
    host.ready()
    host.await_go()
    host.sleep(8.0)
    host.start_part(web_server)
    host.sleep(8.0)
    host.end_part(old)


@part
def web_server(host: Host) -> None:
    engine = host.engine(pool_size=6)
    fill(engine, 6)
    host.ready()
    for _ in range(2):
        host.thread(traffic, engine, host, (0.2, 1.0), (0.0, 0.1))
