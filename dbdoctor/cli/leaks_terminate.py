"""`leaks --terminate` and `--terminate-leaks`: a preview, a question, the end of the sessions, and what became of each."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from dbdoctor.errors import CannotLookError, ExitCode, UsageError
from dbdoctor.model.duration import format_duration
from dbdoctor.model.leaks import LeaksReport, SessionReport
from dbdoctor.model.literals import without_literals
from dbdoctor.model.secret import redact
from dbdoctor.model.session import Identity, Session
from dbdoctor.model.target import Product
from dbdoctor.render.clean import clean, fill
from dbdoctor.render.style import Style
from dbdoctor.watch import termination
from dbdoctor.watch.source import SessionSource, SourceLostError, SourceSlowError, Termination

_OUTCOMES = {
    termination.ENDED: ("ended", "green"),
    termination.NOT_FOUND: ("not found any more", None),
    termination.NOT_ALLOWED: ("not allowed", "red"),
    termination.STILL_THERE: ("still there", "red"),
    termination.SPARED: ("spared", "yellow"),
    termination.DECLINED: ("not ended", None),
}
_FAILED = {termination.STILL_THERE, termination.SPARED}
# Rows of the preview; who ends more than a screen of sessions wants to know whose they are, and how many.
_MOST_ROWS = 20
# Characters of a statement in the preview.
_STATEMENT = 60


@dataclass(frozen=True, slots=True)
class Terminated:
    """What became of each session asked for; `sessions` tells whose it was, for those that were there."""

    outcomes: tuple[Termination, ...]
    sessions: dict[int, Session]

    @property
    def exit_code(self) -> ExitCode:
        """3 when we were not allowed, 1 when one is still there or was spared; one that has gone by itself is no failure."""
        said = {one.outcome for one in self.outcomes}
        if termination.NOT_ALLOWED in said:
            return ExitCode.CANNOT_LOOK
        return ExitCode.FINDINGS if said & _FAILED else ExitCode.OK

    def objects(self) -> list[dict[str, Any]]:
        """The value of the key `terminated`, for programs."""
        return [self._object(one) for one in self.outcomes]

    def lines(self, style: Style) -> Iterator[str]:
        """The same for people, a line a session."""
        for one in self.outcomes:
            word, colour = _OUTCOMES.get(one.outcome, (one.outcome, None))
            session = self.sessions.get(one.identity[0])
            text = f"{one.identity[0]:>7}  {style.paint(word, colour)}"
            yield text + (f"  {_who(session)}" if session else "")
            if one.detail:
                yield fill(clean(redact(one.detail)), style.width, " " * 11, " " * 9)
        ended = sum(one.outcome == termination.ENDED for one in self.outcomes)
        yield f"{ended} of {_sessions(len(self.outcomes))} ended"

    def _object(self, one: Termination) -> dict[str, Any]:
        session = self.sessions.get(one.identity[0])
        texts = {
            "outcome": one.outcome,
            "detail": one.detail or None,
            "application": session.application if session else None,
            "user": session.user if session else None,
            "database": session.database if session else None,
        }
        from dbdoctor.render.json_values import time_text

        cleaned = {key: None if text is None else clean(redact(text)) for key, text in texts.items()}
        return {"id": one.identity[0], "started_at": time_text(one.identity[1]), **cleaned}


def check_options(ids: Sequence[str], *, leaks: bool, yes: bool, watch: bool = False, replay: bool = False) -> None:
    """Whether what was asked for can be done at all, before anything is looked at. Raises UsageError."""
    if not ids and not leaks:
        if yes:
            raise UsageError("`--yes` answers a question that only `--terminate` and `--terminate-leaks` ask")
        return
    option = "--terminate" if ids else "--terminate-leaks"
    if ids and leaks:
        raise UsageError(
            "`--terminate` and `--terminate-leaks` exclude each other", help="name the ids, or leave it to us"
        )
    if watch or replay:
        other = "--watch" if watch else "--replay"
        raise UsageError(f"`{option}` does not go with `{other}`", help=f"run `dbdoctor leaks {option} ...` on its own")
    termination.parse_ids(ids)
    if not yes and not _can_ask():
        raise UsageError(
            f"`{option}` asks before it ends a session, and there is no terminal to ask on",
            help=f"look first with `dbdoctor leaks --sessions`, then add `--yes` to `{option}`",
        )


def run_termination(
    source: SessionSource,
    report: LeaksReport,
    ids: Sequence[str],
    *,
    yes: bool,
    no_color: bool = False,
    own: int | None = None,
    seconds: float = 10.0,
) -> Terminated:
    """End the sessions of these ids, or (no ids) those that are leaks: preview and question on stderr, then the deed.

    `report` must hold its sessions (`judge_leaks(..., with_sessions=True)`); `own` is our own session's id; `seconds` is
    what one call to the server may take. Raises CannotLookError when we do not see enough, or lose the server.
    """
    superusers = _superusers(source, seconds)
    product = source.target.product
    chosen = termination.plan(
        report, termination.parse_ids(ids) if ids else None, own=own, superusers=superusers, product=product
    )
    sessions = {one.session.id: one.session for one in report.sessions}
    outcomes = [one.termination for one in chosen.spared]
    style = Style.of(sys.stderr, no_color=no_color)
    _say(preview_lines(chosen, style, product))
    if not chosen.to_end:
        return Terminated(tuple(outcomes), sessions)
    if not yes and not _confirmed(len(chosen.to_end)):
        return Terminated((*(Termination(i, termination.DECLINED) for i in chosen.identities), *outcomes), sessions)
    done = _end(source, chosen, seconds)
    return Terminated((*done, *outcomes), sessions)


def preview_lines(chosen: termination.Plan, style: Style, product: Product = Product.POSTGRESQL) -> Iterator[str]:
    """What would be ended and what is spared: whose it is, its age, what it holds, how its statement begins."""
    if chosen.to_end:
        yield f"to be ended: {_sessions(len(chosen.to_end))}"
    for one in chosen.to_end[:_MOST_ROWS]:
        yield from _session_lines(one, style)
    if len(chosen.to_end) > _MOST_ROWS:
        yield f"           and {len(chosen.to_end) - _MOST_ROWS} more of: {_whose(chosen.to_end[_MOST_ROWS:])}"
    for spared in chosen.spared:
        word = _OUTCOMES[spared.outcome][0]
        yield fill(clean(f"{word}: {spared.reason}"), style.width, " " * 11, f"{spared.id:>7}  ")
        if spared.session is not None and spared.session.started_at is not None:
            yield f"           by hand: {termination.by_hand(spared.session.identity, product)}"
    if not chosen.to_end:
        yield "nothing to end" if chosen.spared else "no session is a leak: nothing to end"


def _session_lines(one: SessionReport, style: Style) -> Iterator[str]:
    session = one.session
    since = f" for {format_duration(one.state_age)}" if one.state_age is not None else ""
    age = f", connected {format_duration(one.age)}" if one.age is not None else ""
    yield fill(_who(session), style.width, " " * 11, f"{session.id:>7}  ")
    yield fill(clean(f"{session.state}{since}{age} ({one.reason})"), style.width, " " * 11, " " * 9)
    if held := _held(one):
        yield fill(f"holds {held}", style.width, " " * 11, " " * 9)
    if one.process is not None:
        yield fill(
            clean(f"process {one.process.pid}: {one.process.command or 'unknown'}"), style.width, " " * 11, " " * 9
        )
    if one.detail is not None and one.detail.statement:
        yield f"         last statement: {clean(redact(without_literals(one.detail.statement)), _STATEMENT)}"


def _held(one: SessionReport) -> str:
    session, detail, held = one.session, one.detail, []
    if session.transaction_at is not None:
        writes = "that has written" if session.writes else "that has written nothing"
        held.append(f"a transaction {writes}")
    if detail is not None and detail.locks:
        relation = f" on {detail.locked}" if detail.locked else ""
        strongest = f", the strongest {detail.strongest_lock}{relation}" if detail.strongest_lock else ""
        held.append(f"{detail.locks} lock{'s' if detail.locks > 1 else ''}{strongest}")
    if session.holds_back:
        held.append(f"vacuum back by {session.holds_back} transactions")
    return clean(redact("; ".join(held)))


def _who(session: Session) -> str:
    name = session.application or "(no application name)"
    where = "@".join(part for part in (session.user, session.database) if part)
    client = f" from {session.client}" if session.client else ""
    return clean(redact(f"{name} {where}{client}"), 120)


def _whose(rest: Sequence[SessionReport]) -> str:
    counts: dict[str, int] = {}
    for one in rest:
        counts[_who(one.session)] = counts.get(_who(one.session), 0) + 1
    return ", ".join(f"{name} ({count})" for name, count in sorted(counts.items(), key=lambda item: -item[1])[:5])


def _sessions(count: int) -> str:
    return f"{count} session{'' if count == 1 else 's'}"


def _can_ask() -> bool:
    return sys.stdin is not None and sys.stdin.isatty() and sys.stderr.isatty()


def _confirmed(count: int) -> bool:
    what = "this session" if count == 1 else f"these {count} sessions"
    sys.stderr.write(f"End {what}? [y/N] ")
    sys.stderr.flush()
    answer = sys.stdin.readline()
    if not answer.endswith("\n"):  # the end of input: the line is still the question's
        _say([""])
    return answer.strip().lower() in {"y", "yes"}


def _superusers(source: SessionSource, seconds: float) -> frozenset[str]:
    """For the preview; a source that cannot tell spares them in the statement that ends a session."""
    ask = getattr(source, "superusers", None)
    with contextlib.suppress(SourceLostError, SourceSlowError):
        return frozenset(ask(seconds)) if ask else frozenset()
    return frozenset()


def _end(source: SessionSource, chosen: termination.Plan, seconds: float) -> tuple[Termination, ...]:
    """Look once more, spare what has moved since the preview, end the rest."""
    try:
        with contextlib.suppress(SourceLostError):
            return _look_and_end(source, chosen, seconds)
        source.open(seconds)  # while the user thought about it, our own session may have been dropped
        return _look_and_end(source, chosen, seconds)
    except (SourceLostError, SourceSlowError) as error:
        raise CannotLookError("nothing was ended: the server did not answer", cause=str(error)) from None


def _look_and_end(source: SessionSource, chosen: termination.Plan, seconds: float) -> tuple[Termination, ...]:
    holds, dropped = termination.still_so(chosen, source.look(seconds))
    return (*_terminated(source, holds.identities, seconds), *dropped)


def _terminated(source: SessionSource, identities: Sequence[Identity], seconds: float) -> list[Termination]:
    if not identities:
        return []
    try:
        return list(source.terminate(identities, seconds))
    except (SourceLostError, SourceSlowError) as error:
        raise CannotLookError(
            f"the server was told to end {_sessions(len(identities))}, and then did not answer: which of them ended is "
            "not known",
            cause=str(error),
            help="look again with `dbdoctor leaks --sessions`",
        ) from None


def _say(lines: Iterator[str] | Sequence[str]) -> None:
    for line in lines:
        print(line, file=sys.stderr)
    sys.stderr.flush()
