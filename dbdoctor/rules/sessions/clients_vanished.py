"""Clients vanished without saying goodbye

What it means
    While we watched, the server ended sessions of this database because their clients were gone: the connection was
    lost, or the process died without closing it (`sessions_abandoned` of pg_stat_database, PostgreSQL 14 and later).

Why it matters
    Processes that are killed (out of memory, a deploy without grace) or a path that drops idle connections; on the
    application's side the same event reads `server closed the connection unexpectedly`. Until the server noticed, each held
    its slot and its locks.

What to do
    Look for killed processes and restarts at the same time; then measure the path's idle timeout with
    `dbdoctor measure-timeout`, and let the application dispose of its engine when it is asked to stop.
"""

from __future__ import annotations

from collections.abc import Iterator

from dbdoctor.model.duration import format_duration
from dbdoctor.model.finding import Finding, Severity
from dbdoctor.rules._common import count
from dbdoctor.rules.sessions._watched import Judged, Watched

CODES = ("clients-vanished",)


def judge(watched: Watched) -> Iterator[Judged]:
    """How many sessions were abandoned since the first sample."""
    first, last = watched.history.ended_first, watched.history.ended
    if first is None or last is None:
        return
    gone = last.abandoned - first.abandoned
    if gone <= 0:
        return
    finding = Finding(
        code="clients-vanished",
        severity=Severity.WARNING,
        title=f"{count(gone, 'client')} vanished without closing the connection in {format_duration(watched.seconds)}",
        why="killed processes, or a path that drops connections; until the server noticed, each held its slot and locks",
        fix="look for processes killed or restarted at that time, then for an idle timeout on the path",
        command="dbdoctor measure-timeout TARGET",
        evidence={"abandoned": gone, "abandoned_since_statistics_began": last.abandoned},
    )
    yield Judged(finding)
