"""Ending a PostgreSQL session: identity and kind are checked in the statement that ends it; pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from dbdoctor.databases.postgresql_sessions import Row
from dbdoctor.databases.postgresql_text import decode
from dbdoctor.model.session import Identity

# A start time has microseconds, and may have been written to a file and read again; no pid is given out again so soon.
_SAME = "abs(date_part('epoch', backend_start) - {started!r}::float8) < 1e-6"

# CASE is worked through in order, so that pg_terminate_backend is not called before all else has been excluded.
_END = """\
SELECT backend_type, date_part('epoch', backend_start), rolsuper,
       CASE WHEN backend_type = 'client backend' AND {same} AND NOT coalesce(rolsuper, true) AND pid <> pg_backend_pid()
            THEN pg_terminate_backend(pid) END,
       coalesce({same}, false)
FROM pg_stat_get_activity({pid}) LEFT JOIN pg_roles ON pg_roles.oid = usesysid
WHERE pid <> pg_backend_pid()
"""


_ALIVE = """\
SELECT shown.pid, date_part('epoch', backend_start)
FROM unnest(ARRAY[{pids}]) AS wanted(pid) CROSS JOIN LATERAL pg_stat_get_activity(wanted.pid) AS shown
"""


class Ended(NamedTuple):
    """What was answered: `sent` says that the session was told to end; else `outcome` and `detail` say why not."""

    sent: bool
    outcome: str = ""
    detail: str = ""


def end_question(identity: Identity) -> str:
    """Asks to end this session, if it is still the same one, of a client, and not a superuser's. Needs a start time."""
    pid, started = identity
    if started is None:
        raise ValueError("a session without a start time has no identity")
    return _END.format(pid=int(pid), same=_SAME.format(started=float(started)))


def read_end(answer: Sequence[Row]) -> Ended:
    """What became of it."""
    if not answer:
        return Ended(False, "not-found")
    raw_kind, started, superuser, sent, same = answer[0]
    if raw_kind is None or started is None:
        return Ended(
            False, "not-allowed", "its start time is hidden from this role, so that it could be another session"
        )
    if not same:
        return Ended(False, "not-found", "another session has this id now")
    kind = decode(raw_kind) or ""
    if kind != "client backend":
        return Ended(False, "spared", "replication" if kind == "walsender" else kind)
    if superuser is not False:
        return Ended(False, "spared", "a superuser's session")
    return Ended(True) if sent else Ended(False, "not-found")


def alive_question(identities: Iterable[Identity]) -> str:
    """Asks for the ids and start times of those of these sessions that are still there."""
    return _ALIVE.format(pids=", ".join(str(int(pid)) for pid, _ in identities))


def read_alive(identities: Iterable[Identity], answer: Sequence[Row]) -> list[Identity]:
    """Those of the identities that are still there; a session that hides its start now counts as the same."""
    there: dict[int, float | None] = {row[0]: row[1] for row in answer}
    return [(pid, started) for pid, started in identities if pid in there and _is_same(there[pid], started)]


def _is_same(one: float | None, other: float | None) -> bool:
    return one is None or other is None or abs(one - other) < 1e-6
