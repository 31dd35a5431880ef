"""What the rules on sessions are given: the history, cut into groups, and how they answer."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from dbdoctor.databases.remedies import remedy
from dbdoctor.history import History, Life, PoolHistory
from dbdoctor.history.pool import trend
from dbdoctor.model.finding import Finding
from dbdoctor.model.leaks import GroupKey, HeldAt, Trend, Verdict
from dbdoctor.model.server import ServerFacts
from dbdoctor.model.session import ACTIVE, IDLE, Identity
from dbdoctor.model.target import Target

# How a statement begins that gives a right; other helps are for people.
_GRANTS = ("GRANT ", "ALTER SERVER ROLE ", "ALTER ROLE ")


class Judged(NamedTuple):
    """A rule's answer: the finding, what it makes of the group, of which sessions, and why in a short phrase.

    `group` is None for what concerns the server as a whole; `verdict` None leaves the group as it is. `paused` are
    sessions that are not wrong now, but were while we watched. `held` is where the sessions were taken, if that is known.
    """

    finding: Finding
    group: GroupKey | None = None
    verdict: Verdict | None = None
    sessions: tuple[Identity, ...] = ()
    reason: str = ""
    paused: tuple[Identity, ...] = ()
    held: tuple[HeldAt, ...] = ()


class Group:
    """The sessions that are shown together, with the pools that they come from."""

    def __init__(self, key: GroupKey) -> None:
        self.key = key
        self.pools: list[PoolHistory] = []
        self.lives: list[Life] = []
        self.in_transaction: list[Life] = []
        self.idle: list[Life] = []
        self.active = 0
        self.hidden: list[Life] = []
        self.trend: Trend | None = None

    def add(self, pool: PoolHistory) -> None:
        """One more pool that is shown in this group."""
        self.pools.append(pool)
        for life in pool.lives.values():
            self.lives.append(life)
            state = life.session.state
            if state == IDLE:
                self.idle.append(life)
            elif state == ACTIVE:
                self.active += 1
            elif state is None:
                self.hidden.append(life)
            else:
                self.in_transaction.append(life)

    @property
    def opened(self) -> int:
        """Sessions that began while we watched."""
        return sum(pool.opened for pool in self.pools)

    @property
    def closed(self) -> int:
        """Sessions that ended while we watched."""
        return sum(pool.closed for pool in self.pools)


class Watched:
    """Everything there is to judge; `now` is the server's clock at the last sample."""

    def __init__(self, history: History, target: Target, facts: ServerFacts | None) -> None:
        self.history = history
        self.target = target
        self.facts = facts
        self.now = history.at
        self.too_long = history.options.idle_in_transaction
        self.unused_after = history.options.idle
        self.groups = list(self._groups())

    @property
    def seconds(self) -> float:
        """How long we have watched."""
        return self.history.observed.seconds

    def remedy(self, key: str, **names: str | None) -> str | None:
        """What the product's own file says for this key; None where it says nothing."""
        return remedy(self.target.product, key, **names)

    @property
    def grants(self) -> str | None:
        """The statements that would let us see what is hidden, as the product's file told them."""
        helps = [missing.help for missing in self.history.missing if missing.help and missing.help.startswith(_GRANTS)]
        return "\n".join(dict.fromkeys(helps)) or None

    @property
    def why_hidden(self) -> str:
        """Why sessions are hidden from us, in one phrase."""
        reasons = [missing.reason for missing in self.history.missing if missing.help]
        return reasons[0] if reasons else "this role may not see other roles' sessions"

    def life_of(self, number: int) -> Life | None:
        """The session with this id, if it is there now."""
        if not hasattr(self, "_by_id"):
            self._by_id = {life.session.id: life for life in self.history.lives.values()}
        return self._by_id.get(number)

    def _groups(self) -> Iterator[Group]:
        groups: dict[GroupKey, Group] = {}
        for key, pool in self.history.pools.items():
            shown = self.history.display_key(key)
            group = groups.get(shown)
            if group is None:
                group = groups[shown] = Group(shown)
            group.add(pool)
        for group in groups.values():
            group.trend = self._trend(group)
            yield group

    def _trend(self, group: Group) -> Trend | None:
        counts = self.history.counts.get(group.key)
        if counts is None:
            return None
        pools: Sequence[PoolHistory] = group.pools
        opened = [at for pool in pools for at in pool.openings]
        closed = [at for pool in pools for at in pool.closings]
        return trend(
            opened, closed, list(counts) if closed else [counts[0], counts[-1]] * min(1, len(counts) - 1), self.now
        )
