"""A live engine of the user's code (`module:attribute`) -> a Target, without connecting.

Imported with dbdoctor's own Python, from the directory given, as `python -m` would; what the module prints goes to stderr.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dbdoctor.errors import ApplicationError
from dbdoctor.model.target import Target
from dbdoctor.targets.live_errors import Reference, wrong_kind
from dbdoctor.targets.live_import import call_factory, find_attribute, importing


def load_live(reference: str, *, directory: Path, environment: Mapping[str, str] | None = None) -> Target:
    """The Target of `module:attribute`: an engine, sessionmaker, session, URL, or a factory of one, sync or async.

    Its URL, `connect_args` and pool settings are read as SQLAlchemy keeps them (1.4 to 2.1). Raises ApplicationError when
    it cannot be imported or is something else, UsageError when its URL cannot be understood.
    """
    module, _, attribute = reference.removesuffix("()").partition(":")
    named = Reference(module, attribute, directory.absolute())
    environment = os.environ if environment is None else environment
    with importing(named) as imported:
        found = find_attribute(imported, named)
        if not _is_readable(found):
            found = call_factory(found, named)
        return _target(found, named, environment)


def _target(found: Any, named: Reference, environment: Mapping[str, str]) -> Target:
    from dataclasses import replace

    from dbdoctor.targets.live_engine import engine_of, read_engine, url_text
    from dbdoctor.targets.parse import parse_dsn

    dialect = f"live engine {named}"
    if isinstance(found, str):
        return replace(parse_dsn(found, environment=environment), dialect=dialect)
    if _is_url(found):
        return replace(parse_dsn(url_text(found), environment=environment), dialect=dialect)
    engine = engine_of(found)
    if engine is None:
        raise wrong_kind(found, named)
    if isinstance(engine, str):
        raise ApplicationError(f"`{named}` {engine}", help="name the engine itself: `module:engine`")
    return replace(read_engine(engine, environment), dialect=dialect)


def _is_readable(found: Any) -> bool:
    from dbdoctor.targets.live_engine import engine_of

    return isinstance(found, str) or _is_url(found) or engine_of(found) is not None


def _is_url(found: Any) -> bool:
    return hasattr(found, "get_backend_name") and hasattr(found, "drivername")
