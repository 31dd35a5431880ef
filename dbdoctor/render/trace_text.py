"""`trace` for people: whose recording it is, the pools, the table by line of code, and what is wrong."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import TextIO

from dbdoctor.model.duration import format_duration
from dbdoctor.model.finding import Finding, Skipped
from dbdoctor.model.recorded import PoolSettings
from dbdoctor.model.recorded_summary import PoolSummary, SiteSummary, Summary, Times, site_names
from dbdoctor.render.cells import plain
from dbdoctor.render.clean import clean, fill
from dbdoctor.render.columns import Column, lay_out
from dbdoctor.render.finding import by_severity, finding_lines, skipped_lines
from dbdoctor.render.style import Style
from dbdoctor.rules._common import count
from dbdoctor.rules.recorded import judge_recorded

DEFAULT_LIMIT = 20
"""Lines of code in the table."""
_MOST_POOLS = 5
_MOST_PROGRAMS = 3

_COLUMNS = (
    Column("site", "line of code", good=34, least=16),
    Column("checkouts", "checkouts", right=True),
    Column("wait_mean", "wait mean", right=True, luxury=14),
    Column("wait_p95", "wait p95", right=True, luxury=12),
    Column("wait_max", "wait max", right=True, luxury=10),
    Column("use_mean", "use mean", right=True, luxury=13),
    Column("use_p95", "use p95", right=True, luxury=11),
    Column("use_max", "use max", right=True),
    Column("collected", "collected", right=True, luxury=15),
    Column("timeouts", "no connection", right=True, luxury=16),
    Column("out", "unreturned", right=True),
)


def show_summary(summary: Summary, out: TextIO, style: Style, *, limit: int = DEFAULT_LIMIT) -> None:
    """The whole summary with its findings, on `out`; `limit` lines of code, 0 is all of them."""
    findings, skipped = judge_recorded(summary)
    for line in trace_lines(summary, findings, skipped, style, limit=limit):
        print(line, file=out)


def trace_lines(
    summary: Summary,
    findings: Sequence[Finding],
    skipped: Sequence[Skipped],
    style: Style,
    *,
    limit: int = DEFAULT_LIMIT,
) -> Iterator[str]:
    """The same, line by line."""
    yield fill(whose(summary), style.width, "  ", "")
    yield from _pools(summary.pools, style)
    if summary.sites:
        yield ""
        yield from _table(summary.sites, style, limit)
    for finding in by_severity(tuple(findings)):
        yield ""
        yield from finding_lines(finding, style)
    if skipped or summary.notes:
        yield ""
    for each in skipped:
        yield from skipped_lines(each, style)
    for note in summary.notes:
        yield fill(f"note: {clean(note, 600)}", style.width, "  ", "")
    yield ""
    yield fill(last_words(summary), style.width, "  ", "")


# --- whose it is


def whose(summary: Summary) -> str:
    """`shop.py on web1, 4 processes, 2025-11-21 14:30:05 to 14:35:17 UTC (5m 12s)`."""
    programs = Counter(process.header.program or "a program" for process in summary.processes)
    hosts = sorted({process.header.host for process in summary.processes if process.header.host})
    named = ", ".join(clean(program, 60) for program, _ in programs.most_common(_MOST_PROGRAMS))
    named += f" and {len(programs) - _MOST_PROGRAMS} more" if len(programs) > _MOST_PROGRAMS else ""
    where = f" on {clean(hosts[0], 60)}" if len(hosts) == 1 else f" on {len(hosts)} hosts" if hosts else ""
    many = f", {count(len(summary.processes), 'process', 'processes')}"
    return f"{named}{where}{many}, {_from_to(summary.began, summary.until)}"


def _from_to(began: float, until: float) -> str:
    try:
        first, last = datetime.fromtimestamp(began, UTC), datetime.fromtimestamp(until, UTC)
    except (OverflowError, ValueError, OSError):
        return "at times that no calendar has"
    end = f"{last:%H:%M:%S}" if first.date() == last.date() else f"{last:%Y-%m-%d %H:%M:%S}"
    return f"{first:%Y-%m-%d %H:%M:%S} to {end} UTC ({format_duration(until - began)})"


def _pools(pools: Sequence[PoolSummary], style: Style) -> Iterator[str]:
    for pool in pools[:_MOST_POOLS]:
        yield fill(pool_words(pool), style.width, "    ", "  ")
    if len(pools) > _MOST_POOLS:
        yield f"  and {len(pools) - _MOST_POOLS} more kinds of pools (--json has all)"


def pool_words(pool: PoolSummary) -> str:
    """A kind of pool: its settings, what it opened, and what went wrong with it."""
    where = f" on {clean(pool.server, 200)}" if pool.server else ""
    processes = count(pool.processes, "process", "processes")
    many = f", {pool.pools:,} of them in {processes}" if pool.pools > pool.processes else f", in {processes}"
    facts = [f"{_settings(pool.settings)}{where}{many}: {count(pool.opened, 'connection')} opened{_kinds(pool)}"]
    if pool.connect.count:
        facts.append(f"{format_duration(pool.connect.mean)} each, {format_duration(pool.connect.longest)} at most")
    ended = ((pool.invalidated, "invalidated"), (pool.soft_invalidated, "soft-invalidated"))
    if said := [f"{number:,} {words}" for number, words in ended if number]:
        facts.append(f"{', '.join(said)}{_errors(pool.errors)}")
    if pool.resets:
        facts.append(f"{count(pool.resets, 'reset')} on return ({clean(pool.settings.reset_on_return or '', 20)})")
    if pool.failures:
        failed = sum(times for _, times in pool.failures)
        facts.append(f"{count(failed, 'error')} instead of a connection{_errors(pool.failures)}")
    if pool.timeouts:
        facts.append(count(pool.timeouts, "timeout"))
    return ", ".join(facts)


def _settings(settings: PoolSettings) -> str:
    """`QueuePool size 5 + 10, timeout 30 s, recycle 280 s, pre-ping`."""
    words = clean(settings.pool_class, 60) or "a pool"
    if settings.size is not None:
        words += f" size {settings.size}" + (
            "" if not settings.max_overflow else f" + {_overflow(settings.max_overflow)}"
        )
    if settings.timeout is not None:
        words += f", timeout {settings.timeout:g} s"
    if settings.recycle is not None and settings.recycle >= 0:
        words += f", recycle {settings.recycle:g} s"
    return words + (", pre-ping" if settings.pre_ping else "")


def _overflow(most: int) -> str:
    return "without bound" if most < 0 else str(most)


def _kinds(pool: PoolSummary) -> str:
    kinds = ((pool.overflow, "overflow"), (pool.recycled, "recycled"), (pool.reconnected, "after an invalidation"))
    said = ", ".join(f"{number:,} {words}" for number, words in kinds if number)
    return f" ({said})" if said else ""


def _errors(errors: Sequence[tuple[str, int]]) -> str:
    return f" ({', '.join(clean(name, 60) for name, _ in errors[:_MOST_PROGRAMS])})" if errors else ""


# --- by line of code


def _table(sites: Sequence[SiteSummary], style: Style, limit: int) -> Iterator[str]:
    shown = sites[:limit] if limit else sites
    names = site_names(site.frames for site in sites)
    rows = [_cells(site, plain(names[site.frames], unicode=style.unicode)) for site in shown]
    table = lay_out(_COLUMNS, rows, style.width, unicode=style.unicode)
    yield style.paint("".join(table.line([column.title for column in _COLUMNS])).rstrip(), bold=True)
    for site, row in zip(shown, rows, strict=True):
        line = "".join(table.line(row)).rstrip()
        yield style.paint(line, "red") if site.out else style.paint(line, "yellow") if _is_odd(site) else line
    if len(shown) < len(sites):
        yield f"and {count(len(sites) - len(shown), 'line')} more (`--limit 0`, or --json)"


def _is_odd(site: SiteSummary) -> bool:
    return bool(site.collected or site.overdue or site.timeouts or site.failures)


def _cells(site: SiteSummary, name: str) -> list[str]:
    out = f"{site.out:,}" if site.out else ""
    missed = site.timeouts + site.failures
    return [
        name,
        f"{site.checkouts:,}",
        *_times(site.wait),
        *_times(site.use),
        f"{site.collected:,}" if site.collected else "",
        f"{missed:,}" if missed else "",
        out,
    ]


def _times(times: Times) -> tuple[str, str, str]:
    if not times.count:
        return "", "", ""
    return format_duration(times.mean), format_duration(times.p95), format_duration(times.longest)


def last_words(summary: Summary) -> str:
    """The last line: how many checkouts there were, and what became of them."""
    out = sum(site.out for site in summary.sites)
    late = sum(site.overdue for site in summary.sites)
    timeouts = sum(group.count for group in summary.timeouts)
    lines = count(len(summary.sites), "line of code", "lines of code")
    said = f"{count(summary.checkouts, 'checkout')} at {lines}: {out:,} never returned"
    said += f", {late:,} held for {format_duration(summary.leak_after)} or more" if late else ""
    said += f", {count(timeouts, 'pool timeout')}" if timeouts else ""
    in_use = sum(site.in_use for site in summary.sites)
    return said + (f", {in_use:,} in use at the end" if in_use else "")
