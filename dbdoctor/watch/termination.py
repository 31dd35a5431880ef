"""Which sessions will be ended when the user asks for it, and which are spared, and why; pure.

Ending a session is the one thing that dbdoctor does to a server, so every doubt here means "spared". Who still wants it
gets the statement to paste, which checks the identity just as ours does.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from dbdoctor.errors import CannotLookError, UsageError
from dbdoctor.model.leaks import GroupReport, LeaksReport, SessionReport, Verdict
from dbdoctor.model.session import CLIENT, REPLICATION, Identity, Session
from dbdoctor.model.snapshot import Snapshot
from dbdoctor.model.target import Product
from dbdoctor.watch.source import Termination

ENDED = "ended"
STILL_THERE = "still-there"
NOT_FOUND = "not-found"
NOT_ALLOWED = "not-allowed"
SPARED = "spared"
DECLINED = "declined"

# The largest int4, which is what a process id is to PostgreSQL and a session id to SQL Server.
_LARGEST_ID = 2**31 - 1
_OWN = "it is dbdoctor's own session"


class Spared(NamedTuple):
    """A session that was asked for, or is a leak, and will not be ended; `session` is None when none was seen with this id."""

    id: int
    reason: str
    session: Session | None = None
    outcome: str = SPARED

    @property
    def termination(self) -> Termination:
        """The same as an outcome."""
        identity = self.session.identity if self.session else (self.id, None)
        return Termination(identity, self.outcome, self.reason)


@dataclass(frozen=True, slots=True)
class Plan:
    """What will be ended and what will not; `healthy` counts the sessions that nobody asked to end."""

    to_end: tuple[SessionReport, ...]
    spared: tuple[Spared, ...] = ()
    healthy: int = 0

    @property
    def identities(self) -> tuple[Identity, ...]:
        """Of the sessions to be ended."""
        return tuple(report.session.identity for report in self.to_end)


def parse_ids(words: Iterable[str]) -> tuple[int, ...]:
    """Session ids from `4711`, `4711,4712` or several of these, each once. Raises UsageError."""
    found: dict[int, None] = {}
    for part in (part.strip() for word in words for part in word.split(",")):
        if not re.fullmatch(r"[0-9]{1,10}", part, re.ASCII) or not 0 < int(part) <= _LARGEST_ID:
            raise UsageError(
                "`--terminate` takes session ids, as `dbdoctor leaks --sessions` prints them",
                help="for example `--terminate 4711` or `--terminate 4711,4712`",
            )
        found[int(part)] = None
    return tuple(found)


def plan(
    report: LeaksReport,
    ids: Sequence[int] | None,
    *,
    own: int | None = None,
    superusers: Collection[str] = (),
    product: Product = Product.POSTGRESQL,
) -> Plan:
    """What to end: the sessions of these ids, or with None every session that is a leak by its own verdict.

    `report` must hold its sessions. `own` is the id of our own session, `superusers` the roles that are spared.
    Raises CannotLookError when sessions are hidden from us, or one asked for could not be judged.
    """
    _refuse_restricted_view(report)
    if ids is None:
        chosen = [one for one in report.sessions if one.verdict is Verdict.LEAK]
        unheard: list[Spared] = []
    else:
        known = {one.session.id: one for one in report.sessions}
        chosen = [known[id_] for id_ in ids if id_ in known and id_ != own]
        unheard = [_unheard(id_, own) for id_ in ids if id_ not in known or id_ == own]
    to_end: list[SessionReport] = []
    spared: list[Spared] = []
    for one in chosen:
        reason = _why_spared(one, report.groups, own, superusers)
        if reason is None:
            _refuse_unjudged(one, product)
            to_end.append(one)
        else:
            spared.append(Spared(one.session.id, reason, one.session))
    return Plan(tuple(to_end), (*spared, *unheard), len(report.sessions) - len(chosen))


def still_so(plan: Plan, now: Snapshot) -> tuple[Plan, tuple[Termination, ...]]:
    """The plan as it holds a moment later, and what became of the rest: who has worked since is spared.

    Between the preview and the answer minutes may pass, and a session that came back to life is in use again. The same
    transaction, still open, is no sign of life.
    """
    present = {session.identity: session for session in now.sessions}
    to_end: list[SessionReport] = []
    dropped: list[Termination] = []
    for one in plan.to_end:
        identity = one.session.identity
        if identity not in present:
            dropped.append(Termination(identity, NOT_FOUND, "it ended by itself meanwhile"))
        elif _moved(one.session, present[identity]):
            dropped.append(
                Termination(identity, SPARED, f"it has worked meanwhile and is {present[identity].state} now")
            )
        else:
            to_end.append(one)
    return Plan(tuple(to_end), plan.spared, plan.healthy), tuple(dropped)


def by_hand(identity: Identity, product: Product = Product.POSTGRESQL) -> str:
    """The product's statement that ends just this session and no other that has its id by then."""
    if product is Product.SQLSERVER:
        from dbdoctor.databases import sqlserver_terminate

        return sqlserver_terminate.by_hand(identity)
    pid, started_at = identity
    if started_at is None:
        return f"SELECT pg_terminate_backend({pid});"
    return (
        f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid = {pid} "  # noqa: S608 - two numbers
        f"AND abs(extract(epoch FROM backend_start) - {started_at:.3f}) < 0.01;"
    )


def _moved(before: Session, after: Session) -> bool:
    if before.transaction_at is not None:
        return before.transaction_at != after.transaction_at
    return before.changed_at != after.changed_at


def _unheard(id_: int, own: int | None) -> Spared:
    if id_ == own:
        return Spared(id_, _OWN)
    return Spared(id_, "no session has this id (any more)", outcome=NOT_FOUND)


def _refuse_restricted_view(report: LeaksReport) -> None:
    hidden = sum(one.session.hidden for one in report.sessions) or sum(group.hidden for group in report.groups)
    if not hidden and not (report.facts is not None and report.facts.restricted):
        return
    number = f"{hidden} session{'s are' if hidden > 1 else ' is'}" if hidden else "other sessions are"
    grant = next((one.help for one in report.skipped if one.help and one.help.startswith("GRANT")), None)
    raise CannotLookError(
        f"nothing was ended: {number} hidden from us, and who cannot see all cannot tell the healthy from the leaked",
        help=f"`{grant}`" if grant else "let a role do it that may see all sessions",
    )


def _refuse_unjudged(one: SessionReport, product: Product) -> None:
    if one.verdict is Verdict.UNKNOWN or one.session.started_at is None or one.session.state is None:
        raise CannotLookError(
            f"nothing was ended: session {one.session.id} could not be judged ({one.reason})",
            help=f"to end it all the same: `{by_hand(one.session.identity, product)}`",
        )


def _why_spared(
    one: SessionReport, groups: Sequence[GroupReport], own: int | None, superusers: Collection[str]
) -> str | None:
    session = one.session
    if session.id == own:
        return _OWN
    if session.kind == REPLICATION:
        return "it replicates: ending it makes a replica or a consumer fall behind"
    if session.kind != CLIENT:
        return "it belongs to the server itself"
    if session.user in superusers:
        return f"{session.user} is a superuser"
    if one.verdict is Verdict.OK:
        group = next((group for group in groups if group.spared and _belongs(one, group)), None)
        return f"nothing is wrong with it ({(group.spared if group else None) or one.reason or 'healthy'})"
    return None


def _belongs(one: SessionReport, group: GroupReport) -> bool:
    key, session = group.key, one.session
    process = one.process.pid if one.process else session.process
    has = (session.application, session.user, session.database, session.client, process)
    return all(wanted is None or wanted == value for wanted, value in zip(key, has, strict=True))
