"""The life of one session as the samples show it: when it was used, how long it paused, whether it came back."""

from __future__ import annotations

from dbdoctor.model.holding import Holding
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

_NOBODY = GroupKey()


class Life:
    """One session, from when we first saw it. Times are the server's clock, durations seconds.

    `uses` counts the samples in which it had worked since the sample before. `longest_return` is the longest silence
    after which it worked again. `long_pauses` counts stretches idle in transaction that lasted the threshold and then
    ended, over all its transactions; `returned_after` is the last of them, and `paused_in` who had it then, if the
    recorder said so. `holding` is what the recorder says of it now.

    Of the transaction open now: `moves` counts the samples in which a further statement had come, `longest_pause` is
    the longest silence before one; `idle_samples` and `working_samples` are how often it was seen so, and `silences`
    the sum of its silences at the idle ones: half the mean pause, whatever the interval of sampling.
    """

    # What a session has only when something happened to it stands here once: most of two thousand rest.
    uses = 0
    longest_return = 0.0
    long_pauses = 0
    returned_after: float | None = None
    client_gone = 0
    detail: Detail | None = None
    pooled_client: PooledClient | None = None
    holding: Holding | None = None
    paused_in: Holding | None = None
    hidden_since: float | None = None
    aborted_since: float | None = None
    transaction_at: float | None = None
    moves = 0
    idle_samples = 0
    working_samples = 0
    longest_pause = 0.0
    silences = 0.0

    def __init__(
        self,
        session: Session,
        at: float,
        key: GroupKey = _NOBODY,
        process: ClientProcess | None = None,
        spared: str | None = None,
    ) -> None:
        self.session = session
        self.first_seen = self.seen = at
        self.key = key
        self.process = process
        self.spared = spared
        if session.transaction_key:
            self.hidden_since = at
        if session.state == ABORTED:
            self.aborted_since = session.changed_at
        if session.transaction_at is not None:
            self._sample(session, at)

    def see(self, session: Session, at: float, threshold: float) -> None:
        """The next sample of it. `threshold` is what counts as too long idle in transaction (seconds)."""
        before, since = self.session, self.seen
        if session.changed_at != before.changed_at or session.state != before.state:
            self.uses += 1
            self._left(before, session, since, at, threshold)
        self.session, self.seen = session, at
        if session.state == ABORTED:
            # A statement that fails anew in a failed transaction changes nothing about it.
            self.aborted_since = self.aborted_since or session.changed_at
        elif session.state != ACTIVE:
            self.aborted_since = None
        if session.transaction_at is not None:
            self._sample(session, at)
        elif session.hidden and session.transaction_key != before.transaction_key:
            self.hidden_since = at if session.transaction_key else None

    def _left(self, before: Session, session: Session, since: float, at: float, threshold: float) -> None:
        """It did something since the sample before, so the stretch that it was in then is over."""
        if before.changed_at is None:
            return
        # It was still silent at the sample before, and had ended its silence by this one.
        silent = max(0.0, since - before.changed_at)
        if before.state == IDLE:
            self.longest_return = max(self.longest_return, silent + (at - since))
        if before.state not in (IDLE_IN_TRANSACTION, ABORTED):
            return
        if silent >= threshold and (self.spared is None or self.is_pooled) and not (self.fetches or self.leads):
            self.long_pauses += 1
            self.returned_after = silent
            self.paused_in = self.holding
        if session.transaction_at == before.transaction_at:
            self.moves += 1
            self.longest_pause = max(self.longest_pause, silent)

    def _begin_transaction(self, session: Session) -> None:
        self.transaction_at = session.transaction_at
        self.moves = 0
        self.idle_samples = 0
        self.working_samples = 0
        self.longest_pause = 0.0
        self.silences = 0.0

    def _sample(self, session: Session, at: float) -> None:
        if session.transaction_at != self.transaction_at:
            self._begin_transaction(session)
        if session.state in (IDLE_IN_TRANSACTION, ABORTED):
            self.idle_samples += 1
            self.silences += max(0.0, at - (session.changed_at or at))
        else:
            self.working_samples += 1

    @property
    def mean_pause(self) -> float:
        """How long it pauses on average within its present transaction: twice the mean silence at a sample."""
        return 2 * self.silences / self.idle_samples if self.idle_samples else 0.0

    @property
    def idle_share(self) -> float:
        """Of the samples of its present transaction, the part in which it was idle: 0 to 1."""
        samples = self.idle_samples + self.working_samples
        return self.idle_samples / samples if samples else 0.0

    @property
    def is_nameless(self) -> bool:
        """Whether its user was not known yet when it was put into a pool."""
        return self.key.user is None and self.key.database is None

    @property
    def is_pooled(self) -> bool:
        """Whether a pooler holds it: then it is the pooler that lets it rest, and a client behind it that does not commit."""
        return self.process is not None and self.process.pooler is not None

    def aborted_for(self, now: float) -> float:
        """How long its transaction has been a failed one (seconds); 0 when it is not."""
        return max(0.0, now - self.aborted_since) if self.aborted_since is not None else 0.0

    def tell(self, detail: Detail) -> None:
        """What was asked of it. Who listens, or holds an advisory lock, is at its work while it is silent."""
        self.detail = detail
        if self.spared is not None or self.session.state != IDLE:
            return
        if (detail.statement or "").lstrip()[:6].upper() == "LISTEN":
            self.spared = "listens"
        elif detail.advisory_locks:
            self.spared = "holds an advisory lock"

    @property
    def told(self) -> Detail | None:
        """The newest detail from within its present transaction; it may have gone on since (see `explained`)."""
        detail, began = self.detail, self.session.transaction_at
        if detail is None or detail.changed_at is None:
            return None
        if began is None:
            return self.explained
        return detail if detail.changed_at >= began else None

    @property
    def fetches(self) -> bool:
        """Whether its present transaction was seen to fetch from a cursor; False when we have not asked."""
        detail = self.told
        return detail is not None and (detail.statement or "").lstrip()[:5].upper() == "FETCH"

    @property
    def leads(self) -> bool:
        """Whether it holds an advisory lock and nothing else: nothing written, no relation locked, no snapshot kept.

        That is how a process keeps leadership (a scheduler, a migration tool); the lock lasts as long as its session does.
        """
        detail, session = self.told, self.session
        if detail is None or detail.advisory_locks == 0:
            return False
        return detail.locks == 0 and not session.writes and session.holds_back is None

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
