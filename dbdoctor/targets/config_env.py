"""`${VARIABLE}` in the texts of a config file; `$${` stands for a literal `${`.

Where a variable stands for the password of a DSN, its value is taken as it is, whatever it holds: no `@`, `;`, `%` or
space of it can change what the rest of the DSN means. Everywhere else the value is inserted as text before parsing, so
that `dsn = "${DATABASE_URL}"` and `host:${PORT}` do what they say.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from dbdoctor.errors import ConfigError
from dbdoctor.model.pool import PoolSettings
from dbdoctor.model.secret import Secret
from dbdoctor.model.target import Endpoint, Target, TargetWarning
from dbdoctor.targets.config_files import shown

_REFERENCE = re.compile(r"\$\$\{|\$\{([^{}]*)\}|\$\{")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_URL_PASSWORD = re.compile(r"[A-Za-z][A-Za-z0-9+.:-]*://[^/?#@:]*:(?P<password>[^/?#]*)@")
_NAMED_PASSWORD = re.compile(r"(?:password|passwd|pwd)\s*(?:=|%3D)\s*(?:\{|%7B|['\"])?$", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Place:
    """Where a value stands, for an error: the key's path and the file."""

    key: str
    file: Path

    def __str__(self) -> str:
        return f"`{self.key}` in {shown(self.file)}"


@dataclass(frozen=True, slots=True)
class Filled:
    """A DSN with inert tokens where variables stand for its password, and what each token stands for."""

    text: str = field(repr=False)
    values: Mapping[str, str] = field(default_factory=dict, repr=False)


def has_variable(value: object) -> bool:
    """Whether a text, or one of a list of texts, refers to a variable (not only `$${`)."""
    texts = value if isinstance(value, list | tuple) else (value,)
    return any(
        isinstance(text, str) and any(match[0] != "$${" for match in _REFERENCE.finditer(text)) for text in texts
    )


def variables(text: str) -> list[str]:
    """The names of the variables that a text refers to, as they come."""
    return [match[1] for match in _REFERENCE.finditer(text) if match[1] is not None]


def fill(text: str, environment: Mapping[str, str], place: Place) -> str:
    """The text with every variable's value in it. ConfigError naming the variable that is not set, key and file."""
    return _REFERENCE.sub(lambda match: _value(match, environment, place), text)


def fill_dsn(text: str, environment: Mapping[str, str], place: Place) -> Filled:
    """A DSN with its variables filled in, those of the password as tokens: see the module. ConfigError as in `fill`."""
    values: dict[str, str] = {}
    url = _URL_PASSWORD.match(text)
    inside = url.span("password") if url else (-1, -1)

    def one(match: re.Match[str]) -> str:
        value = _value(match, environment, place)
        if match[1] is None or not (
            inside[0] <= match.start() < inside[1] or _NAMED_PASSWORD.search(text, 0, match.start())
        ):
            return value
        token = new_token()
        values[token] = value
        Secret(value)  # from here on it is masked wherever it turns up
        return token

    return Filled(_REFERENCE.sub(one, text), values)


def new_token() -> str:
    """A word that no dialect takes for anything but a word and that nobody else has written."""
    return f"dbdoctor{os.urandom(12).hex()}"


def put_values(target: Target, values: Mapping[str, str]) -> Target:
    """The target with every token replaced by what it stands for, wherever the parser put it."""
    if not values:
        return target

    def put(value: Any) -> Any:
        return _walk(value, lambda text: _replace_all(text, values))

    return replace(target, **{item.name: put(getattr(target, item.name)) for item in fields(target)})


def _walk(value: Any, change: Callable[[str], str]) -> Any:
    if type(value) is str:
        return change(value)
    if isinstance(value, Secret):
        return Secret(change(value.reveal()))
    if isinstance(value, Mapping):
        return {key: _walk(item, change) for key, item in value.items()}
    if isinstance(value, Endpoint):
        return Endpoint._make(_walk(item, change) for item in value)
    if isinstance(value, PoolSettings | TargetWarning):
        return value  # a warning is shown: what a token stands for must not come into it
    if isinstance(value, tuple):
        return tuple(_walk(item, change) for item in value)
    return value


def _replace_all(text: str, values: Mapping[str, str]) -> str:
    for token, value in values.items():
        text = text.replace(token, value)
    return text


def _value(match: re.Match[str], environment: Mapping[str, str], place: Place) -> str:
    if match[0] == "$${":
        return "${"
    name = match[1]
    if name is None or not _NAME.fullmatch(name):
        raise ConfigError(
            f"{place}: `${{` does not begin the name of a variable",
            help="write `${NAME}` for a variable, or `$${` for the two characters themselves",
        )
    if name not in environment:
        raise ConfigError(
            f"{place}: the variable {name} is not set",
            help=f"set it with `export {name}=...`, or write the value another way",
        )
    return environment[name]
