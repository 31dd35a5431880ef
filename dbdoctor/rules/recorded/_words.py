"""How the rules on recordings name lines of code, and what they give as evidence."""

from __future__ import annotations

from typing import Any

from dbdoctor.model.recorded import Frames
from dbdoctor.model.recorded_summary import SiteSummary, StillOut, shown_site

MOST_ROWS = 20
"""Lines of evidence in a finding; the renderer shows five and counts the others."""

WITH_BLOCK = "with engine.connect() as connection:  # or Session(engine) as session\n    ..."
"""What returns a connection whatever happens."""


def from_where(frames: Frames) -> str:
    """`shop/db.py:10 get, from shop/web.py:88 handler`: the line, and who called it, if that is known."""
    rest = frames[1:] if frames and shown_site(frames) == frames[0].shown else ()
    return shown_site(frames) + (f", from {rest[0].shown}" if rest else "")


def frames_object(frames: Frames) -> list[dict[str, Any]]:
    """For evidence: innermost first."""
    return [frame._asdict() for frame in frames]


def site_evidence(site: SiteSummary, checkouts: int, longest: float) -> dict[str, Any]:
    """For evidence: where, how many, and the longest (seconds)."""
    return {"taken_at": frames_object(site.frames), "checkouts": checkouts, "longest_seconds": longest}


def holder(still: StillOut) -> str:
    """`process 4711, session 4712, MainThread`."""
    session = "" if still.session is None else f", session {still.session}"
    return f"process {still.process}{session}" + (f", {still.thread}" if still.thread else "")
