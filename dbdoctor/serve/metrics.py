"""What is shown of a target: every metric with its name, kind, labels, meaning, and where its values come from.

Names follow Prometheus (base units, `_total` for counters). Labels have OpenTelemetry's semantic names where there is one
(`db.system.name` is `db_system_name` here, as its translation to Prometheus writes it); a name of a metric for what a
server's sessions do is not among them: `db.client.connection.count` is what a pool says of itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

from dbdoctor.model.leaks import Verdict
from dbdoctor.model.target import Product
from dbdoctor.serve.labels import label
from dbdoctor.serve.state import Counts, Seen, State

Sample = tuple[tuple[str, ...], float]
_SYSTEMS = {Product.POSTGRESQL: "postgresql", Product.SQLSERVER: "microsoft.sql_server"}


class Metric(NamedTuple):
    """One metric. `kind` is `gauge` or `counter`; `labels` are those beside `target`; `samples` has their values."""

    name: str
    kind: str
    help: str
    samples: Callable[[State], Iterator[Sample]]
    labels: tuple[str, ...] = ()


def _one(value: float | None) -> Iterator[Sample]:
    if value is not None:
        yield (), float(value)


def _seen(value: Callable[[Seen], float | None]) -> Callable[[State], Iterator[Sample]]:
    return lambda state: _one(value(state.seen) if state.seen else None)


def _slots(name: str) -> Callable[[State], Iterator[Sample]]:
    return _seen(lambda seen: getattr(seen.slots, name) if seen.slots else None)


def _target_info(state: State) -> Iterator[Sample]:
    target = state.target
    endpoint = target.endpoints[0] if target.endpoints else None
    host = (endpoint.host or endpoint.address or "localhost") if endpoint else None
    port = str(endpoint.port) if endpoint and endpoint.port is not None else ""
    yield (_SYSTEMS[target.product], label(host), port, label(target.database)), 1


def _server_info(state: State) -> Iterator[Sample]:
    facts = state.facts
    if facts is not None:
        yield (label(facts.product), label(facts.version), label(facts.pooler.name if facts.pooler else None)), 1


def _failure(state: State) -> Iterator[Sample]:
    if state.failed is not None:
        yield tuple(state.failed), 1


def _stages(state: State) -> Iterator[Sample]:
    return (((one.stage,), one.seconds) for one in state.stages)


def _by_state(counts: Counts, *labels: str) -> Iterator[Sample]:
    return (((*labels, state), count) for state, count in zip(Counts._fields, counts, strict=True))


def _sessions(state: State) -> Iterator[Sample]:
    return _by_state(state.seen.counts) if state.seen else iter(())


def _groups(state: State) -> Iterator[Sample]:
    return (((verdict.value,), count) for verdict, count in (state.seen.verdicts.items() if state.seen else ()))


def _group_sessions(state: State) -> Iterator[Sample]:
    for group in state.seen.groups if state.seen else ():
        yield from _by_state(group.counts, group.application, group.user, group.database)


def _group_verdicts(state: State) -> Iterator[Sample]:
    for group in state.seen.groups if state.seen else ():
        if group.verdict is not Verdict.OK:
            yield (group.application, group.user, group.database, group.verdict.value), 1


def _looks(state: State) -> Iterator[Sample]:
    yield ("answered",), state.answered
    yield ("failed",), state.unanswered


def _ended(state: State) -> Iterator[Sample]:
    ended = state.seen.ended if state.seen else None
    if ended is not None:
        yield from (((how,), count) for how, count in zip(ended._fields, ended, strict=True))


def _findings(state: State) -> Iterator[Sample]:
    return (((code, severity), count) for (code, severity), count in sorted(state.findings.items()))


_GROUP = ("application", "user", "db_namespace")

METRICS = (
    Metric(
        "dbdoctor_target_info",
        "gauge",
        "Where the target is, as it was configured; always 1.",
        _target_info,
        ("db_system_name", "server_address", "server_port", "db_namespace"),
    ),
    Metric(
        "dbdoctor_server_info",
        "gauge",
        "What answered at the last login; always 1.",
        _server_info,
        ("product", "version", "pooler"),
    ),
    Metric(
        "dbdoctor_up",
        "gauge",
        "Whether the last login or look was answered; not there before the first.",
        lambda state: _one(state.up),
    ),
    Metric(
        "dbdoctor_failure",
        "gauge",
        "While the target is not up: at which stage it fails, and the code (dbdoctor explain CODE); always 1.",
        _failure,
        ("stage", "error_type"),
    ),
    Metric(
        "dbdoctor_stage_duration_seconds",
        "gauge",
        "How long each stage of the last login took.",
        _stages,
        ("stage",),
    ),
    Metric(
        "dbdoctor_last_login_timestamp_seconds",
        "gauge",
        "When a login was last tried, stage by stage.",
        lambda state: _one(state.logged_in_at),
    ),
    Metric(
        "dbdoctor_last_look_timestamp_seconds",
        "gauge",
        "When the server last answered a look at its sessions.",
        lambda state: _one(state.looked_at),
    ),
    Metric(
        "dbdoctor_look_duration_seconds",
        "gauge",
        "How long the last look took.",
        _seen(lambda seen: seen.took),
    ),
    Metric(
        "dbdoctor_looks",
        "counter",
        "Looks that were answered, and logins and looks that were not.",
        _looks,
        ("outcome",),
    ),
    Metric("dbdoctor_slots_limit", "gauge", "Sessions that the server admits in all.", _slots("limit")),
    Metric("dbdoctor_slots_reserved", "gauge", "Slots that ordinary users cannot have.", _slots("reserved")),
    Metric("dbdoctor_slots_used", "gauge", "Slots in use, our own session's among them.", _slots("used")),
    Metric("dbdoctor_slots_free", "gauge", "Sessions that an ordinary user can still open.", _slots("free")),
    Metric(
        "dbdoctor_slots_exhausted_in_seconds",
        "gauge",
        "In how long the slots run out at the present rate; not there while they do not.",
        _seen(lambda seen: seen.exhausted_in),
    ),
    Metric("dbdoctor_sessions", "gauge", "Sessions of clients by state.", _sessions, ("state",)),
    Metric("dbdoctor_groups", "gauge", "Groups of sessions by verdict.", _groups, ("verdict",)),
    Metric(
        "dbdoctor_group_sessions",
        "gauge",
        "Sessions of a group by state; groups without a place are counted as (others).",
        _group_sessions,
        (*_GROUP, "state"),
    ),
    Metric(
        "dbdoctor_group_verdict",
        "gauge",
        "The verdict of each group that is not ok; always 1.",
        _group_verdicts,
        (*_GROUP, "verdict"),
    ),
    Metric(
        "dbdoctor_longest_idle_in_transaction_seconds",
        "gauge",
        "How long the session has rested that is idle in transaction for longest; 0 with none.",
        _seen(lambda seen: seen.longest_idle_in_transaction),
    ),
    Metric(
        "dbdoctor_oldest_transaction_seconds",
        "gauge",
        "How long the oldest open transaction has been open; 0 with none.",
        _seen(lambda seen: seen.oldest_transaction),
    ),
    Metric(
        "dbdoctor_ghost_sessions",
        "gauge",
        "Sessions that work on though their client is gone; only there where the exporter runs on the server's host.",
        _seen(lambda seen: seen.ghosts),
    ),
    Metric(
        "dbdoctor_sessions_ended",
        "counter",
        "Sessions of our database that ended because the client vanished, by an error, or by an operator.",
        _ended,
        ("how",),
    ),
    Metric(
        "dbdoctor_findings",
        "gauge",
        "Findings by code (dbdoctor explain CODE) and severity.",
        _findings,
        ("code", "severity"),
    ),
    Metric(
        "dbdoctor_skipped_rules",
        "gauge",
        "Rules that could not look, mostly for want of a right; `dbdoctor leaks` names them with the GRANT.",
        lambda state: _one(state.skipped if state.up else None),
    ),
)
"""In the order in which they are exposed."""
