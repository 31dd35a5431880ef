"""Says in the application's own log what was found, when it was attached from code; under `dbdoctor run` the file is enough."""

from __future__ import annotations

import logging
import os
import sys
from typing import Any

from dbdoctor.recorder.recorder import Entry, Finished, Recorder
from dbdoctor.recorder.sites import Frame

_LOGGER = "dbdoctor.recorder"


class Reports:
    """Lines for people: a checkout held for too long, its return, a pool_timeout and who held what then."""

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder
        self.has_warned = False
        self._threads: dict[int, str] = {}

    def begin(self) -> None:
        """Start anew, as after a fork."""
        self._threads = {}

    def thread_name(self, ident: int) -> str:
        """The name of the thread, as long as it lives; else its number."""
        threading: Any = sys.modules.get("threading")
        thread = getattr(threading, "_active", {}).get(ident)
        return str(getattr(thread, "name", None) or ident)[:200]

    def held(self, entry: Entry, now: int) -> None:
        """A checkout has been out for longer than `leak_after`."""
        self._warn("connection held for %.1f s, taken at %s", (now - entry.got) / 1e9, self.place(entry.site))

    def ended(self, one: Finished) -> None:
        """One that was reported has come back, or one was collected as garbage without being returned."""
        where = "" if one.returned_at is None else f" at {self.place(one.returned_at)}"
        seconds = (one.back - one.got) / 1e9
        self._warn("connection taken at %s: %s after %.1f s%s", self.place(one.site), one.how, seconds, where)

    def pool_timeout(self, event: tuple[Any, ...]) -> None:
        """`QueuePool limit ... reached`: who held what."""
        _kind, _at, _pool, site, wait, _thread, held, more = event
        holders = "; ".join(f"{self.place(one[0])} for {one[1] / 1e9:.1f} s" for one in held[:5])
        others = len(held) - 5 + more
        self._warn(
            "pool_timeout after %.1f s at %s; connections held by: %s%s",
            wait / 1e9,
            self.place(site),
            holders or "not known",
            f"; and {others} more" if others > 0 else "",
        )

    def place(self, site: int) -> str:
        """`shop.py:12 in take_order`: the first frame outside installed packages."""
        frames: tuple[Frame, ...] = self._recorder.sites.frames[site] if site < len(self._recorder.sites.frames) else ()
        chosen = next((one for one in frames if "-packages" + os.sep not in one[0]), frames[0] if frames else None)
        return "a line that is not known" if chosen is None else f"{chosen[0]}:{chosen[1]} in {chosen[2]}"

    def disabled(self, why: str, written: bool) -> None:  # noqa: FBT001 - a fact
        """The recorder stopped: one warning, on stderr only when there is no other way to say it."""
        text = f"dbdoctor: the recorder stopped ({why}); the program is not affected"
        if self.has_warned:
            return
        self.has_warned = True
        if self._recorder.settings.tell:
            logging.getLogger(_LOGGER).warning("%s", text)
        elif not written:
            try:
                os.write(2, (text + "\n").encode())
            except OSError:
                pass

    def _warn(self, text: str, *values: object) -> None:
        if self._recorder.settings.tell:
            logging.getLogger(_LOGGER).warning(text, *values)
