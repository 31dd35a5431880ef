"""Annotations of GitHub Actions: each finding marks the run, and where its line of code is known, that line.

A workflow command a line, `::error title=...::...`, as in
https://docs.github.com/actions/reference/workflow-commands-for-github-actions; escaped as the toolkit's
`packages/core/src/command.ts` does. GitHub shows ten annotations of a kind for a step, so the worst come first.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dbdoctor.model.finding import Finding, Skipped
    from dbdoctor.model.outcome import Outcome

COMMANDS = ("check", "leaks", "recommend")
MEANING = "annotations of GitHub Actions"

_LEVEL = {"error": "error", "warning": "warning", "info": "notice"}
_MOST_ROWS = 5
_NAME, _TEXT = 200, 1000  # characters


def lines(outcomes: Sequence[Outcome]) -> Iterator[str]:
    """A command a finding, one for each rule that could not look, and a line that sums up."""
    for outcome in outcomes:
        for finding in outcome.by_severity:
            yield _annotation(outcome, finding)
        for skipped in outcome.skipped:
            yield _not_looked(outcome, skipped)
        yield _plain(f"{_title(outcome)}: {outcome.headline}")


def _annotation(outcome: Outcome, finding: Finding) -> str:
    rows = [f"- {row}" for row in finding.rows[:_MOST_ROWS]]
    left = len(finding.rows) - len(rows)
    if left:
        rows.append(f"- and {left} more")
    message = [finding.title, *rows, f"why: {finding.why}", f"fix: {finding.fix}", *(finding.command or "").split("\n")]
    message.append(f"more: dbdoctor explain {finding.code}")
    place = {**_place(finding), "title": f"{_title(outcome)}: {finding.code}"}
    return _command(_LEVEL[finding.severity.value], place, [line for line in message if line])


def _not_looked(outcome: Outcome, skipped: Skipped) -> str:
    message = [f"could not look: {skipped.reason}", *([f"help: {skipped.help}"] if skipped.help else [])]
    return _command("notice", {"title": f"{_title(outcome)}: {skipped.rule}"}, message)


def _place(finding: Finding) -> dict[str, str]:
    """The file and the line, where the recorder saw them."""
    taken: Any = finding.evidence.get("taken_at")
    if isinstance(taken, (list, tuple)) and taken and isinstance(taken[0], Mapping):
        taken = taken[0]
    if not isinstance(taken, Mapping) or not taken.get("file"):
        return {}
    line = taken.get("line")
    return {"file": _in_the_repository(str(taken["file"])), **({"line": str(line)} if isinstance(line, int) else {})}


def _in_the_repository(file: str) -> str:
    """GitHub marks a file by its path in the repository, the recorder tells where it lies on this machine."""
    import os

    root = os.environ.get("GITHUB_WORKSPACE") or str(Path.cwd())
    return os.path.relpath(file, root) if file.startswith(root.rstrip("/") + "/") else file


def _title(outcome: Outcome) -> str:
    return f"dbdoctor {outcome.command} {outcome.target}"


def _command(level: str, properties: Mapping[str, str], message: Sequence[str]) -> str:
    from dbdoctor.render.clean import clean

    named = ",".join(f"{name}={_property(clean(value, _NAME))}" for name, value in properties.items())
    return f"::{level} {named}::" + _data("\n".join(clean(line, _TEXT) for line in message))


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")


def _plain(text: str) -> str:
    """A line of the log that is no command: the older form, `##[error]`, counts anywhere in a line."""
    from dbdoctor.render.clean import clean

    return clean(text, _TEXT).replace("##[", "## [")
