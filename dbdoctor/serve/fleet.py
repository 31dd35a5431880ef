"""All targets at once: a thread each, their newest states, and the page made of them."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from dbdoctor.model.examination import Examination
from dbdoctor.model.target import Target
from dbdoctor.serve.labels import names_of
from dbdoctor.serve.page import Lines, Page, lines_of
from dbdoctor.serve.state import Failed, State
from dbdoctor.serve.target_watch import Pacing, TargetWatch

# The first logins are spread over so many seconds at most, and the looks thereby for good.
_MOST_SPREAD = 5.0


class Fleet:
    """Judges targets until `stop`.

    `judge` adds what the rules say to an examination; `say` gets a line for each target that is lost, or found again;
    `on_fault` an exception that is our own fault.
    """

    def __init__(
        self,
        targets: Sequence[Target],
        pacing: Pacing,
        *,
        judge: Callable[[Examination], Examination],
        say: Callable[[str], None],
        on_fault: Callable[[Exception], None] = lambda _: None,
    ) -> None:
        self.on_fault = on_fault
        self._say = say
        self._pacing = pacing
        self._watches = [
            TargetWatch(name, target, pacing, judge=judge, publish=self._taker(index), on_fault=on_fault)
            for index, (name, target) in enumerate(zip(names_of(targets), targets, strict=True))
        ]
        self._shown = [watch.state for watch in self._watches]
        self._lines: list[Lines] = [lines_of(state) for state in self._shown]
        self._page = Page(len(targets))

    def start(self) -> None:
        """Begin with all of them, one shortly after the other."""
        spread = min(_MOST_SPREAD, self._pacing.interval) / len(self._watches)
        for index, watch in enumerate(self._watches):
            watch.start(index * spread)

    def stop(self, seconds: float) -> int:
        """End all, which logs out; gives how many hang and have not ended so many seconds later."""
        until = time.monotonic() + seconds
        for watch in self._watches:
            watch.request_stop()
        return sum(not watch.join(until - time.monotonic()) for watch in self._watches)

    def states(self) -> list[State]:
        """The newest state of each target; one whose thread hangs in a driver is not up."""
        self._give_up_on_late()
        return list(self._shown)

    def text(self) -> bytes:
        """The page of metrics, from memory."""
        self._give_up_on_late()
        return self._page.text(self._lines)

    @property
    def hanging(self) -> int:
        """How many targets' threads hang in a driver."""
        now = time.monotonic()
        return sum(watch.due < now for watch in self._watches)

    def _taker(self, index: int) -> Callable[[State], None]:
        return lambda state: self._take(index, state)

    def _take(self, index: int, state: State) -> None:
        before, self._shown[index] = self._shown[index], state
        self._lines[index] = lines_of(state)
        if state.failed != before.failed:
            how = f"fails at {state.failed.stage}: {state.failed.code}" if state.failed else "answers again"
            self._say(f"{state.name}: {how}")

    def _give_up_on_late(self) -> None:
        now = time.monotonic()
        hung = Failed("login", "driver-hung")
        for index, watch in enumerate(self._watches):
            if watch.due < now and self._shown[index].failed != hung:
                findings = {("driver-hung", "error"): 1}
                self._take(index, watch.state._replace(up=False, failed=hung, seen=None, findings=findings))
