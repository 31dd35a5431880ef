"""`drivers` for people: the driver manager, the drivers in the order in which they are taken, what to install."""

from __future__ import annotations

from collections.abc import Iterator

from dbdoctor.databases.odbc.report import DriverReport, Looked
from dbdoctor.render.clean import clean, fill
from dbdoctor.render.style import Style


def drivers_lines(report: DriverReport, style: Style) -> Iterator[str]:
    """The whole report."""
    yield style.paint("Driver manager", bold=True)
    if report.manager_problem:
        yield from _trouble(report.manager_problem, report.manager_help, style)
    else:
        yield f"  unixODBC, {clean(report.manager)}, through pyodbc {clean(report.pyodbc)}"
    if report.pooling:
        where = f"Pooling in {clean(report.pooling)}"
        text = f"keeps sessions open after the application closed them ({where}): it defeats pool_recycle"
        yield style.paint(fill(text, style.width, "  "), "yellow")
    yield ""
    yield style.paint("Drivers of SQL Server, best first", bold=True)
    for looked in report.drivers:
        yield from _driver(looked, style, _mark(looked, report))
    if not report.drivers:
        yield "  none found"
    if report.install:
        yield ""
        yield style.paint("To install", bold=True)
        widest = max(len(what) for what, _ in report.install)
        for what, line in report.install:
            yield f"  {what:<{widest}}  {style.paint(line, 'green')}"
    yield ""
    yield style.paint("Read", bold=True)
    for path, exists in report.files:
        if exists:
            yield f"  {clean(path)}"
    gone = [clean(path) for path, exists in report.files if not exists]
    if gone:
        yield fill(f"not there: {', '.join(gone)}", style.width, "  ")


def _mark(looked: Looked, report: DriverReport) -> str:
    if report.manager_problem:
        return "here "
    return "taken" if looked.driver == report.usable else "fails" if looked.problem else "also "


def _driver(looked: Looked, style: Style, word: str) -> Iterator[str]:
    driver = looked.driver
    mark = style.paint(word, {"taken": "green", "fails": "red"}.get(word))
    version = f" {driver.version}" if driver.version else ""
    yield f"  {mark}  {clean(driver.name)}{clean(version)} ({clean(driver.source)})"
    yield f"         {clean(driver.path, 1000)}"
    if looked.problem:
        yield from _trouble(looked.problem, looked.help, style, "         ")


def _trouble(problem: str, help_: str | None, style: Style, indent: str = "  ") -> Iterator[str]:
    yield style.paint(fill(clean(problem), style.width, indent), "red")
    if help_:
        yield fill(help_, style.width, indent)
