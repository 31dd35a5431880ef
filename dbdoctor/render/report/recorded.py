"""What the recorder saw inside the application: by line of code, by pool, and who held what when a pool had none left."""

from __future__ import annotations

from collections.abc import Sequence

from dbdoctor.model.duration import format_duration
from dbdoctor.model.recorded import Frames
from dbdoctor.model.recorded_summary import SiteSummary, Summary, TimeoutGroup, Times
from dbdoctor.model.report import WholeReport
from dbdoctor.render.leaks_words import plural
from dbdoctor.render.report.figure import Table, table_of
from dbdoctor.render.report.html import Child, Markup, el, escape, join, name
from dbdoctor.render.report.pieces import absent, items, number, section
from dbdoctor.render.trace_text import last_words, pool_words, whose

_MOST_SITES = 40
_MOST_POOLS = 10
_MOST_TIMEOUTS = 10
_MOST_HOLDERS = 8
_HEAD = ("line of code", "checkouts", "mean wait", "95% wait", "longest wait", "mean use", "longest use", "unreturned")


def recorded(report: WholeReport) -> Markup:
    """The section."""
    title = "Where connections are taken"
    if report.traced is None:
        return section("code", title, absent(report.absent.get("trace")))
    summary = report.traced.summary
    return section(
        "code",
        title,
        el("p", whose(summary)),
        el("p", f"{last_words(summary)}."),
        _sites(summary),
        _timeouts(summary),
        join(
            el("h3", "Pools"),
            items([escape(pool_words(pool)) for pool in summary.pools], _MOST_POOLS, "kinds of pools"),
        ),
        items([escape(note) for note in summary.notes], 20, "notes"),
    )


def _sites(summary: Summary) -> Markup | None:
    if not summary.sites:
        return None
    names = summary.names
    rows = [_row(site, names[site.frames]) for site in summary.sites[:_MOST_SITES]]
    more = len(summary.sites) - _MOST_SITES
    return join(
        el("h3", "By line of code"),
        table_of(Table("the lines of code that took connections, the worst first", _HEAD, rows)),
        el("p", f"and {plural(more, 'line')} more") if more > 0 else None,
    )


def _row(site: SiteSummary, called: str) -> list[Child]:
    wait, use = site.wait, site.use
    return [
        el("code", name(called, 200)),
        number(f"{site.checkouts:,}"),
        *(number(_time(wait, one)) for one in (wait.mean, wait.p95, wait.longest)),
        *(number(_time(use, one)) for one in (use.mean, use.longest)),
        number(el("strong", f"{site.out:,}", class_="error") if site.out else "0"),
    ]


def _time(times: Times, seconds: float) -> str:
    return format_duration(seconds) if times.count else "-"


def _timeouts(summary: Summary) -> Markup | None:
    """Who held what when somebody waited in vain: what `QueuePool limit reached` does not say."""
    if not summary.timeouts:
        return None
    names = summary.names
    told = [_timeout(group, names) for group in summary.timeouts]
    return join(
        el("h3", "Who held what when a pool had no connection left"), items(told, _MOST_TIMEOUTS, "kinds of timeouts")
    )


def _timeout(group: TimeoutGroup, names: dict[Frames, str]) -> Markup:
    waiting = ", ".join(names.get(frames, "a line that is not known") for frames, _ in group.waiting[:3])
    head = (
        f"{plural(group.count, 'timeout')} after {format_duration(group.wait)}, in {waiting}; {group.held} held at most"
    )
    return join(escape(head), items(_holders(group, names), _MOST_HOLDERS, "lines"))


def _holders(group: TimeoutGroup, names: dict[Frames, str]) -> Sequence[Child]:
    return [
        join(
            el("code", name(names.get(one.frames, "a line that is not known"), 200)),
            escape(f": {one.most}, for up to {format_duration(one.held)}"),
        )
        for one in group.holders
    ]
