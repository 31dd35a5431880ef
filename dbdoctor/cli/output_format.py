"""`--format` of the commands that answer in the formats of other tools, too: its help, its completion, its reading."""

from __future__ import annotations

from collections.abc import Mapping

import typer

from dbdoctor.errors import UsageError

OURS = {"text": "for people", "json": "for programs"}
"""What every command answers in, and what for."""
RECOMMENDED = {**OURS, **dict.fromkeys(("python", "toml", "env"), "only what to paste")}
"""What `recommend` answers in by itself."""


def format_option(command: str, own: Mapping[str, str] = OURS) -> typer.models.OptionInfo:
    """The option of a command that has formats of its `own`, by name with their meanings."""
    known = _known(command, own)
    alike = {meaning: ", ".join(name for name in known if known[name] == meaning) for meaning in known.values()}
    meanings = "; ".join(f"{names}: {meaning}" for meaning, names in alike.items())
    found: typer.models.OptionInfo = typer.Option(
        "--format",
        metavar="FORMAT",
        help=f"How to write the result. {meanings}. Default: text.",
        autocompletion=lambda incomplete: [name for name in known if name.startswith(incomplete)],
        show_default=False,
    )
    return found


def read_format(text: str | None, command: str, own: Mapping[str, str] = OURS) -> str | None:
    """The format's name as it was meant, None for none. Raises UsageError."""
    if text is None:
        return None
    known = _known(command, own)
    word = text.strip().lower()
    if word in known:
        return word
    from difflib import get_close_matches

    near = get_close_matches(word[:40], known, n=1, cutoff=0.5)
    hint = f"did you mean `{near[0]}`?" if near else f"its words are {', '.join(known)}"
    raise UsageError(f"`--format` has a word that `dbdoctor {command}` does not know", help=hint)


def is_ours(name: str | None, own: Mapping[str, str] = OURS) -> bool:
    """Whether the command writes this format itself."""
    return name is None or name in own


def _known(command: str, own: Mapping[str, str]) -> dict[str, str]:
    from dbdoctor.render.formats import formats_of

    return {**own, **{name: module.MEANING for name, module in formats_of(command).items()}}
