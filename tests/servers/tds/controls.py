"""What goes wrong on command: at which stage of a conversation the server does what instead of going on."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

from tests.servers.tds import tokens
from tests.servers.tds.errors import EndError, SqlError
from tests.servers.tds.packets import Channel

Stage = Literal["accepted", "prelogin", "prelogin-answered", "tls", "login", "logged-in", "query"]
"""Where an action can happen, always before the server's own answer:

accepted           the connection is there, nothing was read
prelogin           PRELOGIN was read
prelogin-answered  PRELOGIN was answered; with TLS, before the handshake
tls                TLS is on, LOGIN7 not read
login              LOGIN7 was read
logged-in          the login was answered, no request read
query              a request was read (its text can be matched)
"""


class Action:
    """What happens."""

    def __call__(self, channel: Channel, server_name: str) -> None:
        """Does it; returns when the server shall go on as if nothing were."""
        raise NotImplementedError


@dataclass(frozen=True)
class Silence(Action):
    """Reads and never says anything again."""

    def __call__(self, channel: Channel, server_name: str) -> None:
        channel.stay_silent()


@dataclass(frozen=True)
class End(Action):
    """Ends the connection with a FIN, or with a RST."""

    how: Literal["fin", "rst"] = "fin"

    def __call__(self, channel: Channel, server_name: str) -> None:
        raise EndError(self.how)


@dataclass(frozen=True)
class Delay(Action):
    """Goes on after that many seconds."""

    seconds: float

    def __call__(self, channel: Channel, server_name: str) -> None:
        channel.wait(lambda: False, self.seconds)


@dataclass(frozen=True)
class Say(Action):
    """Sends bytes that need not be TDS, and then goes silent or ends."""

    data: bytes
    then: Literal["silent", "fin", "rst"] = "silent"

    def __call__(self, channel: Channel, server_name: str) -> None:
        channel.send_raw(self.data)
        if self.then == "silent":
            channel.stay_silent()
        raise EndError(self.then)


@dataclass(frozen=True)
class Trickle(Action):
    """Everything from here on goes out at one byte each `seconds`."""

    seconds: float = 1.0

    def __call__(self, channel: Channel, server_name: str) -> None:
        channel.pace = self.seconds


@dataclass(frozen=True)
class Refuse(Action):
    """Answers with an error. The conversation ends after a refused login, and at a query when the class is 20 or more.

    `ends` overrules that: None as said, True or False.
    """

    error: SqlError
    ends: bool | None = None

    def __call__(self, channel: Channel, server_name: str) -> None:
        channel.send_message(tokens.error(self.error, server_name) + tokens.done(failed=True))
        raise EndError


@dataclass(eq=False)
class Rule:
    """One action that waits for its stage; `remove()` takes it back, `hits` counts how often it happened."""

    stage: str
    action: Action
    matching: re.Pattern[str] | None
    program: re.Pattern[str] | None
    left: int | None
    remove: Callable[[], None] = field(repr=False)
    hits: int = 0


class Controls:
    """What a test sets, at any time; a conversation looks when it comes to a stage.

    Attributes, each for conversations to come as well as for those that are on:
    `ignores_attention`    a cancelled request is never acknowledged
    `recovers_sessions`    session recovery is acknowledged at the login, as SQL Server 2014 and later do
    `speaks_tds8`          a client may begin with TLS (Encrypt=strict), as with SQL Server 2022 and Azure SQL
    """

    def __init__(self) -> None:
        self.ignores_attention = False
        self.recovers_sessions = False
        self.speaks_tds8 = False
        self._rules: list[Rule] = []
        self._lock = threading.Lock()

    def at(
        self,
        stage: Stage,
        action: Action,
        *,
        matching: str | None = None,
        program: str | None = None,
        times: int | None = None,
    ) -> Rule:
        """Has `action` happen at `stage`, `times` times or always.

        `matching` is a pattern that a query's text must contain, `program` one for the program's name; any case.
        """
        rule = Rule(stage, action, _pattern(matching), _pattern(program), times, lambda: self._remove(rule))
        with self._lock:
            self._rules.append(rule)
        return rule

    def clear(self) -> None:
        """Everything as it was at the start."""
        with self._lock:
            self._rules.clear()
        self.ignores_attention = False
        self.recovers_sessions = False
        self.speaks_tds8 = False

    def action(self, stage: Stage, *, text: str = "", program: str = "") -> Action | None:
        """What is to happen now; counts as having happened."""
        with self._lock:
            for rule in self._rules:
                if rule.stage == stage and _fits(rule.matching, text) and _fits(rule.program, program):
                    if rule.left == 0:
                        continue
                    if rule.left is not None:
                        rule.left -= 1
                    rule.hits += 1
                    return rule.action
        return None

    def _remove(self, rule: Rule) -> None:
        with self._lock:
            if rule in self._rules:
                self._rules.remove(rule)


def _pattern(text: str | None) -> re.Pattern[str] | None:
    return None if text is None else re.compile(text, re.IGNORECASE)


def _fits(pattern: re.Pattern[str] | None, text: str) -> bool:
    return pattern is None or pattern.search(text) is not None
