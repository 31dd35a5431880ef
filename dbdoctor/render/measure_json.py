"""`measure-timeout` for programs: the object that README.md describes, schema dbdoctor.measure-timeout/1."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from dbdoctor.model.device import Device
from dbdoctor.model.finding import Finding
from dbdoctor.model.measured import Ghosts, Measured
from dbdoctor.render.json_values import cleaned, finding_object, number

SCHEMA = "dbdoctor.measure-timeout/1"


def measure_json(measured: Measured, findings: Sequence[Finding], *, indent: int | None = None) -> str:
    """One object; with `indent` for people's eyes, else on one line."""
    return json.dumps(cleaned(measure_object(measured, findings)), indent=indent, ensure_ascii=True)


def measure_object(measured: Measured, findings: Sequence[Finding]) -> dict[str, Any]:
    """The object itself. Durations are seconds, and nothing in it is secret."""
    target, advice = measured.target, measured.advice
    return {
        "schema": SCHEMA,
        "target": target.shown,
        "profile": target.profile,
        "answered": measured.answered,
        "interrupted": measured.interrupted,
        "idle_timeout_seconds": number(measured.seconds),
        "at_least_seconds": number(measured.bracket.at_least, 3),
        "at_most_seconds": number(measured.bracket.at_most, 3),
        "drop": measured.drop.value,
        "where": measured.where.value,
        "server_said": measured.said,
        "keepalive_resets_it": measured.keepalive_resets_it,
        "likely": _likely(measured),
        "devices": [_device(device) for device in measured.likely],
        "took_seconds": round(measured.took, 3),
        "up_to_seconds": measured.options.up_to,
        "resolution": measured.options.resolution,
        "connections": {
            "at_once": measured.options.connections,
            "opened": measured.opened,
            "found_ended": measured.seen,
        },
        "ghosts": _ghosts(measured.ghosts) if measured.ghosts else None,
        "settings": {"pool_recycle": advice.pool_recycle, "keepalives_idle": advice.keepalives_idle},
        "findings": [finding_object(finding) for finding in findings],
        "notes": list(measured.notes),
    }


def _likely(measured: Measured) -> str | None:
    from dbdoctor.render.measure_words import likely_words

    return likely_words(measured)


def _device(device: Device) -> dict[str, Any]:
    return {
        "slug": device.slug,
        "name": device.name,
        "default_seconds": device.seconds,
        "drop": device.drop,
        "keepalive_resets_it": device.keepalive_resets_it,
        "mark": device.mark,
        "source": device.source,
        "date": device.date,
    }


def _ghosts(ghosts: Ghosts) -> dict[str, Any]:
    return {
        "looked_for": ghosts.looked_for,
        "sessions": ghosts.sessions,
        "kept_seconds": ghosts.kept_seconds,
        "ended": ghosts.ended,
    }
