"""`leaks --sessions` for people: a line a session, and under it what is known of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from dbdoctor.model.duration import format_duration
from dbdoctor.model.leaks import SessionReport, Verdict
from dbdoctor.model.secret import redact
from dbdoctor.model.session import ABORTED, IDLE_IN_TRANSACTION
from dbdoctor.render.cells import plain, shorten, width
from dbdoctor.render.clean import clean, fill
from dbdoctor.render.columns import Column, lay_out
from dbdoctor.render.leaks_table import NO_NAME
from dbdoctor.render.leaks_words import VERDICT_COLOUR, WORD, age
from dbdoctor.render.style import Style

_COLUMNS = (
    Column("pid", "pid", right=True),
    Column("verdict", "verdict"),
    Column("application", "application", least=10),
    Column("account", "user@database", least=8, luxury=4),
    Column("client", "client", least=9, luxury=5),
    Column("state", "state"),
    Column("since", "since", right=True, luxury=2, gap=1),
    Column("transaction", "in tx", right=True, luxury=1, gap=1),
    Column("age", "age", right=True, luxury=3, gap=1),
)
_SHORT = {IDLE_IN_TRANSACTION: "in tx", ABORTED: "aborted"}
_STATEMENT = 400


def session_lines(sessions: Sequence[SessionReport], style: Style, *, limit: int, queries: bool) -> Iterator[str]:
    """At most `limit` sessions, as they come; the statement, cut to one line, only with `queries`."""
    shown = sessions[: max(0, limit)]
    rows = [_cells(session, style) for session in shown]
    table = lay_out(_COLUMNS, rows, style.width, unicode=style.unicode)
    if shown:
        yield style.paint("".join(table.line([column.title for column in _COLUMNS])).rstrip(), bold=True)
    indent = " " * (table.widths[0] + 2 if shown else 0)
    for session, cells in zip(shown, rows, strict=True):
        yield _painted("".join(table.line(cells)).rstrip(), session.verdict, style)
        yield from _beneath(session, style, indent, queries=queries)
    if len(sessions) > len(shown):
        yield f"{_more(sessions[len(shown) :])} (--limit {len(sessions)} shows all)"


def _cells(report: SessionReport, style: Style) -> list[str]:
    session = report.session
    accounts = [plain(part, unicode=style.unicode) for part in (session.user, session.database) if part]
    port = f":{session.client_port}" if session.client_port and session.client_port > 0 else ""
    return [
        str(session.id),
        WORD[report.verdict],
        plain(session.application or NO_NAME, unicode=style.unicode),
        "@".join(accounts) or "-",
        f"{plain(session.client or '-', unicode=style.unicode)}{port}",
        "hidden" if session.hidden or session.state is None else _SHORT.get(session.state, session.state),
        age(report.state_age),
        age(report.transaction_age),
        age(report.age),
    ]


def _painted(line: str, verdict: Verdict, style: Style) -> str:
    word = f" {WORD[verdict]}"
    return line.replace(word, f" {style.paint(word[1:], VERDICT_COLOUR[verdict], bold=verdict is not Verdict.OK)}", 1)


def _beneath(report: SessionReport, style: Style, indent: str, *, queries: bool) -> Iterator[str]:
    detail, process, pooled = report.detail, report.process, report.pooled_client
    words = [clean(report.reason, 300)] if report.reason else []
    if process:
        words.append(f"process {process.pid}{': ' + clean(redact(process.command), 120) if process.command else ''}")
    if report.held:
        words.append(clean(_place(report), 300))
    if pooled:
        name = f" ({clean(pooled.application, 60)})" if pooled.application else ""
        words.append(f"behind the pooler {clean(pooled.address or 'unknown', 60)}:{pooled.port or '?'}{name}")
    if words:
        yield fill("; ".join(words), style.width, indent + "  ", indent)
    if queries and detail and detail.statement:
        text = plain(redact(clean(detail.statement, _STATEMENT)), unicode=style.unicode)
        yield indent + shorten(text, style.width - width(indent), unicode=style.unicode)


def _place(report: SessionReport) -> str:
    """`taken 92 s ago at shop/orders.py:12 take_order`, or who had it last."""
    held = report.held
    assert held is not None
    if held.beside:
        return "opened beside the pools that the recorder sees"
    when = f"{format_duration(held.longest)} ago " if held.longest is not None else ""
    return f"{'last ' if held.rests else ''}taken {when}at {held.place}"


def _more(sessions: Sequence[SessionReport]) -> str:
    """`12 more sessions, all ok`."""
    number = Counter(session.verdict for session in sessions)
    kinds = ", ".join(f"{number[verdict]} {verdict.value}" for verdict in reversed(Verdict) if number[verdict])
    return f"{len(sessions)} more session{'s' if len(sessions) > 1 else ''}, " + (
        "all ok" if number[Verdict.OK] == len(sessions) else kinds
    )
