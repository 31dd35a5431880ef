"""A question asked otherwise: the same demand with other figures, or a pool of a given size."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from dbdoctor.model.advice import WhatIf
from dbdoctor.model.demand import Stated, Trace
from dbdoctor.model.duration import format_duration
from dbdoctor.model.pool import PoolSettings
from dbdoctor.model.sizing import Budget, Prediction, Recommendation, SizePoint
from dbdoctor.sizing import closed_forms as forms
from dbdoctor.sizing.barging import WAKE_UP, PoolModel, wake_up_of
from dbdoctor.sizing.case import Case, Progress, service_at, solve
from dbdoctor.sizing.choice import sweeper_of
from dbdoctor.sizing.fleet import budget, declared
from dbdoctor.sizing.merged import redealt
from dbdoctor.sizing.split import Split, predict

FORCING = ("pool_size", "max_overflow", "pool_timeout")
"""The changes to a pool itself: what it would do is predicted, instead of another one recommended."""

BURST = 3.0  # as `recommend` assumes it where none is stated
_SATURATED = "the database is the bottleneck: nothing predicts waits there, and a larger pool does not shorten them"
_CONNECT = 0.005  # seconds, as `recommend` assumes it


def answer(case: Case, base: Recommendation, changes: Mapping[str, Any], progress: Progress) -> WhatIf:
    """What then is recommended; with a size among the changes, what that size would do."""
    changed, note = _changed(case, changes)
    forced = any(name in changes for name in FORCING)
    if not forced:
        found = solve(changed, progress)
        return WhatIf(changes, found.settings, found.prediction, found.budget, forced=False, note=note)
    split = Split(
        int(changes.get("pool_size", base.settings.get("pool_size", 5))),
        int(changes.get("max_overflow", base.settings.get("max_overflow", 10))),
    )
    settings = {**base.settings, **{name: value for name, value in changes.items() if name.startswith("pool_")}}
    settings |= {"pool_size": split.pool_size, "max_overflow": split.max_overflow}
    table = _table(changed, split)
    if isinstance(changed.demand, Stated):
        note = _stated_note(changed.demand, split.connections)
    if base.saturated:
        return WhatIf(changes, settings, None, table, forced=True, note=_SATURATED)
    return WhatIf(changes, settings, predicted(changed, split), table, forced=True, note=note)


def _table(case: Case, split: Split) -> Budget:
    """The fleet with this size, whether it fits or not."""
    services = [service_at(case.service, split.connections), *case.others]
    ceiling = case.bounds.narrowest
    if ceiling is None:
        return budget(services, case.bounds)
    table = declared(services, ceiling.connections)
    return replace(table, usable_working=f"{ceiling.connections}: {ceiling.name}: {ceiling.working}")


def predicted(case: Case, split: Split) -> Prediction | None:
    """What a pool of this size does, replayed as the recommendation is; None where the demand does not tell."""
    if isinstance(case.demand, Trace):
        model = model_of(case)
        sweeper, _ = sweeper_of(case.demand.courses, model.wake_up, model.ping)
        swept = sweeper([split.connections])
        found = predict(case.demand.courses, swept, split, model, case.wait_target.share)
        return replace(found, sweep=())
    return None


def model_of(case: Case) -> PoolModel:
    """SQLAlchemy's pool with this application's times."""
    current = case.current
    timeout = 30.0 if current is None or current.pool_timeout is None else current.pool_timeout
    connect = _CONNECT if case.around.connect is None else case.around.connect
    pinged = current is not None and bool(current.pool_pre_ping)
    ping = 0.0 if pinged else case.around.round_trip or 0.0
    wake_up = wake_up_of(case.demand.courses) if isinstance(case.demand, Trace) else WAKE_UP
    return PoolModel(1, timeout=timeout, connect=connect, ping=ping, wake_up=wake_up)


def _changed(case: Case, changes: Mapping[str, Any]) -> tuple[Case, str | None]:
    before = case.service.pools_at_rest
    names = {"replicas": "replicas", "processes": "workers", "surge": "surge"}
    service = replace(case.service, **{names[name]: value for name, value in changes.items() if name in names})
    around = replace(case.around, **_around(changes))
    changed = replace(case, service=replace(service, threads=around.threads), around=around)
    if "max_connections" in changes and case.facts is not None and case.facts.slots is not None:
        slots = case.facts.slots._replace(limit=int(changes["max_connections"]))
        changed = replace(changed, facts=replace(case.facts, slots=slots))
    if "pool_timeout" in changes:
        changed = replace(
            changed, current=(case.current or PoolSettings())._replace(pool_timeout=changes["pool_timeout"])
        )
    if "wait_target" in changes:
        changed = replace(changed, wait_target=changes["wait_target"])
    demand, note = _demand(case, changes, service.pools_at_rest / before)
    if "max_connections" in changes and (case.facts is None or case.facts.slots is None):
        note = "how many sessions the server admits is not known, and max_connections changes nothing"
    return replace(changed, demand=demand), note


def _around(changes: Mapping[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {name: changes[name] for name in ("threads", "deadline") if name in changes}
    if "idle_timeout" in changes:
        found |= {"idle_timeout": changes["idle_timeout"], "idle_timeout_of": "the path"}
    return found


def _demand(case: Case, changes: Mapping[str, Any], ratio: float) -> tuple[Any, str | None]:
    """The demand of one process, when there are `ratio` times as many of them."""
    demand = case.demand
    if isinstance(demand, Stated):
        rate = changes.get("rate")
        each = demand.rate / ratio if rate is None else rate / (case.service.pools_at_rest * ratio)
        return demand._replace(rate=each, use=changes.get("use_time", demand.use)), None
    if ratio == 1:
        return demand, None
    if isinstance(demand, Trace) and not demand.sampled:
        return redealt(
            demand, ratio
        ), "the recorded checkouts were dealt anew to the processes, each with the same chance"
    if demand is None:
        return demand, None
    return demand, "the demand of a process is taken as it is: it cannot be dealt anew to other numbers of them"


def _stated_note(stated: Stated, size: int) -> str:
    """What a formula says of this size; a simulation would need a trace."""
    burst = stated.burst or BURST
    calm = stated_point(stated, size).p99
    busy = stated_point(stated._replace(rate=stated.rate * burst), size).p99
    return f"by Erlang C 99 % wait up to {_told(calm)}, in a second with {burst:g} times the rate up to {_told(busy)}"


def _told(seconds: float) -> str:
    return format_duration(seconds) if math.isfinite(seconds) else "any length: that is more than it can serve"


def stated_point(stated: Stated, size: int) -> SizePoint:
    """One size by Erlang C at the stated rate; infinite waits where it is saturated."""
    load, use = stated.load, stated.use
    factor = forms.variability(stated.arrival_cv, stated.use_cv)
    waits = [forms.wait_quantile(load, size, use, share, factor) for share in (0.5, 0.95, 0.99)]
    mean = forms.mean_wait(load, size, use, factor)
    return SizePoint(
        size, mean, waits[0], waits[1], waits[2], waits[2], forms.erlang_c(load, size), min(1.0, load / size)
    )
