"""Turning what was written for one driver into libpq's options (SQL Server: ODBC's), with a warning for what it does not know."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import NamedTuple

from dbdoctor.model.target import TargetWarning
from dbdoctor.targets.dialects.shared.convert import Convert
from dbdoctor.targets.libpq.names import suggest
from dbdoctor.targets.libpq.parameters import KNOWN_PARAMETERS

# A name without digits, and not too long: such as no password should be.
_QUOTABLE = r"[A-Za-z_]{1,40}"
_ODBC_SECRETS = frozenset({"PWD", "KeystoreSecret"})
UNNAMED = "a parameter that libpq does not know"
"""What a warning is about when the name itself may be a piece of a password."""


def _as_written(name: str) -> str:
    return name


class Driver(NamedTuple):
    """What one driver calls its options. `own` maps a key (see `key`) to libpq's name and how to convert the value.

    `accepted` are its options that mean nothing to libpq. `takes_libpq`: it takes libpq's names as well. `strict`: it
    refuses to connect with an option it does not know. `right_name` gives its name for a wrong one.
    """

    name: str | None
    own: Mapping[str, tuple[str, Convert]] = MappingProxyType({})
    accepted: frozenset[str] = frozenset()
    takes_libpq: bool = False
    strict: bool = True
    key: Callable[[str], str] = _as_written
    right_name: Callable[[str], str | None] = suggest

    def knows(self, name: str) -> bool:
        """Whether this driver has an option of this name."""
        key = self.key(name)
        return key in self.own or key in self.accepted or (self.takes_libpq and name in KNOWN_PARAMETERS)


class Collector:
    """Gathers options one by one, in the order written; a later one replaces an earlier one, as with every driver."""

    def __init__(self, driver: Driver) -> None:
        self.driver = driver
        self.options: dict[str, str] = {}
        self.warnings: list[TargetWarning] = []
        self.skipped: list[str] = []
        self._secret_seen = False

    def take(self, name: str, value: str) -> None:
        """Take one option as written. Raises UsageError for a value that the driver refuses."""
        key = self.driver.key(name)
        rule = self.driver.own.get(key)
        if rule is not None:
            self._set(rule[0], rule[1](name, value))
        elif key in self.driver.accepted:
            return
        elif self.driver.takes_libpq and name == "requiressl":  # deprecated; libpq itself translates it so
            self._set("sslmode", "require" if value.startswith("1") else "prefer")
        elif self.driver.takes_libpq and name in KNOWN_PARAMETERS:
            self._set(name, value)
        else:
            self._unknown(name)

    def _set(self, name: str, value: str | None) -> None:
        if value is None:
            return
        parameter = KNOWN_PARAMETERS.get(name)
        if name in _ODBC_SECRETS or (parameter and parameter.secret):
            self._secret_seen = True
        if name == "options" and self.options.get("options") and not self.driver.takes_libpq:
            value = f"{self.options['options']} {value}"
        self.options[name] = value

    def _unknown(self, name: str) -> None:
        """After a password the name may be its second half (`password=ab&cd`), so it is not quoted then."""
        quotable = not self._secret_seen and re.fullmatch(_QUOTABLE, name) is not None
        if not self.driver.strict:
            self.skipped.append(name if quotable else "")
        elif quotable:
            self.warnings.append(TargetWarning("unknown-driver-option", name, self.driver.right_name(name), fatal=True))
        else:
            self.warnings.append(TargetWarning("unknown-driver-option", UNNAMED, None, fatal=True))


def probed_through(driver: str, ours: str) -> str:
    """The note that says once that another driver than the application's is used."""
    return f"{driver} is probed through {ours}: same server, same login; errors are worded by {ours}"
