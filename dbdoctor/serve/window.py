"""A history that does not grow old: what happened once is not held against a server for ever.

`leaks` judges everything since its watch began. An exporter runs for months, so here two histories overlap: the older one
is judged until it is as long as the window, then the younger one, which has half a window behind it by then.
"""

from __future__ import annotations

from dbdoctor.history import History
from dbdoctor.model.leaks import WatchOptions
from dbdoctor.model.snapshot import Gap, Snapshot, Wanted

WINDOW = 3600.0
"""What is judged lies back so far at most, and from the first half of it on at least half as far (seconds)."""


class Window:
    """One server's history of the last half to whole WINDOW; times are the server's clock."""

    def __init__(self, options: WatchOptions) -> None:
        self._options = options
        self._histories = [History(options)]

    @property
    def history(self) -> History:
        """The one to judge."""
        return self._histories[0]

    def wanted(self, snapshot: Snapshot) -> Wanted:
        """What to ask in addition before adding it."""
        each = [history.wanted(snapshot) for history in self._histories]
        details = dict.fromkeys(number for one in each for number in one.details)
        return Wanted(tuple(details), any(one.blocking for one in each))

    def gap(self, gap: Gap) -> None:
        """Nobody could look in between."""
        for history in self._histories:
            history.gap(gap)

    def add(self, snapshot: Snapshot) -> None:
        """The next sample."""
        first = self._histories[0].first_at
        if first is not None and snapshot.at - first >= WINDOW / 2 and len(self._histories) == 1:
            self._histories.append(History(self._options))
        if first is not None and snapshot.at - first >= WINDOW:
            del self._histories[0]
        for history in self._histories:
            history.add(snapshot)
