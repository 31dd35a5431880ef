"""`dbdoctor drivers`: which ODBC drivers of SQL Server are here, which one is taken, and what is missing."""

from __future__ import annotations

import sys

import typer

from dbdoctor.cli import options
from dbdoctor.errors import ExitCode


def drivers(
    output: options.FormatOption = options.Format.TEXT,
    json_wanted: options.Json = False,
    no_color: options.NoColor = False,
    debug: options.Debug = False,
) -> None:
    """Show the ODBC drivers of SQL Server on this machine, the one dbdoctor takes, and the install line for what is missing.

    Exit code 3 when SQL Server cannot be reached from here.
    """
    del debug
    from dbdoctor.databases.odbc.report import look

    report = look()
    if json_wanted or output is options.Format.JSON:
        import json

        from dbdoctor.render.drivers_json import drivers_object

        print(json.dumps(drivers_object(report)))
    else:
        from dbdoctor.render.drivers_text import drivers_lines
        from dbdoctor.render.style import Style

        for line in drivers_lines(report, Style.of(sys.stdout, no_color=no_color)):
            print(line)
    if report.usable is None:
        raise typer.Exit(ExitCode.CANNOT_LOOK)
