"""What a server says of itself, product-neutral; None is "could not be read", and `missing` says why."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple


class Missing(NamedTuple):
    """Something that could not be read: what, why, and the GRANT that would let us."""

    what: str
    reason: str
    help: str | None = None


class Slots(NamedTuple):
    """How many sessions the server admits. `limit` in all, `reserved` what ordinary users cannot have.

    `used` counts every session that takes a slot, ours included; `free` is what an ordinary user can still have.
    `used_by` lists (user, application, sessions), most first; it is empty when hidden.
    """

    limit: int
    reserved: int
    used: int
    used_by: tuple[tuple[str, str, int], ...] = ()

    @property
    def free(self) -> int:
        """Sessions that an ordinary user can still open."""
        return max(0, self.limit - self.reserved - self.used)

    @property
    def share_used(self) -> float:
        """Of what ordinary users can have, the part in use: 0 to 1 and above."""
        usable = self.limit - self.reserved
        return self.used / usable if usable > 0 else 1.0


class ConnectionLimit(NamedTuple):
    """A limit of its own for this role or this database."""

    of: str
    name: str
    limit: int
    used: int | None


class Pooler(NamedTuple):
    """A pooler between us and the server. `mode` is session, transaction, statement, or None when not known."""

    name: str
    version: str | None = None
    mode: str | None = None


@dataclass(frozen=True, slots=True)
class ServerFacts:
    """One look at a server. Times are Unix seconds by the server's clock; durations seconds; sizes as named.

    `settings` are the server's idle-related settings in seconds (0 is off) under their native names.
    `restricted` says that other logins' sessions are not shown to us at all, and nobody tells how many there are.
    `clock_skew` is the server's clock minus ours, uncertain by `clock_uncertainty` (half the round trip).
    """

    product: str
    version: str
    version_number: int
    uptime: float | None = None
    is_standby: bool | None = None
    replica_lag: float | None = None
    tls: str | None = None
    pooler: Pooler | None = None
    slots: Slots | None = None
    limits: tuple[ConnectionLimit, ...] = ()
    settings: Mapping[str, float] = field(default_factory=dict)
    user: str | None = None
    database: str | None = None
    password_expires_at: float | None = None
    server_time: float | None = None
    clock_skew: float | None = None
    clock_uncertainty: float | None = None
    hidden_sessions: int | None = None
    restricted: bool = False
    missing: tuple[Missing, ...] = ()
    extra: Mapping[str, Any] = field(default_factory=dict)
