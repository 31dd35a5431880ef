"""Values as other drivers write them, turned into libpq's. Every error names the option and quotes no value."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping

from dbdoctor.errors import UsageError

Convert = Callable[[str, str], str | None]
"""Takes the option's name (for an error) and its value; gives libpq's value, or None when there is nothing to set."""

_NUMBER = r"(?a)\s*[0-9]{1,9}(\.[0-9]{1,9})?\s*"
_BOOLEANS = {
    "true": True,
    "yes": True,
    "on": True,
    "1": True,
    "": True,
    "false": False,
    "no": False,
    "off": False,
    "0": False,
}


def same(_name: str, value: str) -> str | None:
    """The value as it is; libpq's own checks follow."""
    return value


def seconds(name: str, value: str) -> str | None:
    """A number of seconds, rounded up, since libpq takes whole ones."""
    return str(math.ceil(_number(name, value)))


def positive_seconds(name: str, value: str) -> str | None:
    """A number of seconds, rounded up; 0 means that there is no limit, which libpq has by default."""
    number = math.ceil(_number(name, value))
    return str(number) if number else None


def milliseconds(name: str, value: str) -> str | None:
    """A number of milliseconds as whole seconds, rounded up; 0 means the default."""
    number = math.ceil(_number(name, value) / 1000)
    return str(number) if number else None


def seconds_to_milliseconds(name: str, value: str) -> str | None:
    """A number of seconds as milliseconds; 0 means none."""
    number = math.ceil(_number(name, value) * 1000)
    return str(number) if number else None


def flag(name: str, value: str) -> str | None:
    """A truth value as `1` or `0`."""
    return "1" if boolean(name, value) else "0"


def search_path(_name: str, value: str) -> str | None:
    """Schemas as a server option; libpq's `options` takes a backslash before a blank or a backslash."""
    escaped = re.sub(r"([\\\s])", r"\\\1", value)
    return f"-c search_path={escaped}" if value else None


def time_zone(_name: str, value: str) -> str | None:
    """A time zone as a server option."""
    escaped = re.sub(r"([\\\s])", r"\\\1", value)
    return f"-c TimeZone={escaped}" if value else None


def words(table: Mapping[str, str]) -> Convert:
    """A conversion by a table of words, in any case; another word is an error that lists them."""
    by_lower = {word.lower(): meaning for word, meaning in table.items()}

    def convert(name: str, value: str) -> str | None:
        if value.lower() not in by_lower:
            raise UsageError(f"`{name}` must be one of {', '.join(word for word in table if word)}")
        return by_lower[value.lower()]

    return convert


def when_true(meaning: str, otherwise: str | None = None) -> Convert:
    """A conversion of a truth value: `meaning` when it is true."""

    def convert(name: str, value: str) -> str | None:
        return meaning if boolean(name, value) else otherwise

    return convert


def boolean(name: str, value: str) -> bool:
    """The truth value that `value` names. Raises UsageError."""
    if value.strip().lower() not in _BOOLEANS:
        raise UsageError(f"`{name}` must be true or false")
    return _BOOLEANS[value.strip().lower()]


def _number(name: str, value: str) -> float:
    if not re.fullmatch(_NUMBER, value):
        raise UsageError(f"`{name}` must be a number")
    return float(value)
