"""Who the user of this process is to libpq, and where that user's files are."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path


def operating_system_user() -> str | None:
    """The name of the effective user, as libpq takes it when no user is given; None when there is none."""
    if sys.platform == "win32":
        return os.environ.get("USERNAME")
    import pwd

    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except (KeyError, OSError):
        return None


def home_directory(environment: Mapping[str, str]) -> Path | None:
    """The directory in which libpq looks for `.pgpass` and `.pg_service.conf`: HOME, else the user's own."""
    if environment.get("HOME"):
        return Path(environment["HOME"])
    if sys.platform == "win32":
        return Path(environment["APPDATA"]) / "postgresql" if environment.get("APPDATA") else None
    import pwd

    try:
        return Path(pwd.getpwuid(os.geteuid()).pw_dir)
    except (KeyError, OSError):
        return None
