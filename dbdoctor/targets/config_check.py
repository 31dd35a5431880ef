"""Whether a config file says only what there is to say: unknown keys, wrong kinds and values out of range are errors.

An error names the file and the key's path (`targets.shop.pool_size`), and quotes a value only where no secret can stand.
A text with a `${VARIABLE}` in it is judged when the profile is used, once the variable's value is known.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from dbdoctor.errors import ConfigError
from dbdoctor.model.duration import format_duration, parse_duration
from dbdoctor.targets.config_env import Place, has_variable
from dbdoctor.targets.config_files import ConfigFile, shown
from dbdoctor.targets.settings import TARGET, THRESHOLDS, TOP, Kind, Setting

Path = tuple[str, ...]
Leaves = dict[Path, Any]

_PROFILE_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}")
_PARAMETER_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_ ]{0,63}")
_ECHOABLE = re.compile(r"[A-Za-z0-9_.-]{1,40}")

WHERE_FORMS: Mapping[str, str] = {
    "dsn": "dsn",
    "engine": "engine",
    "product": "parts",
    "host": "parts",
    "port": "parts",
    "database": "parts",
    "service": "parts",
}
"""The keys that say where to connect, and which of the three ways each belongs to."""

PASSWORD_KEYS = ("password", "password_command", "passfile")
"""The keys that say how to get the password; one at a time."""

# What belongs into a key of its own when it is written as a parameter.
_OWN_KEY = {
    "host": "host",
    "hostaddr": "host",
    "port": "port",
    "user": "user",
    "username": "user",
    "uid": "user",
    "password": "password",
    "pwd": "password",
    "dbname": "database",
    "database": "database",
    "passfile": "passfile",
    "service": "service",
    "server": "host",
}


def check_file(file: ConfigFile) -> Leaves:
    """Every value of the file under its path, checked; durations in seconds. ConfigError for the first that is wrong."""
    leaves: Leaves = {}
    for key, value in _known(file, (), file.table, TOP):
        if key.name == "thresholds":
            leaves.update(_settings(file, ("thresholds",), value, THRESHOLDS))
        elif key.name == "targets":
            for name, profile in value.items():
                leaves.update(_profile(file, name, profile))
        else:
            leaves[(key.name,)] = check_value(key, value, place(file, (key.name,)))
    return leaves


def place(file: ConfigFile, path: Path) -> Place:
    """Where a value stands, for an error."""
    return Place(".".join(path), file.path)


def check_value(setting: Setting, value: Any, where: Place) -> Any:
    """The value as its kind has it inside (durations: seconds), or as it is while a variable is in it. ConfigError if wrong."""
    if has_variable(value) and setting.kind is not Kind.TABLE:
        return value
    checked = _CHECKS[setting.kind](setting, value, where)
    if isinstance(checked, int | float) and not isinstance(checked, bool):
        _check_range(setting, checked, where)
    return checked


def from_text(setting: Setting, text: str, where: Place) -> Any:
    """The value that a variable's text stands for, by the setting's kind. ConfigError, not quoting it, if it is none."""
    try:
        if setting.kind is Kind.INTEGER:
            return check_value(setting, int(text), where)
        if setting.kind in (Kind.SHARE, Kind.NUMBER):
            return check_value(setting, float(text), where)
        if setting.kind is Kind.BOOLEAN:
            return {"true": True, "false": False}[text.strip().lower()]
        if setting.kind is Kind.DURATION:
            return check_value(setting, parse_duration(text), where)
    except (ValueError, KeyError):
        raise ConfigError(
            f"{where}: the variable's value is not {setting.kind.value}", help="correct the variable's value"
        ) from None
    if setting.kind is Kind.CHOICE and text not in setting.choices:
        raise ConfigError(f"{where}: the variable's value is not one of {', '.join(setting.choices)}")
    return text


def _profile(file: ConfigFile, name: str, value: Any) -> Leaves:
    path = ("targets", name)
    if not _PROFILE_NAME.fullmatch(name) or name == "demo":
        why = "is the name of the embedded server" if name == "demo" else "is not a name for a profile"
        raise ConfigError(
            f"{shown(file.path)}: {_echo(name)} in [targets] {why}",
            help="use letters, digits, `_`, `-` and `.`; and not `demo`",
        )
    leaves: Leaves = {}
    for key, item in _known(file, path, value, TARGET):
        here = (*path, key.name)
        if key.name == "thresholds":
            leaves.update(_settings(file, here, item, THRESHOLDS))
        elif key.name == "parameters":
            leaves.update(_parameters(file, here, item))
        else:
            leaves[here] = check_value(key, item, place(file, here))
    _check_contradictions(file, path, [key[2] for key in leaves if len(key) == 3])
    return leaves


def _check_contradictions(file: ConfigFile, path: Path, keys: Sequence[str]) -> None:
    forms = {WHERE_FORMS[key]: key for key in keys if key in WHERE_FORMS}
    if len(forms) > 1:
        first, second = sorted(forms.values())[:2]
        raise ConfigError(
            f"{place(file, path)} says where to connect in two ways: `{first}` and `{second}`",
            help="keep one: `dsn`, `engine`, or the parts `host`, `port`, `database`, `service`",
        )
    for key, other in (("rate", "use_time"), ("use_time", "rate"), ("burst", "rate")):
        if key in keys and other not in keys:
            raise ConfigError(
                f"{place(file, path)}: `{key}` needs `{other}` beside it",
                help='a demand is for example `rate = 200` and `use_time = "20ms"`',
            )
    if "trace" in keys and "rate" in keys:
        raise ConfigError(
            f"{place(file, path)} states its demand in two ways: `trace` and `rate`",
            help="keep `trace`, which says more",
        )
    passwords = [key for key in PASSWORD_KEYS if key in keys]
    if len(passwords) > 1:
        raise ConfigError(
            f"{place(file, path)} says how to get the password in two ways: `{passwords[0]}` and `{passwords[1]}`",
            help="keep one of them",
        )
    if "engine" in keys and ({"user", *PASSWORD_KEYS} & set(keys)):
        raise ConfigError(
            f"{place(file, path)}: an `engine` brings its own user and password",
            help="leave out `user` and the password",
        )


def _known(file: ConfigFile, path: Path, table: Any, settings: Sequence[Setting]) -> list[tuple[Setting, Any]]:
    """Each key of the table with its setting. ConfigError when the table is none or holds a key that nobody knows."""
    if not isinstance(table, dict):
        raise ConfigError(f"{place(file, path)} must be a table", help=f"write `[{'.'.join(path)}]` and its keys below")
    by_name = {setting.name: setting for setting in settings}
    for key, value in table.items():
        if key not in by_name:
            raise _unknown(file, path, key, list(by_name))
        if by_name[key].kind is Kind.TABLE and not isinstance(value, dict):
            raise ConfigError(
                f"{place(file, (*path, key))} must be a table", help=f"write `[{'.'.join((*path, key))}]`"
            )
    return [(by_name[key], value) for key, value in table.items()]


def _unknown(file: ConfigFile, path: Path, key: str, names: list[str]) -> ConfigError:
    import difflib

    near = difflib.get_close_matches(key, names, n=1)
    hint = f"did you mean `{near[0]}`?" if near else f"known here: {', '.join(names)}"
    inside = f" in [{'.'.join(path)}]" if path else ""
    return ConfigError(f"{shown(file.path)}: unknown key {_echo(key)}{inside}", help=hint)


def _settings(file: ConfigFile, path: Path, table: Any, settings: Sequence[Setting]) -> Leaves:
    known = _known(file, path, table, settings)
    return {(*path, key.name): check_value(key, value, place(file, (*path, key.name))) for key, value in known}


def _parameters(file: ConfigFile, path: Path, table: Mapping[str, Any]) -> Leaves:
    leaves: Leaves = {}
    for key, value in table.items():
        where = place(file, (*path, key if _ECHOABLE.fullmatch(key) else "..."))
        if not _PARAMETER_NAME.fullmatch(key):
            raise ConfigError(f"{where}: not the name of a driver's setting", help='write `sslmode = "verify-full"`')
        if key.lower() in _OWN_KEY:
            own = _OWN_KEY[key.lower()]
            raise ConfigError(f"{where} has a key of its own", help=f"write `{own}` in [{'.'.join(path[:2])}]")
        if isinstance(value, bool) or not isinstance(value, str | int):
            raise ConfigError(f"{where} must be a text or a whole number", help=f'write `{key} = "..."`')
        leaves[(*path, key)] = _check_text(Setting(key, Kind.TEXT, "", secret=True), str(value), where)
    return leaves


def _wrong(setting: Setting, where: Place) -> ConfigError:
    return ConfigError(f"{where} must be {setting.kind.value}", help=setting.meaning or "correct the value")


def _check_text(setting: Setting, value: Any, where: Place) -> str:
    if not isinstance(value, str):
        raise _wrong(setting, where)
    if "\0" in value:
        raise ConfigError(f"{where} holds a NUL character", help="take it out")
    return value


def _check_integer(setting: Setting, value: Any, where: Place) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise _wrong(setting, where)
    return value


def _check_share(setting: Setting, value: Any, where: Place) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise _wrong(setting, where)
    return float(value)


def _check_duration(setting: Setting, value: Any, where: Place) -> float:
    if isinstance(value, str):
        try:
            return parse_duration(value)
        except ValueError as error:
            raise ConfigError(f"{where}: {error}", help=f'write `{setting.name} = "5s"`') from None
    return _check_share(setting, value, where)


def _check_boolean(setting: Setting, value: Any, where: Place) -> bool:
    if not isinstance(value, bool):
        raise _wrong(setting, where)
    return value


def _check_choice(setting: Setting, value: Any, where: Place) -> str:
    if value not in setting.choices:
        raise ConfigError(f"{where} must be one of {', '.join(setting.choices)}", help=setting.meaning)
    return str(value)


def _check_command(setting: Setting, value: Any, where: Place) -> str | list[str]:
    words = [value] if isinstance(value, str) else value
    if not isinstance(words, list) or not words or not all(isinstance(word, str) and word for word in words):
        raise _wrong(setting, where)
    for word in words:
        _check_text(setting, word, where)
    return value  # type: ignore[no-any-return]  # a text or a list of texts, as was just seen


def _check_range(setting: Setting, value: float, where: Place) -> None:
    low, high = setting.low, setting.high
    if low is None or high is None or low <= value <= high:
        return
    duration = setting.kind is Kind.DURATION
    bounds = [format_duration(bound) if duration and bound > 0 else f"{bound:g}" for bound in (low, high)]
    raise ConfigError(f"{where} must be from {bounds[0]} to {bounds[1]}", help=setting.meaning)


def _echo(key: str) -> str:
    """A key as it was written, if it looks like one: a line with its quotes forgotten may hold anything."""
    return f"`{key}`" if _ECHOABLE.fullmatch(key) else "(not a plain word)"


_CHECKS: Mapping[Kind, Callable[[Setting, Any, Place], Any]] = {
    Kind.TEXT: _check_text,
    Kind.DURATION: _check_duration,
    Kind.INTEGER: _check_integer,
    Kind.SHARE: _check_share,
    Kind.NUMBER: _check_share,
    Kind.BOOLEAN: _check_boolean,
    Kind.CHOICE: _check_choice,
    Kind.COMMAND: _check_command,
}
