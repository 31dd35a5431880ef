"""Which config files there are, nearest first, and what each says: discovery and reading, no judgement of the values."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Any

from dbdoctor.errors import ConfigError

OWN_NAME = "dbdoctor.toml"
_PYPROJECT = "pyproject.toml"
# Nobody writes a longer one, and a device or a dump named by mistake should not fill the memory.
_LONGEST = 4 * 1024 * 1024


class Origin(str, Enum):
    """How a file came to be read."""

    EXPLICIT = "--config"
    FOUND = "found"
    USER = "user"
    SYSTEM = "system"


@dataclass(frozen=True, slots=True)
class ConfigFile:
    """One file: its absolute path, its bytes as read once (what is trusted is what is used), and dbdoctor's table of it."""

    path: Path
    origin: Origin
    content: bytes = field(repr=False)
    table: Mapping[str, Any] = field(repr=False)

    @property
    def shown(self) -> str:
        """The path for people: relative when it is in or below the current directory."""
        return shown(self.path)


def shown(path: Path) -> str:
    """A path for people: relative when it is in or below the current directory, `~/...` when below home."""
    for base, prefix in ((_directory_or_none(Path.cwd), ""), (_directory_or_none(Path.home), "~/")):
        if base is not None and path.is_relative_to(base):
            return prefix + str(path.relative_to(base))
    return str(path)


def read_explicit(path: Path) -> ConfigFile:
    """The file of `--config`; of a `pyproject.toml` its `[tool.dbdoctor]`. ConfigError when missing, unreadable or not TOML."""
    path = path.expanduser().absolute()
    content = _read(path)
    if content is None:
        raise ConfigError(f"no config file {shown(path)}", help="give the path of a TOML file after `--config`")
    table = _tool_table(parse_toml(path, content), path) if path.name == _PYPROJECT else parse_toml(path, content)
    if table is None:
        raise ConfigError(f"{shown(path)} has no [tool.dbdoctor]", help="add the table, or name another file")
    return ConfigFile(path, Origin.EXPLICIT, content, table)


def read_found(directory: Path, environment: Mapping[str, str]) -> list[ConfigFile]:
    """Every file that is in force for this directory, nearest first: project, user, system. ConfigError as they are wrong."""
    files = []
    project = _project_file(directory.absolute())
    if project is not None:
        files.append(project)
    for path, origin in _standard_places(environment):
        content = _read(path)
        if content is not None:
            files.append(ConfigFile(path, origin, content, parse_toml(path, content)))
    return files


def parse_toml(path: Path, content: bytes) -> dict[str, Any]:
    """The tables of a TOML text. ConfigError naming file, line and what is wrong, without quoting the line."""
    import tomllib

    try:
        return tomllib.loads(content.decode("utf-8-sig").replace("\r\n", "\n"))
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise ConfigError(f"{shown(path)}, line {line}: not UTF-8", help="save the file as UTF-8") from None
    except RecursionError:
        raise ConfigError(f"{shown(path)}: nested too deeply", help="see the sample configs of dbdoctor") from None
    except tomllib.TOMLDecodeError as error:
        raise _syntax_error(path, str(error), content) from None


def _syntax_error(path: Path, message: str, content: bytes) -> ConfigError:
    match = re.search(r"\s*\(at (?:line (\d+), column (\d+)|end of document)\)$", message)
    said = message[: match.start()] if match else message
    line = match[1] if match and match[1] else str(content.count(b"\n") + (not content.endswith(b"\n")))
    # Newer Pythons quote keys and values, in which a password may stand.
    said = re.sub(r"(['\"])(?!.\1|\\.\1).*\1", "a value", said)
    return ConfigError(
        f"{shown(path)}, line {line}: not TOML", cause=said, help=f"correct line {line} of {shown(path)}"
    )


def _project_file(directory: Path) -> ConfigFile | None:
    for place in (directory, *directory.parents):
        own = place / OWN_NAME
        content = _read(own)
        if content is not None:
            return ConfigFile(own, Origin.FOUND, content, parse_toml(own, content))
        project = place / _PYPROJECT
        content = _read(project)
        # Most pyproject.toml do not mention us: their parsing, and their mistakes, are not our business.
        if content is not None and b"dbdoctor" in content and b"tool" in content:
            table = _tool_table(parse_toml(project, content), project)
            if table is not None:
                return ConfigFile(project, Origin.FOUND, content, table)
    return None


def _tool_table(document: Mapping[str, Any], path: Path) -> dict[str, Any] | None:
    tool = document.get("tool")
    table = tool.get("dbdoctor") if isinstance(tool, dict) else None
    if table is not None and not isinstance(table, dict):
        raise ConfigError(f"{shown(path)}: `tool.dbdoctor` must be a table", help="write `[tool.dbdoctor]`")
    return table


def _standard_places(environment: Mapping[str, str]) -> Iterator[tuple[Path, Origin]]:
    if sys.platform in ("win32", "darwin"):
        import platformdirs

        yield Path(platformdirs.user_config_dir("dbdoctor", appauthor=False)) / "config.toml", Origin.USER
        yield Path(platformdirs.site_config_dir("dbdoctor", appauthor=False)) / "config.toml", Origin.SYSTEM
        return
    home = xdg_directory(environment, "XDG_CONFIG_HOME", ".config")
    if home is not None:
        yield home / "dbdoctor" / "config.toml", Origin.USER
    # The XDG standard says to ignore a path that is not absolute; /etc/xdg is its default, /etc/dbdoctor the habit of servers.
    for place in environment.get("XDG_CONFIG_DIRS", "/etc/xdg").split(":"):
        if place.startswith("/"):
            yield Path(place) / "dbdoctor" / "config.toml", Origin.SYSTEM
    yield Path("/etc/dbdoctor/config.toml"), Origin.SYSTEM


def xdg_directory(environment: Mapping[str, str], variable: str, default: str) -> Path | None:
    """A base directory of the XDG standard: the variable when absolute, else `default` below home; None without a home."""
    value = environment.get(variable, "")
    if value.startswith("/"):
        return Path(value)
    home = environment.get("HOME") or _directory_or_none(Path.home)
    return Path(home) / default if home else None


def _read(path: Path) -> bytes | None:
    try:
        with path.open("rb") as file:
            content = file.read(_LONGEST + 1)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else "not a file name"
        # What we may not even look at is not ours: a parent directory of somebody else does not stop the user.
        if isinstance(error, PermissionError) and not os.access(path.parent, os.X_OK):
            return None
        raise ConfigError(
            f"could not read {shown(path)}", cause=reason, help="make it readable, or use `--no-config`"
        ) from None
    if len(content) > _LONGEST:
        raise ConfigError(f"{shown(path)} is larger than 4 MiB", help="name a config file in TOML")
    return content


def _directory_or_none(get: Any) -> Path | None:
    try:
        return Path(get())
    except (OSError, RuntimeError):
        return None
