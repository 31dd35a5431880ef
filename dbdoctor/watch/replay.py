"""`--replay FILE`: a recording read as turns, as if it happened now; what is torn is left out, and counted."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO, NoReturn

from dbdoctor.errors import UsageError
from dbdoctor.model.leaks import GROUP_BY, WatchOptions
from dbdoctor.model.pool import PoolSettings
from dbdoctor.model.server import ConnectionLimit, Missing, Pooler, ServerFacts, Slots
from dbdoctor.model.snapshot import Gap
from dbdoctor.model.target import Endpoint, Product, Target
from dbdoctor.watch.loop import Turn
from dbdoctor.watch.recording import SCHEMA, Decoder

# Bytes of one line; 10,000 sessions with 1,000 characters of statement each make a tenth of it.
_LONGEST = 128_000_000
_FAMILY = SCHEMA.partition("/")[0]


class Replay:
    """A recording that is read. `target`, `options` and `interval` (seconds) are as they were recorded.

    Raises UsageError when the file cannot be read or is no recording. `turns` may be taken once; afterwards `lost` counts
    the lines that could not be read, and `torn` says whether the last one was among them.
    """

    def __init__(self, path: Path) -> None:
        self.lost = 0
        self.torn = False
        try:
            self._file = path.open("rb")
        except OSError as error:
            raise UsageError("cannot read the recording", cause=error.strerror, help=_HELP) from None
        try:
            header = read_header(self._file)
            self.target = _target(header)
            self.options = _options(header["options"])
            self.interval = float(header["interval"])
            self._decoder = Decoder(header["columns"])
        except (KeyError, TypeError, ValueError, AttributeError):
            self._file.close()
            _refuse("its first line is damaged")
        except BaseException:
            self._file.close()
            raise

    @property
    def notes(self) -> tuple[str, ...]:
        """What could not be read, for people; complete when the turns have been taken."""
        rest = self.lost - self.torn
        torn = ("the recording's last line is torn: its snapshot is lost",) if self.torn else ()
        lines, are = ("line", "is") if rest == 1 else ("lines", "are")
        return torn + ((f"{rest} {lines} of the recording could not be read and {are} left out",) if rest else ())

    def turns(self) -> Iterator[Turn]:
        """Turn after turn, at once."""
        with self._file as file:
            interrupted = False
            at: float | None = None
            for line in _lines(file):
                try:
                    value = _parse(line)
                    turn = self._turn(value)
                except (ValueError, TypeError, KeyError, AttributeError):
                    self.lost += 1
                    self.torn = not line.endswith(b"\n")
                    continue
                if turn is None:
                    interrupted = True
                    continue
                if (snapshot := turn.snapshot) is not None:
                    if interrupted and at is not None:
                        turn = turn._replace(gap=Gap(at, snapshot.at, "the recording was interrupted"))
                    interrupted, at = False, snapshot.at
                yield turn

    def _turn(self, value: Mapping[str, Any]) -> Turn | None:
        """What a line holds; None for a header, from which on everything is anew."""
        if "schema" in value:
            _check_schema(value)
            self._decoder = Decoder(value["columns"])
            self.interval = float(value["interval"])
            return None
        if "gap" in value:
            since, until, reason = value["gap"]
            return Turn(self.interval, gap=Gap(float(since), float(until), str(reason)))
        if "facts" in value:
            return Turn(self.interval, facts=_facts(value["facts"]))
        return Turn(self.interval, self._decoder.snapshot(value))


_HELP = (
    "a recording is what `dbdoctor leaks --record FILE` wrote, or, where lines of code are asked for, `dbdoctor run`"
)


def read_header(file: BinaryIO) -> dict[str, Any]:
    """The first line. Raises UsageError when it is not that of a recording."""
    try:
        header = _parse(file.readline(_LONGEST))
    except (ValueError, TypeError, OSError):
        _refuse("it is no recording of dbdoctor")
    _check_schema(header)
    return dict(header)


def _check_schema(header: Mapping[str, Any]) -> None:
    schema = header.get("schema")
    if schema == SCHEMA:
        return
    if isinstance(schema, str) and schema.partition("/")[0] == _FAMILY:
        _refuse("another version of dbdoctor wrote it")
    _refuse("it is no recording of dbdoctor")


def _refuse(why: str) -> NoReturn:
    raise UsageError(f"this file cannot be used as a recording: {why}", help=_HELP) from None


def _lines(file: BinaryIO) -> Iterator[bytes]:
    while line := file.readline(_LONGEST):
        if line.strip():
            yield line


def _parse(line: bytes) -> Mapping[str, Any]:
    try:
        value = json.loads(line, parse_constant=_no_constant)
    except RecursionError:
        raise ValueError("nested too deep") from None
    if not isinstance(value, dict):
        raise TypeError("not an object")
    return value


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no figure")


def _options(value: Mapping[str, Any]) -> WatchOptions:
    group_by = tuple(word for word in GROUP_BY if word in value["group_by"])
    return WatchOptions(float(value["idle"]), float(value["idle_in_transaction"]), group_by)


def _target(header: Mapping[str, Any]) -> Target:
    of = header["of"]
    pool = of["pool"]
    return Target(
        product=Product(of["product"]),
        endpoints=tuple(Endpoint(*endpoint) for endpoint in of["endpoints"]),
        user=of["user"],
        database=of["database"],
        profile=of["profile"],
        path_idle_timeout=of["path_idle_timeout"],
        pool=PoolSettings(**{name: pool[name] for name in PoolSettings._fields if name in pool}) if pool else None,
        thresholds={str(name): float(figure) for name, figure in of["thresholds"].items()},
        dialect="recording",
    )


def _facts(value: Mapping[str, Any]) -> ServerFacts:
    slots, pooler = value.get("slots"), value.get("pooler")
    known = {name: value[name] for name in ServerFacts.__dataclass_fields__ if name in value}
    known.update(
        slots=Slots(slots[0], slots[1], slots[2], tuple(tuple(one) for one in slots[3])) if slots else None,
        pooler=Pooler(*pooler) if pooler else None,
        limits=tuple(ConnectionLimit(*one) for one in value.get("limits", ())),
        missing=tuple(Missing(*one) for one in value.get("missing", ())),
    )
    return ServerFacts(**known)
