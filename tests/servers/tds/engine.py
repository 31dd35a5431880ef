"""Runs batches: control flow, variables, SET, transactions, WAITFOR, KILL, and queries on views and tables."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from tests.servers.tds import functions, procedures
from tests.servers.tds.batch import If, Plain, Statement, Token, Try, joined, parse, tokenize
from tests.servers.tds.catalog import Catalog
from tests.servers.tds.errors import SqlError
from tests.servers.tds.literals import literal
from tests.servers.tds.parameters import Parameter
from tests.servers.tds.profiles import ALTER_ANY_CONNECTION, KILL_DATABASE_CONNECTION
from tests.servers.tds.results import Outcome, Result, Said
from tests.servers.tds.rows import Facts
from tests.servers.tds.sessions import Session, Sessions, Wait
from tests.servers.tds.store import Store
from tests.servers.tds.translate import PREFIX, Translated, translate

ISOLATION = {"read uncommitted": 1, "read committed": 2, "repeatable read": 3, "serializable": 4, "snapshot": 5}
MOST_ROUNDS = 10_000


class ReturnError(Exception):
    """RETURN: the batch is over."""


@dataclass
class Engine:
    """What all sessions of a server share."""

    facts: Facts
    sessions: Sessions
    catalog: Catalog
    store: Store
    # The rights of a login, by its name.
    rights: Callable[[str], frozenset[str]]

    def begin(self, session: Session, name: str = "user_transaction") -> None:
        """BEGIN TRANSACTION."""
        if session.transaction is None:
            self.sessions.begin(session, name)
        else:
            session.transaction.nesting += 1

    def commit(self, session: Session) -> None:
        """COMMIT; SqlError 3902 without a transaction."""
        if session.transaction is None:
            raise SqlError(3902)
        session.transaction.nesting -= 1
        if session.transaction.nesting == 0:
            self._end(session, commit=True)

    def roll_back(self, session: Session) -> None:
        """ROLLBACK; SqlError 3903 without a transaction."""
        if session.transaction is None:
            raise SqlError(3903)
        self._end(session, commit=False)

    def leave(self, session: Session) -> None:
        """The session ends or is reset: what it had open is rolled back."""
        self._end(session, commit=False)

    def _end(self, session: Session, *, commit: bool) -> None:
        session.transaction = None
        self.store.end(session, commit=commit)


@dataclass
class Variable:
    """A variable or parameter: its type as declared, and its value."""

    type: str
    value: object


@dataclass
class Execution:
    """One request's run; `outcomes` grow as it goes, and what ends it early is raised."""

    engine: Engine
    session: Session
    variables: dict[str, Variable] = field(default_factory=dict)
    outcomes: list[Outcome] = field(default_factory=list)
    caught: SqlError | None = None

    def run(self, text: str) -> None:
        """Runs a batch's text."""
        try:
            self._all(parse(text))
        except ReturnError:
            pass
        except SqlError as error:
            self.session.last_error = error.number
            if error.number == 1205 and self.session.transaction is not None:
                self.engine.roll_back(self.session)
            raise

    def declare(self, parameters: Sequence[Parameter], names: Sequence[str] = ()) -> None:
        """Fills in what came with the request."""
        for number, parameter in enumerate(parameters):
            name = parameter.name or (names[number] if number < len(names) else f"@P{number + 1}")
            self.variables[name.lower()] = Variable(parameter.type, parameter.value)

    # --- control flow

    def _all(self, statements: Sequence[Statement]) -> None:
        for statement in statements:
            self._one(statement)

    def _one(self, statement: Statement) -> None:
        self.session.channel.also_check()
        match statement:
            case If(loops=True):
                for _ in range(MOST_ROUNDS):
                    if not self._holds(statement.condition):
                        break
                    self._all(statement.then)
            case If():
                self._all(statement.then if self._holds(statement.condition) else statement.otherwise)
            case Try():
                self._guarded(statement)
            case Plain():
                self._plain(statement)

    def _guarded(self, statement: Try) -> None:
        try:
            self._all(statement.body)
        except SqlError as error:
            if error.severity >= 20:
                raise
            # What a handler sees is the last of several.
            self.caught = error.chain[-1]
            self._all(statement.handler)
            self.caught = None

    def _holds(self, condition: Sequence[Token]) -> bool:
        text = f"SELECT CASE WHEN {self._filled(condition)} THEN 1 ELSE 0 END AS holds"
        return self._query(text).rows[0][0] == 1

    # --- statements

    def _plain(self, statement: Plain) -> None:
        verb = statement.verb
        handler = _HANDLERS.get(verb)
        if handler is not None:
            handler(self, statement.tokens)
        elif verb in {"grant", "revoke", "dbcc"}:
            return
        elif verb in {"break", "continue"}:
            raise SqlError(50000, message=f"The tests' server knows no {verb.upper()}.")
        elif verb == "alter":
            self._count(Result())
        elif statement.tokens[0].kind == "word" and verb not in _QUERY_VERBS:
            self._execute(statement.tokens)
        else:
            self._select(statement.tokens)

    def _select(self, tokens: Sequence[Token]) -> None:
        targets, tokens = _assignments(tokens)
        result = self._query(self._filled(tokens))
        self.session.row_count = len(result.rows) if result.columns else result.count or 0
        if not targets:
            self._count(result)
        elif result.rows:
            for name, value in zip(targets, result.rows[-1], strict=True):
                self._variable(name).value = value

    def _count(self, result: Result) -> None:
        if not result.columns and self.session.settings.no_count:
            result = Result()
        self.outcomes.append(result)

    def _query(self, text: str) -> Result:
        query = translate(text, functions.functions(self._seen()))
        if query.views:
            return self.engine.catalog.query(query, self._seen(), self.engine.sessions.all_shown())
        self._begin_implicitly(query)
        return self.engine.store.query(query, self.session)

    def _begin_implicitly(self, query: Translated) -> None:
        if self.session.settings.implicit_transactions and query.tables and self.session.transaction is None:
            self.engine.begin(self.session, "implicit_transaction")

    def _seen(self) -> functions.Seen:
        login = self.session.login.user
        rights = self.engine.rights(login)
        return functions.Seen(self.session, self.engine.facts, rights, self.caught, self.engine.store.has_table)

    # --- texts and variables

    def _filled(self, tokens: Sequence[Token]) -> str:
        def change(token: Token, after: Token | None) -> str:
            if token.kind == "variable":
                return self._value_of(token.text)
            if token.kind == "word" and after is not None and after.text == "(" and token.low in functions.names():
                return PREFIX + token.low
            return token.text

        return joined(tokens, change)

    def _value_of(self, name: str) -> str:
        if name.startswith("@@"):
            return literal(*self._global(name.lower()))
        variable = self._variable(name)
        return literal(variable.value, variable.type)

    def _global(self, name: str) -> tuple[object, str]:
        facts, session = self.engine.facts, self.session
        values: Mapping[str, object] = {
            "@@spid": session.number,
            "@@version": facts.profile.banner,
            "@@trancount": session.nesting,
            "@@rowcount": session.row_count,
            "@@error": session.last_error,
            "@@servername": facts.server_name,
            "@@servicename": "MSSQLSERVER",
            "@@lock_timeout": session.settings.lock_timeout,
            "@@max_connections": 32767,
            "@@identity": None,
            "@@language": "us_english",
            "@@microsoftversion": facts.profile.major << 24,
        }
        if name not in values:
            raise SqlError(137, name)
        return values[name], "decimal(38,0)" if name == "@@identity" else ""

    def _variable(self, name: str) -> Variable:
        found = self.variables.get(name.lower())
        if found is None:
            raise SqlError(137, name)
        return found

    def _evaluated(self, tokens: Sequence[Token], type_: str = "") -> object:
        text = self._filled(tokens)
        return self._query(f"SELECT {f'CAST({text} AS {type_})' if type_ else text} AS value").rows[0][0]

    def _declare(self, tokens: Sequence[Token]) -> None:
        for part in _split(tokens[1:], ","):
            words = part[2:] if part[1].low == "as" else part[1:]
            equals = next((index for index, token in enumerate(words) if token.text == "="), len(words))
            type_ = "".join(token.text for token in words[:equals])
            given = words[equals + 1 :]
            value = self._evaluated(given, type_) if given else None
            self.variables[part[0].low] = Variable(type_, value)

    def _set(self, tokens: Sequence[Token]) -> None:
        words = [token.low for token in tokens[1:]]
        if tokens[1].kind == "variable":
            variable = self._variable(tokens[1].text)
            variable.value = self._evaluated(tokens[3:], variable.type)
            return
        settings, rest = self.session.settings, " ".join(words)
        match words[0]:
            case "nocount":
                settings.no_count = words[1] == "on"
            case "implicit_transactions":
                settings.implicit_transactions = words[1] == "on"
            case "lock_timeout":
                settings.lock_timeout = int(str(self._evaluated(tokens[2:])))
            case "transaction":
                level = rest.removeprefix("transaction isolation level ")
                if level not in ISOLATION:
                    raise SqlError(102, words[-1])
                settings.isolation_level = ISOLATION[level]

    # --- transactions

    def _begin(self, tokens: Sequence[Token]) -> None:
        self.engine.begin(self.session)

    def _commit(self, tokens: Sequence[Token]) -> None:
        self.engine.commit(self.session)

    def _roll_back(self, tokens: Sequence[Token]) -> None:
        self.engine.roll_back(self.session)

    # --- the rest

    def _wait_for(self, tokens: Sequence[Token]) -> None:
        if len(tokens) < 3 or tokens[1].low != "delay":
            raise SqlError(102, tokens[-1].text)
        text = str(self._evaluated(tokens[2:]))
        match = re.fullmatch(r"(?:(\d+):)?(\d+):(\d+(?:\.\d+)?)", text)
        if match is None:
            raise SqlError(
                148, message=f"Incorrect time syntax in time string '{text}' used with WAITFOR.", severity=15
            )
        hours, minutes, seconds = match.groups()
        self.session.wait = Wait("WAITFOR", self.session.clock.local())
        try:
            self.session.channel.wait(lambda: False, int(hours or 0) * 3600 + int(minutes) * 60 + float(seconds))
        finally:
            self.session.wait = None

    def _kill(self, tokens: Sequence[Token]) -> None:
        rights = self.engine.rights(self.session.login.user)
        needed = KILL_DATABASE_CONNECTION if self.engine.facts.profile.is_database else ALTER_ANY_CONNECTION
        if len(tokens) < 2 or tokens[1].kind != "number":
            raise SqlError(102, tokens[-1].text)
        if needed not in rights:
            raise SqlError(6102)
        self.engine.sessions.kill(int(tokens[1].text), self.session)

    def _print(self, tokens: Sequence[Token]) -> None:
        self.outcomes.append(Said(str(self._evaluated(tokens[1:]))))

    def _raise_error(self, tokens: Sequence[Token]) -> None:
        inner = tokens[2:-1] if tokens[1].text == "(" else tokens[1:]
        text, severity, state, *_ = [self._evaluated(part) for part in _split(inner, ",")]
        if int(str(severity)) <= 10:
            self.outcomes.append(Said(str(text), 50000, int(str(severity))))
            return
        raise SqlError(50000, message=str(text), severity=int(str(severity)), state=int(str(state)))

    def _throw(self, tokens: Sequence[Token]) -> None:
        if len(tokens) == 1:
            if self.caught is None:
                raise SqlError(
                    10704, message="To rethrow an error, a THROW statement must be used inside a CATCH block."
                )
            raise self.caught
        number, text, state = [self._evaluated(part) for part in _split(tokens[1:], ",")]
        raise SqlError(int(str(number)), message=str(text), state=int(str(state)))

    def _use(self, tokens: Sequence[Token]) -> None:
        name = tokens[1].text.strip('[]"')
        number = self.engine.facts.database_id(name)
        if self.engine.facts.profile.is_database and name.lower() != self.session.database.lower():
            raise SqlError(
                40508,
                message="USE statement is not supported to switch between databases. Use a new connection to connect to "
                "a different database.",
            )
        if number is None:
            raise SqlError(911, name)
        self.session.database, self.session.database_id = self.engine.facts.databases[number - 1], number

    def _return(self, tokens: Sequence[Token]) -> None:
        raise ReturnError

    def _truncate(self, tokens: Sequence[Token]) -> None:
        self._query(f"DELETE FROM {self._filled(tokens[2:])}")
        self.outcomes.append(Result())

    def _execute(self, tokens: Sequence[Token]) -> None:
        words = tokens[1:] if tokens[0].low in {"exec", "execute"} else tokens
        if words and words[0].text == "(":
            self.run(str(self._evaluated(words[1:-1])))
            return
        name_end = next(
            (i for i, token in enumerate(words) if i % 2 and token.text != "."),
            len(words),
        )
        name = words[name_end - 1].text.strip('[]"') if name_end else ""
        arguments = list(_split(words[name_end:], ","))
        self.call(name, [self._argument(part) for part in arguments if part])

    def _argument(self, part: Sequence[Token]) -> Parameter:
        named = len(part) > 2 and part[0].kind == "variable" and part[1].text == "="
        value = part[2:] if named else part
        if len(value) == 1 and value[0].kind in {"word", "name"}:
            return Parameter(part[0].text if named else "", "nvarchar", value[0].text.strip('[]"'))
        result = self._evaluated([token for token in value if token.low not in {"output", "out"}])
        return Parameter(part[0].text if named else "", "", result)

    def call(self, name: str, parameters: Sequence[Parameter]) -> None:
        """EXEC of a procedure; SqlError 2812 for one that is not there."""
        low = name.lower()
        if low == "sp_executesql":
            inner = Execution(self.engine, self.session, outcomes=self.outcomes, caught=self.caught)
            inner.declare(parameters[2:], declared_names(str(parameters[1].value)) if len(parameters) > 1 else ())
            inner.run(str(parameters[0].value))
        elif low == "sp_reset_connection":
            self.engine.leave(self.session)
        elif not procedures.known(low):
            raise SqlError(2812, name)
        elif (result := procedures.call(low, parameters)) is not None:
            self.outcomes.append(result)


def declared_names(declaration: str) -> list[str]:
    """`@P1 int, @P2 decimal(5,2)` as its names."""
    return [part[0].text for part in _split(tokenize(declaration), ",") if part]


_QUERY_VERBS = {"select", "insert", "update", "delete", "merge", "with", "create", "drop"}
_HANDLERS: dict[str, Callable[[Execution, Sequence[Token]], None]] = {
    "declare": Execution._declare,
    "set": Execution._set,
    "begin": Execution._begin,
    "commit": Execution._commit,
    "rollback": Execution._roll_back,
    "save": lambda _execution, _tokens: None,
    "waitfor": Execution._wait_for,
    "kill": Execution._kill,
    "print": Execution._print,
    "raiserror": Execution._raise_error,
    "throw": Execution._throw,
    "use": Execution._use,
    "return": Execution._return,
    "truncate": Execution._truncate,
    "exec": Execution._execute,
    "execute": Execution._execute,
}


def _split(tokens: Sequence[Token], sign: str) -> Iterator[Sequence[Token]]:
    """The tokens between `sign`s that stand in no parentheses."""
    depth, start = 0, 0
    for index, token in enumerate(tokens):
        depth += {"(": 1, ")": -1}.get(token.text, 0)
        if token.text == sign and depth == 0:
            yield tokens[start:index]
            start = index + 1
    yield tokens[start:]


def _assignments(tokens: Sequence[Token]) -> tuple[list[str], Sequence[Token]]:
    """`SELECT @a = x, @b = y FROM t`: the variables, and the query without them."""
    targets, kept, depth = [], list(tokens[:1]), 0
    index = 1
    while index < len(tokens):
        token, before = tokens[index], tokens[index - 1]
        depth += {"(": 1, ")": -1}.get(token.text, 0)
        starts = depth == 0 and (index == 1 or before.text == ",") and tokens[0].low == "select"
        if starts and token.kind == "variable" and index + 1 < len(tokens) and tokens[index + 1].text == "=":
            targets.append(token.text)
            index += 2
            continue
        kept.append(token)
        index += 1
    return targets, kept
