"""The connections of a measurement: opened, watched, used and given up after a deadline, in one loop and one thread."""

from __future__ import annotations

import select
import time
from collections.abc import Callable, Iterator
from typing import NamedTuple

from dbdoctor.measure.link import Answered, Event, Failed, Gone, Late, Link
from dbdoctor.model.measured import Drop
from dbdoctor.model.session import Identity

# Less than this is no waiting (seconds).
_WAITED = 0.002
# So many of those that did not answer are listened to a little longer.
_LISTENED_TO = 2


class Happened(NamedTuple):
    """Something happened to a connection: when, and when it had last been looked at (monotonic seconds)."""

    number: int
    event: Event
    at: float
    looked: float
    in_use: bool


class Links:
    """All connections that are open. `make` makes the one of that number; durations are seconds."""

    def __init__(self, make: Callable[[int], Link], *, login_timeout: float, patience: float) -> None:
        self._make = make
        self._login_timeout = login_timeout
        self.patience = patience
        self._open: dict[int, Link] = {}
        # Until when something must have happened to a connection that is being opened or used.
        self._until: dict[int, float] = {}
        self._opening: set[int] = set()
        self._looked = time.monotonic()
        self._at_once: list[Happened] = []
        # Those that did not answer in time: one that does later proves that somebody was slow, and nothing else.
        self._given_up: dict[int, Link] = {}
        self.identities: dict[int, Identity] = {}
        self.opened = 0

    def __len__(self) -> int:
        return len(self._open) + len(self._given_up)

    def __contains__(self, number: int) -> bool:
        return number in self._open

    @property
    def opening(self) -> int:
        """How many are logging in."""
        return len(self._opening)

    def open(self, within: float | None = None) -> int:
        """Begin to open one, within the login timeout or so many seconds; gives its number."""
        self.opened += 1
        number = self.opened
        link = self._open[number] = self._make(number)
        self._opening.add(number)
        self._until[number] = time.monotonic() + (self._login_timeout if within is None else within)
        link.start()
        return number

    def use(self, number: int) -> None:
        """Send a statement on it."""
        now = time.monotonic()
        self._until[number] = now + self.patience
        event = self._open[number].use()
        if event is not None:
            self._at_once.append(Happened(number, event, now, self._looked, True))

    def set_keepalive(self, number: int, seconds: int) -> None:
        """Let TCP probe it after so many idle seconds."""
        if number in self._open:
            self._open[number].set_keepalive(seconds)

    def close(self, number: int) -> None:
        """Close it, if it is open."""
        link = self._open.pop(number, None)
        self._until.pop(number, None)
        self._opening.discard(number)
        if link is not None:
            if link.identity is not None:
                self.identities[number] = link.identity
            link.close()

    def close_all(self) -> None:
        """Close every connection."""
        for number in list(self._open):
            self.close(number)
        while self._given_up:
            self._given_up.popitem()[1].close()

    def remember(self) -> list[Identity]:
        """The sessions of all connections that there were, as far as they are known."""
        for number, link in self._open.items():
            if link.identity is not None:
                self.identities[number] = link.identity
        return list(self.identities.values())

    def _give_up(self, number: int) -> None:
        """Count it as ended, but listen for a while whether it answers after all."""
        link = self._open.pop(number)
        self._until.pop(number, None)
        if link.identity is not None:
            self.identities[number] = link.identity
        self._given_up[number] = link
        if len(self._given_up) > _LISTENED_TO:
            self._given_up.pop(min(self._given_up)).close()

    def wait(self, seconds: float) -> Iterator[Happened]:
        """Everything that happens, once something does, or after so many seconds; what ended is closed."""
        now = time.monotonic()
        waits = [seconds, *(until - now for until in self._until.values())]
        ready = self._ready(0.0 if self._at_once else max(0.0, min(waits)))
        at = time.monotonic()
        # What ended the waiting happened at its end; what was there before it, at any time since the last look.
        looked = at if at - now > _WAITED else self._looked
        happened, self._at_once = self._at_once, []
        for number in ready:
            in_use = number in self._until and number not in self._opening
            event = self._open[number].step(at)
            if event is not None:
                happened.append(Happened(number, event, at, looked, in_use))
        happened += self._overdue(at, looked, {one.number for one in happened})
        happened += self._late(at, looked)
        self._looked = at
        for one in happened:
            self._settle(one)
            yield one

    def _ready(self, seconds: float) -> list[int]:
        poller = select.poll()
        by_file = {}
        dead = []
        for link in self._given_up.values():
            if link.fileno() >= 0:
                poller.register(link.fileno(), select.POLLIN)
        for number, link in self._open.items():
            file = link.fileno()
            if file < 0:
                dead.append(number)
                continue
            by_file[file] = number
            poller.register(file, select.POLLOUT if link.wants_write else select.POLLIN)
        events = poller.poll(0 if dead else seconds * 1000 + 0.5)
        return [*dead, *(by_file[file] for file, _ in events if file in by_file)]

    def _overdue(self, at: float, looked: float, already: set[int]) -> Iterator[Happened]:
        for number, until in list(self._until.items()):
            if at < until or number in already:
                continue
            if number in self._opening:
                yield Happened(number, Failed("no answer within the login timeout"), at, looked, False)
            else:
                yield Happened(number, Gone(Drop.SILENT), at, looked, True)

    def _late(self, at: float, looked: float) -> list[Happened]:
        """Answers of those that were given up already; their ends say nothing new."""
        found = []
        for number, link in list(self._given_up.items()):
            event = link.step(at)
            if isinstance(event, Answered):
                found.append(Happened(number, Late(), at, looked, False))
            if event is not None:
                self._given_up.pop(number).close()
        return found

    def _settle(self, one: Happened) -> None:
        if isinstance(one.event, Gone) and one.event.drop is Drop.SILENT and one.number in self._open:
            self._give_up(one.number)
            return
        if isinstance(one.event, (Gone, Failed)):
            self.close(one.number)
            return
        self._opening.discard(one.number)
        if type(one.event).__name__ != "Touched":
            self._until.pop(one.number, None)
