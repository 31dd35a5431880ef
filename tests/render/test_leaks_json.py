"""The object for programs: every key of the schema, numbers as numbers, times in UTC, statements only on request."""

from __future__ import annotations

import json
import time

from dbdoctor.model.leaks import Event, Forecast, GroupKey, Observed, Trend, Verdict
from dbdoctor.model.session import ClientProcess, PooledClient
from dbdoctor.model.snapshot import Gap
from dbdoctor.render.leaks_json import event_json, leaks_json, leaks_object
from tests.render.hostile import HOSTILE, harmful
from tests.render.reports import EVENTS, IDLE_FINDING, LEAK, NOW, SKIPPED, group, healthy, many, report, session
from tests.replacing import replace


def test_the_whole_object() -> None:
    gaps = (Gap(NOW - 20, NOW - 8, "the connection was lost"),)
    made = report(observed=Observed(NOW - 24, NOW, 13, 2.0, gaps), skipped=(SKIPPED,), groups=(LEAK,), notes=("torn",))
    found = json.loads(leaks_json(made, indent=2))
    assert found["schema"] == "dbdoctor.leaks/1"
    assert found["target"] == "postgresql://app@db1:5432/shop"
    assert found["observed"] == {
        "from": "2026-01-15T14:02:58Z",
        "to": "2026-01-15T14:03:22Z",
        "seconds": 24.0,
        "samples": 13,
        "interval_seconds": 2.0,
        "gaps": [
            {
                "from": "2026-01-15T14:03:02Z",
                "to": "2026-01-15T14:03:14Z",
                "seconds": 12.0,
                "reason": "the connection was lost",
            }
        ],
    }
    assert found["slots"] == {
        "limit": 100,
        "reserved": 3,
        "used": 62,
        "free": 35,
        "used_by": [],
        "exhausted_in_seconds": 146.0,
        "exhausted_earliest_seconds": 130.0,
        "exhausted_latest_seconds": 166.0,
        "exhausted_by": ["reports", "checkout-api"],
    }
    assert found["groups"] == [
        {
            "application": "checkout-api",
            "user": "app",
            "database": "shop",
            "client": "10.0.0.5",
            "process": None,
            "sessions": 12,
            "active": 1,
            "idle": 2,
            "idle_in_transaction": 9,
            "hidden": 0,
            "growth_per_minute": 2.4,
            "growth_low": 1.9,
            "growth_high": 2.9,
            "verdict": "leak",
            "reasons": ["9 idle in transaction for up to 92 s, 3 of them hold locks", "grows and never shrinks"],
            "counts": [2, 2, 3, 4, 4, 5, 7, 8, None, 9, 11, 12],
            "opened": 10,
            "closed": 0,
            "returned": 0,
            "longest_idle_seconds": 41.0,
            "oldest_transaction_seconds": 92.0,
            "spared": None,
            "held": [],
            "recorder": None,
        }
    ]
    assert [finding["code"] for finding in found["findings"]] == ["idle-in-transaction", "slots-run-out"]
    assert found["findings"][0]["sessions"] == [{"id": 4711, "started_at": "2026-01-15T13:53:22Z"}]
    assert found["findings"][0]["group"]["application"] == "checkout-api"
    assert found["skipped"] == [
        {
            "rule": "prepared-transactions",
            "reason": "pg_prepared_xacts may not be read",
            "help": "GRANT pg_monitor TO app;",
        }
    ]
    assert found["notes"] == ["torn"]
    assert "sessions" not in found


def test_what_is_not_known_is_null() -> None:
    nothing = group()._replace(trend=None, longest_idle=None)
    found = leaks_object(healthy(groups=(nothing,), slots=None, facts=None, observed=Observed(NOW, NOW, 1, 0.0)))
    assert found["slots"] is None
    assert found["server"] is None
    (one,) = found["groups"]
    assert one["growth_per_minute"] is one["growth_low"] is one["longest_idle_seconds"] is None
    open_ended = leaks_object(report(forecast=Forecast(60.0, 40.0, None, ())))["slots"]
    assert open_ended["exhausted_latest_seconds"] is None
    assert leaks_object(healthy())["slots"]["exhausted_in_seconds"] is None


def test_numbers_that_are_none_do_not_break_the_json() -> None:
    odd = group()._replace(trend=Trend(float("nan"), float("-inf"), float("inf"), 0.0))
    found = json.loads(leaks_json(report(groups=(odd,))), parse_constant=lambda name: 1 / 0)
    assert found["groups"][0]["growth_high"] is None


def test_sessions_only_when_there_are_some_and_statements_only_on_request() -> None:
    listed = session(pooled_client=PooledClient("10.0.0.44", 6000, "web", "app", "shop", "active"))
    made = report(sessions=(listed,))
    (one,) = leaks_object(made)["sessions"]
    assert (one["id"], one["started_at"]) == (4711, "2026-01-15T13:53:22Z")
    assert one["state_age_seconds"] == one["transaction_age_seconds"] == 92.0
    assert one["process"] == {"pid": 812, "command": "python -m checkout.api --port 8000", "pooler": None}
    assert one["pooled_client"]["address"] == "10.0.0.44"
    assert one["verdict"] == "leak"
    assert "statement" not in one
    assert "FOR UPDATE" not in leaks_json(made)
    (asked,) = leaks_object(made, queries=True)["sessions"]
    assert asked["statement"] == "SELECT stock FROM products WHERE id = 7 FOR UPDATE"


def test_a_process_known_by_its_number_alone() -> None:
    found = leaks_object(report(groups=(group(process=812),)))
    assert found["groups"][0]["process"] == {"pid": 812, "command": None, "pooler": None}
    named = group(process=812)._replace(process=ClientProcess(812, "python app.py"))
    assert leaks_object(report(groups=(named,)))["groups"][0]["process"]["command"] == "python app.py"


def test_a_finding_names_its_group_as_the_groups_are_named() -> None:
    key = GroupKey("web", "app", "shop", "127.0.0.1", 812)
    made = report(findings=(replace(IDLE_FINDING, group=key._asdict()),), groups=(LEAK._replace(key=key),))
    found = leaks_object(made)
    (finding,), (named,) = found["findings"], found["groups"]
    assert finding["group"] == {name: named[name] for name in GroupKey._fields}


def test_an_event_is_one_line() -> None:
    event = EVENTS[0]._replace(group=GroupKey("checkout-api", "app"), session=(4711, NOW - 600))
    line = event_json(event)
    assert "\n" not in line
    assert json.loads(line) == {
        "schema": "dbdoctor.leaks-event/1",
        "at": "2026-01-15T14:03:10Z",
        "kind": "found",
        "text": "9 sessions of checkout-api are idle in transaction for up to 80 s",
        "code": "idle-in-transaction",
        "group": {"application": "checkout-api", "user": "app", "database": None, "client": None, "process": None},
        "session": {"id": 4711, "started_at": "2026-01-15T13:53:22Z"},
        "taken_at": [],
    }


def test_hostile_names_are_harmless_and_bounded() -> None:
    for name in HOSTILE.values():
        made = report(
            target=name,
            groups=(group(name, user=name, database=name, client=name)._replace(reasons=(name,), spared=name),),
            sessions=(session(application=name, process=ClientProcess(1, name), reason=name),),
            notes=(name,),
        )
        line = leaks_json(made, queries=True)
        decoded = json.dumps(json.loads(line), ensure_ascii=False)
        assert harmful(decoded) == ""
        assert len(decoded) < 100_000
        event = json.loads(event_json(Event(NOW, "note", name, group=GroupKey(name))))
        assert harmful(event["text"] + event["group"]["application"]) == ""


def test_two_thousand_sessions_are_quick() -> None:
    made = replace(many(2000), sessions=tuple(session(i, Verdict.OK) for i in range(2000)))
    took = []
    for _ in range(3):
        started = time.process_time()
        leaks_json(made)
        took.append(time.process_time() - started)
    assert min(took) < 0.4
