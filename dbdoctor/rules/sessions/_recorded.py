"""What the recorder adds to what the rules found: the lines of code, and certainty where there was a suspicion."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from dbdoctor.history import Life
from dbdoctor.model.duration import format_duration
from dbdoctor.model.finding import Finding
from dbdoctor.model.holding import Holding
from dbdoctor.model.leaks import HeldAt, RecorderSays, Verdict
from dbdoctor.model.session import Identity
from dbdoctor.rules._common import count
from dbdoctor.rules.sessions._watched import Group, Judged, Watched

# Suspicions that are nothing more than "perhaps these are not given back", which the recorder answers. Those about what a
# session's own transaction or lock does to others stay, whoever holds it.
_ANSWERED = frozenset({"more-than-declared-pool", "transaction-across-pauses"})
# Of whom it says nothing where a connection at rest was taken last: it rests as it should.
_ONLY_HELD = frozenset({"more-than-declared-pool"})
_MOST_PLACES = 3
# A recorder writes twice a second; a session that is older than this (seconds) is in its file.
_WRITTEN_BY = 3.0
_MOST_IN_JSON = 50


class Sharing(NamedTuple):
    """How sessions at rest lie in pools: in how many, and how many sessions."""

    pools: int
    sessions: int

    @property
    def is_apart(self) -> bool:
        """Whether they are mostly alone in a pool each, as engines made again and again leave them."""
        return self.pools >= 3 and 2 * self.pools > self.sessions


def sharing_at_rest(lives: Sequence[Life]) -> Sharing | None:
    """How these lie in their pools; None unless the recorder knows every one of them and all are at rest."""
    holdings = [life.holding for life in lives]
    if not lives or not all(holding is not None and holding.rests for holding in holdings):
        return None
    pools = {(holding.process, holding.pool) for holding in holdings if holding is not None}
    return Sharing(len(pools), len(lives))


def at_rest_together(lives: Sequence[Life]) -> bool:
    """Whether all of them rest in pools that they share, for whoever asks next: then nobody forgot them."""
    sharing = sharing_at_rest(lives)
    return sharing is not None and not sharing.is_apart


def held_at(lives: Iterable[Life], now: float, *, paused: bool = False) -> tuple[HeldAt, ...]:
    """Lives by the line of code that took them, the longest held first. With `paused`, by who had them when they paused."""
    places: dict[tuple[Any, ...], list[tuple[Life, Holding]]] = {}
    for life in lives:
        holding = life.paused_in if paused else life.holding
        if holding is not None:
            key = (holding.taken_at, holding.since is None and not paused, holding.beside)
            places.setdefault(key, []).append((life, holding))
    found = [
        HeldAt(
            taken_at=taken_at,
            sessions=tuple(life.session.identity for life, _ in pairs),
            processes=tuple(sorted({holding.process for _, holding in pairs})),
            longest=max(holding.held(now) for _, holding in pairs) if not rests and not beside and not paused else None,
            rests=rests and not beside,
            beside=beside,
        )
        for (taken_at, rests, beside), pairs in places.items()
    ]
    return tuple(sorted(found, key=lambda one: (-(one.longest or 0.0), -len(one.sessions))))


def with_lines(one: Judged, watched: Watched) -> Judged:
    """The same answer, its finding with the lines of code that took its sessions, where a recorder saw it."""
    if one.verdict is None or one.verdict.rank < Verdict.SUSPECT.rank or not watched.history.holds:
        return one
    code = one.finding.code
    lives = _lives_of(one, watched)
    places = held_at(lives, watched.now)
    if code in _ONLY_HELD:
        places = tuple(place for place in places if place.longest is not None)
    if not places and one.paused:
        lives = [life for life in map(watched.history.lives.get, one.paused) if life is not None]
        places = held_at(lives, watched.now, paused=True)
    if not places:
        return one
    known = sum(len(place.sessions) for place in places)
    finding: Finding = dataclasses.replace(
        one.finding,
        evidence={
            **one.finding.evidence,
            "taken_at": [place.as_object() for place in places[:_MOST_IN_JSON]],
            "known_to_recorder": known,
        },
        rows=(*_place_rows(places, known, len(lives)), *one.finding.rows),
    )
    return one._replace(finding=finding, held=places)


def _lives_of(one: Judged, watched: Watched) -> list[Life]:
    identities: Iterable[Identity] = one.sessions or [
        (session["id"], session["started_at"]) for session in one.finding.sessions
    ]
    lives = watched.history.lives
    return [lives[identity] for identity in identities if identity in lives]


def _place_rows(places: Sequence[HeldAt], known: int, sessions: int) -> list[str]:
    rows = [place.shown for place in places[:_MOST_PLACES]]
    more = len(places) - len(rows)
    if more > 0:
        rows.append(f"and in {count(more, 'other place')} (--json has all)")
    if known < sessions:
        rows.append(f"of {count(sessions - known, 'other session')} the recorder knows nothing")
    return rows


def what_recorder_says(group: Group, judged: Sequence[Judged], watched: Watched) -> RecorderSays | None:
    """Of a group's sessions as a whole; None where no recorder knows any of them. Those just opened are not counted yet."""
    now = watched.now
    known = [life for life in group.lives if life.holding is not None]
    if not known:
        return None
    unknown = [
        life for life in group.lives if life.holding is None and now - (life.session.started_at or 0.0) >= _WRITTEN_BY
    ]
    leaking = {identity for one in judged if one.verdict is Verdict.LEAK for identity in one.sessions}
    too_long = [life for life in known if life.holding is not None and life.holding.is_held_too_long(now)]
    return RecorderSays(
        known=len(known),
        sessions=len(known) + len(unknown),
        out=sum(1 for life in known if life.holding is not None and life.holding.since is not None),
        held_too_long=len(too_long),
        leaking=sum(1 for life in known if life.session.identity in leaking),
        leak_after=max(life.holding.leak_after for life in known if life.holding is not None),
        beside=sum(1 for life in known if life.holding is not None and life.holding.beside),
    )


def settled(verdict: Verdict, judged: Sequence[Judged], says: RecorderSays | None) -> Verdict:
    """A suspicion of sessions that are not given back is none when the recorder knows them all and they are."""
    if (
        verdict is not Verdict.SUSPECT
        or says is None
        or says.known < says.sessions
        or says.held_too_long
        or says.beside
    ):
        return verdict
    suspicions = {one.finding.code for one in judged if one.verdict is Verdict.SUSPECT}
    return Verdict.OK if suspicions <= _ANSWERED else verdict


def why_settled(says: RecorderSays) -> str:
    """In one phrase, for the group."""
    return (
        f"the recorder sees all {says.sessions} given back in time: none has been held for {format_duration(says.leak_after)}"
        if says.sessions > 1
        else f"the recorder sees it given back in time: it has not been held for {format_duration(says.leak_after)}"
    )


def partly_known(says: RecorderSays) -> str:
    """In one phrase: how far the recorder's word reaches."""
    return (
        f"the recorder knows {says.known} of the {says.sessions} sessions; of the others only the server's word is here"
    )
