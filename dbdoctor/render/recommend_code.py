"""The recommended settings as code to paste: Python, TOML, or environment variables."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from dbdoctor.model.advice import Advice
from dbdoctor.model.demand import Source

_DEFAULTS: Mapping[str, Any] = {"pool_recycle": -1, "pool_use_lifo": False, "pool_pre_ping": False}
_PREFIX = "SQLALCHEMY_"
_LIBPQ = frozenset({"psycopg2", "psycopg"})


def code_lines(advice: Advice, output: str) -> Iterator[str]:
    """All of it, in `python`, `toml` or `env`."""
    settings, arguments = _parts(advice)
    if output == "python":
        yield from python_lines(advice)
    elif output == "toml":
        yield f"# {_worth(advice)}"
        yield from _toml(advice, settings, arguments)
    else:
        yield f"# {_worth(advice)}"
        for name, value in settings.items():
            yield f"{_PREFIX}{name.upper()}={_plain(value)}"
        if arguments:
            yield f"{_PREFIX}CONNECT_ARGS='{json.dumps(dict(arguments))}'"


def python_lines(advice: Advice) -> Iterator[str]:
    """The call of create_engine with its imports; what is SQLAlchemy's default is left out."""
    settings, arguments = _parts(advice)
    kept = {name: value for name, value in settings.items() if name not in _DEFAULTS or value != _DEFAULTS[name]}
    yield "from sqlalchemy import create_engine"
    if "poolclass" in kept:
        yield f"from sqlalchemy.pool import {kept['poolclass']}"
    yield ""
    yield from engine_lines(kept, arguments)


def engine_lines(settings: Mapping[str, Any], arguments: Mapping[str, Any]) -> Iterator[str]:
    """`engine = create_engine(...)`, a line for each setting."""
    yield "engine = create_engine("
    yield "    url,"
    for name, value in settings.items():
        yield f"    {name}={value if name == 'poolclass' else _literal(value)},"
    if arguments:
        yield "    connect_args={"
        for name, value in arguments.items():
            yield f'        "{name}": {_literal(value)},'
        yield "    },"
    yield ")"


def _parts(advice: Advice) -> tuple[dict[str, Any], Mapping[str, Any]]:
    settings = dict(advice.recommendation.settings)
    arguments = settings.pop("connect_args", None) or {}
    return settings, arguments


def _worth(advice: Advice) -> str:
    demand = advice.recommendation.demand
    known = "" if demand.source is Source.NOTHING else f"{demand.source.value}: "
    return f"{known}{demand.source.worth}"


def _toml(advice: Advice, settings: Mapping[str, Any], arguments: Mapping[str, Any]) -> Iterator[str]:
    """In the words of dbdoctor's own config where the target is a profile of it: then the next run compares."""
    is_profile = advice.profile is not None
    yield f"[targets.{_key(advice.profile or '')}]" if is_profile else "[engine]"
    for name, value in settings.items():
        yield f"{'# ' if is_profile and name == 'poolclass' else ''}{name} = {_toml_value(value)}"
    if not arguments:
        return
    driver = next(
        (one.evidence.get("driver") for one in advice.recommendation.because if one.setting == "connect_args"), None
    )
    native = is_profile and driver in _LIBPQ
    yield ""
    yield f"[targets.{_key(advice.profile or '')}.parameters]" if native else "[engine.connect_args]"
    for name, value in arguments.items():
        yield f"{name} = {_toml_value(value)}"


def _key(name: str) -> str:
    return name if "." not in name else f'"{name}"'


def _toml_value(value: Any) -> str:
    return '""' if value is None else json.dumps(value)


def _plain(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _literal(value: Any) -> str:
    return json.dumps(value) if isinstance(value, str) else repr(value)
