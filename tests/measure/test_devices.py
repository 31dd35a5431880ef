"""The table of known devices, and what a measurement means."""

from __future__ import annotations

import datetime as dt

import pytest

from dbdoctor.measure.run import Found
from dbdoctor.measure.verdict import make_measured, spare_slots
from dbdoctor.model.device import devices, find_device, known_timeouts, look_alikes
from dbdoctor.model.finding import Severity
from dbdoctor.model.measured import Bracket, Drop, Ghosts, MeasureOptions, Where
from dbdoctor.model.pool import PoolSettings
from dbdoctor.model.server import Pooler, ServerFacts, Slots
from dbdoctor.model.target import Endpoint, Product, Target
from dbdoctor.rules.measured import judge_measured

MARKS = {"measured", "documented", "reported", "third party", "unverified"}


def server(**more: object) -> ServerFacts:
    return ServerFacts("PostgreSQL", "18", 180000, **more)  # type: ignore[arg-type]


def found(low: float, high: float | None, drop: Drop, said: str | None = None, **more: object) -> Found:
    values = {"seen": 3, "opened": 24, "keepalive_resets_it": None, "done": True, "notes": (), "took": 5.0, **more}
    return Found(Bracket(low, high), drop, said, **values)  # type: ignore[arg-type]


def measured(one: Found, facts: ServerFacts | None = None, pool: PoolSettings | None = None, **more: object):
    target = Target(Product.POSTGRESQL, (Endpoint("db1", 5432),), pool=pool)
    return make_measured(one, target, MeasureOptions(), facts or server(), **more)  # type: ignore[arg-type]


def test_every_device_has_its_source_and_how_sure_it_is() -> None:
    for device in devices():
        assert device.mark in MARKS
        assert device.drop in {drop.value for drop in Drop}
        assert dt.date.fromisoformat(device.date)
        assert device.source or device.mark == "unverified"
        assert (device.least_seconds or 0) <= device.seconds <= (device.most_seconds or device.seconds)
        assert find_device(device.slug) is device
    assert len({device.slug for device in devices()}) == len(devices())
    assert {240.0, 350.0, 600.0, 900.0, 1200.0} <= set(known_timeouts())


@pytest.mark.parametrize(
    ("low", "high", "drop", "slug"),
    [
        (347.0, 353.0, "silent", "aws-privatelink"),
        (347.0, 353.0, "reset-on-use", "aws-nlb"),
        (238.0, 242.0, "silent", "azure-lb"),
        (238.0, 242.0, "reset", "azure-lb-reset"),
        (598.0, 601.0, "silent", "gcp-vpc-firewall"),
        (1795.0, 1800.5, "closed", "aws-rds-proxy"),
    ],
)
def test_what_it_looks_like(low: float, high: float, drop: str, slug: str) -> None:
    alike = look_alikes(low, high, drop)
    assert slug in {device.slug for device in alike}
    assert alike[0].mark != "unverified"


@pytest.mark.parametrize(
    ("drop", "said", "facts", "where"),
    [
        (Drop.SILENT, None, server(), Where.NETWORK),
        (Drop.RESET, None, server(), Where.NETWORK),
        (Drop.RESET_ON_USE, None, server(), Where.NETWORK),
        (Drop.CLOSED, None, server(), Where.PROXY),
        (Drop.CLOSED, None, server(pooler=Pooler("PgBouncer")), Where.POOLER),
        (Drop.SERVER_ERROR, "client_idle_timeout", server(), Where.POOLER),
        (Drop.SERVER_ERROR, "Verbindung wird getrennt", server(settings={"idle_session_timeout": 60.0}), Where.SERVER),
        (Drop.SERVER_ERROR, "terminating connection due to idle-session timeout", server(), Where.SERVER),
        (Drop.SERVER_ERROR, "enough", server(), Where.UNKNOWN),
    ],
)
def test_where_it_sits(drop: Drop, said: str | None, facts: ServerFacts, where: Where) -> None:
    assert measured(found(59.8, 60.1, drop, said), facts).where is where


def test_the_value_is_that_of_the_device_it_looks_like() -> None:
    assert measured(found(347.0, 353.5, Drop.SILENT)).seconds == 350.0
    assert measured(found(400.0, 406.0, Drop.SILENT)).seconds == 403.0
    assert measured(found(59.7, 60.01, Drop.CLOSED)).seconds == 60.0
    assert measured(found(61.7, 62.01, Drop.CLOSED)).seconds == 62.01


def test_no_timeout_has_no_findings_and_no_advice() -> None:
    one = measured(found(1800.0, None, Drop.NONE))
    assert (one.seconds, one.where, one.advice.pool_recycle) == (None, Where.NOWHERE, None)
    assert judge_measured(one) == []


def test_what_is_not_an_answer_has_no_value() -> None:
    one = measured(found(100.0, 130.0, Drop.NONE, done=False), interrupted=True)
    assert (one.seconds, one.answered, one.interrupted, one.bracket.at_most) == (None, False, True, 130.0)
    assert judge_measured(one) == []


@pytest.mark.parametrize(
    ("pool", "drop", "severity"),
    [
        (PoolSettings(pool_recycle=-1, pool_pre_ping=False), Drop.CLOSED, Severity.ERROR),
        (PoolSettings(pool_recycle=3600, pool_pre_ping=True), Drop.CLOSED, Severity.WARNING),
        (PoolSettings(pool_recycle=3600, pool_pre_ping=True), Drop.SILENT, Severity.ERROR),
        (PoolSettings(pool_recycle=280, pool_pre_ping=False), Drop.SILENT, None),
        (PoolSettings(pool_class="NullPool"), Drop.SILENT, None),
        (None, Drop.SILENT, None),
    ],
)
def test_the_declared_pool_is_compared(pool: PoolSettings | None, drop: Drop, severity: Severity | None) -> None:
    findings = {finding.code: finding for finding in judge_measured(measured(found(347.0, 353.0, drop), pool=pool))}
    assert "idle-timeout-found" in findings
    got = findings.get("recycle-above-idle-timeout")
    assert (got.severity if got else None) is severity


def test_sessions_that_stay_are_a_finding() -> None:
    stays = measured(found(347.0, 353.0, Drop.SILENT), ghosts=Ghosts(24, 20, 7875.0, 20))
    assert "ghost-sessions" in {finding.code for finding in judge_measured(stays)}
    goes = measured(found(347.0, 353.0, Drop.SILENT), ghosts=Ghosts(24, 20, 90.0, 20))
    assert "ghost-sessions" not in {finding.code for finding in judge_measured(goes)}


def test_how_many_connections_a_server_can_spare() -> None:
    assert spare_slots(server(slots=Slots(100, 3, 62))) == 32
    assert spare_slots(server(slots=Slots(1000, 3, 97))) == 810
    assert spare_slots(server()) is None
