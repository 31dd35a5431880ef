"""`simulate-timeout` for programs: the object that README.md describes, schema dbdoctor.simulate-timeout/1."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from dbdoctor.model.finding import Finding
from dbdoctor.model.trial import Bound, Case, ErrorSeen, FaultFacts, Host, PoolPlan, Scale, SimulationReport
from dbdoctor.render.json_values import cleaned, finding_object, number, text_or_none

SCHEMA = "dbdoctor.simulate-timeout/1"


def simulation_json(report: SimulationReport, *, indent: int | None = None) -> str:
    """One object; with `indent` for people's eyes, else on one line."""
    return json.dumps(simulation_object(report), indent=indent, ensure_ascii=True)


def simulation_object(report: SimulationReport) -> dict[str, Any]:
    """The object itself, harmless to print. Durations are seconds, and nothing in it is secret."""
    cheapest = next((pool for pool in report.pools if pool.name == report.cheapest), None)
    return {
        "schema": SCHEMA,
        "target": text_or_none(report.target),
        "server": text_or_none(report.server),
        "idle_timeout_seconds": number(report.scale.trial),
        "stands_for_seconds": number(report.scale.real),
        "faults": [_fault(fault) for fault in report.faults],
        "pools": [_pool(pool) for pool in report.pools],
        "cases": [_case(case) for case in report.cases],
        "cheapest": _pool(cheapest) if cheapest else None,
        "host": report.host._asdict(),
        "findings": [finding_object(finding) for finding in report.findings],
        "notes": cleaned(list(report.notes)),
        "incomplete": text_or_none(report.incomplete),
        "took_seconds": number(report.took),
    }


def failure_json(target: str, scale: Scale, findings: Sequence[Finding]) -> str:
    """The same object when there was no way in: whole, without a case, the failure among its findings."""
    report = SimulationReport(target, "", scale, (), (), (), Host(None, None), "", 0.0, findings=tuple(findings))
    return simulation_json(report)


def _fault(fault: FaultFacts) -> dict[str, Any]:
    return {**fault._asdict(), "scenario": fault.scenario.value}


def _pool(pool: PoolPlan) -> dict[str, Any]:
    return {
        "name": pool.name,
        "title": pool.title,
        "pool_class": pool.pool_class,
        "pool_size": pool.pool_size,
        "max_overflow": pool.max_overflow,
        "pool_recycle": pool.pool_recycle,
        "pool_pre_ping": pool.pool_pre_ping,
        "pool_use_lifo": pool.pool_use_lifo,
        "connect_args": cleaned(dict(pool.connect_args)),
        "connections": pool.threads,
        "extra_round_trips_per_checkout": int(pool.pool_pre_ping),
        "stands_for": cleaned(dict(pool.real)),
        "code": list(pool.lines),
    }


def _case(case: Case) -> dict[str, Any]:
    return {
        "fault": case.fault,
        "pool": case.pool,
        "testable": case.testable,
        "outcome": case.outcome.value if case.outcome else None,
        "requests": case.requests,
        "failed": case.failed,
        "first_response_seconds": number(case.first_response),
        "recovered_seconds": number(case.recovered),
        "slowest_seconds": number(case.slowest),
        "hang_seconds": number(case.hang),
        "would_hang": _bound(case.would_hang),
        "error": _error(case.error),
        "reconnects": case.reconnects,
        "messages": case.messages,
        "ghost_sessions": None if case.ghosts is None else [cleaned(ghost._asdict()) for ghost in case.ghosts],
        "ghosts_stay": _bound(case.ghost_bound),
        "note": text_or_none(case.note),
    }


def _bound(bound: Bound | None) -> dict[str, Any] | None:
    if bound is None:
        return None
    return {
        "at_least_seconds": number(bound.least),
        "at_most_seconds": number(bound.most),
        "because": text_or_none(bound.why),
    }


def _error(error: ErrorSeen | None) -> dict[str, Any] | None:
    if error is None:
        return None
    return {
        "type": text_or_none(error.type),
        "driver_type": text_or_none(error.driver_type),
        "sqlstate": text_or_none(error.sqlstate),
        "message": text_or_none(error.message),
        "where": error.where,
        "invalidated": error.invalidated,
    }
