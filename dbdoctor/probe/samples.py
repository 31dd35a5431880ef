"""What connecting costs: a few logins, one after the other, with one round trip each; and what a pooler does meanwhile.

Never more than one session at a time, except behind a pooler, where two tell session from transaction mode. Sampling
stops by itself when the server is short of slots or time, for measuring must not be what fills it.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

from dbdoctor.model.server import Pooler, ServerFacts
from dbdoctor.model.stage import Timings
from dbdoctor.model.target import Target
from dbdoctor.probe import login
from dbdoctor.probe.deadline import Deadline, DeadlinePassedError
from dbdoctor.probe.resolve import Address
from dbdoctor.probe.second_look import is_pgbouncer

_ROUND_TRIP = "SELECT pg_backend_pid()"
# Below this many free slots no second login is made.
_FEWEST_FREE_SLOTS = 5
# Of the login timeout, what sampling may use up.
_SHARE_OF_DEADLINE = 0.6


class Samples(NamedTuple):
    """The timings, why there are fewer than asked for, and the facts with the pooler named."""

    timings: Timings
    note: str | None
    facts: ServerFacts


def take_samples(
    target: Target,
    addresses: Sequence[Address],
    first: login.LoggedIn,
    facts: ServerFacts,
    count: int,
    deadline: Deadline,
) -> Samples:
    """Time `count` logins and round trips; the session already open is the first sample. Seconds."""
    logins, trips = [first.seconds], []
    note = _reason_to_stop(facts)
    pids: list[int | None] = []
    try:
        trips.append(_timed(first, pids, deadline))
        if facts.pooler is None:
            login.log_out(first)  # its slot is free for the next
        wanted = 1 if note else max(count, 2 if facts.pooler else 1)
        while len(logins) < wanted:
            if deadline.elapsed > deadline.seconds * _SHARE_OF_DEADLINE:
                note = "the login timeout would not have been enough for more"
                break
            session = login.log_in(target, addresses, deadline)
            try:
                logins.append(session.seconds)
                trips.append(_timed(session, pids, deadline))
            finally:
                login.log_out(session)
        if facts.pooler is not None:
            trips.append(_timed(first, pids, deadline))
            facts = replace(facts, pooler=_name_pooler(target, addresses, facts.pooler, pids, deadline))
    except (DeadlinePassedError, login.LoginFailedError, login.QueryFailedError) as error:
        note = f"a further login failed ({type(error).__name__.removesuffix('Error')})"
        note = {"a further login failed (DeadlinePassed)": "the login timeout ran out"}.get(
            note, "a further login was refused"
        )
    return Samples(Timings(tuple(logins[: len(trips)]), tuple(trips)), note, facts)


def _reason_to_stop(facts: ServerFacts) -> str | None:
    if facts.slots and facts.slots.free < _FEWEST_FREE_SLOTS:
        return "the server is short of free sessions"
    for limit in facts.limits:
        if limit.used is not None and limit.limit - limit.used < _FEWEST_FREE_SLOTS:
            return f"the {limit.of} {limit.name} is short of free sessions"
    return None


def _timed(session: login.LoggedIn, pids: list[int | None], deadline: Deadline) -> float:
    started = time.monotonic()
    row = login.run_query(session, _ROUND_TRIP, deadline)
    seconds = time.monotonic() - started
    pids.append(int(row[0]) if row else None)
    return seconds


def _name_pooler(
    target: Target, addresses: Sequence[Address], pooler: Pooler, pids: list[int | None], deadline: Deadline
) -> Pooler:
    """Which pooler, and its mode: the first session stayed open all the while.

    In session mode it keeps its server session and nobody else gets it; that another session of ours ran on the same
    one, or that it changed itself, shows that server sessions are lent for a transaction (or a statement) only.
    """
    first, *others, again = pids
    lent = first != again or first in others
    name = "PgBouncer" if is_pgbouncer(target, addresses[0], deadline) else pooler.name
    return Pooler(name, pooler.version, "transaction" if lent else "session")
