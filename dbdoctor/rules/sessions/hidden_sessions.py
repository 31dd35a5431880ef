"""What of the sessions is hidden from us (code `view-restricted`, whose page is `rules/view_restricted.py`)."""

from __future__ import annotations

from collections.abc import Iterator

from dbdoctor.model.finding import Finding, Severity, Skipped
from dbdoctor.rules.sessions._watched import Judged, Watched

CODES = ()
_GRANT = "let an administrator grant the view; it is read only, and holds at once"
_NOTHING_GRANTS = "ask the server's own tools: no right is known that would show them to us"


def judge(watched: Watched) -> Iterator[Judged | Skipped]:
    """How many sessions we may not look into, and everything else that could not be read."""
    hidden, everyone = watched.history.hidden, len(watched.history.lives)
    if hidden:
        finding = Finding(
            code="view-restricted",
            severity=Severity.WARNING,
            title=f"{hidden} of {everyone} sessions are hidden from this role: not judged, and not healthy for that",
            why=f"{watched.why_hidden}: what they do, and for how long, cannot be seen",
            fix=_GRANT,
            command=watched.grants,
            evidence={"hidden_sessions": hidden, "sessions": everyone},
        )
        yield Judged(finding)
    elif watched.facts is not None and watched.facts.restricted:
        finding = Finding(
            code="view-restricted",
            severity=Severity.WARNING,
            title="other sessions are hidden from us: whether they are well cannot be said",
            why=f"{watched.why_hidden}: neither how many there are nor what they do can be seen",
            fix=_GRANT if watched.grants else _NOTHING_GRANTS,
            command=watched.grants,
            evidence={"hidden_sessions": None, "sessions": everyone},
        )
        yield Judged(finding)
    for missing in watched.history.missing:
        yield Skipped(missing.what, missing.reason, missing.help)
