"""What several rules need: thresholds, where the server is, and the words for what could not be seen."""

from __future__ import annotations

from dbdoctor.model.finding import Skipped
from dbdoctor.model.identifier import quote_identifier
from dbdoctor.model.server import ServerFacts
from dbdoctor.model.target import Endpoint, Target
from dbdoctor.targets.settings import threshold


def threshold_of(target: Target, name: str) -> float:
    """The target's threshold of that name, or its default: shares are 0 to 1, durations seconds."""
    return threshold(target.thresholds, name)


def unseen(rule: str, facts: ServerFacts, what: str) -> Skipped:
    """The rule could not look, because `what` is not known; with the server's reason and remedy if it gave one."""
    if not facts.missing:
        return Skipped(rule, f"{what} could not be read")
    first = facts.missing[0]
    return Skipped(rule, f"{what} could not be read: {first.reason}", first.help)


def is_near(facts: ServerFacts, target: Target) -> bool:
    """Whether server and client are one machine (a unix socket or loopback), so that no network lies between.

    The server's own view of our address counts, unless it is a pooler's; else what the target names must all be near.
    """
    seen_from = facts.extra.get("client_address", "")
    if facts.pooler is None and (seen_from is None or _is_loopback(str(seen_from))):
        return True
    return bool(target.endpoints) and all(_is_near(endpoint) for endpoint in target.endpoints)


def role_in_sql(facts: ServerFacts) -> str:
    """Our role, quoted for a command to paste."""
    return quote_identifier(facts.user) if facts.user else "<role>"


def count(number: int, one: str, many: str | None = None) -> str:
    """`1 session`, `3 sessions`."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def _is_near(endpoint: Endpoint) -> bool:
    return endpoint.is_socket or _is_loopback(endpoint.address or endpoint.host or "localhost")


def _is_loopback(host: str) -> bool:
    return host.lower().rstrip(".") in ("localhost", "::1") or host.startswith(("127.", "::ffff:127."))
