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


_WAITED = "a second login had to wait"


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
    sampler = _Sampler(target, addresses, deadline)
    note = reason_to_stop(facts)
    try:
        sampler.time(first)
        if facts.pooler is None:
            login.log_out(first)  # its slot is free for the next
            note = sampler.take(1 if note else count) or note
            return Samples(sampler.timings, note, facts)
        if note is None:
            note = sampler.take(max(count, 2), first_within=deadline.part(0.2))
        pooler = sampler.name_pooler(first, facts.pooler, waited=note == _WAITED)
        return Samples(sampler.timings, note, replace(facts, pooler=pooler))
    except (DeadlinePassedError, login.QueryFailedError):
        return Samples(sampler.timings, "a round trip was not answered", facts)


class _Sampler:
    """Logins and round trips as they are taken, with the server process that each ran on."""

    def __init__(self, target: Target, addresses: Sequence[Address], deadline: Deadline) -> None:
        self.target = target
        self.addresses = addresses
        self.deadline = deadline
        self.logins: list[float] = []
        self.trips: list[float] = []
        self.pids: list[int | None] = []
        self.changed = False

    @property
    def timings(self) -> Timings:
        """What was measured in full."""
        return Timings(tuple(self.logins), tuple(self.trips))

    def time(self, session: login.LoggedIn, within: Deadline | None = None) -> None:
        """Time one round trip on a session, and count its login."""
        pid, seconds = self._ask(session, within or self.deadline)
        self.logins.append(session.seconds)
        self.trips.append(seconds)
        self.pids.append(pid)

    def take(self, wanted: int, *, first_within: Deadline | None = None) -> str | None:
        """Make more logins until there are `wanted`; give the reason when it ends before.

        `first_within` says that a pooler is in between, and how long the first of them may wait there.
        """
        within = first_within
        while len(self.logins) < wanted:
            if self.deadline.elapsed > self.deadline.seconds * _SHARE_OF_DEADLINE:
                return "the login timeout would not have been enough for more"
            try:
                session = login.log_in(self.target, self.addresses, within or self.deadline)
            except DeadlinePassedError:
                return _WAITED
            except login.LoginFailedError:
                return "a further login was refused"
            try:
                self.time(session, within)
                if first_within is not None and self.pids[0] not in self.pids[1:]:
                    self._look_for_change(session, within or self.deadline)
            except DeadlinePassedError:
                return _WAITED
            finally:
                login.log_out(session)
            within = None
        return None

    def name_pooler(self, first: login.LoggedIn, pooler: Pooler, *, waited: bool) -> Pooler:
        """Which pooler, and its mode: the first session stayed open all the while.

        In session mode it keeps its server session and nobody else gets it; that another session of ours ran on the
        same one, or that it changed itself, shows that server sessions are lent for a transaction or a statement only.
        One look a session would not do: while other clients are at work, each can fall on a server session of its own.
        A second login that had to wait while the first kept its server session shows session mode, too.
        """
        again, _ = self._ask(first, self.deadline)
        own, *others = self.pids
        mode = None
        if own != again or own in others or self.changed:
            mode = "statement" if self._ends_with_statement() else "transaction"
        elif others or waited:
            mode = "session"
        name = "PgBouncer" if is_pgbouncer(self.target, self.addresses[0], self.deadline) else pooler.name
        return Pooler(name, pooler.version, mode)

    def _look_for_change(self, session: login.LoggedIn, within: Deadline) -> None:
        """Ask twice more, which keeps to three round trips a login: a session that changes is lent out."""
        for _ in range(2):
            pid, _seconds = self._ask(session, within)
            if pid != self.pids[-1]:
                self.changed = True
                return

    def _ask(self, session: login.LoggedIn, within: Deadline) -> tuple[int | None, float]:
        started = time.monotonic()
        row = login.run_query(session, _ROUND_TRIP, within)
        seconds = time.monotonic() - started
        return int(row[0]) if row and str(row[0]).isdigit() else None, seconds

    def _ends_with_statement(self) -> bool:
        """PgBouncer refuses to open a transaction in statement mode, and ends the session for it: one of its own, then."""
        try:
            session = login.log_in(self.target, self.addresses, self.deadline)
        except login.LoginFailedError:
            return False
        try:
            login.run_query(session, "BEGIN READ ONLY", self.deadline)
            login.run_query(session, "ROLLBACK", self.deadline)
        except login.QueryFailedError:
            return True
        finally:
            login.log_out(session)
        return False


def reason_to_stop(facts: ServerFacts) -> str | None:
    """Why no further login may be made: the server, the role or the database is short of free sessions."""
    if facts.slots and facts.slots.free < _FEWEST_FREE_SLOTS:
        return "the server is short of free sessions"
    for limit in facts.limits:
        if limit.used is not None and limit.limit - limit.used < _FEWEST_FREE_SLOTS:
            return f"the {limit.of} {limit.name} is short of free sessions"
    return None
