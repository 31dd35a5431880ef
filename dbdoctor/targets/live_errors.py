"""What went wrong in the user's own code, in the last line of its own traceback, with no secret of it."""

from __future__ import annotations

import os
import re
import sys
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

from dbdoctor.errors import ApplicationError
from dbdoctor.model.secret import MASK, redact

_ACCEPTED = (
    "an Engine, AsyncEngine, sessionmaker, scoped_session, Session, a database URL, or a function that returns one"
)
# Errors of settings classes and of URL parsers quote what they were given.
_URL_PASSWORD = re.compile(
    r"(://[^\s:/@]*:)[^\s]*(?=@)|((?:password|passwd|pwd|secret|token)\w*['\"]?\s*[=:]\s*)[^\s,;&]+", re.IGNORECASE
)
_SECRET_NAME = re.compile(r"PASS|PWD|SECRET|TOKEN|KEY|CREDENTIAL", re.IGNORECASE)
_LONGEST = 300


@dataclass(frozen=True, slots=True)
class Reference:
    """`module:attribute` as the user wrote it, and the directory that it is imported from."""

    module: str
    attribute: str
    directory: Path

    def __str__(self) -> str:
        return f"{self.module}:{self.attribute}"

    def owns(self, file: str | None) -> bool:
        """Whether a file is the user's own code: below the directory, and not of an environment that lies there too."""
        if not file:
            return False
        path = Path(file).absolute()
        if not path.is_relative_to(self.directory) or {"site-packages", "dist-packages"} & set(path.parts):
            return False
        return self.directory == Path(sys.prefix) or not path.is_relative_to(sys.prefix)


def failed(named: Reference, error: BaseException, *, doing: str) -> ApplicationError:
    """The user's own error while `doing` something (`could not import `shop.db``), with where it happened."""
    where = _innermost(named, error)
    said = f"{type(error).__name__}: {_message(error)}".removesuffix(": ")
    if isinstance(error, SystemExit):
        said = f"it called exit({_message(error)})"
    return ApplicationError(doing, cause=f"{said} ({where})" if where else said, help=_advice(named, error, where))


def wrong_kind(found: Any, named: Reference) -> ApplicationError:
    """The error for something that has no engine behind it: its type and what is accepted; never its value."""
    return ApplicationError(
        f"`{named}` is {_article(type(found).__name__)}, which has no engine behind it", help=f"name {_ACCEPTED}"
    )


def missing_module(named: Reference) -> ApplicationError:
    """The error for a module that is not there."""
    import difflib

    base = named.directory.joinpath(*named.module.split(".")[:-1])
    prefix = named.module.rpartition(".")[0]
    names = [f"{prefix}.{name}".strip(".") for name in _modules_in(base)]
    near = difflib.get_close_matches(named.module, names, n=1)
    hint = (
        f"did you mean `{near[0]}:{named.attribute}`?"
        if near
        else "run dbdoctor where `python -c 'import ...'` finds it"
    )
    return ApplicationError(f"there is no module `{named.module}` in {named.directory}", help=hint)


def missing_attribute(named: Reference, owner: Any, name: str) -> ApplicationError:
    """The error for an attribute that is not there, with the nearest one that is."""
    import difflib

    near = difflib.get_close_matches(name, [item for item in dir(owner) if not item.startswith("__")], n=1)
    where = getattr(owner, "__name__", None) or named.module
    hint = f"did you mean `{near[0]}`?" if near else f"name {_ACCEPTED}"
    return ApplicationError(f"`{where}` has no attribute `{name}`", help=hint)


def _modules_in(directory: Path) -> list[str]:
    try:
        return [item.stem for item in directory.iterdir() if item.suffix == ".py" or (item / "__init__.py").is_file()]
    except OSError:
        return []


def _message(error: BaseException) -> str:
    try:
        text = str(error.msg if isinstance(error, SyntaxError) else error)
    except Exception:  # noqa: BLE001  the user's class may fail in its own __str__
        return ""
    hidden = [value for name, value in os.environ.items() if _SECRET_NAME.search(name) and len(value) >= 4]
    text = redact(_URL_PASSWORD.sub(lambda match: f"{match[1] or match[2]}{MASK}", text), hidden)
    first = next((line.strip() for line in text.splitlines() if line.strip()), "")
    return "".join(letter if letter.isprintable() else " " for letter in first)[:_LONGEST]


def _innermost(named: Reference, error: BaseException) -> str | None:
    """`shop/db.py:12`: the innermost line of the user's own code."""
    if isinstance(error, SyntaxError) and named.owns(error.filename):
        return f"{_relative(named, error.filename or '')}:{error.lineno}"
    place = None
    step: TracebackType | None = error.__traceback__
    while step is not None:
        file = step.tb_frame.f_code.co_filename
        if named.owns(file):
            place = f"{_relative(named, file)}:{step.tb_lineno}"
        step = step.tb_next
    return place


def _relative(named: Reference, file: str) -> str:
    return str(Path(file).absolute().relative_to(named.directory))


def _advice(named: Reference, error: BaseException, where: str | None) -> str:
    if isinstance(error, ModuleNotFoundError):
        return (
            f"install it where dbdoctor runs, `{sys.executable} -m pip install ...`, "
            "or run dbdoctor from the application's own environment"
        )
    if isinstance(error, ImportError) and "libodbc" in str(error):
        return "install the ODBC manager: `apt-get install unixodbc`"
    if isinstance(error, KeyError):
        return "set the environment variables that the application needs, as where it runs"
    at = f" at {where}" if where else ""
    return f"correct it{at}, or try `python -c 'import {named.module}'` in {named.directory}"


def _article(word: str) -> str:
    return f"{'an' if word[:1].lower() in 'aeiou' else 'a'} {word}"
