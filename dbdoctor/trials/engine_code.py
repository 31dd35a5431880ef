"""The code to paste: an engine with given settings, as lines of Python; pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

_LONGEST_LINE = 80


def engine_lines(
    settings: Mapping[str, object], arguments: Mapping[str, str | int], more: Sequence[str] = ()
) -> tuple[str, ...]:
    """`create_engine(url, ...)` with `settings` as its keywords and `arguments` as connect_args, then the lines `more`.

    A value that is to stand as it is (`NullPool`) is given as Name.
    """
    written = [f"{name}={_value(value)}" for name, value in settings.items()]
    inside = ", ".join(f'"{name}": {_value(value)}' for name, value in arguments.items())
    if arguments:
        written.append(f"connect_args={{{inside}}}")
    line = f"engine = create_engine({', '.join(['url', *written])})"
    if len(line) <= _LONGEST_LINE:
        return (line, *more)
    lines = ["engine = create_engine(", "    url,"]
    for text in written:
        if len(text) + 5 <= _LONGEST_LINE or not text.startswith("connect_args="):
            lines.append(f"    {text},")
        else:
            lines += ["    connect_args={", *(f'        "{k}": {_value(v)},' for k, v in arguments.items()), "    },"]
    return (*lines, ")", *more)


class Name(str):
    """What stands in code without quotes."""


def _value(value: object) -> str:
    if isinstance(value, Name):
        return str(value)
    if isinstance(value, str):
        return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
    if isinstance(value, float):
        return f"{value:g}" if value < 1e5 else str(round(value))
    return repr(value)
