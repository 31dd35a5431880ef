"""Healthy: applications of several processes, and behind a pooler."""

from __future__ import annotations

import os

from tests.leaks.programs.program import Host, healthy, part, traffic


@healthy("a server with four worker processes, each with a small pool, under light traffic")
def four_worker_processes(host: Host) -> None:
    for _ in range(4):
        host.start_part(web_worker)
    host.ready()


@part
def web_worker(host: Host) -> None:
    host.random.seed(os.getpid())
    engine = host.engine(pool_size=2, max_overflow=1)
    host.ready()
    for _ in range(2):
        host.thread(traffic, engine, host, (0.5, 4.0), (0.0, 0.3))


@healthy("an application behind PgBouncer: the server's sessions are the pooler's, and rest when the application does")
def behind_pgbouncer(host: Host) -> None:
    engine = host.engine(os.environ["PROGRAM_POOLER_DSN"], pool_size=6)
    host.ready()
    for _ in range(4):
        host.thread(traffic, engine, host, (0.2, 1.5), (0.0, 0.4))
