"""Whether a config file may run something or draw on the user's secrets: cloning a repository must not run its code.

A file that was merely found in or above the current directory is not trusted until `--trust` was said for this very
content; one named by `--config` is; the user's and the system's are, unless others can write them. What is remembered is
one small file per trusted version, `$XDG_STATE_HOME/dbdoctor/trusted/<sha256 of path and content>`, as direnv has it:
no record that two processes could spoil for each other, and a changed config is simply not in there.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from pathlib import Path

from dbdoctor.errors import ConfigError
from dbdoctor.targets.config_files import ConfigFile, Origin, shown, xdg_directory


def distrust(file: ConfigFile, environment: Mapping[str, str]) -> str | None:
    """Why the file is not trusted, in words that follow its name; None when it is."""
    if file.origin is Origin.EXPLICIT:
        return None
    reason = "was only found here" if file.origin is Origin.FOUND else _written_by_others(file.path)
    return None if reason is None or _is_recorded(file, environment) else reason


def record(file: ConfigFile, environment: Mapping[str, str]) -> None:
    """Trust this version of the file from now on. ConfigError when that cannot be written down."""
    place = _record_path(file, environment)
    if place is None:
        raise ConfigError(
            "no home directory to remember the trust in", help="set XDG_STATE_HOME, or use `--config FILE`"
        )
    try:
        place.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        place.write_text(f"{file.path}\n", encoding="utf-8", errors="surrogateescape")
    except OSError as error:
        raise ConfigError(
            f"could not remember the trust in {shown(place.parent)}", cause=error.strerror, help="use `--config FILE`"
        ) from None


def _is_recorded(file: ConfigFile, environment: Mapping[str, str]) -> bool:
    place = _record_path(file, environment)
    try:
        # Whoever can write into that directory could trust anything in our name.
        return place is not None and place.is_file() and _written_by_others(place) is None
    except OSError:
        return False


def _record_path(file: ConfigFile, environment: Mapping[str, str]) -> Path | None:
    import hashlib

    state = xdg_directory(environment, "XDG_STATE_HOME", ".local/state")
    if state is None:
        return None
    digest = hashlib.sha256(os.fsencode(file.path) + b"\0" + file.content).hexdigest()
    return state / "dbdoctor" / "trusted" / digest


def _written_by_others(path: Path) -> str | None:
    if os.name != "posix":
        return None
    for place in (path, path.parent):
        status = place.stat()
        if status.st_uid not in (0, os.getuid()):
            return "belongs to somebody else"
        if status.st_mode & stat.S_IWOTH and not status.st_mode & stat.S_ISVTX:
            return "can be written by everybody"
        if status.st_mode & stat.S_IWGRP and not _is_private_group(status.st_gid):
            return "can be written by a group"
    return None


def _is_private_group(gid: int) -> bool:
    """Whether the group is the user's own: on many systems files are group-writable by default, for a group of one."""
    import grp
    import pwd

    try:
        group, user = grp.getgrgid(gid), pwd.getpwuid(os.getuid())
    except KeyError:
        return False
    return gid == user.pw_gid and group.gr_name == user.pw_name and set(group.gr_mem) <= {user.pw_name}
