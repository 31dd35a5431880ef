"""Which connection of an application is which session of the server. Pure; in any doubt it is none.

A session's id alone proves nothing: another server gives out the same ids, and behind a pooler a driver is told a key that is
no session's id at all. So the ages must agree, each taken by its own clock, which makes the difference of the clocks not
matter; and whatever else both sides know must not contradict: the process that has the socket, the port, the database.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from dbdoctor.model.session import CLIENT, ClientProcess, Identity, Session
from dbdoctor.model.snapshot import Snapshot
from dbdoctor.traces.follow import Connection, Follower, Header

_TOLERANCE = 2.0
"""By how much (seconds) the ages of a session, as the server and as the application know them, may differ: a busy machine."""
_TOLERANCE_WITHOUT_ID = 1.0
"""The same where no id says that they are one, only the process and the time (SQL Server)."""
# A session this young (seconds) may not be in the file yet, which is written twice a second.
_SETTLED = 5.0


class Match(NamedTuple):
    """A session's connection, and in whose file it is; `connection` None: that process has it beside its recorded pools."""

    follower: Follower
    connection: Connection | None


class Moment(NamedTuple):
    """When a snapshot was taken by this host's clock, as nearly as it is known, and to which ports its server listens."""

    now: float
    ports: frozenset[int] = frozenset()


def join(snapshot: Snapshot, followers: Sequence[Follower], moment: Moment) -> dict[Identity, Match]:
    """The connection of each session for which there is just one."""
    by_id: dict[int, list[Match]] = {}
    nameless: dict[int, list[Match]] = {}
    for follower in followers:
        for connection in follower.connections.values():
            if connection.session is not None:
                by_id.setdefault(connection.session, []).append(Match(follower, connection))
            elif follower.header is not None:
                nameless.setdefault(follower.header.process, []).append(Match(follower, connection))
    found: dict[Identity, Match] = {}
    for session in _judgeable(snapshot.sessions):
        process = snapshot.processes.get(session.id)
        fitting = [one for one in by_id.get(session.id, ()) if _fits(session, process, one, snapshot.at, moment)]
        if len(fitting) == 1:
            found[session.identity] = fitting[0]
        elif not fitting and process is not None:
            beside = _beside(session, process, followers, snapshot.at, moment)
            if beside is not None:
                found[session.identity] = Match(beside, None)
    if nameless:
        found.update(_join_without_id(snapshot, nameless, moment))
    return found


def _judgeable(sessions: Iterable[Session]) -> list[Session]:
    return [one for one in sessions if one.kind == CLIENT and one.started_at is not None and not one.hidden]


def _fits(session: Session, process: ClientProcess | None, match: Match, at: float, moment: Moment) -> bool:
    header, connection = match.follower.header, match.connection
    if header is None or connection is None:
        return False
    proven = _is_of(process, header)
    if proven is False or _differ(connection.database, session.database):
        return False
    if connection.opened_at is None:  # it was there before the recorder, so its age is not known
        return proven is True and (session.started_at or at) <= at - (moment.now - header.began) + _TOLERANCE
    if proven is None and moment.ports and _differ(connection.port, *moment.ports):
        return False
    return _ages_agree(session, connection, at, moment.now, _TOLERANCE)


def _is_of(process: ClientProcess | None, header: Header) -> bool | None:
    """Whether the session's socket is that process's; None where that is not known, as behind what only passes on."""
    if process is None or process.forwarder:
        return None
    return not process.pooler and process.pid == header.process


def _differ(value: object, *others: object) -> bool:
    """Whether both are known, and none of the others is it."""
    return value is not None and None not in others and value not in others


def _ages_agree(session: Session, connection: Connection, at: float, now: float, tolerance: float) -> bool:
    """The server begins a session while the application still waits for its login (`took` seconds)."""
    if session.started_at is None or connection.opened_at is None:
        return False
    older = (at - session.started_at) - (now - connection.opened_at)
    return -tolerance <= older <= connection.took + tolerance


def _beside(
    session: Session, process: ClientProcess, followers: Sequence[Follower], at: float, moment: Moment
) -> Follower | None:
    """The recording of the process whose session this is, if it surely is of none of the pools in it."""
    age = at - (session.started_at or at)
    for follower in followers:
        header = follower.header
        if header is None or not _is_of(process, header) or not follower.complete:
            continue
        since_began = moment.now - header.began
        unnamed = any(one.session in (None, session.id) for one in follower.connections.values())
        if _SETTLED <= age <= since_began - _TOLERANCE and not unnamed:
            return follower
    return None


def _join_without_id(
    snapshot: Snapshot, nameless: Mapping[int, Sequence[Match]], moment: Moment
) -> dict[Identity, Match]:
    """By the client's process and the time alone, as SQL Server tells both; only where just one fits from either side."""
    sessions = [one for one in _judgeable(snapshot.sessions) if one.process in nameless]
    pairs = [
        (session, match)
        for session in sessions
        for match in nameless[session.process or 0]
        if match.connection is not None
        and not _differ(match.connection.database, session.database)
        and _ages_agree(session, match.connection, snapshot.at, moment.now, _TOLERANCE_WITHOUT_ID)
    ]
    of_session: dict[Identity, int] = {}
    of_connection: dict[int, int] = {}
    for session, match in pairs:
        of_session[session.identity] = of_session.get(session.identity, 0) + 1
        of_connection[id(match.connection)] = of_connection.get(id(match.connection), 0) + 1
    return {
        session.identity: match
        for session, match in pairs
        if of_session[session.identity] == 1 and of_connection[id(match.connection)] == 1
    }
