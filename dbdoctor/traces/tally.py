"""All processes of a run, counted as the lines come: memory grows with call sites, pools and what is open, not with checkouts."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from dbdoctor.model.recorded import (
    ClosedLine,
    ConnectionLine,
    DisabledLine,
    EndLine,
    EventLine,
    FailedLine,
    Frames,
    Header,
    HeldLine,
    LostLine,
    OpenLine,
    PoolLine,
    PoolSettings,
    Record,
    Row,
    SiteLine,
    TimeoutLine,
)
from dbdoctor.model.recorded_summary import ProcessSummary, SiteSummary, StillOut
from dbdoctor.traces.pool_tally import PoolTally, Timeouts, add_bounded
from dbdoctor.traces.site_tally import SiteTally

_MOST_SITES = 20_000
_MOST_POOLS = 5_000  # of a process; an engine per request makes a pool each
_MOST_CONNECTIONS = 50_000
_MOST_OPEN = 100_000
_OTHER_SITES = 0  # that the recorder does not tell apart
_OTHER_POOLS = PoolSettings("other pools")


class _Open:
    """A checkout that has not ended. `part` is the last part of the recording that tells of it."""

    __slots__ = ("held", "line", "part", "session", "site")

    def __init__(self, line: OpenLine, site: SiteTally, session: int | None, part: int) -> None:
        self.line = line
        self.site = site
        self.session = session
        self.part = part
        self.held = False


class _Process:
    """One process, whose parts may come from several files."""

    def __init__(self, header: Header) -> None:
        self.header = header
        self.first_part = header.part
        self.sites: dict[int, SiteTally] = {}
        self.pools: dict[int, PoolTally] = {}
        self.connections: dict[int, tuple[int, int | None]] = {}  # the pool's number, the session's id
        self.open: dict[int, _Open] = {}
        self.until = 0
        self.checkouts = self.lost = 0
        self.ended: str | None = None
        self.disabled: str | None = None

    def pool(self, number: int) -> PoolTally | None:
        return self.pools.get(number) or self.pools.get(0)

    def frames(self, site: int) -> Frames:
        tally = self.sites.get(site)
        return tally.frames if tally else ()


class Tally:
    """Takes what was read; `repeated` counts parts that were told before, as when a file is named twice."""

    def __init__(self) -> None:
        self.processes: dict[str, _Process] = {}
        self.timeouts = Timeouts()
        self.repeated = 0
        self.unassigned = 0
        self._sites: dict[Frames, SiteTally] = {}
        self._parts: set[tuple[str, int]] = set()
        self._now: _Process | None = None

    @property
    def overfull(self) -> int:
        """How many processes had more call sites than their recorder tells apart."""
        return sum(_OTHER_SITES in process.sites for process in self.processes.values())

    def take(self, record: Record) -> None:
        """The next line; those of a part that was told before are passed over."""
        process = self._now
        if isinstance(record, Header):
            self._begin(record)
        elif process is None:
            return
        elif isinstance(record, Row):
            self._row(process, record)
        else:
            _TAKERS[type(record)](self, process, record)

    def _begin(self, header: Header) -> None:
        part = header.identity, header.part
        if part in self._parts:
            self.repeated += 1
            self._now = None
            return
        self._parts.add(part)
        process = self.processes.get(header.identity)
        if process is None:
            process = self.processes[header.identity] = _Process(header)
        process.header = header
        process.first_part = min(process.first_part, header.part)
        self._now = process

    # --- checkouts

    def _row(self, process: _Process, row: Row) -> None:
        arrival, wait, use, number, connection, _ = row
        site = process.sites.get(number) or self._site(process, number, ())
        site.wait.add(wait)
        site.use.add(use)
        process.checkouts += 1
        process.until = max(process.until, arrival + wait + use)
        self._count_return(process, connection)
        if use >= process.header.leak_after * 1e6:
            site.take_overdue(use)

    def _count_return(self, process: _Process, connection: int) -> None:
        known = process.connections.get(connection)
        pool = process.pools.get(known[0]) if known else None
        if pool is not None:
            pool.returns += 1

    def _site(self, process: _Process, number: int, frames: Frames) -> SiteTally:
        if frames not in self._sites and len(self._sites) >= _MOST_SITES:
            frames = ()
        tally = self._sites.setdefault(frames, SiteTally(frames))
        tally.processes.add(process.header.identity)
        if len(process.sites) < _MOST_SITES:
            process.sites[number] = tally
        return tally

    def _known_site(self, process: _Process, number: int) -> SiteTally:
        return process.sites.get(number) or self._site(process, number, ())

    def _take_site(self, process: _Process, line: SiteLine) -> None:
        self._site(process, line.number, line.frames)

    def _take_open(self, process: _Process, line: OpenLine) -> None:
        known = process.open.get(line.number)
        if known is not None:  # told again as another part begins
            known.part = process.header.part
            return
        site = self._known_site(process, line.site)
        site.wait.add(line.wait_us)
        process.checkouts += 1
        process.until = max(process.until, line.at + line.wait_us)
        if len(process.open) < _MOST_OPEN:
            session = process.connections.get(line.connection, (0, None))[1]
            process.open[line.number] = _Open(line, site, session, process.header.part)

    def _take_held(self, process: _Process, line: HeldLine) -> None:
        process.until = max(process.until, line.at)
        known = process.open.get(line.number)
        if known is not None:
            known.held = True

    def _take_closed(self, process: _Process, line: ClosedLine) -> None:
        known = process.open.pop(line.number, None)
        if known is None:
            self.unassigned += 1
            return
        if line.how != "lost":
            process.until = max(process.until, known.line.at + known.line.wait_us + line.use_us)
        if line.how in {"returned", "garbage-collected"}:
            self._count_return(process, known.line.connection)
        overdue = known.held or line.use_us >= process.header.leak_after * 1e6
        back = () if line.site is None else process.frames(line.site)
        known.site.end(line.use_us, line.how, back, overdue=overdue)

    # --- pools

    def _take_pool(self, process: _Process, line: PoolLine) -> None:
        if line.number in process.pools:
            return
        if len(process.pools) < _MOST_POOLS:
            process.pools[line.number] = PoolTally(line.settings)
        else:
            process.pools.setdefault(0, PoolTally(_OTHER_POOLS))

    def _take_connection(self, process: _Process, line: ConnectionLine) -> None:
        if line.number in process.connections:  # told again as another part begins
            return
        while len(process.connections) >= _MOST_CONNECTIONS:
            del process.connections[next(iter(process.connections))]
        process.connections[line.number] = line.pool, line.session
        pool = process.pool(line.pool)
        if pool is not None:
            pool.connected(line)

    def _take_event(self, process: _Process, line: EventLine) -> None:
        process.until = max(process.until, line.at)
        pool = process.pool(process.connections.get(line.connection, (-1, None))[0])
        if pool is not None:
            pool.event(line)

    def _take_timeout(self, process: _Process, line: TimeoutLine) -> None:
        process.until = max(process.until, line.at)
        site = self._known_site(process, line.site)
        site.timeouts += 1
        pool = process.pool(line.pool)
        if pool is not None:
            pool.counts["timeouts"] += 1
        moment = process.header.began + line.at / 1e6
        self.timeouts.take(line, pool.settings if pool else None, moment, site.frames, process.frames)

    def _take_failed(self, process: _Process, line: FailedLine) -> None:
        process.until = max(process.until, line.at)
        self._known_site(process, line.site).failures += 1
        pool = process.pool(line.pool)
        if pool is not None:
            add_bounded(pool.failures, line.error)

    # --- the recording itself

    def _take_lost(self, process: _Process, line: LostLine) -> None:
        process.lost += line.checkouts
        process.until = max(process.until, line.at)

    def _take_disabled(self, process: _Process, line: DisabledLine) -> None:
        process.disabled = line.why
        process.until = max(process.until, line.at)

    def _take_end(self, process: _Process, line: EndLine) -> None:
        process.ended = line.how or "exit"
        process.until = max(process.until, line.at)

    # --- the end

    def finish(self, alive_until: Callable[[Header], float | None]) -> list[ProcessSummary]:
        """Judge what is still out. `alive_until` gives the Unix time up to which a process is known to run; None: it is gone."""
        found = []
        for process in self.processes.values():
            known_until = None if process.ended else alive_until(process.header)
            if known_until is not None:
                process.until = max(process.until, int((known_until - process.header.began) * 1e6))
            for still in process.open.values():
                _stay(process, still, is_sure=process.ended is not None or known_until is not None)
            found.append(_summary(process, alive=known_until is not None))
        return found

    def sites(self) -> Iterator[SiteSummary]:
        """Every call site at which something happened."""
        return (site.summary() for site in self._sites.values() if site.is_used)

    def pools(self) -> Iterator[tuple[str, PoolTally]]:
        """Every pool, with its process."""
        for identity, process in self.processes.items():
            for pool in process.pools.values():
                yield identity, pool


def _stay(process: _Process, still: _Open, *, is_sure: bool) -> None:
    header, line = process.header, still.line
    if still.part < header.part:  # it would have been told again: its end was in a part that is gone
        still.site.end(0, "lost", (), overdue=False)
        return
    held = max(0, process.until - line.at - line.wait_us) / 1e6
    if still.held:
        held = max(held, header.leak_after)
    overdue = still.held or held >= header.leak_after
    out = StillOut(header.process, held, not is_sure, overdue, line.thread_name, still.session)
    still.site.stay(out, is_leak=overdue or process.ended is not None)


def _summary(process: _Process, *, alive: bool) -> ProcessSummary:
    return ProcessSummary(
        header=process.header,
        until=process.header.began + process.until / 1e6,
        checkouts=process.checkouts,
        ended=process.ended,
        alive=alive,
        disabled=process.disabled,
        lost=process.lost,
        first_part=process.first_part,
    )


_TAKERS: dict[type, Callable[[Tally, _Process, Any], None]] = {
    SiteLine: Tally._take_site,
    OpenLine: Tally._take_open,
    HeldLine: Tally._take_held,
    ClosedLine: Tally._take_closed,
    PoolLine: Tally._take_pool,
    ConnectionLine: Tally._take_connection,
    EventLine: Tally._take_event,
    TimeoutLine: Tally._take_timeout,
    FailedLine: Tally._take_failed,
    LostLine: Tally._take_lost,
    DisabledLine: Tally._take_disabled,
    EndLine: Tally._take_end,
}
