"""`recommend` in the format asked for."""

from __future__ import annotations

from collections.abc import Iterator

from dbdoctor.model.advice import Advice
from dbdoctor.render.style import Style


def lines_of(advice: Advice, style: Style, output: str, sweep: bool, numbers: bool) -> Iterator[str]:  # noqa: FBT001
    """The whole answer; for python, toml and env only what is to be pasted."""
    if output == "json":
        from dbdoctor.render.recommend_json import advice_json

        yield advice_json(advice, indent=2 if style.terminal else None)
    elif output == "text":
        from dbdoctor.render.recommend_text import advice_lines

        yield from advice_lines(advice, style, sweep=sweep, numbers=numbers)
    else:
        from dbdoctor.render.recommend_code import code_lines

        yield from code_lines(advice, output)
