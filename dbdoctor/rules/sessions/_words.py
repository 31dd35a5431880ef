"""How the rules on sessions say what they saw: one line a session, statements without their literals."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from dbdoctor.history import Life
from dbdoctor.model.duration import format_duration
from dbdoctor.model.leaks import GroupKey
from dbdoctor.model.literals import without_literals

_LONGEST_STATEMENT = 70
MOST_ROWS = 5
"""Lines of evidence in a finding; the sessions themselves are all in it, and the renderer says how many more there are."""


def statement_of(life: Life, longest: int = _LONGEST_STATEMENT) -> str | None:
    """Its last statement on one line, cut, its literals masked: what a customer is called is no evidence."""
    detail = life.explained
    if detail is None or not detail.statement:
        return None
    text = without_literals(detail.statement)
    return text if len(text) <= longest else text[: longest - 1] + "…"


def row(life: Life, now: float, *more: str) -> str:
    """`4711  92 s  holds RowExclusiveLock on public.orders  UPDATE orders SET …`."""
    client = life.pooled_client
    behind = f"client {client.application or ''} {client.address}:{client.port}".replace("  ", " ") if client else ""
    parts = [str(life.session.id), format_duration(life.silence(now)), *more, behind, statement_of(life) or ""]
    return "  ".join(part for part in parts if part)


def sessions_of(lives: Iterable[Life]) -> tuple[dict[str, Any], ...]:
    """`{"id", "started_at"}` of each, as a finding has them."""
    return tuple({"id": life.session.id, "started_at": life.session.started_at} for life in lives)


def group_of(key: GroupKey) -> dict[str, Any]:
    """The group as a finding has it."""
    return dict(key._asdict())


def longest_first(lives: Iterable[Life], now: float) -> list[Life]:
    """Those longest in their state first."""
    return sorted(lives, key=lambda life: -life.silence(now))


def terminate_command(lives: Iterable[Life]) -> str:
    """How to end them by our own hand, with the identity checked."""
    ids = " ".join(str(life.session.id) for life in lives)
    return f"dbdoctor leaks TARGET --terminate {ids}"
