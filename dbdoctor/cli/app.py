"""The application: every command's name and where it lives."""

from __future__ import annotations

import functools
import importlib
from collections.abc import Callable
from typing import Annotated

import typer

# Each command's name, which is that of its module and its function (with `_` for `-`), in the order of the help.
_COMMANDS = {
    "check": "Where exactly does connecting fail? And how close is the server to it?",
    "leaks": "Who holds sessions that nobody uses, since when, growing how fast?",
    "measure-timeout": "After how many idle seconds is a connection ended, how, and by whom?",
    "simulate-timeout": "Which pool survives which kind of dropped connection?",
    "recommend": "Which pool settings suit this application, and why?",
    "run": "Which line of code holds which connection? Runs a program and records it.",
    "trace": "Which lines of code held connections, and for how long?",
    "report": "Everything about one target, in one HTML file to pass on.",
    "serve": "How is a whole fleet, all the time? For Prometheus.",
    "demo": "The tour: a flawed shop, diagnosed by every command. Start here.",
    "drivers": "Which ODBC drivers of SQL Server are here, and what is missing?",
    "explain": "The page behind a finding's code.",
    "schema": "The JSON Schema of what a command writes with --json.",
}
# Of these, what follows the first word is another program's.
_RUN_OTHERS = frozenset({"run"})
_HELP = """A doctor for database connections and connection pools.

\b
  dbdoctor check postgresql://app@db1/shop     where exactly does connecting fail?
  dbdoctor check demo                          the same, on a PostgreSQL started for it
  dbdoctor check --all --json                  every profile of the config, one object a line
  dbdoctor leaks postgresql://app@db1/shop     who holds sessions that nobody uses?
  dbdoctor leaks --watch                       the same, on one screen, until Ctrl-C
  dbdoctor measure-timeout                     after how many idle seconds does it end?
  dbdoctor simulate-timeout demo               which pool survives a dropped connection?
  dbdoctor recommend shop --trace trace.csv    which pool settings, and why?
  dbdoctor serve --all                         the whole fleet, for Prometheus
  dbdoctor run -- gunicorn shop:app            which line of code holds a connection?
  dbdoctor trace                               what the newest run recorded, by line
  dbdoctor report shop                         all of it in one HTML file to pass on
  dbdoctor demo                                the tour: see it all at work
  dbdoctor drivers                             which drivers of SQL Server are here?
  dbdoctor explain too-many-clients            the page behind a code
  dbdoctor schema check                        the JSON Schema of an output

\b
Exit codes: 0 nothing found, 1 findings, 2 usage or configuration, 3 could not
connect or look, 4 dbdoctor's own fault, 130 interrupted.

\b
Files: dbdoctor.toml, or [tool.dbdoctor] in pyproject.toml, here or in a
directory above; then the user's (~/.config/dbdoctor/config.toml) and the
system's. --config names another file in the place of all of these.

\b
Environment: DBDOCTOR_DSN and DATABASE_URL name the target where none is given.
PGPASSWORD, PGPASSFILE, PGSERVICEFILE, ODBCSYSINI and their like count as they
do for libpq and ODBC. NO_COLOR, FORCE_COLOR and TERM=dumb rule the colour.
"""


def _show_version(wanted: bool) -> None:
    if wanted:
        import dbdoctor

        typer.echo(f"dbdoctor {dbdoctor.__version__}")
        raise typer.Exit


def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    del version


def module_of(name: str) -> str:
    """The module of dbdoctor.cli, and the function in it, of a command."""
    return name.replace("-", "_")


@functools.cache
def application(only: str | None = None) -> typer.Typer:
    """The application, ready to be called; with `only`, the one command of that name, if there is one, else all."""
    app = typer.Typer(
        help=_HELP,
        no_args_is_help=True,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    )
    app.callback()(_root)
    for name in (only,) if only in _COMMANDS else _COMMANDS:
        module = importlib.import_module(f"dbdoctor.cli.{module_of(name)}")
        settings = {"allow_interspersed_args": name not in _RUN_OTHERS}
        app.command(name, short_help=_COMMANDS[name], context_settings=settings)(getattr(module, module_of(name)))
    return app


@functools.cache
def command(only: str | None = None) -> Callable[..., object]:
    """The application as one callable; calling a Typer itself would build all of its commands again each time.

    Each command costs up to 2 ms to build, so with `only` the others are left out.
    """
    return typer.main.get_command(application(only))
