"""What SQLAlchemy's objects say of how they connect, read without connecting; nothing here imports SQLAlchemy.

The arguments of the driver are in no public place: SQLAlchemy keeps them in the closure of the pool's creator
(`sqlalchemy.engine.create`, the same in 1.4, 2.0 and 2.1), which is where they are read from.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from dbdoctor.model.pool import PoolSettings
from dbdoctor.model.target import Target
from dbdoctor.targets.live_arguments import with_arguments

_MANY_BINDS = "has a different engine for each table or class"
_NO_BIND = "is bound to no engine"


def engine_of(found: Any) -> Any:
    """The sync Engine behind an object; a text saying why a session has none; None when it is nothing of SQLAlchemy's."""
    kinds = [kind.__name__ for kind in type(found).__mro__ if kind.__module__.startswith("sqlalchemy.")]
    if "AsyncEngine" in kinds:
        return found.sync_engine
    if "Engine" in kinds or "OptionEngine" in kinds:
        return found
    if "scoped_session" in kinds or "async_scoped_session" in kinds:
        return engine_of(found.session_factory)
    if "sessionmaker" in kinds or "async_sessionmaker" in kinds:
        return _bound(found.kw.get("bind"), found.kw.get("binds"))
    if "Session" in kinds or "AsyncSession" in kinds:
        return _bound(found.bind, getattr(found, "binds", None) or getattr(found, "_Session__binds", None))
    if "Connection" in kinds:
        return engine_of(found.engine)
    return None


def _bound(bind: Any, binds: Any) -> Any:
    if bind is not None:
        return engine_of(bind) or _NO_BIND
    return _MANY_BINDS if binds else _NO_BIND


def read_engine(engine: Any, environment: Mapping[str, str]) -> Target:
    """The Target of a sync Engine: URL, then what `connect_args` changes of it, and the pool. UsageError for its URL."""
    from dbdoctor.targets.parse import parse_dsn, require_server

    url = url_text(engine.url, str(engine.dialect.driver))
    target = parse_dsn(url, environment=environment, whole=False)
    arguments = _connect_args(engine)
    notes = list(target.notes)
    if arguments is None:
        notes.append("the engine connects through its own `creator`: what that function does cannot be read")
    elif _has_connect_event(engine):
        notes.append("a `do_connect` event changes how the engine connects, which cannot be read: its URL is used")
    target = replace(target, notes=tuple(notes), pool=read_pool(engine.pool))
    target = with_arguments(target, arguments or {}, str(engine.dialect.driver))
    require_server(target, why=": the engine's URL has none" if arguments is None else "")
    return target


def url_text(url: Any, driver: str | None = None) -> str:
    """A URL object as text, with the driver's name where it has none: SQLAlchemy's releases differ in which they mean.

    Not `render_as_string`, which leaves `%`, `#` and `?` of a password as they are in 1.4.
    """
    from urllib.parse import quote, urlencode

    name = url.drivername if driver is None or "+" in url.drivername else f"{url.drivername}+{driver}"
    user = "" if url.username is None else quote(str(url.username), safe="")
    password = "" if url.password is None else f":{quote(str(url.password), safe='')}"
    at = "@" if user or password else ""
    host = f"[{url.host}]" if url.host and ":" in url.host else url.host or ""
    port = "" if url.port is None else f":{url.port}"
    database = "" if url.database is None else f"/{url.database}"
    query = f"?{urlencode(url.query, doseq=True)}" if url.query else ""
    return f"{name}://{user}{password}{at}{host}{port}{database or '/' * bool(query)}{query}"


def _connect_args(engine: Any) -> dict[str, Any] | None:
    """What the driver is given beyond what the URL says; None when a `creator` of the user's own connects."""
    creator: Any = getattr(engine.pool, "_creator", None)
    if getattr(creator, "__module__", None) != "sqlalchemy.engine.create":
        return None
    cells = dict(zip(creator.__code__.co_freevars, creator.__closure__ or (), strict=True))
    if "cparams" not in cells:
        return None
    arguments = dict(cells["cparams"].cell_contents)
    _, from_url = engine.dialect.create_connect_args(engine.url)
    return {name: value for name, value in arguments.items() if name not in from_url or from_url[name] != value}


def _has_connect_event(engine: Any) -> bool:
    return bool(list(getattr(engine.dialect.dispatch, "do_connect", ())))


def read_pool(pool: Any) -> PoolSettings:
    """The settings of a pool as it stands; None for what its class does not have. Durations are seconds."""
    queue = getattr(pool, "_pool", None)
    size = pool.size() if callable(getattr(pool, "size", None)) else None
    return PoolSettings(
        pool_size=size if isinstance(size, int) else getattr(pool, "size", None) if not callable(size) else None,
        max_overflow=getattr(pool, "_max_overflow", None),
        pool_timeout=getattr(pool, "_timeout", None),
        pool_recycle=getattr(pool, "_recycle", None),
        pool_pre_ping=getattr(pool, "_pre_ping", None),
        pool_use_lifo=getattr(queue, "use_lifo", None),
        pool_class=type(pool).__name__,
    )
