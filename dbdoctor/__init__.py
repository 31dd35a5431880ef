"""dbdoctor: a command-line doctor for database connections and connection pools.

PYTEST_DONT_REWRITE: a program may have imported this before pytest loads the plugin, which pytest would warn of.
"""

from __future__ import annotations

from typing import Any


def __getattr__(name: str) -> Any:
    """Give `dbdoctor.__version__` and the recorder's functions without paying for them at every start."""
    if name in ("attach", "attach_all"):
        from dbdoctor.recorder import start

        return getattr(start, name)
    if name != "__version__":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("dbdoctor")
    except PackageNotFoundError:
        return "0.0.0"
