"""dbdoctor: a command-line doctor for database connections and connection pools."""

from __future__ import annotations


def __getattr__(name: str) -> str:
    """Give `dbdoctor.__version__` without paying for importlib.metadata at every start (about 40 ms)."""
    if name != "__version__":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("dbdoctor")
    except PackageNotFoundError:
        return "0.0.0"
