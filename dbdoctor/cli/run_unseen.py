"""Why nothing was recorded: what the processes said, and, where none said anything, what the command line gives away."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import PurePath
from typing import NamedTuple

_BY_CODE = "call `dbdoctor.attach_all()` where the program begins: that needs no environment"
_NOBODY = (
    "nothing was recorded: no Python process took up the recorder; either none was started, or with -I, -E or -S, "
    "or without PYTHONPATH in its environment, or it is frozen into a program"
)
# Commands that start others in an environment of their own.
_OWN_ENVIRONMENT = {
    "sudo": "sudo starts programs in an environment of their own",
    "su": "su starts programs in an environment of their own",
    "doas": "doas starts programs in an environment of their own",
    "runuser": "runuser may start programs in an environment of their own",
    "docker": "what runs in a container has an environment and files of its own",
    "podman": "what runs in a container has an environment and files of its own",
    "kubectl": "what runs in a container has an environment and files of its own",
    "ssh": "what runs on another host has an environment of its own",
    "systemd-run": "what systemd starts has an environment of its own",
    "pex": "a PEX file takes PYTHONPATH away",
}
_INSIDE = "put `dbdoctor run --` behind it, in front of the Python program"
# Options of the interpreter that take a word of their own.
_WITH_WORD = frozenset("WXcm")
_DEAF = {"I": "-I", "E": "-E", "S": "-S"}


class Unseen(NamedTuple):
    """What to say; `is_fault` unless the program may just not have used a database."""

    text: str
    help: str | None
    is_fault: bool


def why_unseen(command: Sequence[str], *, python: str | None, started: str | None, failed: str | None) -> Unseen:
    """The likeliest reason; each of the three is what processes left under that mark, or None."""
    if failed:
        reason = next(iter(failed.strip().splitlines()), "")
        return Unseen(
            f"nothing was recorded: {reason}", _BY_CODE if "older than" not in reason else None, is_fault=True
        )
    if started:
        return Unseen(
            "nothing was recorded: SQLAlchemy was imported, but no connection asked for", None, is_fault=False
        )
    if python is not None:
        text = "nothing was recorded: of the Python processes that could be seen none imported SQLAlchemy"
        return Unseen(text, None, is_fault=False)
    guess = _guess(command)
    if guess:
        return Unseen(f"nothing was recorded: {guess[0]}", guess[1], is_fault=True)
    return Unseen(_NOBODY, _BY_CODE, is_fault=True)


def _guess(command: Sequence[str]) -> tuple[str, str] | None:
    """(reason, help) from the command line and the file's first line."""
    words = list(command)
    name = PurePath(words[0]).name
    if name == "env" and _clears(words[1:]):
        return "`env -i` takes the variables away that turn the recorder on", _INSIDE
    if name in _OWN_ENVIRONMENT:
        return _OWN_ENVIRONMENT[name], _INSIDE
    if name.startswith(("python", "pypy")):
        option = _deaf_option(words[1:])
        if option:
            return f"`{option}` has Python ignore PYTHONPATH or skip its start", f"leave it out, or {_BY_CODE}"
        return None
    return _of_file(words[0])


def _clears(words: Sequence[str]) -> bool:
    for word in words:
        if word in {"-", "-i", "--ignore-environment"}:
            return True
        if not word.startswith("-") and "=" not in word:
            return False
    return False


def _deaf_option(words: Sequence[str]) -> str | None:
    """The option by which an interpreter does not look at PYTHONPATH, or runs no sitecustomize."""
    for word in words:
        if not word.startswith("-") or word == "-" or word.startswith("--"):
            return None
        for letter in word[1:]:
            if letter in _DEAF:
                return _DEAF[letter]
            if letter in _WITH_WORD:
                break
        if word[-1:] in {"c", "m"}:
            return None
    return None


def _of_file(word: str) -> tuple[str, str] | None:
    place = shutil.which(word)
    try:
        with open(place or word, "rb") as file:  # noqa: PTH123 - as it was typed
            start = file.read(256)
    except OSError:
        return None
    if start.startswith(b"#!"):
        first = start[2:].split(b"\n")[0].decode("utf-8", "replace").split()
        for number, part in enumerate(first):
            if PurePath(part).name.startswith("python"):
                option = _deaf_option(first[number + 1 :])
                if option:
                    text = f"the first line of {PurePath(word).name} has `{option}`, by which Python ignores PYTHONPATH"
                    return text, f"leave it out, or {_BY_CODE}"
        return None
    return None
