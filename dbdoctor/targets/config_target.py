"""A profile of the config -> a Target: its variables filled in, its parts put together, its trust looked at."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from dbdoctor.errors import ConfigError
from dbdoctor.model.pool import PoolSettings
from dbdoctor.model.secret import Secret
from dbdoctor.model.target import Target, Workload
from dbdoctor.targets.config import fill_value
from dbdoctor.targets.config_check import WHERE_FORMS, place
from dbdoctor.targets.config_env import Place, fill, fill_dsn, put_values
from dbdoctor.targets.config_guard import check_target, check_what_runs
from dbdoctor.targets.config_parts import parts_dsn
from dbdoctor.targets.config_values import Config, Keys, Value
from dbdoctor.targets.password import PasswordCommand
from dbdoctor.targets.settings import POOL_KEYS, TARGET, THRESHOLDS, Kind, Setting

_DEFAULT_TIMEOUT = 5.0
_SECRET_PARAMETERS = ("sslpassword",)


@dataclass(frozen=True, slots=True)
class Pending:
    """A profile's target, and the command that its password is still to come from."""

    target: Target
    command: PasswordCommand | None = None


def profile_target(config: Config, name: str, environment: Mapping[str, str], default_timeout: float | None) -> Pending:
    """The target of a profile; nothing but a trusted `engine` is run for it. `default_timeout` is seconds.

    ConfigError for a variable that is not set, a file that is not trusted, or a profile that says nowhere to connect;
    UsageError for what `parse_dsn` does not understand; ApplicationError for an engine that cannot be loaded.
    """
    profile = config.profiles[name]
    check_what_runs(config, name, profile)
    values = _filled(name, profile, environment)
    target = _connect_where(config, name, profile, values, environment)
    if "password" in values:
        target = replace(target, password=Secret(values["password"]))
    target = replace(
        target,
        profile=name,
        login_timeout=values.get("login_timeout", target.login_timeout),
        path_idle_timeout=values.get("path_idle_timeout", target.path_idle_timeout),
        pool=_pool(values, target.pool),
        workload=_workload(values, profile),
        thresholds={keys[1]: value for keys, value in _below(name, profile, environment, "thresholds").items()},
    )
    return Pending(target, _command(name, profile, environment, target.login_timeout or default_timeout))


def _filled(name: str, profile: Mapping[Keys, Value], environment: Mapping[str, str]) -> dict[str, Any]:
    """The plain keys of a profile with their variables filled in; `dsn` and `password_command` are filled in later."""
    later = ("dsn", "password_command", "parameters", "thresholds")
    return {
        keys[0]: fill_value(_setting(TARGET, keys[0]), ("targets", name, *keys), value, environment)
        for keys, value in profile.items()
        if keys[0] not in later
    }


def _below(name: str, profile: Mapping[Keys, Value], environment: Mapping[str, str], table: str) -> dict[Keys, Any]:
    return {
        keys: fill_value(_below_setting(keys), ("targets", name, *keys), value, environment)
        for keys, value in profile.items()
        if keys[0] == table
    }


def _setting(table: tuple[Setting, ...], name: str) -> Setting:
    return next(setting for setting in table if setting.name == name)


def _below_setting(keys: Keys) -> Setting:
    return _setting(THRESHOLDS, keys[1]) if keys[0] == "thresholds" else Setting(keys[1], Kind.TEXT, "", secret=True)


def _connect_where(
    config: Config,
    name: str,
    profile: Mapping[Keys, Value],
    values: Mapping[str, Any],
    environment: Mapping[str, str],
) -> Target:
    where = next((keys[0] for keys in profile if keys[0] in WHERE_FORMS), None)
    if where is None:
        raise _says_nowhere(config, name)
    parameters = {keys[1]: value for keys, value in _below(name, profile, environment, "parameters").items()}
    around = _surroundings(profile, values, environment)
    if where == "engine":
        from dbdoctor.targets.live import load_live

        target = load_live(values["engine"], directory=profile[("engine",)].file.path.parent, environment=environment)
        return _with_parameters(target, parameters)
    if where == "dsn":
        target = _from_dsn(profile[("dsn",)], place(profile[("dsn",)].file, ("targets", name, "dsn")), around)
        target = _with_parameters(target, parameters)
        target = replace(target, user=values["user"]) if "user" in values else target
    else:
        file = next(value.file.path for keys, value in profile.items() if keys[0] in WHERE_FORMS)
        text = parts_dsn(values, parameters)
        target = replace(_parse(text, Place(f"targets.{name}", file), around), dialect="config file")
    check_target(config, name, profile, target, environment)
    return target


def _says_nowhere(config: Config, name: str) -> ConfigError:
    file = next((file for file in config.files if name in file.table.get("targets", {})), config.files[0])
    return ConfigError(
        f"{place(file, ('targets', name))} does not say where to connect",
        help='add `dsn = "..."`, `engine = "module:attribute"`, or `host` and `database`',
    )


def _surroundings(
    profile: Mapping[Keys, Value], values: Mapping[str, Any], environment: Mapping[str, str]
) -> Mapping[str, str]:
    """The environment as this profile changes it: what it says of its own wins over libpq's variables."""
    changed = dict(environment)
    if {("password",), ("password_command",), ("passfile",)} & set(profile):
        changed.pop("PGPASSWORD", None)
    if "passfile" in values:
        home = profile[("passfile",)].file.path.parent
        changed["PGPASSFILE"] = str(home / Path(values["passfile"]).expanduser())
    return changed


def _from_dsn(value: Value, where: Place, environment: Mapping[str, str]) -> Target:
    filled = fill_dsn(value.value, environment, where)
    return put_values(_parse(filled.text, where, environment), filled.values)


def _parse(text: str, where: Place, environment: Mapping[str, str]) -> Target:
    from dbdoctor.errors import UsageError
    from dbdoctor.targets.parse import parse_dsn

    try:
        return parse_dsn(text, environment=environment)
    except UsageError as error:
        raise ConfigError(f"{where}: {error.what}", cause=error.cause, help=error.help) from None


def _with_parameters(target: Target, parameters: Mapping[str, str]) -> Target:
    plain = {name: value for name, value in parameters.items() if name.lower() not in _SECRET_PARAMETERS}
    secret = {name: Secret(value) for name, value in parameters.items() if name.lower() in _SECRET_PARAMETERS}
    return replace(
        target,
        parameters={**target.parameters, **plain},
        secret_parameters={**target.secret_parameters, **secret},
    )


def _pool(values: Mapping[str, Any], live: PoolSettings | None) -> PoolSettings | None:
    """The expected pool; what a live engine says of itself wins over what the file expects of it."""
    declared = {key: values[key] for key in POOL_KEYS if key in values}
    if live is None:
        return PoolSettings(**declared) if declared else None
    known = live._asdict()
    return PoolSettings(**{**declared, **{key: value for key, value in known.items() if value is not None}})


def _workload(values: Mapping[str, Any], profile: Mapping[Keys, Value]) -> Workload | None:
    found = {key: values[key] for key in Workload._fields if key in values}
    if "trace" in found:
        found["trace"] = profile[("trace",)].file.path.parent / Path(found["trace"]).expanduser()
    return Workload(**found) if found else None


def _command(
    name: str, profile: Mapping[Keys, Value], environment: Mapping[str, str], timeout: float | None
) -> PasswordCommand | None:
    value = profile.get(("password_command",))
    if value is None:
        return None
    where = place(value.file, ("targets", name, "password_command"))
    words = tuple(fill(word, environment, where) for word in split_command(value.value, where))
    return PasswordCommand(words, value.file.path.parent, timeout or _DEFAULT_TIMEOUT, where)


def split_command(command: str | list[str], where: Place) -> list[str]:
    """The words of a command as a shell would split them. ConfigError for an open quotation mark or no words."""
    if isinstance(command, list):
        return command
    import shlex

    try:
        words = shlex.split(command)
    except ValueError:
        words = []
    if not words:
        raise ConfigError(f"{where} is not a command", help='close the quotation marks, or write `["program", "word"]`')
    return words
