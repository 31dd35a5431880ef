"""The config that is in force: the files merged key by key, the nearest winning, each value with the file it came from."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dbdoctor.errors import ConfigError
from dbdoctor.targets.config_check import PASSWORD_KEYS, WHERE_FORMS, check_file, from_text, place
from dbdoctor.targets.config_env import fill, has_variable
from dbdoctor.targets.config_files import ConfigFile, shown
from dbdoctor.targets.config_values import Config, Keys, Value
from dbdoctor.targets.settings import THRESHOLDS, TOP, Setting
from dbdoctor.targets.trust import distrust, record


def merge_files(files: list[ConfigFile], environment: Mapping[str, str], *, trust: bool = False) -> Config:
    """What the files say together, the nearest winning.

    With `trust`, what was found is trusted and remembered. ConfigError for the first thing that is wrong, in any file.
    """
    distrusted = {}
    for file in files:
        reason = distrust(file, environment)
        if reason is not None and trust:
            record(file, environment)
        elif reason is not None:
            distrusted[file.path] = reason
    return _merge(files, distrusted)


def setting_values(config: Config, environment: Mapping[str, str]) -> dict[str, Any]:
    """The top-level settings that are set, variables filled in; `thresholds` as a mapping. ConfigError if one is wrong."""
    values: dict[str, Any] = {}
    for keys, value in config.top.items():
        setting = _setting(keys)
        filled = fill_value(setting, keys, value, environment)
        if keys[0] == "thresholds":
            values.setdefault("thresholds", {})[keys[1]] = filled
        else:
            values[keys[0]] = filled
    return values


def fill_value(setting: Setting, path: Keys, value: Value, environment: Mapping[str, str]) -> Any:
    """A value with its variables filled in, as its kind has it inside. ConfigError naming variable, key and file."""
    if isinstance(value.value, str) and "${" in value.value:
        where = place(value.file, path)
        text = fill(value.value, environment, where)
        return from_text(setting, text, where) if has_variable(value.value) else text
    return value.value


def sources(config: Config) -> dict[str, str]:
    """Which file each setting came from, under its path: `targets.shop.dsn`."""
    said = {".".join(keys): shown(value.file.path) for keys, value in config.top.items()}
    for name, profile in config.profiles.items():
        said |= {".".join(("targets", name, *keys)): shown(value.file.path) for keys, value in profile.items()}
    return said


def default_profile(config: Config, environment: Mapping[str, str]) -> str | None:
    """The profile that is meant when nothing was named: `default`, or the only one. ConfigError if it does not exist."""
    value = config.top.get(("default",))
    if value is None:
        return next(iter(config.profiles)) if len(config.profiles) == 1 else None
    name = str(fill_value(_setting(("default",)), ("default",), value, environment))
    if name not in config.profiles:
        have = f"there are: {', '.join(config.profiles)}" if config.profiles else "there are no profiles yet"
        raise ConfigError(f"{place(value.file, ('default',))} names a profile that does not exist", help=have)
    return name


def _setting(keys: Keys) -> Setting:
    table = THRESHOLDS if keys[0] == "thresholds" else TOP
    return next(setting for setting in table if setting.name == keys[-1])


def _merge(files: list[ConfigFile], distrusted: Mapping[Path, str]) -> Config:
    top: dict[Keys, Value] = {}
    profiles: dict[str, dict[Keys, Value]] = {}
    for file in files:
        checked = check_file(file)
        mine: dict[str, dict[Keys, Value]] = {name: {} for name in file.table.get("targets", {})}
        for path, value in checked.items():
            if path[0] == "targets":
                mine[path[1]][path[2:]] = Value(value, file)
            else:
                top.setdefault(path, Value(value, file))
        for name, values in mine.items():
            profiles[name] = _under(profiles.get(name, {}), values)
    return Config(tuple(files), top, profiles, distrusted)


def _under(nearer: Mapping[Keys, Value], farther: Mapping[Keys, Value]) -> dict[Keys, Value]:
    """The farther file's keys below the nearer's. One way to say where, and one to get the password: the nearest way."""
    form = next((WHERE_FORMS[keys[0]] for keys in nearer if keys[0] in WHERE_FORMS), None)
    has_password = any(keys[0] in PASSWORD_KEYS for keys in nearer)
    kept = {
        keys: value
        for keys, value in farther.items()
        if (form is None or WHERE_FORMS.get(keys[0], form) == form)
        and not (has_password and keys[0] in PASSWORD_KEYS)
        and not (form == "engine" and keys[0] in ("user", *PASSWORD_KEYS))
    }
    return {**kept, **nearer}
