"""`trace` for programs: the object that README.md describes, schema dbdoctor.trace/1."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from dbdoctor.model.finding import Finding, Skipped
from dbdoctor.model.recorded import Frames
from dbdoctor.model.recorded_summary import PoolSummary, ProcessSummary, SiteSummary, Summary, TimeoutGroup, Times
from dbdoctor.render.json_values import cleaned, finding_object, number, skipped_object, time_text

SCHEMA = "dbdoctor.trace/1"


def trace_json(
    summary: Summary, findings: Sequence[Finding], skipped: Sequence[Skipped] = (), *, indent: int | None = None
) -> str:
    """One object; with `indent` for people's eyes, else on one line."""
    return json.dumps(trace_object(summary, findings, skipped), indent=indent, ensure_ascii=True, allow_nan=False)


def trace_object(summary: Summary, findings: Sequence[Finding], skipped: Sequence[Skipped] = ()) -> dict[str, Any]:
    """The object itself, harmless to print: every call site, durations in seconds, nothing in it is secret."""
    found: dict[str, Any] = cleaned(
        {
            "schema": SCHEMA,
            "recorded": {
                "from": time_text(summary.began),
                "to": time_text(summary.until),
                "seconds": number(summary.until - summary.began),
                "leak_after_seconds": number(summary.leak_after),
            },
            "checkouts": summary.checkouts,
            "never_returned": sum(site.out for site in summary.sites),
            "processes": [_process(process) for process in summary.processes],
            "pools": [_pool(pool) for pool in summary.pools],
            "sites": [_site(site) for site in summary.sites],
            "timeouts": [_timeouts(group) for group in summary.timeouts],
            "read": {
                "files": summary.files,
                "lines": summary.lines,
                "bad_lines": summary.bad_lines,
                "bad": [bad._asdict() for bad in summary.bad],
                "cut_short": summary.cut_short,
            },
            "notes": list(summary.notes),
        }
    )
    return {
        **found,
        "findings": [cleaned(finding_object(finding)) for finding in findings],
        "skipped": [cleaned(skipped_object(one)) for one in skipped],
    }


def _process(process: ProcessSummary) -> dict[str, Any]:
    header = process.header
    return {
        "process": header.process,
        "host": header.host,
        "program": header.program,
        "python": header.python,
        "sqlalchemy": header.sqlalchemy,
        "from": time_text(header.began),
        "to": time_text(process.until),
        "ended": process.ended or ("running" if process.alive else "disabled" if process.disabled else "killed"),
        "disabled": process.disabled,
        "checkouts": process.checkouts,
        "lost": process.lost,
        "sample": number(header.sample),
        "first_part": process.first_part,
    }


def _pool(pool: PoolSummary) -> dict[str, Any]:
    settings = pool.settings
    return {
        "class": settings.pool_class,
        "size": settings.size,
        "max_overflow": settings.max_overflow,
        "timeout_seconds": number(settings.timeout),
        "recycle_seconds": number(settings.recycle),
        "pre_ping": settings.pre_ping,
        "lifo": settings.lifo,
        "reset_on_return": settings.reset_on_return,
        "server": pool.server or None,
        "processes": pool.processes,
        "pools": pool.pools,
        "opened": pool.opened,
        "overflow": pool.overflow,
        "recycled": pool.recycled,
        "reconnected": pool.reconnected,
        "connect": _times(pool.connect),
        "closed": pool.closed,
        "invalidated": pool.invalidated,
        "soft_invalidated": pool.soft_invalidated,
        "detached": pool.detached,
        "resets": pool.resets,
        "timeouts": pool.timeouts,
        "failures": dict(pool.failures),
        "errors": dict(pool.errors),
    }


def _site(site: SiteSummary) -> dict[str, Any]:
    return {
        "line": site.frame._asdict() if site.frame else None,
        "frames": _frames(site.frames),
        "processes": site.processes,
        "checkouts": site.checkouts,
        "wait": _times(site.wait),
        "use": _times(site.use),
        "longest_seconds": number(site.longest),
        "never_returned": site.out,
        "in_use": site.in_use,
        "held_long": site.overdue,
        "garbage_collected": site.collected,
        "detached": site.detached,
        "timeouts": site.timeouts,
        "failures": site.failures,
    }


def _timeouts(group: TimeoutGroup) -> dict[str, Any]:
    return {
        "timeouts": group.count,
        "first": time_text(group.first),
        "last": time_text(group.last),
        "wait_seconds": number(group.wait),
        "connections": group.held,
        "holders": [
            {"frames": _frames(holder.frames), "connections": holder.most, "held_seconds": number(holder.held)}
            for holder in group.holders
        ],
        "waiting": [{"frames": _frames(frames), "timeouts": times} for frames, times in group.waiting],
    }


def _times(times: Times) -> dict[str, Any] | None:
    """None of nothing, which took no time either."""
    if not times.count:
        return None
    return {
        "mean_seconds": number(times.mean),
        "p95_seconds": number(times.p95),
        "max_seconds": number(times.longest),
    }


def _frames(frames: Frames) -> list[dict[str, Any]]:
    return [frame._asdict() for frame in frames]
