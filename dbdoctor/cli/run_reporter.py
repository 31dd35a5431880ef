"""What `run` says while its command runs. The terminal is the command's: what cannot be written at once waits its turn."""

from __future__ import annotations

import select
import sys
import time
from collections import deque

from dbdoctor.cli.run_place import Place
from dbdoctor.render.run_lines import news_line, note_line
from dbdoctor.render.style import Style
from dbdoctor.traces.news import RunNews, TimedOut

# Lines that wait for a reader; older ones are dropped.
_MOST_WAITING = 1000
# A pool that is exhausted times out for every request: of one pool a line comes each so many seconds.
_EVERY = 10.0


class Reporter:
    """Reads the files of a run and says what somebody should hear of."""

    def __init__(self, place: Place, *, quiet: bool, no_color: bool) -> None:
        self._place = place
        self._quiet = quiet
        self._style = Style.of(sys.stderr, no_color=no_color)
        self._news = RunNews()
        self._waiting: deque[str] = deque(maxlen=_MOST_WAITING)
        # By process and pool: when a line came last, and how many have been left out since.
        self._timeouts: dict[tuple[int, int], tuple[float, int]] = {}

    def look(self) -> None:
        """Read on, and say what is new as far as stderr takes it; never waits for a reader."""
        if self._quiet:
            return
        for news in self._news.read(self._place.files()):
            if isinstance(news, TimedOut):
                self._timed_out(news)
            else:
                self._waiting.append(news_line(news, self._style))
        while self._waiting and _takes_more():
            print(self._waiting.popleft(), file=sys.stderr, flush=True)

    def finish(self) -> None:
        """All that is left, however long that takes."""
        self.look()
        for (process, _), (_, left_out) in self._timeouts.items():
            if left_out:
                self._waiting.append(note_line(_more(left_out, process), self._style))
        while self._waiting:
            print(self._waiting.popleft(), file=sys.stderr, flush=True)

    def _timed_out(self, news: TimedOut) -> None:
        key, now = (news.process, news.pool), time.monotonic()
        last, left_out = self._timeouts.get(key, (-_EVERY, 0))
        if now - last < _EVERY:
            self._timeouts[key] = last, left_out + 1
            return
        if left_out:
            self._waiting.append(note_line(_more(left_out, news.process), self._style))
        self._waiting.append(news_line(news, self._style))
        self._timeouts[key] = now, 0


def _more(count: int, process: int) -> str:
    return f"{count} more pool timeout{'' if count == 1 else 's'} in process {process} since"


def _takes_more() -> bool:
    """Whether a line can be written to stderr at once."""
    poller = select.poll()
    try:
        poller.register(sys.stderr.fileno(), select.POLLOUT)
        return bool(poller.poll(0))
    except (OSError, ValueError):
        return True
