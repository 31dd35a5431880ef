"""Whole reports for the HTML page, made without a server: by replaying recordings, and by hand."""

from __future__ import annotations

import functools
from dataclasses import replace
from pathlib import Path
from typing import Any

from dbdoctor.cli.leaks_options import LeaksOptions
from dbdoctor.cli.report_watch import replayed
from dbdoctor.model.advice import Advice
from dbdoctor.model.examination import Examination
from dbdoctor.model.leaks import GroupKey, LeaksReport
from dbdoctor.model.report import Moment, Span, Traced, WholeReport
from dbdoctor.model.server import ServerFacts, Slots
from dbdoctor.model.sizing import Service
from dbdoctor.model.stage import Stage, StageName, Timings
from dbdoctor.model.target import Endpoint, Product, Target
from dbdoctor.model.trial import Outcome, SimulationReport
from dbdoctor.rules.recorded import judge_recorded
from dbdoctor.sizing.case import solve
from dbdoctor.sizing.sweep_table import sweep_rows
from dbdoctor.traces.summary import summarise
from tests.render import reports
from tests.render.test_recommend import cases
from tests.render.test_simulate_text import FAULTS, POOLS, hung
from tests.render.test_simulate_text import report as simulation
from tests.trials.records import case

RECORDING = Path(__file__).resolve().parents[1] / "recordings" / "shop.jsonl"
TARGET = Target(Product.POSTGRESQL, (Endpoint("db1", 5432),), user="app", database="shop")
_SITES = """{"site":1,"frames":[["/app/shop/orders.py",12,"take_order"],["/app/shop/web.py",88,"handler"]]}
{"site":2,"frames":[["/app/shop/cart.py",40,"<lambda>"]]}
{"pool":1,"class":"QueuePool","size":2,"max_overflow":1,"timeout_seconds":5.0,"recycle_seconds":-1,"pre_ping":false}
{"connection":1,"pool":1,"at":1000,"took":9000,"session":4711,"driver":"psycopg2","server":null,"overflow":false}
{"connection":2,"pool":1,"at":1500,"took":8000,"session":4712,"driver":"psycopg2","server":null,"overflow":false}
"""


def recorder_file(place: Path) -> Path:
    """A process that took 50 checkouts, one of which it never returned, and once waited in vain."""
    header = (
        '{"schema":"dbdoctor.recorder/1","process":4711,"began":1763730000.0,"host":"web1","program":"shop.py",'
        '"python":"3.11.7","sqlalchemy":"2.0.44","parent":1,"start_ticks":1,"leak_after_seconds":60.0,"sample":1.0,"part":1}'
    )
    rows = "\n".join(f"[{number * 100_000},{number * 40},21000,2,2,7]" for number in range(1, 50))
    late = (
        '{"open":1,"at":2000,"wait":10,"site":1,"connection":1,"thread":7,"thread_name":"MainThread"}\n'
        '{"held":1,"at":60002000}\n'
        '{"timeout":70000000,"pool":1,"site":2,"wait":5000000,"thread":8,"holders":[[1,69998000,1,7]],"more":0}\n'
        '{"end":80000000,"how":"exit"}'
    )
    path = place / "4711-1763730000000000.jsonl"
    path.write_text(f"{header}\n{_SITES}{rows}\n{late}\n")
    return path


def examination(**fields: Any) -> Examination:
    stages = tuple(
        Stage(name, True, 0.002 * (number + 1), f"{name.value} is well", ("a further line",))
        for number, name in enumerate(StageName)
    )
    facts = ServerFacts("PostgreSQL", "18.4", 180004, uptime=792000.0, slots=Slots(100, 3, 62, (("app", "web", 20),)))
    values = {
        "connected": True,
        "seconds": 0.03,
        "stages": stages,
        "facts": facts,
        "timings": Timings((0.01,), (0.001,)),
    }
    return Examination(TARGET, **{**values, **fields})


@functools.cache
def advice(kind: str = "hostile") -> Advice:
    solved = cases()["trace"]
    if kind == "plain":
        around = replace(solved.around, idle_timeout_of="AWS Network Load Balancer")
        solved = replace(solved, others=(Service("jobs", replicas=3, size=2),), around=around)
    found = solve(solved, lambda _text: None)
    return Advice(found, target=TARGET.shown, sweep=sweep_rows(solved, found, lambda _text: None), notes=("a note",))


def matrix() -> SimulationReport:
    faults, names = tuple(fault.code for fault in FAULTS[:4]), tuple(pool.name for pool in POOLS[:6])
    outcomes = (Outcome.SURVIVES, Outcome.ONE_ERROR, Outcome.ERRORS, None)
    found = [
        case(fault, name, outcomes[(first + second) % 4], note="" if (first + second) % 4 < 3 else "needs a firewall")
        for first, fault in enumerate(faults)
        for second, name in enumerate(names[1:])
    ]
    told = simulation(*found, *(hung(fault, names[0], 30.0) for fault in faults), faults=faults, names=names)
    return replace(told, cheapest=names[1])


def moments(leaks: LeaksReport, count: int = 30) -> tuple[Moment | None, ...]:
    """Counts of the report's own groups up to what they are at the end, with a gap in the middle."""
    found: list[Moment | None] = []
    for number in range(count):
        at, left = leaks.observed.since + number, count - 1 - number
        groups = {}
        for group in leaks.groups:
            grown = group.sessions - left * group.opened // count
            groups[group.key] = Span(max(0, grown - left % 3 // 2), grown)
        used = 62 - left * 21 // count
        found.append(
            None if number == count // 2 else Moment(at, at + 0.5, groups, Span(max(0, used - left % 2), used))
        )
    return tuple(found)


def whole(place: Path | None = None, **fields: Any) -> WholeReport:
    """Every part of it; the recorder's only where there is a place for its file."""
    leaks = fields.pop("leaks", None) or reports.report(skipped=(reports.SKIPPED,))
    traced = None
    if place is not None:
        summary = summarise([recorder_file(place)])
        findings, skipped = judge_recorded(summary)
        traced = Traced(summary, tuple(findings), tuple(skipped))
    values: dict[str, Any] = {
        "examination": examination(),
        "leaks": leaks,
        "timeline": moments(leaks),
        "simulation": matrix(),
        "advice": advice(),
        "traced": traced,
    }
    return WholeReport(TARGET.shown, reports.NOW, "0.1.0", "looked at live", **{**values, **fields})


def of_recording() -> WholeReport:
    """As `--from` makes it."""
    found = replayed(RECORDING, LeaksOptions(10.0, 1.0))
    why = ("a recording holds sessions only", "dbdoctor check shop")
    absent = dict.fromkeys(("check", "simulate", "recommend", "trace"), why)
    sessions = found.sessions
    return WholeReport(
        found.target.shown, reports.NOW, "0.1.0", "from the recording shop.jsonl", leaks=sessions.report,
        timeline=sessions.moments, absent=absent,
    )  # fmt: skip


def with_name(name: str, **fields: Any) -> WholeReport:
    """Wherever a client, a server or a program may put a name of its own choice."""
    key = GroupKey(name, name, name, name, 7)
    leaks = reports.report(groups=(reports.LEAK._replace(key=key, reasons=(name,)), *reports.GROUPS[1:]), notes=(name,))
    finding = replace(reports.IDLE_FINDING, title=name, why=name, fix=name, command=name, rows=(name, name))
    facts = ServerFacts(name, name, 1, slots=Slots(100, 3, 62, ((name, name, 20),)))
    stage = Stage(StageName.LOGIN, False, 0.1, name, (name,))
    simulated = matrix()
    cases = tuple(replace(one, note=name) for one in simulated.cases)
    return whole(
        leaks=leaks._replace(findings=(finding,), skipped=(reports.SKIPPED._replace(reason=name, help=name),)),
        examination=examination(facts=facts, stages=(stage,), notes=(name,)),
        simulation=replace(simulated, cases=cases, server=name),
        notes=(name,),
        **fields,
    )
