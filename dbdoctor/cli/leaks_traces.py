"""`leaks --trace`: the files of the recorders that are at work on this host, or in what the user names."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from dbdoctor.errors import UsageError


def recordings_of(place: Path | None) -> Callable[[], list[Path]]:
    """What gives the files of the processes that are alive: in a run's directory, of one file, or where runs usually are.

    Raises UsageError when there is no such place.
    """
    if place is not None and not place.exists():
        raise UsageError(
            "`--trace` names nothing that is there",
            help="give the directory that `dbdoctor run` names at its end, or a file in it",
        )
    return lambda: _live(place)


def _live(place: Path | None) -> list[Path]:
    if place is None and not _was_ever_recorded():
        return []
    from dbdoctor.traces.find import live_recordings

    return [found.path for found in live_recordings(place)]


def _was_ever_recorded() -> bool:
    """Whether there is any place of recordings at all; where nobody records, nothing more is loaded."""
    from dbdoctor.recorder.places import fallback_directory

    state = os.environ.get("XDG_STATE_HOME") or str(Path("~").expanduser() / ".local" / "state")
    return Path(state, "dbdoctor", "recordings").is_dir() or Path(fallback_directory()).is_dir()
