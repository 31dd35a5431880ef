"""`recommend` for programs: the object that README.md describes, schema dbdoctor.recommend/1."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from dbdoctor.model.advice import Advice, SweepRow, WhatIf
from dbdoctor.model.demand import Demand
from dbdoctor.model.finding import Finding
from dbdoctor.model.pool import PoolSettings
from dbdoctor.model.sizing import Because, Bounds, Budget, CrossCheck, Prediction, Range, SizePoint
from dbdoctor.render.json_values import cleaned, finding_object, number, skipped_object, text_or_none
from dbdoctor.render.recommend_verified import verified_object

SCHEMA = "dbdoctor.recommend/1"


def advice_json(advice: Advice, *, indent: int | None = None) -> str:
    """One object; with `indent` for people's eyes, else on one line."""
    return json.dumps(advice_object(advice), indent=indent, ensure_ascii=True)


def advice_object(advice: Advice) -> dict[str, Any]:
    """The object itself, harmless to print. Durations are seconds, and nothing in it is secret."""
    found = advice.recommendation
    return {
        "schema": SCHEMA,
        "target": text_or_none(advice.target),
        "server": text_or_none(advice.server),
        "settings": cleaned(dict(found.settings)),
        "current": _current(found.current),
        "current_is_fine": found.current_is_fine,
        "because": [_because(one) for one in found.because],
        "server_settings": [_because(one) for one in found.server_settings],
        "connections": found.connections,
        "size_range": _range(found.size_range),
        "prediction": _prediction(found.prediction),
        "current_prediction": _prediction(found.current_prediction),
        "verified": verified_object(advice.verified),
        "saturated": text_or_none(found.saturated),
        "demand": _demand(found.demand),
        "wait_target": {"share": found.target.share, "wait_seconds": number(found.target.wait)},
        "bounds": _bounds(found.bounds),
        "budget": _budget(found.budget),
        "cross_checks": [_cross_check(one) for one in found.cross_checks],
        "what_if": [_what_if(one) for one in advice.what_ifs],
        "sweep": [_row(one) for one in advice.sweep],
        "findings": [cleaned(finding_object(one)) for one in advice.findings],
        "skipped": [cleaned(skipped_object(one)) for one in advice.skipped],
        "notes": cleaned([*found.notes, *advice.notes]),
        "incomplete": cleaned(list(found.incomplete)),
        "took_seconds": number(advice.took, 3),
    }


def failure_json(target: str, findings: Sequence[Finding]) -> str:
    """The same object when there was no way in: whole, without settings, the failure among its findings."""
    lists = ("because", "server_settings", "cross_checks", "what_if", "sweep", "skipped", "notes", "incomplete")
    nothing = (
        "server", "settings", "current", "connections", "size_range", "prediction", "current_prediction", "verified",
        "saturated", "demand", "wait_target", "bounds", "budget", "took_seconds",
    )  # fmt: skip
    empty: dict[str, Any] = {
        "schema": SCHEMA,
        "target": text_or_none(target),
        "current_is_fine": False,
        **dict.fromkeys(nothing),
        **{name: [] for name in lists},
        "findings": [cleaned(finding_object(one)) for one in findings],
    }
    return json.dumps(empty, ensure_ascii=True)


def _current(current: PoolSettings | None) -> dict[str, Any] | None:
    return None if current is None else cleaned(current._asdict())


def _because(one: Because) -> dict[str, Any]:
    return {
        "setting": one.setting,
        "value": cleaned(one.value),
        "changes": one.changes,
        "reason": text_or_none(one.reason),
        "evidence": cleaned(dict(one.evidence)),
    }


def _range(found: Range | None, suffix: str = "") -> dict[str, Any] | None:
    return None if found is None else {f"least{suffix}": number(found.least), f"most{suffix}": number(found.most)}


def _point(point: SizePoint) -> dict[str, Any]:
    return {
        "size": point.size,
        "wait_mean_seconds": number(point.mean),
        "wait_p50_seconds": number(point.p50),
        "wait_p95_seconds": number(point.p95),
        "wait_p99_seconds": number(point.p99),
        "wait_longest_seconds": number(point.longest),
        "waiting_share": number(point.share),
        "utilisation": number(point.utilisation),
    }


def _prediction(found: Prediction | None) -> dict[str, Any] | None:
    if found is None:
        return None
    return {
        **_point(found.point),
        "wait_p99_range": _range(found.p99_range, "_seconds"),
        "wait_longest_range": _range(found.longest, "_seconds"),
        "timeouts": found.timeouts,
        "connects": found.connects,
        "connects_per_second": number(found.connects_per_second),
        "connects_share": number(found.connects_share),
    }


def _demand(demand: Demand) -> dict[str, Any]:
    return {
        "source": demand.source.value,
        "worth": demand.source.worth,
        "processes": demand.processes,
        "checkouts": demand.checkouts,
        "span_seconds": number(demand.span),
        "rate_per_second": number(demand.rate),
        "use_seconds": number(demand.use),
        "load": number(demand.load),
        "peak_load": number(demand.peak_load),
        "most_at_once": demand.most_at_once,
        "arrival_cv": number(demand.arrival_cv),
        "use_cv": number(demand.use_cv),
        "waited_share": number(demand.waited),
    }


def _bounds(bounds: Bounds) -> dict[str, Any]:
    return {
        "ceilings": [cleaned(one._asdict()) for one in bounds.ceilings],
        "floor": bounds.floor,
        "floor_working": text_or_none(bounds.floor_working),
        "knee": bounds.knee,
        "knee_working": text_or_none(bounds.knee_working),
    }


def _budget(budget: Budget | None) -> dict[str, Any] | None:
    if budget is None:
        return None
    return {
        "rows": [cleaned(row._asdict()) for row in budget.rows],
        "total": budget.total,
        "usable": budget.usable,
        "usable_working": text_or_none(budget.usable_working),
        "fits": budget.feasible,
        "give_up": cleaned(list(budget.give_up)),
    }


def _cross_check(one: CrossCheck) -> dict[str, Any]:
    return {"name": one.name, "size": one.size, "agrees": one.agrees, "working": text_or_none(one.working)}


def _what_if(one: WhatIf) -> dict[str, Any]:
    return {
        "changes": {name: _change(value) for name, value in one.changes.items()},
        "settings": cleaned(dict(one.settings)),
        "prediction": _prediction(one.prediction),
        "budget": _budget(one.budget),
        "forced": one.forced,
        "note": text_or_none(one.note),
    }


def _change(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else cleaned(value)


def _row(row: SweepRow) -> dict[str, Any]:
    return {
        "size": row.size,
        "pool_size": row.pool_size,
        "max_overflow": row.max_overflow,
        "wait_mean_seconds": number(row.wait_mean),
        "wait_p99_seconds": number(row.wait_p99),
        "waiting_share": number(row.waiting),
        "timeouts": row.timeouts,
        "connects_per_second": number(row.connects_per_second),
        "connections": row.connections,
        "chosen": row.chosen,
    }
