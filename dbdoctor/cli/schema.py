"""`dbdoctor schema [NAME]`: the JSON Schema of an output."""

from __future__ import annotations

from typing import Annotated

import typer

from dbdoctor.cli import options
from dbdoctor.errors import UsageError


def complete_name(incomplete: str) -> list[str]:
    """Names of schemas, for the shell."""
    from dbdoctor.schemas import names

    return [name for name in names() if name.startswith(incomplete)]


def schema(
    name: Annotated[
        str | None,
        typer.Argument(
            metavar="[NAME]",
            help="Whose schema: a command's name, or a file's that dbdoctor writes. Left out: the list of names.",
            autocompletion=complete_name,
            show_default=False,
        ),
    ] = None,
    debug: options.Debug = False,
) -> None:
    """Print the JSON Schema (draft 2020-12) of what a command writes with --json; without a name, list them all."""
    del debug
    from dbdoctor.schemas import load, names

    known = names()
    if name is None:
        width = max(len(one) for one in known)
        for one in known:
            print(f"{one:<{width}}  {load(one)['title']}")
        return
    # Also as the JSON names it: `dbdoctor.check/1`.
    word = name.strip().removeprefix("dbdoctor.").removesuffix("/1")
    if word not in known:
        raise UsageError("there is no schema of that name", help=_suggestion(word, known))
    import json

    print(json.dumps(load(word), indent=2))


def _suggestion(word: str, known: list[str]) -> str:
    from difflib import get_close_matches

    near = get_close_matches(word[:80], known, n=1, cutoff=0.5)
    return f"did you mean `dbdoctor schema {near[0]}`?" if near else "`dbdoctor schema` lists all names"
