"""Ending sessions one by one, and seeing that they have gone: what is the same on every product."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence

from dbdoctor.model.session import Identity
from dbdoctor.probe.deadline import Deadline
from dbdoctor.watch.source import SourceLostError, SourceSlowError, Termination

_LOST = (SourceLostError, SourceSlowError)
# Between two looks whether they are gone; the first comes at once.
_PAUSE = 0.05


class Ending(ABC):
    """Ends sessions over one connection. A product says how one is told to end, and which of them are still there.

    `refused` is what the product raises when the server will not answer a question.
    """

    refused: type[Exception]

    def __init__(self) -> None:
        self._done: dict[Identity, Termination] = {}
        self._sent: list[Identity] = []

    def end(self, identities: Sequence[Identity], deadline: Deadline) -> list[Termination]:
        """What became of each, in order. Raises SourceLostError or SourceSlowError when nothing was ended yet."""
        asked = list(dict.fromkeys(identities))
        try:
            for identity in asked:
                self._end_one(identity, deadline)
        except _LOST as error:
            if not self._sent:
                raise
            self._rest([one for one in asked if one not in self._sent], f"not asked: {error}")
        try:
            self._await_end(deadline)
        except (*_LOST, self.refused) as error:
            self._rest(self._sent, f"told to end, but whether it did is not known: {error}")
        return [self._done[identity] for identity in asked]

    @abstractmethod
    def tell(self, identity: Identity, deadline: Deadline) -> Termination | None:
        """Tell one session to end, its identity checked in the same statement; None when it was told."""

    @abstractmethod
    def still_there(self, identities: Sequence[Identity], deadline: Deadline) -> Mapping[Identity, str]:
        """Those of them that have not gone, and what each is doing, if that is known."""

    def _end_one(self, identity: Identity, deadline: Deadline) -> None:
        if identity[1] is None:
            why = "its start time is hidden from us, so that it could be another session"
            self._done[identity] = Termination(identity, "not-allowed", why)
            return
        outcome = self.tell(identity, deadline)
        if outcome is None:
            self._sent.append(identity)
        else:
            self._done[identity] = outcome

    def _await_end(self, deadline: Deadline) -> None:
        waiting = list(self._sent)
        while waiting:
            there = self.still_there(waiting, deadline)
            self._done.update((one, Termination(one, "ended")) for one in waiting if one not in there)
            waiting = [one for one in waiting if one in there]
            if waiting and deadline.remaining < 2 * _PAUSE:
                for one in waiting:
                    self._rest([one], f"told to end; {there[one]}" if there[one] else "told to end, but it has not yet")
                return
            if waiting:
                time.sleep(_PAUSE)

    def _rest(self, identities: Sequence[Identity], detail: str) -> None:
        for identity in identities:
            self._done.setdefault(identity, Termination(identity, "still-there", detail))
