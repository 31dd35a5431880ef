"""The life of one session as the samples show it: when it was used, how long it paused, whether it came back."""

from __future__ import annotations

from dbdoctor.model.leaks import GroupKey
from dbdoctor.model.session import (
    ABORTED,
    ACTIVE,
    IDLE,
    IDLE_IN_TRANSACTION,
    ClientProcess,
    Detail,
    PooledClient,
    Session,
)

# An idle stretch within a transaction counts as a pause from this on (seconds); shorter is the driver's own round trip.
_SHORTEST_PAUSE = 1.0


class Life:
    """One session, from when we first saw it. Times are the server's clock, durations seconds.

    `uses` counts the samples in which it had worked since the sample before. `longest_return` is the longest silence
    after which it worked again. Of the transaction open now: `pauses` counts stretches idle of a second and more,
    `paused` their sum, `longest_pause` the longest that is over, `moved` whether a further statement came after one.
    `long_pauses` counts stretches idle in transaction that lasted the threshold and then ended, over all transactions.
    """

    __slots__ = (
        "client_gone",
        "detail",
        "first_seen",
        "hidden_since",
        "key",
        "long_pauses",
        "longest_pause",
        "longest_return",
        "moved",
        "paused",
        "pauses",
        "pooled_client",
        "process",
        "returned_after",
        "seen",
        "session",
        "spared",
        "uses",
    )

    def __init__(self, session: Session, at: float) -> None:
        self.session = session
        self.first_seen = at
        self.seen = at
        self.uses = 0
        self.longest_return = 0.0
        self.pauses = 0
        self.paused = 0.0
        self.longest_pause = 0.0
        self.moved = False
        self.long_pauses = 0
        self.returned_after: float | None = None
        self.client_gone = 0
        self.hidden_since = at if session.transaction_key else None
        self.detail: Detail | None = None
        self.process: ClientProcess | None = None
        self.pooled_client: PooledClient | None = None
        self.spared: str | None = None
        self.key = GroupKey()

    def see(self, session: Session, at: float, threshold: float) -> None:
        """The next sample of it. `threshold` is what counts as too long idle in transaction (seconds)."""
        before, since = self.session, self.seen
        self.session, self.seen = session, at
        if session.hidden:
            if session.transaction_key != before.transaction_key:
                self.hidden_since = at if session.transaction_key else None
            return
        if session.changed_at == before.changed_at and session.state == before.state:
            return
        self.uses += 1
        self._left(before, session, since, at, threshold)

    def _left(self, before: Session, session: Session, since: float, at: float, threshold: float) -> None:
        """It did something since the sample before, so the stretch that it was in then is over."""
        changed_at = before.changed_at
        if changed_at is None:
            return
        # It was still silent at the sample before, and had ended its silence by this one.
        silent = since - changed_at
        if before.state == IDLE:
            self.longest_return = max(self.longest_return, silent + (at - since))
            return
        if before.state not in (IDLE_IN_TRANSACTION, ABORTED):
            return
        same_transaction = session.transaction_at is not None and session.transaction_at == before.transaction_at
        if silent >= threshold:
            self.long_pauses += 1
            self.returned_after = silent
        if not same_transaction:
            self.pauses, self.paused, self.longest_pause, self.moved = 0, 0.0, 0.0, False
            return
        self.moved = True
        self.longest_pause = max(self.longest_pause, silent)
        if silent + (at - since) >= _SHORTEST_PAUSE:
            self.pauses += 1
            self.paused += max(silent, 0.0)

    @property
    def in_transaction(self) -> bool:
        """Whether it is idle while a transaction is open (aborted or not)."""
        return self.session.state in (IDLE_IN_TRANSACTION, ABORTED)

    @property
    def busy(self) -> bool:
        """Whether it works, or is idle in transaction: whatever it is, it is checked out."""
        return self.session.state == ACTIVE or self.in_transaction

    def silence(self, now: float) -> float:
        """How long it has been in its present state (seconds); 0 when the server hides that."""
        changed_at = self.session.changed_at
        return max(0.0, now - changed_at) if changed_at is not None else 0.0

    def transaction_age(self, now: float) -> float | None:
        """How long its transaction has been open; None with none, or when hidden and not yet seen twice."""
        if self.session.transaction_at is not None:
            return max(0.0, now - self.session.transaction_at)
        if self.session.state == ABORTED:
            return self.silence(now)
        return now - self.hidden_since if self.hidden_since is not None else None

    @property
    def explained(self) -> Detail | None:
        """Its detail, if it still holds: nothing has changed since it was asked for."""
        if self.detail is not None and self.detail.changed_at == self.session.changed_at:
            return self.detail
        return None
