"""The timeout matrix: which pool survived which kind of dropped connection, and what was seen where one did not."""

from __future__ import annotations

from dbdoctor.model.report import WholeReport
from dbdoctor.model.trial import Case, Outcome, PoolPlan, SimulationReport
from dbdoctor.render.report.figure import Table, table_of
from dbdoctor.render.report.html import Child, Markup, el, escape, join
from dbdoctor.render.report.pieces import absent, command, items, section
from dbdoctor.render.simulate_text import (
    cell_words,
    none_survives,
    scale_words,
    scaled_values,
    summary_words,
    things_seen,
)

_SLOW = 0.5  # seconds: as in the text, a survivor that made somebody wait is no plain one
_WORD = {"ok": "survives"}


def timeouts(report: WholeReport) -> Markup:
    """The section."""
    simulation = report.simulation
    title = "Timeouts: which pool survives a dropped connection"
    if simulation is None:
        return section("timeouts", title, absent(report.absent.get("simulate")))
    return section(
        "timeouts",
        title,
        el("p", f"{summary_words(simulation)}."),
        el("p", f"{scale_words(simulation)}."),
        el("p", f"Not complete: {simulation.incomplete}.") if simulation.incomplete else None,
        _matrix(simulation),
        _values(simulation),
        _seen(simulation),
        _cheapest(simulation),
    )


def _matrix(simulation: SimulationReport) -> Markup:
    head = ("pool", *(fault.code for fault in simulation.faults))
    rows: list[list[Child]] = [
        [pool.name, *(_cell(simulation.case(fault.code, pool.name)) for fault in simulation.faults)]
        for pool in simulation.pools
    ]
    table = table_of(Table("pools down, faults across", head, rows), kind="matrix")
    faults = el(
        "dl", [(el("dt", fault.code), el("dd", f"{fault.title} ({fault.stands_for})")) for fault in simulation.faults]
    )
    return join(table, faults)


def _cell(case: Case | None) -> Markup:
    if case is None or case.outcome is None:
        return el("td", "not testable here", class_="untested")
    words, _ = cell_words(case)
    slow = case.outcome is Outcome.SURVIVES and case.slowest is not None and case.slowest >= _SLOW
    return el("td", _WORD.get(words, words.replace("ok ", "survives, ")), class_="slow" if slow else case.outcome.value)


def _values(simulation: SimulationReport) -> Markup | None:
    found = [escape(f"{words}: {', '.join(pools)}") for words, pools in scaled_values(simulation).items()]
    return (
        join(el("h3", "What scaled values stand for, and what they cost"), items(found, 30, "values"))
        if found
        else None
    )


def _seen(simulation: SimulationReport) -> Markup | None:
    told = []
    for fault in simulation.faults:
        things = [
            escape(f"{words}: {_named(pools, simulation.pools)}")
            for words, pools in things_seen(simulation, fault).items()
        ]
        if things:
            told.append(join(el("h4", fault.code), items(things, 30, "things")))
    return el("details", el("summary", "What was seen where a pool did not simply survive"), told) if told else None


def _named(pools: list[str], every: tuple[PoolPlan, ...]) -> str:
    return "every pool" if len(pools) == len(every) > 1 else ", ".join(pools)


def _cheapest(simulation: SimulationReport) -> Markup | None:
    pool = next((pool for pool in simulation.pools if pool.name == simulation.cheapest), None)
    if pool is None:
        tried = simulation.incomplete is None and any(case.testable for case in simulation.cases)
        words = none_survives(simulation) if tried else None
        return el("p", f"{words[:1].upper()}{words[1:]}.") if words else None
    return join(
        el("h3", f"The cheapest that survives: {pool.name}"),
        el("p", pool.title),
        command("\n".join(pool.lines), f"the pool {pool.name}"),
    )
