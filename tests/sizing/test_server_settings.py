"""Whether the server should end idle sessions and forgotten transactions, weighed for a workload."""

from __future__ import annotations

from array import array
from dataclasses import replace

from dbdoctor.model.demand import Course, Trace
from dbdoctor.model.server import Pooler, ServerFacts, Slots
from dbdoctor.model.sizing import Because, Service
from dbdoctor.sizing.case import Case, solve
from dbdoctor.sizing.server_settings import server_settings

OFF = {"idle_session_timeout": 0.0, "idle_in_transaction_session_timeout": 0.0, "tcp_keepalives_idle": 7200.0}
FACTS = ServerFacts("PostgreSQL", "18", 180_000, slots=Slots(500, 3, 0), settings=OFF)
USES = [0.02] * 400 + [45.0]


def trace() -> Trace:
    arrivals = array("d", [number * 0.25 for number in range(len(USES))])
    course = Course("a", arrivals, array("d", [0.0] * len(USES)), array("d", USES))
    return Trace((course,), len(USES), course.span, 1)


def said(case: Case) -> dict[str, Because]:
    return {one.setting: one for one in server_settings(case, solve(case))}


def test_with_room_enough_idle_sessions_stay():
    found = said(Case(trace(), Service("shop"), facts=FACTS))
    assert found["idle_session_timeout"].value == "0"
    assert not found["idle_session_timeout"].changes


def test_where_slots_are_short_an_hour_gives_them_back():
    tight = replace(FACTS, slots=Slots(100, 3, 0))
    found = said(Case(None, Service("shop", replicas=9), facts=tight))
    assert found["idle_session_timeout"].value == "1h"
    assert found["idle_session_timeout"].changes
    assert found["idle_session_timeout"].evidence["slots_are_tight"]


def test_what_is_set_stays_as_it_is():
    settings = {
        "idle_session_timeout": 900.0,
        "idle_in_transaction_session_timeout": 120.0,
        "tcp_keepalives_idle": 60.0,
    }
    found = said(Case(trace(), Service("shop"), facts=replace(FACTS, settings=settings)))
    assert {name: one.value for name, one in found.items()} == {
        "idle_session_timeout": "15min",
        "idle_in_transaction_session_timeout": "2min",
    }
    assert not any(one.changes for one in found.values())


def test_a_forgotten_transaction_is_one_longer_than_any_use():
    found = said(Case(trace(), Service("shop"), facts=FACTS))["idle_in_transaction_session_timeout"]
    assert found.value == "90s"
    assert found.evidence["longest_use_seconds"] == 45
    short = replace(FACTS, settings={"idle_in_transaction_session_timeout": 5.0})
    raised = said(Case(trace(), Service("shop"), facts=short))["idle_in_transaction_session_timeout"]
    assert raised.changes
    assert raised.value == "90s"
    without = said(Case(None, Service("shop"), facts=FACTS))["idle_in_transaction_session_timeout"]
    assert without.value == "1min"


def test_keepalives_matter_across_a_network_only():
    far = Case(trace(), Service("shop"), facts=FACTS)
    assert said(far)["tcp_keepalives_idle"].changes
    assert "tcp_keepalives_idle" not in said(replace(far, near=True))


def test_what_is_not_known_or_not_the_servers_is_not_said():
    assert not said(Case(trace(), Service("shop")))
    assert not said(Case(trace(), Service("shop"), facts=replace(FACTS, product="SQL Server")))
    assert not said(Case(trace(), Service("shop"), facts=replace(FACTS, pooler=Pooler("PgBouncer"))))
