"""The recorder's files as a trace: the checkouts of each process and pool, in the order of their arrival."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from dbdoctor.errors import UsageError
from dbdoctor.model.demand import BadLine, Checkout, Trace
from dbdoctor.model.recorded import (
    ClosedLine,
    ConnectionLine,
    EndLine,
    FailedLine,
    Header,
    HeldLine,
    LostLine,
    OpenLine,
    PoolLine,
    PoolSettings,
    Record,
    Row,
    TimeoutLine,
)
from dbdoctor.sizing.blocks import Blocks
from dbdoctor.traces.read import Reading, records

_MOST_CONNECTIONS = 100_000  # a NullPool opens one for each checkout
_TOLD_EVERY = 65_536
_HELP = "record a program with `dbdoctor run -- COMMAND`"

Source = tuple[str, Iterable[bytes]]
"""A file's name, and its lines."""


@dataclass(slots=True)
class _Met:
    """What was met beside checkouts, over all files."""

    reading: Reading = field(default_factory=Reading)
    parts: set[tuple[str, int]] = field(default_factory=set)
    several: set[str] = field(default_factory=set)  # processes with more than one pool
    lost: int = 0
    timeouts: int = 0
    failed: int = 0
    in_use: int = 0
    leaked: int = 0
    overwritten: int = 0


@dataclass(slots=True)
class _Process:
    """What is known of one process so far."""

    header: Header
    pools: dict[int, PoolSettings] = field(default_factory=dict)
    connections: dict[int, str] = field(default_factory=dict)  # the name of each connection's pool
    names: dict[tuple[PoolSettings | None, str], str] = field(default_factory=dict)
    open: dict[int, OpenLine] = field(default_factory=dict)
    held: set[int] = field(default_factory=set)
    until: int = 0

    def checkout(self, arrival: int, wait: int, use: int, connection: int) -> Checkout:
        """With the time and the durations in seconds."""
        self.until = max(self.until, arrival + wait + use)
        name = self.connections.get(connection) or self.header.identity
        return Checkout(self.header.began + arrival / 1e6, wait / 1e6, use / 1e6, name)


def read_recordings(
    processes: Sequence[Sequence[Source]],
    *,
    most: int,
    seed: int = 0,
    progress: Callable[[int], None] = lambda _lines: None,
) -> Trace:
    """The checkouts of these processes' files (each process's in their order), at most `most` of them kept in memory.

    Pools of one process with the same settings on the same server are one, as an engine for each request makes them; others
    count as processes of their own. What was still in use when the recording ends counts as used until then; what was
    never returned is left out, and told. Raises UsageError for a sample of checkouts, which cannot be replayed, and when there
    is not one checkout.
    """
    met, blocks = _Met(), Blocks(most, seed)
    ordered = heapq.merge(*(_checkouts(files, met) for files in processes), key=lambda checkout: checkout.arrival)
    for checkout in ordered:
        blocks.add(checkout)
        if not blocks.counted % _TOLD_EVERY:
            progress(met.reading.lines)
    bad = tuple(
        BadLine(one.number, f"{one.reason} ({one.file})" if one.file else one.reason) for one in met.reading.named
    )
    if not blocks.counted:
        cause = "; ".join(f"line {one.number}: {one.reason}" for one in bad)
        raise UsageError(
            "the recording holds no checkout", cause=cause or "no connection was taken from a pool", help=_HELP
        )
    trace = blocks.trace(met.reading.bad, bad)
    return Trace(
        trace.courses, trace.counted, trace.span, trace.processes, trace.bad_lines, trace.bad, tuple(_notes(met))
    )


def _checkouts(files: Sequence[Source], met: _Met) -> Iterator[Checkout]:
    known: dict[str, _Process] = {}
    process: _Process | None = None
    for name, lines in files:
        for record in records(lines, met.reading, name):
            if isinstance(record, Header):
                process = _begun(record, known, met)
            elif process is not None:
                found = _taken(process, record, met)
                if found is not None:
                    yield found
        process = None
    for process in known.values():
        yield from _rest(process, met)


def _begun(header: Header, known: dict[str, _Process], met: _Met) -> _Process | None:
    """The process whose lines follow; None when they were read before."""
    if header.sample < 1:
        raise UsageError(
            f"the recording holds {header.sample:.0%} of the checkouts, and demand cannot be replayed from a sample",
            help="record again without `--sample`: `dbdoctor run -- COMMAND`",
        )
    part = header.identity, header.part
    if part in met.parts:
        return None
    met.parts.add(part)
    process = known.get(header.identity)
    if process is None:
        met.overwritten += header.part > 1
        process = known[header.identity] = _Process(header)
    process.header = header
    return process


def _taken(process: _Process, record: Record, met: _Met) -> Checkout | None:
    """The checkout that this line ends, if it ends one."""
    if isinstance(record, Row):
        return process.checkout(record.arrival, record.wait_us, record.use_us, record.connection)
    if isinstance(record, ClosedLine):
        began = process.open.pop(record.number, None)
        process.held.discard(record.number)
        return process.checkout(began.at, began.wait_us, record.use_us, began.connection) if began else None
    if isinstance(record, OpenLine):
        process.open[record.number] = record
        process.until = max(process.until, record.at)
    elif isinstance(record, HeldLine):
        process.held.add(record.number)
    elif isinstance(record, PoolLine):
        process.pools[record.number] = record.settings
    elif isinstance(record, ConnectionLine):
        _connect(process, record, met)
    elif isinstance(record, EndLine):
        process.until = max(process.until, record.at)
    else:
        _missed(record, met)
    return None


def _missed(record: Record, met: _Met) -> None:
    """Demand that is no checkout in the recording."""
    if isinstance(record, LostLine):
        met.lost += record.checkouts
    elif isinstance(record, TimeoutLine):
        met.timeouts += 1
    elif isinstance(record, FailedLine):
        met.failed += 1


def _connect(process: _Process, line: ConnectionLine, met: _Met) -> None:
    pool = process.pools.get(line.pool), line.server
    identity = process.header.identity
    name = process.names.get(pool)
    if name is None:
        name = f"{identity}, pool {len(process.names) + 1}" if process.names else identity
        process.names[pool] = name
        if len(process.names) > 1:
            met.several.add(identity)
    while len(process.connections) >= _MOST_CONNECTIONS:
        del process.connections[next(iter(process.connections))]
    process.connections[line.number] = name


def _rest(process: _Process, met: _Met) -> Iterator[Checkout]:
    """What was not returned: as far as it is ordinary use, in use until the recording ends."""
    until = process.until
    for number, line in sorted(process.open.items(), key=lambda item: item[1].at):
        use = max(0, until - line.at - line.wait_us)
        if number in process.held or use >= process.header.leak_after * 1e6:
            met.leaked += 1
            continue
        met.in_use += 1
        yield process.checkout(line.at, line.wait_us, use, line.connection)


def _so_many(number: int) -> str:
    return f"{number:,} checkout{'s' if number != 1 else ''}"


def _notes(met: _Met) -> Iterator[str]:
    if met.leaked:
        yield (
            f"never returned and left out: {_so_many(met.leaked)}; no pool is large enough for a leak; "
            "`dbdoctor trace` names the lines"
        )
    if met.in_use:
        yield f"{_so_many(met.in_use)} had not ended when the recording did: counted as used until then"
    if met.lost:
        yield f"{met.lost:,} checkouts were not recorded, since they came faster than the disk took them: the demand is greater"
    missed = [f"{_times(met.timeouts)} `pool_timeout` ran out"] if met.timeouts else []
    missed += [f"{_times(met.failed)} an error came instead of a connection"] if met.failed else []
    if missed:
        yield f"{' and '.join(missed)}: what was asked for then is not among the checkouts, and the demand is greater"
    if met.overwritten:
        yield f"of {met.overwritten:,} processes the beginning was overwritten (`--max-size`)"
    if met.several:
        yield (
            f"{len(met.several):,} processes have pools of several kinds: each of these counts as a process of its own; "
            "`dbdoctor trace` tells them apart"
        )


def _times(number: int) -> str:
    return "once" if number == 1 else f"{number:,} times"
