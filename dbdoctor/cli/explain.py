"""`dbdoctor explain [CODE]`: the page behind a finding."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from dbdoctor.cli import options
from dbdoctor.errors import UsageError

if TYPE_CHECKING:
    from dbdoctor.model.finding import Page


def all_pages() -> dict[str, Page]:
    """Every page: of failures that stop a connection, of rules, of the faults that can be tried, and of the drivers."""
    from dbdoctor import rules
    from dbdoctor.databases.odbc import page
    from dbdoctor.faults import kinds
    from dbdoctor.probe import failures

    return {**kinds.pages(), **rules.pages(), **failures.pages(), page.CODE: page.page()}


def complete_code(incomplete: str) -> list[str]:
    """Codes, for the shell."""
    return sorted(code for code in all_pages() if code.startswith(incomplete))


def explain(
    code: Annotated[
        str | None, typer.Argument(help="A finding's code.", autocompletion=complete_code, show_default=False)
    ] = None,
    output: options.FormatOption = options.Format.TEXT,
    json_wanted: options.Json = False,
    no_color: options.NoColor = False,
    debug: options.Debug = False,
) -> None:
    """Show the page behind a finding's code; without a code, list them all."""
    del debug
    from dbdoctor.render.page_text import list_lines, page_lines
    from dbdoctor.render.style import Style

    pages = all_pages()
    if code is not None and code not in pages:
        raise UsageError("there is no page for that code", help=_suggestion(code, list(pages)))
    wanted = pages if code is None else {code: pages[code]}
    if json_wanted or output is options.Format.JSON:
        import json

        print(
            json.dumps({"schema": "dbdoctor.explain/1", "pages": [wanted[name]._asdict() for name in sorted(wanted)]})
        )
        return
    style = Style.of(sys.stdout, no_color=no_color)
    for line in list_lines(pages, style) if code is None else page_lines(pages[code], style):
        print(line)


def _suggestion(code: str, known: list[str]) -> str:
    from difflib import get_close_matches

    near = get_close_matches(code[:80], known, n=1, cutoff=0.5)
    return f"did you mean `dbdoctor explain {near[0]}`?" if near else "`dbdoctor explain` lists all codes"
