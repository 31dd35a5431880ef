"""What the server should have set for this workload: whether it should end idle sessions, and forgotten transactions."""

from __future__ import annotations

import math
from collections.abc import Iterator

from dbdoctor.model.demand import Trace
from dbdoctor.model.duration import format_duration
from dbdoctor.model.sizing import Because, Recommendation
from dbdoctor.sizing.case import Case

MEMORY_EACH = 2.0  # MiB: an idle session of PostgreSQL 18 took 1.5 to 2.6
_MUCH_MEMORY = 1024.0  # MiB of idle sessions that are worth ending them
_TIGHT = 0.8  # of the usable slots
_HOUR = 3600
_LEAST_IN_TRANSACTION = 60.0  # seconds, as the threshold of `leaks`
_LONG_KEEPALIVE = 600.0
_KEEPALIVE = 60


def server_settings(case: Case, found: Recommendation) -> Iterator[Because]:
    """PostgreSQL's, by their native names with units; nothing behind a pooler, or where the server was not asked."""
    facts = case.facts
    if facts is None or facts.product != "PostgreSQL" or facts.pooler is not None or not facts.settings:
        return
    if "idle_session_timeout" in facts.settings:
        yield _idle_session(case, found, facts.settings["idle_session_timeout"])
    if "idle_in_transaction_session_timeout" in facts.settings:
        yield _idle_in_transaction(case, facts.settings["idle_in_transaction_session_timeout"])
    keepalive = facts.settings.get("tcp_keepalives_idle")
    if keepalive is not None and case.around.tcp and not case.near:
        yield from _keepalive(keepalive)


def _idle_session(case: Case, found: Recommendation, current: float) -> Because:
    """The one-hour rule, weighed: slots, memory and exposure gained, against logins and errors."""
    size, load = found.connections or 0, found.demand.load
    pools = case.service.pools_at_rest
    idle = max(0, size - math.ceil(load)) * pools if load is not None else size * pools
    memory = idle * MEMORY_EACH
    usable = found.budget.usable if found.budget and case.bounds.narrowest else None
    tight = found.budget is not None and usable is not None and found.budget.total > _TIGHT * usable
    pinged = bool(found.settings.get("pool_pre_ping"))
    evidence = {
        "idle_sessions": idle, "memory_mib": memory, "usable_slots": usable, "slots_are_tight": tight,
        "pool_pre_ping": pinged, "connect_seconds": case.around.connect, "current_seconds": current,
    }  # fmt: skip
    gain = f"at most {idle} sessions, {memory:.0f} MiB" + (
        f", {idle / usable:.0%} of the usable slots" if usable else ""
    )
    login = f"a login of {format_duration(case.around.connect)}" if case.around.connect else "a login"
    if current > 0:
        reason = f"as it is: it gives back {gain}, at {login} for each that comes back"
        return Because("idle_session_timeout", _shown(current), reason, evidence, changes=False)
    if pinged and (tight or memory >= _MUCH_MEMORY):
        reason = (
            f"it gives back {gain}, at {login} for each that comes back after an hour; pool_pre_ping replaces it unseen"
        )
        return Because("idle_session_timeout", _shown(_HOUR), reason, evidence)
    why = (
        "nobody else needs them" if pinged else "without pool_pre_ping each one that was ended is an error for somebody"
    )
    reason = (
        f"ending what idles for an hour would give back {gain}; {why}, and the pool opens them again, each at {login}"
    )
    return Because("idle_session_timeout", "0", reason, evidence, changes=False)


def _idle_in_transaction(case: Case, current: float) -> Because:
    """Above what the application does on purpose: the longest recorded use, twice."""
    longest = _longest_use(case)
    value = max(_LEAST_IN_TRANSACTION, math.ceil(2 * (longest or 0.0)))
    evidence = {"longest_use_seconds": longest, "least_seconds": _LEAST_IN_TRANSACTION, "current_seconds": current}
    if longest is not None and 0 < current < longest:
        reason = f"recorded checkouts take up to {format_duration(longest)}: one that idles in its transaction would be ended"
        return Because("idle_in_transaction_session_timeout", _shown(value), reason, evidence)
    if current > 0:
        reason = "as it is: what is forgotten in a transaction does not keep its locks for ever"
        return Because("idle_in_transaction_session_timeout", _shown(current), reason, evidence, changes=False)
    recorded = (
        f"no recorded checkout took longer than {format_duration(longest)}"
        if longest is not None
        else "no request should wait so long for itself"
    )
    reason = (
        f"{recorded}: a transaction that idles for longer was forgotten, and keeps its locks, its slot, and vacuum back"
    )
    return Because("idle_in_transaction_session_timeout", _shown(value), reason, evidence)


def _longest_use(case: Case) -> float | None:
    if not isinstance(case.demand, Trace):
        return None
    return max(max(course.uses) for course in case.demand.courses)


def _keepalive(current: float) -> Iterator[Because]:
    """0 is the system's own, two hours on Linux."""
    evidence = {"current_seconds": current}
    if 0 < current <= _LONG_KEEPALIVE:
        return
    kept = "two hours and more" if current == 0 else format_duration(current)
    reason = f"a client that vanished without a word keeps its session and its slot for {kept} now"
    yield Because("tcp_keepalives_idle", _shown(_KEEPALIVE), reason, evidence)


def _shown(seconds: float) -> str:
    """As PostgreSQL writes it."""
    return (
        f"{seconds:g}s"
        if seconds < 1 or seconds % 60
        else f"{seconds / 60:g}min"
        if seconds % 3600
        else f"{seconds / 3600:g}h"
    )
