"""T-SQL batches taken apart: tokens, statements with or without semicolons, and IF, WHILE, BEGIN and TRY around them."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from tests.servers.tds.errors import SqlError

_TOKEN = re.compile(
    r"""
    (?P<space>\s+|--[^\n]*|/\*.*?\*/)
  | (?P<string>N?'(?:[^']|'')*')
  | (?P<name>\[(?:[^\]]|\]\])*\]|"(?:[^"]|"")*")
  | (?P<variable>@@?[\w\#$@]+)
  | (?P<number>0x[0-9a-f]*|\d+(?:\.\d*)?(?:e[+-]?\d+)?)
  | (?P<word>[^\W\d][\w\#$@]*|\#[\w\#$@]+)
  | (?P<sign><>|<=|>=|!=|.)
    """,
    re.VERBOSE | re.IGNORECASE | re.DOTALL,
)
_QUERIES = {"select", "insert", "update", "delete", "merge"}
_STARTERS = _QUERIES | {
    *("set", "if", "while", "begin", "declare", "exec", "execute", "kill", "commit", "rollback", "save", "waitfor"),
    *("print", "raiserror", "throw", "create", "drop", "alter", "truncate", "use", "return", "grant", "revoke"),
    *("dbcc", "break", "continue"),
}
_CONTINUES_SELECT = {"union", "all", "except", "intersect", "as", "("}
_WHOLE_REST = {"procedure", "proc", "view", "function", "trigger"}


@dataclass(frozen=True)
class Token:
    """A piece of T-SQL; `low` is its text in lower case."""

    kind: str
    text: str
    # Whether space or a comment stood before it.
    apart: bool = False

    @property
    def low(self) -> str:
        """In lower case."""
        return self.text.lower()


@dataclass(frozen=True)
class Plain:
    """One statement that is no control flow; `verb` is its first word in lower case."""

    tokens: tuple[Token, ...]

    @property
    def verb(self) -> str:
        """The first word."""
        return self.tokens[0].low


@dataclass(frozen=True)
class If:
    """IF ... ELSE, or WHILE when `loops`."""

    condition: tuple[Token, ...]
    then: tuple[Statement, ...]
    otherwise: tuple[Statement, ...] = ()
    loops: bool = False


@dataclass(frozen=True)
class Try:
    """BEGIN TRY ... BEGIN CATCH."""

    body: tuple[Statement, ...]
    handler: tuple[Statement, ...]


Statement = Plain | If | Try


def tokenize(text: str) -> list[Token]:
    """The tokens, without spaces and comments; SqlError 102 for a quote without end."""
    found: list[Token] = []
    apart = False
    for match in _TOKEN.finditer(text):
        if match.group() in {"'", '"', "["}:
            raise SqlError(105, message="Unclosed quotation mark after the character string ''.", severity=15)
        if match.lastgroup != "space":
            found.append(Token(match.lastgroup or "", match.group(), apart))
        apart = match.lastgroup == "space"
    return found


def parse(text: str) -> tuple[Statement, ...]:
    """A batch's statements."""
    parser = _Parser(tokenize(text))
    statements = parser.statements()
    if not parser.ended:
        raise SqlError(156, parser.here.text)
    return statements


def joined(tokens: Sequence[Token], change: Callable[[Token, Token | None], str]) -> str:
    """The tokens as text again; `change(token, next one)` says what stands there."""
    following = [*tokens[1:], None]
    return "".join(
        (" " if token.apart else "") + change(token, after) for token, after in zip(tokens, following, strict=True)
    )


@dataclass
class _Parser:
    tokens: list[Token]
    position: int = 0
    nothing: Token = field(default_factory=lambda: Token("end", ""))

    @property
    def here(self) -> Token:
        return self.tokens[self.position] if self.position < len(self.tokens) else self.nothing

    def ahead(self, count: int) -> str:
        place = self.position + count
        return self.tokens[place].low if place < len(self.tokens) else ""

    @property
    def ended(self) -> bool:
        return self.position >= len(self.tokens)

    def skip(self, *words: str) -> None:
        for word in words:
            if self.here.low != word:
                raise SqlError(102, self.here.text)
            self.position += 1

    def statements(self) -> tuple[Statement, ...]:
        found: list[Statement] = []
        while not self.ended and self.here.low not in {"end", "else"}:
            if self.here.text == ";":
                self.position += 1
                continue
            found.extend(self.statement())
        return tuple(found)

    def statement(self) -> tuple[Statement, ...]:
        word = self.here.low
        if word in {"if", "while"}:
            return (self.conditional(loops=word == "while"),)
        if word == "begin" and self.ahead(1) == "try":
            return (self.guarded(),)
        if word == "begin" and self.ahead(1) not in {"tran", "transaction", "distributed"}:
            self.skip("begin")
            inner = self.statements()
            self.skip("end")
            return inner
        start = self.position
        self.to_end_of_plain()
        return (Plain(tuple(self.tokens[start : self.position])),)

    def conditional(self, *, loops: bool) -> If:
        self.position += 1
        start, depth = self.position, 0
        while not self.ended and not (depth == 0 and self.here.kind == "word" and self.here.low in _STARTERS):
            depth += {"(": 1, ")": -1}.get(self.here.text, 0)
            self.position += 1
        condition = tuple(self.tokens[start : self.position])
        then = self.statement()
        otherwise: tuple[Statement, ...] = ()
        if self.here.text == ";" and self.ahead(1) == "else":
            self.position += 1
        if not loops and self.here.low == "else":
            self.position += 1
            otherwise = self.statement()
        return If(condition, then, otherwise, loops)

    def guarded(self) -> Try:
        self.skip("begin", "try")
        body = self.statements()
        self.skip("end", "try")
        if self.here.text == ";":
            self.position += 1
        self.skip("begin", "catch")
        handler = self.statements()
        self.skip("end", "catch")
        return Try(body, handler)

    def to_end_of_plain(self) -> None:
        """Moves to the end of the statement that starts here."""
        verb, start = self.here.low, self.position
        if verb in {"create", "alter"} and self.ahead(1) in _WHOLE_REST:
            self.position = len(self.tokens)
            return
        depth, cases, seen = 0, 0, {verb}
        self.position += 1
        while not self.ended:
            token, before = self.here, self.tokens[self.position - 1]
            if token.text == ";" and depth == 0:
                return
            depth += {"(": 1, ")": -1}.get(token.text, 0)
            if token.kind == "word" and before.text != "." and depth == 0:
                word = token.low
                cases += 1 if word == "case" else 0
                if word in {"end", "else"}:
                    if cases == 0:
                        return
                    cases -= 1 if word == "end" else 0
                elif word in _STARTERS and self.position > start and _starts(word, before.low, verb, seen):
                    return
                seen.add(word)
            self.position += 1


def _starts(word: str, before: str, verb: str, seen: set[str]) -> bool:
    """Whether `word` begins the next statement rather than going on with this one."""
    if verb == "merge":
        return False
    if verb == "with" and word in _QUERIES:
        if not seen & _QUERIES:
            return False
        verb = next(iter(seen & _QUERIES))
    if word == "select":
        if before in _CONTINUES_SELECT:
            return False
        return not (verb == "insert" and not seen & {"select", "values", "exec", "execute"})
    if word == "set":
        return not ("update" in seen and "set" not in seen) and verb != "alter"
    if word in {"exec", "execute"}:
        return not (verb == "insert" and not seen & {"select", "values"})
    if word in {"update", "delete"} and before in {"on", "for"}:
        return False
    if word == "if" and verb in {"drop", "create"}:
        return False
    return not (word in {"drop", "alter", "set"} and verb == "alter")
