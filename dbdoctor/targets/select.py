"""What the user named -> the targets: DSNs, profiles, live engines and `demo`, in the order asked for."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

from dbdoctor.errors import ConfigError, UsageError
from dbdoctor.model.target import Target
from dbdoctor.targets.config_values import Config

DEMO = "demo"
_REFERENCE = r"(?a)[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*(\.[A-Za-z_]\w*)*(\(\))?"
_ECHOABLE = r"[A-Za-z0-9_.:-]{1,60}"


class DemoTarget:
    """The word `demo` was asked for: the command starts the embedded server and looks at that."""


class Selection(NamedTuple):
    """What to look at, in the order asked for, and what the config says of everything else.

    `sources` says which file or variable each setting came from (`targets.shop.dsn`, and `target` when none was named).
    `settings` are the config's top-level ones that are set: durations in seconds, `thresholds` a mapping.
    """

    targets: tuple[Target | DemoTarget, ...]
    sources: Mapping[str, str] = MappingProxyType({})
    notes: tuple[str, ...] = ()
    settings: Mapping[str, Any] = MappingProxyType({})


def select_targets(
    words: Sequence[str],
    *,
    config: Path | None = None,
    use_config: bool = True,
    trust: bool = False,
    every_profile: bool = False,
    environment: Mapping[str, str] | None = None,
    directory: Path | None = None,
) -> Selection:
    """The targets that the words mean; without words `$DBDOCTOR_DSN`, the default profile, `$DATABASE_URL`.

    `every_profile` adds every profile of the config. `trust` trusts the config files found, from now on. `environment`
    and `directory` default to the process's. Raises UsageError, ConfigError and ApplicationError; connects to nothing.
    """
    environment = os.environ if environment is None else environment
    directory = Path.cwd() if directory is None else directory
    read = _load(config, environment, directory, trust=trust) if use_config else Config()
    came_from = _sources(read)
    asked = [(word, "") for word in words]
    if every_profile:
        if not read.profiles:
            raise ConfigError("there is no profile to look at", help=_no_profile_help(read, use_config=use_config))
        asked += [(name, "") for name in read.profiles if name not in words]
    elif not asked:
        asked = [_unnamed(read, environment)]
        came_from["target"] = asked[0][1]
    settings = _settings(read, environment)
    targets = _Chooser(read, environment, directory, settings).choose(asked)
    return Selection(tuple(targets), came_from, _notes(read), settings)


def profile_names(
    config: Path | None = None,
    *,
    use_config: bool = True,
    environment: Mapping[str, str] | None = None,
    directory: Path | None = None,
) -> list[str]:
    """The names of the config's profiles, for shell completion: runs nothing and raises nothing."""
    try:
        environment = os.environ if environment is None else environment
        directory = Path.cwd() if directory is None else directory
        return list(_load(config, environment, directory).profiles) if use_config else []
    except (UsageError, OSError, ValueError):
        return []


def _load(explicit: Path | None, environment: Mapping[str, str], directory: Path, *, trust: bool = False) -> Config:
    """The config in force for a directory: of `explicit` alone, or of the files found. ConfigError."""
    from dbdoctor.targets.config_files import read_explicit, read_found

    files = [read_explicit(explicit)] if explicit is not None else read_found(directory, environment)
    if not files:
        return Config()
    from dbdoctor.targets.config import merge_files

    return merge_files(files, environment, trust=trust)


def _sources(config: Config) -> dict[str, str]:
    if not config.files:
        return {}
    from dbdoctor.targets.config import sources

    return sources(config)


def _settings(config: Config, environment: Mapping[str, str]) -> dict[str, Any]:
    if not config.files:
        return {}
    from dbdoctor.targets.config import setting_values

    return setting_values(config, environment)


class _Chooser(NamedTuple):
    """The words of one command line against one config."""

    config: Config
    environment: Mapping[str, str]
    directory: Path
    settings: Mapping[str, Any]

    def choose(self, asked: Sequence[tuple[str, str]]) -> list[Target | DemoTarget]:
        found = [self._one(word, source) for word, source in asked]
        if self.config.profiles:
            found = self._with_passwords(found)
        return [item if isinstance(item, DemoTarget) else self._with_defaults(item) for item in found]

    def _with_passwords(self, found: Sequence[Any]) -> list[Any]:
        """The profiles among them as targets, each with what its `password_command` printed."""
        from dbdoctor.targets.config_target import Pending

        waiting = [item for item in found if isinstance(item, Pending) and item.command is not None]
        passwords = {}
        if waiting:
            from dbdoctor.targets.password import run_commands

            commands = [item.command for item in waiting if item.command is not None]
            passwords = dict(zip(map(id, waiting), run_commands(commands, self.environment), strict=True))
        return [
            replace(item.target, password=passwords.get(id(item), item.target.password))
            if isinstance(item, Pending)
            else item
            for item in found
        ]

    def _one(self, word: str, source: str) -> Any:
        from dbdoctor.targets.parse import looks_like_dsn, parse_dsn

        if word == DEMO:
            return DemoTarget()
        if word in self.config.profiles:
            from dbdoctor.targets.config_target import profile_target

            return profile_target(self.config, word, self.environment, self.settings.get("login_timeout"))
        if "://" not in word and re.fullmatch(_REFERENCE, word):
            from dbdoctor.targets.live import load_live

            return load_live(word, directory=self.directory, environment=self.environment)
        if looks_like_dsn(word) or not re.fullmatch(_ECHOABLE, word):
            try:
                return parse_dsn(word, environment=self.environment)
            except UsageError as error:
                if source:
                    raise UsageError(f"{source}: {error.what}", cause=error.cause, help=error.help) from None
                raise
        raise self._unknown(word, source)

    def _with_defaults(self, target: Target) -> Target:
        """What the config says for every target, under what this one says of itself."""
        timeout = self.settings.get("login_timeout") if target.login_timeout is None else target.login_timeout
        thresholds = {**self.settings.get("thresholds", {}), **target.thresholds}
        return replace(target, login_timeout=timeout, thresholds=thresholds)

    def _unknown(self, word: str, source: str) -> UsageError:
        import difflib

        near = difflib.get_close_matches(word, [*self.config.profiles, DEMO], n=1)
        if near:
            hint = f"did you mean `{near[0]}`?"
        elif self.config.profiles:
            hint = f"the config's profiles are {', '.join(self.config.profiles)}; or give a DSN, or `module:attribute`"
        else:
            hint = "give a DSN (`postgresql://user@host/database`), `module:attribute`, or `demo`"
        # A variable's value was not typed just now: it may be anything, a password too.
        named = f"`{word}`" if not source else f"the value of {source}"
        return UsageError(f"{named} is neither a DSN nor the name of a profile", help=hint)


def _unnamed(config: Config, environment: Mapping[str, str]) -> tuple[str, str]:
    """What is meant when nothing was named, and where that stands. UsageError, with all the ways, if nothing is."""
    if environment.get("DBDOCTOR_DSN", "").strip():
        return environment["DBDOCTOR_DSN"], "$DBDOCTOR_DSN"
    if config.files:
        from dbdoctor.targets.config import default_profile

        name = default_profile(config, environment)
        if name is not None:
            return name, ""
    if environment.get("DATABASE_URL", "").strip():
        return environment["DATABASE_URL"], "$DATABASE_URL"
    profiles = f" ({', '.join(config.profiles)})" if config.profiles else ""
    raise UsageError(
        "no target: nothing says which database to look at",
        help=(
            "name one: a DSN as in `dbdoctor check postgresql://user@host/database`, a profile of dbdoctor.toml"
            f"{profiles}, `module:attribute` of your SQLAlchemy engine, or `dbdoctor check demo` for an embedded server; "
            'or set DBDOCTOR_DSN, `default = "..."` in dbdoctor.toml, or DATABASE_URL'
        ),
    )


def _no_profile_help(config: Config, *, use_config: bool) -> str:
    if not use_config:
        return "leave out `--no-config`"
    where = "the config file" if config.files else "a file dbdoctor.toml"
    return f"add `[targets.NAME]` with a `dsn` to {where}"


def _notes(config: Config) -> tuple[str, ...]:
    """One line for each file of the user's own or the system's that is not trusted: there nobody expects it."""
    if not config.files:
        return ()
    from dbdoctor.targets.config_files import Origin, shown

    return tuple(
        f"{shown(file.path)} is not trusted: it {config.distrusted[file.path]}"
        for file in config.files
        if file.origin is not Origin.FOUND and not config.trusts(file)
    )
