"""`leaks` for programs: the object that README.md describes, schema dbdoctor.leaks/1, and an event a line while watching."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

from dbdoctor.model.finding import Finding
from dbdoctor.model.leaks import Event, Forecast, GroupKey, GroupReport, LeaksReport, Observed, SessionReport
from dbdoctor.model.secret import redact
from dbdoctor.model.server import ServerFacts, Slots
from dbdoctor.model.session import ClientProcess, Identity, PooledClient
from dbdoctor.render.json_values import (
    cleaned,
    finding_object,
    finding_sessions,
    number,
    skipped_object,
    slots_object,
    text_or_none,
    time_text,
)

SCHEMA = "dbdoctor.leaks/1"
EVENT_SCHEMA = "dbdoctor.leaks-event/1"
# Characters of what a server or a client said of itself: a name is no place for a flood.
_NAME = 300
_STATEMENT = 1000
# What the screen and the text show; a program gets no more of it either.
_MOST_REASONS = 50


def leaks_json(report: LeaksReport, *, indent: int | None = None, queries: bool = False) -> str:
    """One object; with `indent` for people's eyes, else on one line. Statements only with `queries`."""
    return json.dumps(leaks_object(report, queries=queries), indent=indent, ensure_ascii=True)


def leaks_object(report: LeaksReport, *, queries: bool = False) -> dict[str, Any]:
    """The object itself, harmless to print. Durations are seconds, times ISO 8601 in UTC, and nothing in it is secret."""
    result = {
        "schema": SCHEMA,
        "target": text_or_none(report.target),
        "server": _server(report.facts, sum(group.hidden for group in report.groups)) if report.facts else None,
        "observed": _observed(report.observed),
        "slots": _slots(report.slots, report.forecast) if report.slots else None,
        "groups": [_group(group) for group in report.groups],
        "findings": [_finding(finding) for finding in report.findings],
        "skipped": [cleaned(skipped_object(skipped)) for skipped in report.skipped],
        "notes": cleaned(report.notes),
    }
    if report.earlier:
        result["earlier"] = [{**_finding(finding), "until": time_text(until)} for finding, until in report.earlier]
    if report.sessions:
        result["sessions"] = [_session(session, queries=queries) for session in report.sessions]
    return result


def event_json(event: Event) -> str:
    """One event on one line."""
    return json.dumps(
        {
            "schema": EVENT_SCHEMA,
            "at": time_text(event.at),
            "kind": text_or_none(event.kind, _NAME),
            "text": text_or_none(event.text, _STATEMENT),
            "code": event.code,
            "group": _key(event.group) if event.group else None,
            "session": _identity(event.session) if event.session else None,
            "taken_at": cleaned(list(event.taken_at)),
        }
    )


def _server(facts: ServerFacts, hidden: int) -> dict[str, Any]:
    return {
        "product": text_or_none(facts.product, _NAME),
        "version": text_or_none(facts.version, _NAME),
        "is_standby": facts.is_standby,
        "uptime_seconds": number(facts.uptime),
        "hidden_sessions": hidden,
    }


def _observed(observed: Observed) -> dict[str, Any]:
    return {
        "from": time_text(observed.since),
        "to": time_text(observed.until),
        "seconds": number(observed.seconds, 3),
        "samples": observed.samples,
        "interval_seconds": number(observed.interval, 3),
        "gaps": [
            {
                "from": time_text(gap.since),
                "to": time_text(gap.until),
                "seconds": number(gap.until - gap.since, 3),
                "reason": text_or_none(gap.reason, _NAME),
            }
            for gap in observed.gaps
        ],
    }


def _slots(slots: Slots, forecast: Forecast | None) -> dict[str, Any]:
    return {
        **cleaned(slots_object(slots)),
        "exhausted_in_seconds": number(forecast.seconds, 1) if forecast else None,
        "exhausted_earliest_seconds": number(forecast.earliest, 1) if forecast else None,
        "exhausted_latest_seconds": number(forecast.latest, 1) if forecast else None,
        "exhausted_by": [text_or_none(name, _NAME) for name in forecast.by] if forecast else [],
    }


def _group(group: GroupReport) -> dict[str, Any]:
    trend = group.trend
    return {
        **_key(group.key),
        "process": _process(group.process, group.key.process),
        "sessions": group.sessions,
        "active": group.active,
        "idle": group.idle,
        "idle_in_transaction": group.idle_in_transaction,
        "hidden": group.hidden,
        "growth_per_minute": number(trend.per_minute, 3) if trend else None,
        "growth_low": number(trend.low, 3) if trend else None,
        "growth_high": number(trend.high, 3) if trend else None,
        "verdict": group.verdict.value,
        "reasons": [text_or_none(reason, _STATEMENT) for reason in group.reasons[:_MOST_REASONS]],
        "counts": list(group.counts),
        "opened": group.opened,
        "closed": group.closed,
        "returned": group.returned,
        "longest_idle_seconds": number(group.longest_idle, 3),
        "oldest_transaction_seconds": number(group.oldest_transaction, 3),
        "spared": text_or_none(group.spared, _STATEMENT),
        "held": cleaned([place.as_object() for place in group.held[:_MOST_REASONS]]),
        "recorder": _recorder(group),
    }


def _recorder(group: GroupReport) -> dict[str, Any] | None:
    """What the recorders in the applications say of a group as a whole; None where there is none."""
    says = group.recorder
    if says is None:
        return None
    return {
        "known": says.known,
        "checked_out": says.out,
        "held_too_long": says.held_too_long,
        "leak_after_seconds": number(says.leak_after, 3),
        "beside_the_pools": says.beside,
        "settled": text_or_none(group.settled, _STATEMENT),
    }


def _finding(finding: Finding) -> dict[str, Any]:
    """As everywhere, with its group's process as the groups have it."""
    # Thousands of ids and times, which are ours and need no cleaning, beside a few texts that do.
    found: dict[str, Any] = cleaned(finding_object(dataclasses.replace(finding, sessions=())))
    found["sessions"] = finding_sessions(finding)
    if found["group"] and isinstance(found["group"].get("process"), int):
        found["group"]["process"] = _process(None, found["group"]["process"])
    return found


def _key(key: GroupKey) -> dict[str, Any]:
    return {
        "application": text_or_none(key.application, _NAME),
        "user": text_or_none(key.user, _NAME),
        "database": text_or_none(key.database, _NAME),
        "client": text_or_none(key.client, _NAME),
        "process": _process(None, key.process),
    }


def _process(process: ClientProcess | None, pid: int | None) -> dict[str, Any] | None:
    if process is None:
        return None if pid is None else {"pid": pid, "command": None, "pooler": None}
    command = redact(process.command) if process.command else None
    return {"pid": process.pid, "command": text_or_none(command, _STATEMENT), "pooler": process.pooler}


def _session(report: SessionReport, *, queries: bool) -> dict[str, Any]:
    session, detail = report.session, report.detail
    result = {
        **_identity(session.identity),
        "application": text_or_none(session.application, _NAME),
        "user": text_or_none(session.user, _NAME),
        "database": text_or_none(session.database, _NAME),
        "client": text_or_none(session.client, _NAME),
        "client_port": session.client_port,
        "process": _process(report.process, session.process),
        "pooled_client": _pooled(report.pooled_client),
        "state": session.state,
        "native_state": text_or_none(session.native_state, _NAME),
        "hidden": session.hidden,
        "waits_for": text_or_none(session.waits_for, _NAME),
        "writes": session.writes,
        "holds_back": session.holds_back,
        "age_seconds": number(report.age, 3),
        "state_age_seconds": number(report.state_age, 3),
        "transaction_age_seconds": number(report.transaction_age, 3),
        "locks": detail.locks if detail else None,
        "strongest_lock": detail.strongest_lock if detail else None,
        "locked": text_or_none(detail.locked, _NAME) if detail else None,
        "verdict": report.verdict.value,
        "reason": text_or_none(report.reason, _STATEMENT),
        "held": cleaned(report.held.as_object()) if report.held else None,
    }
    if queries:
        statement = redact(detail.statement) if detail and detail.statement else None
        result["statement"] = text_or_none(statement, _STATEMENT)
    return result


def _identity(identity: Identity) -> dict[str, Any]:
    return {"id": identity[0], "started_at": time_text(identity[1])}


def _pooled(client: PooledClient | None) -> dict[str, Any] | None:
    if client is None:
        return None
    return {
        "address": text_or_none(client.address, _NAME),
        "port": client.port,
        "application": text_or_none(client.application, _NAME),
        "user": text_or_none(client.user, _NAME),
        "database": text_or_none(client.database, _NAME),
        "state": text_or_none(client.state, _NAME),
        "connected_at": text_or_none(client.connected_at, _NAME),
    }
