"""`drivers --json`: one object, `dbdoctor.drivers/1`."""

from __future__ import annotations

from typing import Any

from dbdoctor.databases.odbc.report import DriverReport, Looked
from dbdoctor.render.clean import clean


def drivers_object(report: DriverReport) -> dict[str, Any]:
    """The whole report."""
    return {
        "schema": "dbdoctor.drivers/1",
        "usable": report.usable is not None,
        "platform": report.platform or None,
        "driver_manager": {
            "found": not report.manager_problem,
            "path": report.manager or None,
            "pyodbc": report.pyodbc or None,
            "problem": clean(report.manager_problem) or None,
            "help": report.manager_help,
            "pooling": report.pooling,
        },
        "drivers": [_driver(looked, taken=looked.driver == report.usable) for looked in report.drivers],
        "files": [{"path": clean(path), "exists": exists} for path, exists in report.files],
        "install": [{"for": what, "command": line} for what, line in report.install],
    }


def _driver(looked: Looked, *, taken: bool) -> dict[str, Any]:
    driver = looked.driver
    return {
        "name": clean(driver.name),
        "kind": driver.kind,
        "version": driver.version or None,
        "path": clean(driver.path, 1000),
        "source": clean(driver.source),
        "taken": taken,
        "problem": clean(looked.problem) or None,
        "help": looked.help,
    }
