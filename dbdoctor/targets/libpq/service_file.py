"""The connection service file: `[name]` sections of libpq keywords.

Source: parseServiceInfo and parseServiceFile of libpq's fe-connect.c. LDAP look-ups in it are not done.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from dbdoctor.errors import UsageError
from dbdoctor.targets.libpq.home import home_directory
from dbdoctor.targets.libpq.parameters import KNOWN_PARAMETERS

# Where builds of libpq look when PGSYSCONFDIR is not set: Debian's, then what the others were most often built with.
_SYSTEM_DIRECTORIES = (
    "/etc/postgresql-common",
    "/etc",
    "/etc/sysconfig/pgsql",
    "/usr/local/etc/postgresql",
    "/usr/local/pgsql/etc",
)
_PLAIN_NAME = r"[A-Za-z_-]{1,40}"


def read_service(options: Mapping[str, str], environment: Mapping[str, str]) -> dict[str, str]:
    """What the service named in `options` or `PGSERVICE` says, nothing when none is named.

    Raises UsageError when the file or the service in it is not there, or the section is malformed.
    """
    name = options.get("service") or environment.get("PGSERVICE")
    if not name:
        return {}
    chosen = options.get("servicefile") or environment.get("PGSERVICEFILE")
    if chosen:
        if not Path(chosen).is_file():
            raise UsageError(
                "the service file named by `PGSERVICEFILE` is not there", help="correct or unset `PGSERVICEFILE`"
            )
        files = [Path(chosen)]
    else:
        home = home_directory(environment)
        files = [home / ".pg_service.conf"] if home else []
    system = environment.get("PGSYSCONFDIR")
    files += [Path(directory) / "pg_service.conf" for directory in ((system,) if system else _SYSTEM_DIRECTORIES)]
    for file in files:
        found = _section(file, name) if file.is_file() else None
        if found is not None:
            return found
    shown = f"`{name}` " if re.fullmatch(_PLAIN_NAME, name) else ""
    raise UsageError(
        f"the service {shown}is not defined in any service file",
        help="add a section of its name to `~/.pg_service.conf`, or name another file in `PGSERVICEFILE`",
    )


def _section(file: Path, name: str) -> dict[str, str] | None:
    try:
        lines = file.read_text("utf-8", errors="replace").splitlines()
    except OSError as error:
        raise UsageError(f"the service file {file} cannot be read", cause=error.strerror) from None
    found: dict[str, str] | None = None
    for number, raw in enumerate(lines, 1):
        line = raw.strip()
        if not line or line.startswith("#"):
            continue
        if line.startswith("["):
            if found is not None:
                return found
            found = {} if line.startswith(f"[{name}]") else None
        elif found is not None:
            keyword, value = _setting(file, number, line)
            found.setdefault(keyword, value)
    return found


def _setting(file: Path, number: int, line: str) -> tuple[str, str]:
    keyword, equals, value = line.partition("=")
    if line.startswith("ldap"):
        raise UsageError(f"line {number} of the service file {file} asks an LDAP server, which dbdoctor does not do")
    if not equals or keyword in ("service", "servicefile") or keyword not in KNOWN_PARAMETERS:
        raise UsageError(
            f"line {number} of the service file {file} is not a connection parameter of libpq",
            help="write `keyword=value` without blanks around the `=`, with libpq's keywords, and no `service` in it",
        )
    return keyword, value
