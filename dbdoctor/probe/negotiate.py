"""Stages three and the beginning of four, in our own words on the wire: SSLRequest, TLS, StartupMessage, the first answer.

Everything here is told apart before the driver tries, because the driver merges most of it into one message.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from dbdoctor.model.duration import format_duration
from dbdoctor.model.secret import redact
from dbdoctor.model.stage import Failure, StageName
from dbdoctor.model.target import Target
from dbdoctor.probe import postgresql_wire as wire
from dbdoctor.probe.certificate import fetch_certificate, server_name
from dbdoctor.probe.channel import Channel, ClosedError
from dbdoctor.probe.connect import Attempt, connect_one
from dbdoctor.probe.deadline import Deadline, DeadlinePassedError
from dbdoctor.probe.diagnose import name_server_error
from dbdoctor.probe.identify import ask_around, name_service
from dbdoctor.probe.resolve import Address
from dbdoctor.probe.tls import (
    TlsPlan,
    TlsSetupError,
    make_context,
    name_handshake_error,
    name_matches,
    name_verification_error,
)

if TYPE_CHECKING:
    import ssl

# Kept back from the wait for an answer, to find out what the silent service is instead.
_TIME_TO_ASK_AROUND = 0.8


class Negotiation(NamedTuple):
    """What one server said before the login. `tls` describes the encryption for people, None without.

    `failure` is set when it ended here; `error` is the server's own, when it said one. libpq may still have another way
    (plain text after TLS, the next host), which only the login tells.
    """

    address: Address
    tls: str | None = None
    tls_offered: bool | None = None
    certificate_ends: str | None = None
    tls_seconds: float = 0.0
    asked: wire.AuthenticationAsked | None = None
    failure: Failure | None = None
    error: wire.ServerError | None = None


class _FailedError(Exception):
    def __init__(self, failure: Failure, error: wire.ServerError | None = None) -> None:
        super().__init__(failure.code)
        self.failure = failure
        self.error = error


class Negotiator:
    """One negotiation over one connection: each method is one exchange, and a failure is named where it happens."""

    def __init__(self, attempt: Attempt, target: Target, plan: TlsPlan, deadline: Deadline) -> None:
        if attempt.socket is None:
            raise ValueError("the attempt has no connection")
        self.address = attempt.address
        self.target = target
        self.plan = plan
        self.deadline = deadline
        self.patience = deadline.within(max(deadline.remaining - _TIME_TO_ASK_AROUND, deadline.remaining * 0.6))
        self.channel = Channel(attempt.socket, self.patience)
        self.result = Negotiation(attempt.address)

    def run(self, on_login: Callable[[], None]) -> Negotiation:
        """Negotiate TLS as the plan says, begin a login and read the first answer; `on_login` is called in between."""
        started = time.monotonic()
        try:
            if self.plan.first and not self.address.endpoint.is_socket:
                self._encrypt()
            self.result = self.result._replace(tls_seconds=time.monotonic() - started)
            on_login()
            self._begin_login()
        except _FailedError as failed:
            self.result = self.result._replace(failure=failed.failure, error=failed.error)
        finally:
            # A session of trust authentication is already logged in: let it go before the driver takes its place.
            self.channel.close(wait=min(0.5, self.deadline.remaining) if self.result.asked else 0.0)
        return self.result

    def _encrypt(self) -> None:
        if not self.plan.direct:
            answer = self._ask(wire.SSL_REQUEST, 1, StageName.TLS)
            if answer == b"E":
                raise _FailedError(self._server_error(self._rest_of_message(answer), StageName.TLS))
            if answer not in (b"S", b"N") or self.channel.has_more():
                raise _FailedError(self._not_postgresql(answer, StageName.TLS))
            self.patience = self.channel.deadline = self.deadline  # it is PostgreSQL: nothing else to ask for
            self.result = self.result._replace(tls_offered=answer == b"S")
            if answer == b"N":
                if self.plan.required:
                    raise _FailedError(self._failure("tls-not-offered", StageName.TLS, sslmode=self.plan.mode))
                return
        self._handshake()

    def _handshake(self) -> None:
        import ssl

        try:
            context = make_context(self.plan, self.target, verify=self.plan.verify_chain)
            tls = self.channel.start_tls(context, server_name(self.address, self.target))
        except TlsSetupError as error:
            raise _FailedError(self._setup_failure(error)) from error
        except ssl.SSLCertVerificationError as error:
            code, words = name_verification_error(error)
            raise _FailedError(self._certificate_failure(code, words)) from error
        except ssl.SSLError as error:
            raise _FailedError(self._alert(error)) from error
        except DeadlinePassedError as error:
            raise _FailedError(self._failure("tls-handshake-stalled", StageName.TLS, seconds=self._waited())) from error
        except ClosedError as error:
            code = "tls-direct-refused" if self.plan.direct else "closed-during-negotiation"
            raise _FailedError(self._failure(code, StageName.TLS)) from error
        self._judge_certificate(tls)

    def _judge_certificate(self, tls: ssl.SSLSocket) -> None:
        certificate = tls.getpeercert() or {}
        host = self.address.endpoint.host
        if self.plan.verify_name and host and not name_matches(certificate, host):
            raise _FailedError(self._certificate_failure("certificate-wrong-name", "the name does not match"))
        checked = "certificate not verified"
        if self.plan.verify_name:
            checked = f"certificate trusted, for {host}"
        elif self.plan.verify_chain:
            checked = "certificate trusted, name not checked"
        cipher = tls.cipher()
        ends = str(certificate["notAfter"]) if "notAfter" in certificate else None
        self.result = self.result._replace(
            tls=f"{tls.version()}, {cipher[0] if cipher else '?'}, {checked}" + (f", until {ends}" if ends else ""),
            certificate_ends=ends,
        )

    def _begin_login(self) -> None:
        stage = StageName.LOGIN
        header = self._ask(wire.startup_message(self._startup_parameters()), 5, stage)
        if not wire.looks_like_message(header):
            raise _FailedError(self._not_postgresql(header, stage))
        body = self._read(int.from_bytes(header[1:5], "big") - 4, stage)
        if header[:1] == b"v":  # NegotiateProtocolVersion comes before the answer proper
            header = self._read(5, stage)
            body = self._read(int.from_bytes(header[1:5], "big") - 4, stage)
        if header[:1] == b"E":
            error = wire.read_error(body)
            raise _FailedError(self._server_error(error, stage), error)
        if header[:1] == b"R":
            try:
                self.result = self.result._replace(asked=wire.read_authentication(body))
            except ValueError as error:
                raise _FailedError(self._not_postgresql(header + body, stage)) from error

    def _startup_parameters(self) -> dict[str, str]:
        parameters = {"user": self.target.user or "", "application_name": "dbdoctor"}
        if self.target.database:
            parameters["database"] = self.target.database
        for name in ("options", "replication"):
            if self.target.parameters.get(name):
                parameters[name] = self.target.parameters[name]
        return parameters

    def _ask(self, question: bytes, count: int, stage: StageName) -> bytes:
        try:
            self.channel.send(question)
        except ClosedError as error:  # what it said before it closed may still be there to be read
            if error.reset and not (said := self.channel.receive_for(0.1)):
                raise _FailedError(self._closed(ClosedError(reset=True, received=said), stage)) from error
        except DeadlinePassedError as error:
            raise _FailedError(self._silent(stage)) from error
        return self._read(count, stage)

    def _read(self, count: int, stage: StageName) -> bytes:
        try:
            return self.channel.receive_exactly(count)
        except DeadlinePassedError as error:
            raise _FailedError(self._silent(stage)) from error
        except ClosedError as error:
            raise _FailedError(self._closed(error, stage)) from error
        except OSError as error:  # a TLS alert after the handshake: TLS 1.3 refuses a client certificate here
            if not hasattr(error, "reason"):
                raise
            raise _FailedError(self._alert(error)) from error  # type: ignore[arg-type]

    def _rest_of_message(self, first: bytes) -> wire.ServerError:
        length = int.from_bytes(self._read(4, StageName.TLS), "big")
        if not 4 <= length <= wire.LONGEST_MESSAGE:
            # A postmaster that cannot start a session says so as protocol 2 did: a bare text up to a zero byte.
            text = length.to_bytes(4, "big") + self.channel.receive_for(0.3)
            if b"\0" not in text or not text[:4].isalpha():
                raise _FailedError(self._not_postgresql(first + text, StageName.TLS))
            return wire.ServerError("53200", text.partition(b"\0")[0].decode("utf-8", "replace").strip())
        return wire.read_error(self._read(length - 4, StageName.TLS))

    # --- naming

    def _failure(self, code: str, stage: StageName, cause: str | None = None, **values: object) -> Failure:
        return Failure(code, stage, cause, values=values)

    def _waited(self) -> str:
        return format_duration(self.patience.elapsed)

    def _silent(self, stage: StageName) -> Failure:
        if stage is StageName.LOGIN and (self.result.tls_offered is not None or self.result.tls):
            return self._failure("startup-stalled", stage, seconds=self._waited())
        service = ask_around(self.address, self.deadline)
        if service:
            return self._failure("wrong-service", stage, service=service)
        code = (
            "startup-stalled" if stage is StageName.LOGIN and self._answers_tls_question() else "accepted-then-silent"
        )
        return self._failure(code, stage, seconds=self._waited())

    def _answers_tls_question(self) -> bool:
        """Whether a PostgreSQL is there at all: it answers an SSLRequest at once, also when no login gets through."""
        attempt = connect_one(self.address, self.deadline)
        if attempt.socket is None:
            return False
        channel = Channel(attempt.socket, self.deadline)
        try:
            channel.send(wire.SSL_REQUEST)
            return channel.receive_exactly(1) in (b"S", b"N")
        except (ClosedError, DeadlinePassedError):
            return False
        finally:
            channel.close()

    def _closed(self, error: ClosedError, stage: StageName) -> Failure:
        if error.received:
            return self._not_postgresql(error.received, stage)
        if self.result.tls_offered is None and self.result.tls is None:
            service = ask_around(self.address, self.deadline)
            if service:
                return self._failure("wrong-service", stage, service=service)
        how = "by a reset" if error.reset else "in order"
        return self._failure("closed-during-negotiation", stage, how=how)

    def _not_postgresql(self, first: bytes, stage: StageName) -> Failure:
        data = first + self.channel.receive_for(0.3)
        service = name_service(data)
        if service:
            return self._failure("wrong-service", stage, service=service)
        return self._failure("not-postgresql-protocol", stage, bytes=data[:16].hex(" "))

    def _server_error(self, error: wire.ServerError, stage: StageName) -> Failure:
        failure = self._failure(name_server_error(error), stage, redact(error.message))
        return replace(failure, sqlstate=error.code or None)

    def _alert(self, error: ssl.SSLError) -> Failure:
        code = name_handshake_error(error)
        values: dict[str, object] = {"certificate": self.plan.certificate}
        if code == "wrong-service":
            values["service"] = "something that does not speak TLS"
        if code == "tls-version-refused":
            values["minimum"] = self.target.parameters.get("ssl_min_protocol_version", "TLSv1.2")
        return self._failure(code, StageName.TLS, str(error.reason or error.strerror or ""), **values)

    def _setup_failure(self, error: TlsSetupError) -> Failure:
        return self._failure(
            error.code,
            StageName.TLS,
            error.cause,
            root=error.path,
            key=error.path,
            certificate=self.plan.certificate,
            sslmode=self.plan.mode,
        )

    def _certificate_failure(self, code: str, words: str) -> Failure:
        shown = fetch_certificate(self.address, self.target, self.plan, self.deadline)
        names: list[str] = shown.get("names") or [str(shown.get("subject", "?"))]
        values: dict[str, object] = {
            **shown,
            "names": ", ".join(names[:5]),
            "first_name": names[0],
            "root": "the operating system" if self.plan.root == "system" else self.plan.root,
            "rows": tuple(
                f"{key.replace('_', ' ')}: {shown[key]}" for key in ("subject", "issuer", "not_after") if key in shown
            ),
        }
        return self._failure(code, StageName.TLS, words, **values)
