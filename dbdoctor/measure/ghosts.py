"""What dropped connections still hold on a PostgreSQL server, and its end: only sessions that we opened ourselves."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Sequence

from dbdoctor.databases.postgresql_sessions import Row
from dbdoctor.databases.postgresql_terminate import alive_question, read_alive
from dbdoctor.databases.postgresql_text import message
from dbdoctor.model.server import ServerFacts
from dbdoctor.model.session import Identity
from dbdoctor.model.target import Target
from dbdoctor.probe import login
from dbdoctor.probe.deadline import Deadline, DeadlinePassedError
from dbdoctor.probe.resolve import Address

# A session that was closed in good order is gone from the server's list within this (seconds).
_LEAVES_WITHIN = 0.4
_GLANCE = 0.05
_END = """\
SELECT count(*) FROM (VALUES {sessions}) AS ours(pid, started)
CROSS JOIN LATERAL pg_stat_get_activity(ours.pid) AS shown
WHERE abs(date_part('epoch', shown.backend_start) - ours.started) < 1e-6 AND shown.pid <> pg_backend_pid()
  AND shown.application_name = 'dbdoctor' AND pg_terminate_backend(shown.pid)
"""


class Inspector:
    """One more connection, to look at the sessions that the others had. `open` raises what `login.log_in` does."""

    def __init__(self, target: Target, addresses: Sequence[Address], deadline: Deadline) -> None:
        self._deadline = deadline
        self._session = login.log_in(target, addresses, deadline)

    def alive(self, sessions: Sequence[Identity], patience: float = _LEAVES_WITHIN) -> list[Identity]:
        """Those that are still there after the moment that an orderly end takes."""
        end = time.monotonic() + patience
        while True:
            there = read_alive(sessions, self._ask(alive_question(sessions))) if sessions else []
            if not there or time.monotonic() >= end:
                return there
            time.sleep(_GLANCE)

    def end(self, sessions: Sequence[Identity]) -> int:
        """End these, whose id and start are checked in the same statement; gives how many were told to."""
        known = [f"({int(pid)}, {float(started)!r}::float8)" for pid, started in sessions if started is not None]
        if not known:
            return 0
        rows = self._ask(_END.format(sessions=", ".join(known)))
        return int(rows[0][0]) if rows else 0

    def close(self) -> None:
        """Log out; never raises."""
        login.log_out(self._session)

    def _ask(self, question: str) -> list[Row]:
        seconds = max(0.2, self._deadline.remaining)
        return login.run_rows(self._session, message(question, seconds), self._deadline.within(seconds))


def sweep(
    target: Target, addresses: Sequence[Address], sessions: Sequence[Identity], seconds: float
) -> tuple[int, int] | None:
    """End what is left of our sessions: how many were left, how many were told to end. None when nobody could look."""
    if not sessions:
        return 0, 0
    with contextlib.suppress(login.LoginFailedError, login.QueryFailedError, DeadlinePassedError):
        inspector = Inspector(target, addresses, Deadline.after(seconds))
        try:
            left = inspector.alive(sessions)
            return len(left), inspector.end(left) if left else 0
        finally:
            inspector.close()
    return None


def kept_seconds(facts: ServerFacts | None) -> float | None:
    """For how long the server keeps a session whose client is gone without a word: its TCP keepalives, in seconds."""
    settings = facts.settings if facts else {}
    idle = settings.get("tcp_keepalives_idle", 0.0)
    if idle <= 0:
        return None
    return idle + settings.get("tcp_keepalives_interval", 75.0) * settings.get("tcp_keepalives_count", 9.0)
