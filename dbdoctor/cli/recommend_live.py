"""The demand of a live server: its sessions looked at again and again for a while."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from dbdoctor.cli.recommend_counts import Counts, Seen
from dbdoctor.errors import CannotLookError
from dbdoctor.model.duration import format_duration
from dbdoctor.model.server import ServerFacts
from dbdoctor.model.snapshot import Wanted
from dbdoctor.model.target import Product, Target

if TYPE_CHECKING:
    from dbdoctor.watch.postgresql_source import PostgresqlSource
    from dbdoctor.watch.sqlserver_source import SqlServerSource

INTERVAL = 0.5
_SATURATED = 90.0  # per cent of this machine's processors, where the server runs on it


def sample(
    target: Target,
    facts: ServerFacts | None,
    seconds: float,
    *,
    login_timeout: float,
    processes: int,
    near: bool,
    progress: Callable[[str], None],
) -> Seen:
    """Look for so long. Raises CannotLookError when the server is lost, or shows no sessions."""
    from dbdoctor.watch.client_side import ClientSide
    from dbdoctor.watch.loop import Loop
    from dbdoctor.watch.source import SourceLostError, SourceSlowError

    counts = Counts(
        facts.user if facts else target.user, facts.database if facts else target.database, processes, INTERVAL
    )
    load = _Load() if near else None
    with contextlib.ExitStack() as stack:
        source = _source(target)
        stack.callback(source.close)
        client_side = ClientSide(target, lambda: facts, lambda: source.own_connection)
        stack.callback(client_side.close)
        loop = Loop(
            source,
            interval=INTERVAL,
            seconds=seconds,
            login_timeout=login_timeout,
            wanted=lambda _snapshot: Wanted(),
            enrich=client_side.enrich,
        )
        began = time.monotonic()
        try:
            for turn in loop.turns():
                if turn.snapshot is not None:
                    counts.add(turn.snapshot)
                left = max(0.0, seconds - (time.monotonic() - began))
                progress(f"sampling sessions, {format_duration(left)} left")
        except (SourceLostError, SourceSlowError) as error:
            raise CannotLookError(
                "the server was lost while its sessions were sampled",
                cause=str(error),
                help="run `dbdoctor check` on it",
            ) from None
    return counts.seen(saturated=load is not None and load.is_high())


class _Load:
    """How busy this machine is, from making it on."""

    def __init__(self) -> None:
        import psutil

        psutil.cpu_percent()

    def is_high(self) -> bool:
        """Whether nearly all of its processors were busy since."""
        import psutil

        return psutil.cpu_percent() >= _SATURATED


def _source(target: Target) -> PostgresqlSource | SqlServerSource:
    if target.product is Product.SQLSERVER:
        from dbdoctor.watch.sqlserver_source import SqlServerSource

        return SqlServerSource(target)
    from dbdoctor.watch.postgresql_source import PostgresqlSource

    return PostgresqlSource(target)
