"""One line of the recorder's files -> a value; what is no such line raises BadLineError with a reason fit for users."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from typing import Any

from dbdoctor.model.holding import Frame
from dbdoctor.model.recorded import (
    ClosedLine,
    ConnectionLine,
    DisabledLine,
    EndLine,
    EventLine,
    FailedLine,
    Header,
    HeldLine,
    HolderCells,
    LostLine,
    OpenLine,
    PoolLine,
    PoolSettings,
    Record,
    Row,
    SiteLine,
    TimeoutLine,
)

SCHEMA = "dbdoctor.recorder/1"
LONGEST_LINE = 1 << 20
_MOST_FRAMES = 4
_MOST_HOLDERS = 100
_LONGEST_NAME = 500
_WORD = 100
_LARGEST = 1 << 60  # microseconds; and no whole number that means something is greater, but an ident of a thread
_LARGEST_IDENT = 1 << 64


class BadLineError(Exception):
    """The line cannot be read; its text says why."""


def record_of(line: bytes) -> Record | None:
    """What the line says; None of an empty one. Raises BadLineError."""
    if len(line) > LONGEST_LINE:
        raise BadLineError("longer than a megabyte")
    text = line.decode("utf-8", "replace").lstrip("\ufeff")
    try:
        if text[:1] == "[":
            return _row(json.loads(text))
        return _object(json.loads(text, parse_constant=_refused)) if text.strip() else None
    except (ValueError, RecursionError):
        raise BadLineError("not JSON") from None
    except KeyError as error:
        raise BadLineError(f"`{error.args[0]}` is missing") from None


def _object(value: Any) -> Record:
    if not isinstance(value, dict):
        raise BadLineError("neither a JSON object nor a row")
    for name, make in _KINDS.items():
        if name in value:
            return make(value)
    raise BadLineError("no kind of line that is known")


def _row(cells: list[Any]) -> Row:
    if len(cells) != 6 or set(map(type, cells)) != {int}:
        raise BadLineError("a row is six whole numbers")
    if min(cells) < 0 or max(cells[:5]) > _LARGEST or cells[5] > _LARGEST_IDENT:
        raise BadLineError("a row's numbers are out of range")
    return Row._make(cells)


# --- objects, each by the key that tells its kind


def _header(value: Mapping[str, Any]) -> Header:
    if value["schema"] != SCHEMA:
        raise BadLineError(f"it is not of the format {SCHEMA}, which this version reads")
    return Header(
        process=_whole(value, "process"),
        began=_number(value, "began", 1e11),
        host=_text(value, "host"),
        program=_text(value, "program"),
        python=_text(value, "python"),
        sqlalchemy=_text(value, "sqlalchemy"),
        parent=_whole_or_none(value, "parent"),
        start_ticks=_whole_or_none(value, "start_ticks"),
        leak_after=_number(value, "leak_after_seconds", 1e9, 60.0),
        sample=_number(value, "sample", 1.0, 1.0),
        part=_whole(value, "part", 1),
    )


def _site(value: Mapping[str, Any]) -> SiteLine:
    frames = value["frames"]
    if not isinstance(frames, list):
        raise BadLineError("`frames` is no list")
    return SiteLine(_whole(value, "site"), tuple(map(_frame, frames[:_MOST_FRAMES])))


def _frame(cells: Any) -> Frame:
    if not isinstance(cells, list) or len(cells) != 3:
        raise BadLineError("a frame is a file, a line and a function")
    file, line, function = cells
    if not isinstance(file, str) or type(line) is not int or not isinstance(function, str) or abs(line) > _LARGEST:
        raise BadLineError("a frame is a file, a line and a function")
    return Frame(file[-_LONGEST_NAME:], line, function[-_LONGEST_NAME:])


def _pool(value: Mapping[str, Any]) -> PoolLine:
    settings = PoolSettings(
        pool_class=_text(value, "class"),
        size=_whole_or_none(value, "size"),
        max_overflow=_signed_or_none(value, "max_overflow"),
        timeout=_number_or_none(value, "timeout_seconds"),
        recycle=_number_or_none(value, "recycle_seconds"),
        pre_ping=_flag(value, "pre_ping"),
        lifo=_flag(value, "lifo"),
        reset_on_return=_text(value, "reset_on_return", _WORD) or None,
    )
    return PoolLine(_whole(value, "pool"), settings)


def _connection(value: Mapping[str, Any]) -> ConnectionLine:
    return ConnectionLine(
        number=_whole(value, "connection"),
        pool=_whole(value, "pool"),
        at=_whole_or_none(value, "at"),
        took_us=_whole_or_none(value, "took"),
        session=_whole_or_none(value, "session"),
        driver=_text(value, "driver", _WORD),
        server=_server(value.get("server")),
        overflow=value.get("overflow") is True,
        because=_text(value, "because", _WORD) or None,
    )


def _server(value: Any) -> str:
    """`db1:5432/shop`, as much of it as is known."""
    if not isinstance(value, dict):
        return ""
    host, port, database = (value.get(name) for name in ("host", "port", "database"))
    shown = str(host)[:_LONGEST_NAME] if isinstance(host, str) else ""
    shown += f":{port}" if type(port) is int and 0 < port < 65536 else ""
    return shown + (f"/{database[:_LONGEST_NAME]}" if isinstance(database, str) and database else "")


def _open(value: Mapping[str, Any]) -> OpenLine:
    return OpenLine(
        number=_whole(value, "open"),
        at=_whole(value, "at"),
        wait_us=_whole(value, "wait", 0),
        site=_whole(value, "site"),
        connection=_whole(value, "connection"),
        thread=_whole(value, "thread", 0),
        thread_name=_text(value, "thread_name", _WORD),
    )


def _held(value: Mapping[str, Any]) -> HeldLine:
    return HeldLine(_whole(value, "held"), _whole(value, "at", 0))


def _closed(value: Mapping[str, Any]) -> ClosedLine:
    how = _text(value, "how", _WORD)
    return ClosedLine(_whole(value, "closed"), _whole(value, "use"), how, _whole_or_none(value, "site"))


def _timeout(value: Mapping[str, Any]) -> TimeoutLine:
    holders = value.get("holders")
    return TimeoutLine(
        at=_whole(value, "timeout"),
        pool=_whole(value, "pool"),
        site=_whole(value, "site"),
        wait_us=_whole(value, "wait"),
        thread=_whole(value, "thread", 0),
        holders=tuple(map(_holder, holders[:_MOST_HOLDERS])) if isinstance(holders, list) else (),
        more=_whole(value, "more", 0),
    )


def _holder(cells: Any) -> HolderCells:
    if not isinstance(cells, list) or len(cells) != 4 or set(map(type, cells)) != {int} or min(cells) < 0:
        raise BadLineError("a holder is four whole numbers")
    if max(cells[:3]) > _LARGEST:
        raise BadLineError("a holder's numbers are out of range")
    return HolderCells._make(cells)


def _failed(value: Mapping[str, Any]) -> FailedLine:
    return FailedLine(
        _whole(value, "failed"),
        _whole(value, "pool"),
        _whole(value, "site"),
        _whole(value, "wait", 0),
        _text(value, "error", _WORD) or "an error",
    )


def _event(value: Mapping[str, Any]) -> EventLine:
    return EventLine(
        _text(value, "event", _WORD),
        _whole(value, "at"),
        _whole(value, "connection"),
        _text(value, "error", _WORD) or None,
    )


def _lost(value: Mapping[str, Any]) -> LostLine:
    return LostLine(_whole(value, "lost"), _whole(value, "at", 0))


def _disabled(value: Mapping[str, Any]) -> DisabledLine:
    return DisabledLine(_text(value, "disabled"), _whole(value, "at", 0))


def _end(value: Mapping[str, Any]) -> EndLine:
    return EndLine(_whole(value, "end"), _text(value, "how", _WORD))


# In this order: a timeout also has a pool, and an open checkout a site and a connection.
_KINDS: dict[str, Callable[[Mapping[str, Any]], Record]] = {
    "schema": _header,
    "open": _open,
    "held": _held,
    "closed": _closed,
    "timeout": _timeout,
    "failed": _failed,
    "event": _event,
    "lost": _lost,
    "disabled": _disabled,
    "end": _end,
    "connection": _connection,
    "pool": _pool,
    "site": _site,
}


# --- values


def _refused(name: str) -> float:
    raise BadLineError(f"{name} is no number")


def _whole(value: Mapping[str, Any], name: str, default: int | None = None) -> int:
    found = value[name] if default is None else value.get(name, default)
    if type(found) is not int or not 0 <= found <= (_LARGEST_IDENT if name == "thread" else _LARGEST):
        raise BadLineError(f"`{name}` is no whole number from 0 on")
    return found


def _whole_or_none(value: Mapping[str, Any], name: str) -> int | None:
    return None if value.get(name) is None else _whole(value, name)


def _signed_or_none(value: Mapping[str, Any], name: str) -> int | None:
    found = value.get(name)
    return found if type(found) is int and abs(found) <= _LARGEST else None


def _number(value: Mapping[str, Any], name: str, most: float, default: float | None = None) -> float:
    found = value[name] if default is None else value.get(name, default)
    if type(found) not in (int, float) or not math.isfinite(found) or not 0 <= found <= most:
        raise BadLineError(f"`{name}` is no number from 0 to {most:g}")
    return float(found)


def _number_or_none(value: Mapping[str, Any], name: str) -> float | None:
    found = value.get(name)
    return (
        float(found) if isinstance(found, (int, float)) and not isinstance(found, bool) and abs(found) < 1e12 else None
    )


def _flag(value: Mapping[str, Any], name: str) -> bool | None:
    found = value.get(name)
    return found if isinstance(found, bool) else None


def _text(value: Mapping[str, Any], name: str, most: int = _LONGEST_NAME) -> str:
    found = value.get(name)
    return found[:most] if isinstance(found, str) else ""
