"""One client from its first byte to its last: PRELOGIN, TLS, the login, and then request after request."""

from __future__ import annotations

import re
import struct
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tests.servers.tds import login as logins
from tests.servers.tds import packets, prelogin, requests, tokens
from tests.servers.tds.controls import Refuse, Stage
from tests.servers.tds.engine import Execution, declared_names
from tests.servers.tds.errors import AttentionError, EndError, GoneError, KilledError, SqlError
from tests.servers.tds.packets import Channel, Message
from tests.servers.tds.parameters import Parameter
from tests.servers.tds.results import Outcome, Result
from tests.servers.tds.sessions import Session, Settings
from tests.servers.tds.shown import ShownRequest

if TYPE_CHECKING:
    from tests.servers.tds.server import TdsServer

COMMANDS = {"begin": "BEGIN TRANSACTION", "commit": "COMMIT TRANSACTION", "waitfor": "WAITFOR", "with": "SELECT"}


@dataclass
class Conversation:
    """Runs in a thread of its own."""

    server: TdsServer
    channel: Channel
    address: tuple[str, int]
    session: Session | None = None
    prepared: dict[int, tuple[str, list[str], str]] = field(default_factory=dict)
    # How the connection is to be closed.
    closing: str = "fin"

    def run(self) -> None:
        """All of it; returns when the connection can be closed."""
        try:
            self._at("accepted")
            self._shake_hands()
            self.session = self._log_in()
            self._at("logged-in")
            while True:
                self._serve(self.session, self.channel.read_message())
        except EndError as end:
            self.closing = end.how
        except KilledError:
            if self.session is not None and self.session.request is not None:
                self._say_killed()
        except (GoneError, ValueError, struct.error) as error:
            self.server.ends.append(str(error))

    def _say_killed(self) -> None:
        also = SqlError(
            0,
            message="A severe error occurred on the current command.  The results, if any, should be discarded.",
            severity=20,
        )
        try:
            self.channel.send_message(tokens.error(SqlError(596, also=(also,)), self.name) + tokens.done(failed=True))
        except GoneError:
            return

    @property
    def name(self) -> str:
        """What the server calls itself."""
        return self.server.facts.server_name

    def _at(self, stage: Stage, text: str = "") -> None:
        program = self.session.login.program if self.session else ""
        action = self.server.controls.action(stage, text=text, program=program)
        if action is None:
            return
        if isinstance(action, Refuse) and stage == "query":
            # Not a stage that ends with its refusal.
            raise QueryRefusedError(action)
        action(self.channel, self.name)

    # --- up to the login

    def _expect(self, kind: int) -> bytes:
        message = self.channel.read_message()
        if message.kind != kind:
            raise GoneError(f"a message of type {message.kind} instead of {kind}")
        return message.body

    def _shake_hands(self) -> None:
        strict = self.server.controls.speaks_tds8 and self.channel.begins_with_tls()
        if strict:
            version, protocol = self.channel.start_tls_first(self.server.strict_context)
            self.server.tls_versions.append(version)
            self.server.tls_protocols.append(protocol)
        asked = prelogin.parse(self._expect(packets.PRELOGIN))
        self._at("prelogin")
        wanted = (asked.get(prelogin.ENCRYPTION) or b"\x02")[0]
        # Within TDS 8 nobody asks what is encrypted.
        answer = prelogin.NOT_SUPPORTED if strict else prelogin.agree(wanted, self.server.encryption)
        self.channel.send_message(prelogin.answer(asked, answer, self.server.facts.profile.version_numbers))
        self._at("prelogin-answered")
        self.encrypted_login_only = answer == prelogin.OFF
        if answer != prelogin.NOT_SUPPORTED:
            self.server.tls_versions.append(self.channel.start_tls(self.server.context))
        if self.channel.encrypted:
            self._at("tls")

    def _log_in(self) -> Session:
        login = logins.parse(self._expect(packets.LOGIN7))
        if self.channel.encrypted and self.encrypted_login_only:
            self.channel.stop_tls()
        self.server.logins.append(login)
        action = self.server.controls.action("login", program=login.program)
        if action is not None:
            action(self.channel, self.name)
        try:
            database, number = self.server.admit(login)
        except SqlError as refused:
            self.channel.send_message(tokens.error(refused, self.name) + tokens.done(failed=True))
            raise EndError from refused
        size = min(max(login.packet_size, 512), 32767) if login.packet_size else 4096
        clock = self.server.facts.clock

        def make(session_number: int) -> Session:
            return Session(
                number=session_number,
                login=login,
                channel=self.channel,
                clock=clock,
                address=self.address[0],
                port=self.address[1],
                login_time=clock.local(),
                last_request_start=clock.local(),
                last_request_end=clock.local(),
                database=database,
                database_id=number,
                packet_size=size,
                store=self.server.engine.store.open(),
            )

        session = self.server.sessions.add(make)
        self.session = session
        self.channel.session_id = session.number
        self.channel.also_check = session.check
        version = self.server.facts.profile.version_numbers
        recovers = self.server.controls.recovers_sessions
        welcome = logins.welcome(
            login, database=database, packet_size=size, version=version, server=self.name, recovers=recovers
        )
        self.channel.packet_size = size
        self.channel.send_message(welcome)
        return session

    # --- requests

    def _serve(self, session: Session, message: Message) -> None:
        self.channel.ignores_attention = self.server.controls.ignores_attention
        if message.kind == packets.ATTENTION:
            session.attentions += 1
            if not self.server.controls.ignores_attention:
                self.channel.send_message(tokens.done(attention=True))
            return
        handlers: dict[int, Callable[[Session, bytes], bytes]] = {
            packets.SQL_BATCH: self._batch,
            packets.RPC: self._calls,
            packets.TRANSACTION_MANAGER: self._transaction,
        }
        if message.kind not in handlers:
            raise GoneError(f"a message of the unknown type {message.kind}")
        reset = self._reset(session, message.status)
        session.last_request_start = session.clock.local()
        session.status = "running"
        try:
            answer = handlers[message.kind](session, message.body)
        except AttentionError:
            session.attentions += 1
            answer = tokens.done(attention=True)
        except QueryRefusedError as refused:
            answer = tokens.error(refused.action.error, self.name) + tokens.done(failed=True)
            self._finish(session)
            self.channel.send_message(reset + answer)
            if refused.action.ends or (refused.action.ends is None and refused.action.error.severity >= 20):
                raise EndError from refused
            return
        session.check()
        self._finish(session)
        self.channel.send_message(reset + answer)

    def _finish(self, session: Session) -> None:
        session.request = None
        session.status = "sleeping"
        session.last_request_end = session.clock.local()

    def _reset(self, session: Session, status: int) -> bytes:
        if not status & (packets.RESET | packets.RESET_KEEPING_TRANSACTION):
            return b""
        session.resets += 1
        session.settings = Settings()
        if status & packets.RESET:
            self.server.engine.leave(session)
        return tokens.changed(tokens.WAS_RESET, b"\0", b"\0")

    def _note(self, session: Session, text: str, shown: str | None = None) -> None:
        """The session now runs `text`, which the views show as `shown`."""
        session.last_text = shown or text
        session.texts.append(text)
        word = re.match(r"\s*(?:--[^\n]*\n|/\*.*?\*/|\s)*([a-z]+)", text, re.IGNORECASE | re.DOTALL)
        verb = word.group(1).lower() if word else "select"
        command = COMMANDS.get(verb, verb.upper())
        session.request = ShownRequest(started=session.last_request_start, command=command, text=session.last_text)
        self._at("query", text)

    def _batch(self, session: Session, body: bytes) -> bytes:
        text = requests.parse_batch(body)
        self._note(session, text)
        execution = Execution(self.server.engine, session)
        answer, failed = self._answer(execution, lambda: execution.run(text), tokens.DONE)
        return answer if failed or answer else tokens.done()

    def _answer(self, execution: Execution, run: Callable[[], None], token: int) -> tuple[bytes, bool]:
        """What a run gave, as tokens, and whether it failed."""
        error: SqlError | None = None
        before = execution.session.database
        try:
            run()
        except SqlError as raised:
            error = raised
        inside = token != tokens.DONE
        words = []
        for index, outcome in enumerate(execution.outcomes):
            more = inside or error is not None or index < len(execution.outcomes) - 1
            words.append(self._outcome(outcome, token, more=more))
        if execution.session.database != before:
            words.insert(0, tokens.changed_text(tokens.DATABASE, execution.session.database, before))
        if error is not None:
            words.append(tokens.error(error, self.name) + tokens.done(token, more=inside, failed=True))
        elif words and not isinstance(execution.outcomes[-1:], list):
            words.append(tokens.done(token, more=inside))
        elif execution.outcomes and not isinstance(execution.outcomes[-1], Result) and not inside:
            words.append(tokens.done(token))
        return b"".join(words), error is not None

    def _outcome(self, outcome: Outcome, token: int, *, more: bool) -> bytes:
        if not isinstance(outcome, Result):
            return tokens.information(outcome.number, outcome.text, self.name, severity=outcome.severity)
        if not outcome.columns:
            return tokens.done(token, more=more, count=outcome.count)
        body = tokens.columns(outcome.columns) + tokens.rows(outcome.columns, outcome.rows)
        return body + tokens.done(token, more=more, count=len(outcome.rows), command=0xC1)

    def _calls(self, session: Session, body: bytes) -> bytes:
        return b"".join(self._call(session, call) for call in requests.parse_calls(body))

    def _call(self, session: Session, call: requests.Call) -> bytes:
        execution = Execution(self.server.engine, session)
        handle, output = None, b""
        run: Callable[[], None] = lambda: None  # noqa: E731
        given = call.parameters
        match call.name:
            case "sp_prepexec" | "sp_prepare":
                handle = max(self.prepared, default=0) + 1
                declared, text = str(given[1].value or ""), str(given[2].value)
                self.prepared[handle] = (text, declared_names(declared), declared)
                output = tokens.return_integer(given[0].name, handle)
                if call.name == "sp_prepexec":
                    run = self._prepared(execution, handle, given[3:])
            case "sp_execute":
                number = int(str(given[0].value))
                run = self._prepared(execution, number, given[1:]) if number in self.prepared else _missing(number)
            case "sp_unprepare":
                self.prepared.pop(int(str(given[0].value)), None)
            case "sp_executesql":
                declared = str(given[1].value or "") if len(given) > 1 else ""
                run = self._running(execution, str(given[0].value), declared_names(declared), declared, given[2:])
            case _:
                self._at("query", f"EXEC {call.name}")

                def run() -> None:
                    execution.call(call.name, given)

        answer, failed = self._answer(execution, run, tokens.DONE_IN_PROCEDURE)
        end = tokens.done(tokens.DONE_PROCEDURE, more=not call.is_last, failed=failed, command=0xE0)
        return answer + tokens.return_status() + output + end

    def _prepared(self, execution: Execution, handle: int, values: tuple[Parameter, ...]) -> Callable[[], None]:
        text, names, declared = self.prepared[handle]
        return self._running(execution, text, names, declared, values)

    def _running(
        self,
        execution: Execution,
        text: str,
        names: list[str],
        declared: str,
        values: tuple[Parameter, ...],
    ) -> Callable[[], None]:
        def run() -> None:
            # A prepared statement's text is kept with its parameters before it.
            self._note(execution.session, text, f"({declared}){text}" if declared else text)
            execution.declare(values, names)
            execution.run(text)

        return run

    def _transaction(self, session: Session, body: bytes) -> bytes:
        request = requests.parse_transaction(body)
        session.texts.append({5: "BEGIN", 7: "COMMIT", 8: "ROLLBACK", 9: "SAVE"}.get(request.kind, "?"))
        self._at("query", f"TRANSACTION MANAGER {session.texts[-1]}")
        engine, old, words = self.server.engine, session.transaction, []
        try:
            if request.kind == requests.BEGIN:
                engine.begin(session)
            elif request.kind in {requests.COMMIT, requests.ROLL_BACK}:
                commits = request.kind == requests.COMMIT
                (engine.commit if commits else engine.roll_back)(session)
                assert old is not None
                if session.transaction is None:
                    what = tokens.COMMITTED if commits else tokens.ROLLED_BACK
                    words.append(tokens.changed(what, b"\0", tokens.short_bytes(old.descriptor)))
                if request.begins_next:
                    engine.begin(session)
        except SqlError as error:
            return tokens.error(error, self.name) + tokens.done(failed=True)
        if session.transaction is not None and session.transaction is not old:
            words.append(tokens.changed(tokens.BEGAN, tokens.short_bytes(session.transaction.descriptor), b"\0"))
        return b"".join(words) + tokens.done()


class QueryRefusedError(Exception):
    """A control refuses this request."""

    def __init__(self, action: Refuse) -> None:
        super().__init__(action.error.message)
        self.action = action


def _missing(handle: int) -> Callable[[], None]:
    def run() -> None:
        raise SqlError(8179, handle)

    return run
