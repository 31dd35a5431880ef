"""From what was seen to what it means: where it sits, which device it looks like, which settings follow; pure."""

from __future__ import annotations

import re
from collections.abc import Iterator

from dbdoctor.measure.run import Found
from dbdoctor.model.device import look_alikes
from dbdoctor.model.measured import Advice, Bracket, Drop, Ghosts, Measured, MeasureOptions, Where
from dbdoctor.model.server import ServerFacts
from dbdoctor.model.target import Product, Target

# What poolers write before they close: PgBouncer (src/client.c, src/janitor.c), Pgpool-II (pool_process_query.c).
_POOLERS = re.compile(
    r"client_idle_timeout|idle_transaction_timeout|client idle limit|query_wait_timeout|server_lifetime", re.IGNORECASE
)
# Four fifths: what is checked out just below it is still good for a while. The keepalive is sent four times in it.
_RECYCLE_SHARE = 0.8
_KEEPALIVE_SHARE = 0.25
_NETWORK = frozenset({Drop.SILENT, Drop.RESET, Drop.RESET_ON_USE})


def make_measured(
    found: Found,
    target: Target,
    options: MeasureOptions,
    facts: ServerFacts | None,
    *,
    ghosts: Ghosts | None = None,
    interrupted: bool = False,
    notes: tuple[str, ...] = (),
) -> Measured:
    """The answer that everybody is shown."""
    where = _where(found, facts)
    has_value = found.done and found.bracket.at_most is not None
    low, high = found.bracket.at_least, found.bracket.at_most or 0.0
    alike = look_alikes(low, high, found.drop.value) if has_value and where is not Where.SERVER else ()
    return Measured(
        target=target,
        options=options,
        bracket=found.bracket,
        seconds=_value(found, where, facts, [device.seconds for device in alike]) if has_value else None,
        drop=found.drop,
        where=where,
        said=found.said,
        likely=alike,
        keepalive_resets_it=found.keepalive_resets_it,
        took=found.took,
        opened=found.opened,
        seen=found.seen,
        ghosts=ghosts,
        advice=_advice(found) if has_value else Advice(),
        interrupted=interrupted,
        answered=found.done,
        notes=(*notes, *found.notes, *_remarks(found, target)),
        facts=facts,
    )


def _remarks(found: Found, target: Target) -> Iterator[str]:
    """What the reader should know beside."""
    low, high = found.bracket
    if not found.done or high is None:
        return
    if target.product is Product.SQLSERVER and found.drop in _NETWORK and found.keepalive_resets_it is not False:
        yield (
            "Microsoft's ODBC driver probes its connections each 30 s by itself, FreeTDS each 40 s: where that counts as "
            "traffic, it keeps them alive"
        )
    said = target.path_idle_timeout
    if said is not None and not low * 0.95 <= said <= high * 1.05:
        yield f"the config says path_idle_timeout = {said:g} (seconds), which is not what was measured"


def _where(found: Found, facts: ServerFacts | None) -> Where:
    if not found.done:
        return Where.UNKNOWN
    if found.drop is Drop.NONE:
        return Where.NOWHERE
    if found.drop in _NETWORK:
        return Where.NETWORK
    if found.drop is Drop.CLOSED:
        pooler = facts is not None and facts.pooler is not None
        return Where.POOLER if pooler else Where.PROXY
    if found.said and _POOLERS.search(found.said):
        return Where.POOLER
    return (
        Where.SERVER if _server_setting(found.bracket, facts) or "idle-session" in (found.said or "") else Where.UNKNOWN
    )


def _server_setting(bracket: Bracket, facts: ServerFacts | None) -> float | None:
    """The server's own idle timeout, where it lies in the bracket (seconds)."""
    said = facts.settings.get("idle_session_timeout", 0.0) if facts else 0.0
    high = bracket.at_most or 0.0
    return said if said and bracket.at_least - 0.5 <= said <= high + 0.5 else None


def _value(found: Found, where: Where, facts: ServerFacts | None, known: list[float]) -> float:
    """One number for the bracket: a setting or a known device's value in it; the end that was seen; else the middle."""
    low, high = found.bracket.at_least, found.bracket.at_most or 0.0
    setting = _server_setting(found.bracket, facts) if where is Where.SERVER else None
    if setting is not None and low <= setting <= high:
        return setting
    inside = [seconds for seconds in known if low <= seconds <= high]
    if inside:
        return inside[0]
    return round(high if found.drop not in {Drop.SILENT, Drop.RESET_ON_USE} else (low + high) / 2, 2)


def _advice(found: Found) -> Advice:
    low = found.bracket.at_least
    recycle = max(1, int(low * _RECYCLE_SHARE))
    helps = found.keepalive_resets_it is True or (found.keepalive_resets_it is None and found.drop in _NETWORK)
    return Advice(recycle, max(1, int(low * _KEEPALIVE_SHARE)) if helps else None)


def spare_slots(facts: ServerFacts | None) -> int | None:
    """How many connections the server can do without for a while: of those free, a tenth and at least 3 are left to others.

    None when the server does not say how many are free.
    """
    free = [] if facts is None or facts.slots is None else [facts.slots.free]
    free += [limit.limit - limit.used for limit in (facts.limits if facts else ()) if limit.used is not None]
    return min(free) - max(3, min(free) // 10) if free else None
