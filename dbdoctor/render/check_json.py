"""`check` for programs: the object that README.md describes, schema dbdoctor.check/1."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from dbdoctor.model.examination import Examination
from dbdoctor.model.server import ServerFacts
from dbdoctor.render.json_values import cleaned, finding_object, skipped_object, slots_object, time_text

SCHEMA = "dbdoctor.check/1"


def check_json(examination: Examination, *, indent: int | None = None) -> str:
    """One object; with `indent` for people's eyes, else on one line."""
    return json.dumps(cleaned(check_object(examination)), indent=indent, ensure_ascii=True)


def check_object(examination: Examination) -> dict[str, Any]:
    """The object itself. Durations are seconds, times ISO 8601 in UTC, and nothing in it is secret."""
    target = examination.target
    return {
        "schema": SCHEMA,
        "target": target.shown,
        "profile": target.profile,
        "dialect": target.dialect or None,
        "driver": target.driver,
        "ok": examination.connected,
        "seconds": round(examination.seconds, 6),
        "stages": [
            {
                "name": stage.name.value,
                "ok": stage.ok,
                "seconds": round(stage.seconds, 6),
                "detail": stage.detail,
                "lines": list(stage.lines),
            }
            for stage in examination.stages
        ],
        "server": _server(examination.facts) if examination.facts else None,
        "slots": slots_object(examination.facts.slots) if examination.facts and examination.facts.slots else None,
        "cost": _cost(examination),
        "findings": [finding_object(finding) for finding in examination.findings],
        "skipped": [skipped_object(skipped) for skipped in examination.skipped],
        "notes": list(examination.notes),
    }


def _server(facts: ServerFacts) -> dict[str, Any]:
    return {
        "product": facts.product,
        "version": facts.version,
        "version_number": facts.version_number,
        "uptime_seconds": facts.uptime,
        "is_standby": facts.is_standby,
        "replica_lag_seconds": facts.replica_lag,
        "tls": facts.tls,
        "pooler": {"name": facts.pooler.name, "version": facts.pooler.version, "mode": facts.pooler.mode}
        if facts.pooler
        else None,
        "user": facts.user,
        "database": facts.database,
        "limits": [{"of": x.of, "name": x.name, "limit": x.limit, "used": x.used} for x in facts.limits],
        "settings": {
            f"{name}_seconds" if _is_duration(name) else name: value for name, value in facts.settings.items()
        },
        "password_expires_at": time_text(facts.password_expires_at),
        "time": time_text(facts.server_time),
        "clock_skew_seconds": facts.clock_skew,
        "clock_uncertainty_seconds": facts.clock_uncertainty,
        "hidden_sessions": facts.hidden_sessions,
        "missing": [{"what": m.what, "reason": m.reason, "help": m.help} for m in facts.missing],
    }


def _cost(examination: Examination) -> Mapping[str, Any] | None:
    timings = examination.timings
    if timings is None or not timings.logins or not timings.round_trips:
        return None
    return {
        "samples": len(timings.logins),
        "login_median_seconds": timings.login_median,
        "login_worst_seconds": max(timings.logins),
        "round_trip_median_seconds": timings.round_trip_median,
        "round_trip_worst_seconds": max(timings.round_trips),
        "note": examination.timings_note,
    }


def _is_duration(name: str) -> bool:
    return not name.endswith("_count")
