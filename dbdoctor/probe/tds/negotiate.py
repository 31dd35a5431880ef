"""What answers, before any login: PRELOGIN, then TLS as the driver would have it, with the certificate judged as it would.

All of it is told apart here, because Microsoft's driver says `Login timeout expired` to almost everything.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from dbdoctor.model.duration import format_duration
from dbdoctor.model.stage import Failure, StageName
from dbdoctor.probe.certificate import describe_certificate
from dbdoctor.probe.channel import Channel, ClosedError
from dbdoctor.probe.connect import Attempt, connect_one
from dbdoctor.probe.deadline import Deadline, DeadlinePassedError
from dbdoctor.probe.identify import ask_around, name_service
from dbdoctor.probe.resolve import Address
from dbdoctor.probe.tds import wire
from dbdoctor.probe.tds.channel import NotTdsError, TdsChannel
from dbdoctor.probe.tds.encryption import EncryptionPlan, make_context, name_matches
from dbdoctor.probe.tds.pinned import name_validity, read_pinned
from dbdoctor.probe.tds.wire import Encryption, PreloginAnswer
from dbdoctor.probe.tls import TlsSetupError, name_handshake_error, name_verification_error

if TYPE_CHECKING:
    import ssl

# Kept back from the wait for an answer, to find out what the silent service is instead.
_TIME_TO_ASK_AROUND = 0.8


class TdsNegotiation(NamedTuple):
    """What one server said before the login. `tls` describes the encryption for people; `failure` is set when it ended here."""

    address: Address
    answer: PreloginAnswer | None = None
    tls: str | None = None
    certificate_ends: str | None = None
    failure: Failure | None = None
    strict: bool = False

    @property
    def whole(self) -> bool:
        """Whether all of the session is encrypted, not the login only."""
        if self.answer is None:
            return False
        return self.strict or self.answer.encryption in (Encryption.ON, Encryption.REQUIRED)


class NegotiationError(Exception):
    """The negotiation ends here; `failure` says why, its stage is TLS."""

    def __init__(self, code: str, cause: str | None = None, **values: object) -> None:
        super().__init__(code)
        self.failure = Failure(code, StageName.TLS, cause, values=values)


class TdsNegotiator:
    """One negotiation over one connection: each method is one exchange, and a failure is named where it happens."""

    def __init__(self, attempt: Attempt, plan: EncryptionPlan, deadline: Deadline) -> None:
        if attempt.socket is None:
            raise ValueError("the attempt has no connection")
        self.address = attempt.address
        self.plan = plan
        self.deadline = deadline
        self.patience = deadline.within(max(deadline.remaining - _TIME_TO_ASK_AROUND, deadline.remaining * 0.6))
        self.channel = Channel(attempt.socket, self.patience)
        self.tds = TdsChannel(self.channel)
        self.result = TdsNegotiation(attempt.address, strict=plan.strict)

    def run(self) -> TdsNegotiation:
        """Ask, and encrypt as the driver would; the connection is closed then."""
        try:
            self.begin()
        except NegotiationError as failed:
            self.result = self.result._replace(failure=failed.failure)
        finally:
            self.channel.close()
        return self.result

    def begin(self) -> None:
        """Everything before LOGIN7, the connection left open. Raises NegotiationError."""
        if self.plan.strict:
            self._encrypt(Encryption.ON)
        answer = self._prelogin()
        self.result = self.result._replace(answer=answer)
        self.patience = self.channel.deadline = self.deadline  # it is TDS: nothing else to ask for
        if self.plan.strict:
            return
        if answer.encryption is Encryption.NOT_SUPPORTED:
            if self.plan.required:
                raise NegotiationError("tls-not-offered", written=self.plan.word)
            return
        self._encrypt(answer.encryption)

    # --- exchanges

    def _prelogin(self) -> PreloginAnswer:
        try:
            self.tds.send(wire.PRELOGIN, wire.prelogin(self.plan.wanted))
            return wire.read_prelogin(self.tds.receive())
        except DeadlinePassedError as error:
            raise self._silent() from error
        except ClosedError as error:
            raise self._closed(error) from error
        except NotTdsError as error:
            raise self._not_tds(error.received) from error
        except ValueError as error:
            raise NegotiationError("not-tds-protocol", str(error), bytes="a TDS packet that is no PRELOGIN") from error
        except OSError as error:  # a TLS alert, where TLS came first
            raise NegotiationError("tls-handshake-failed", str(getattr(error, "reason", None) or error)) from error

    def _encrypt(self, answered: Encryption) -> None:
        import ssl

        verifies = self.plan.verifies(answered)
        try:
            pinned = read_pinned(self.plan.pinned) if self.plan.pinned else None
            context = make_context(self.plan, verify=verifies and pinned is None)
            name = _server_name(self.address)
            tls = self.channel.start_tls(context, name) if self.plan.strict else self.tds.start_tls(context, name)
        except TlsSetupError as error:
            raise NegotiationError(error.code, error.cause, root=error.path) from error
        except ssl.SSLCertVerificationError as error:
            code, words = name_verification_error(error)
            raise self._certificate_failure(code, words) from error
        except ssl.SSLError as error:
            raise self._alert(error) from error
        except DeadlinePassedError as error:
            raise NegotiationError("tls-handshake-stalled", seconds=self._waited()) from error
        except NotTdsError as error:
            raise NegotiationError("tls-handshake-failed", "the answer is no TLS") from error
        except ClosedError as error:
            how = "by a reset" if error.reset else "in order"
            code = "tls-direct-refused" if self.plan.strict else "closed-during-negotiation"
            raise NegotiationError(code, written=self.plan.word, how=how) from error
        if pinned is not None:
            self._judge_pinned(tls, pinned)
            return
        self._judge_certificate(tls, answered, verifies=verifies)

    def _judge_certificate(self, tls: ssl.SSLSocket | ssl.SSLObject, answered: Encryption, *, verifies: bool) -> None:
        certificate: dict[str, Any] = dict(tls.getpeercert() or {}) if verifies else {}
        if verifies and not name_matches(certificate, self.plan.names):
            raise self._certificate_failure("certificate-wrong-name", "the name does not match")
        ends = str(certificate["notAfter"]) if "notAfter" in certificate else None
        self.result = self.result._replace(
            tls=f"{_words(tls)}, {self._checked(answered, verifies=verifies)}" + (f", until {ends}" if ends else ""),
            certificate_ends=ends,
        )

    def _judge_pinned(self, tls: ssl.SSLSocket | ssl.SSLObject, pinned: bytes) -> None:
        """As Microsoft's driver does: the same certificate, and valid today; its names and its chain do not count."""
        shown = tls.getpeercert(binary_form=True) or b""
        said = describe_certificate(shown)
        code = name_validity(said)
        if code:
            raise self._certificate_failure(code, "the pinned certificate is not valid today")
        if shown != pinned:
            raise self._certificate_failure("certificate-not-pinned-one", "another certificate than the pinned one")
        ends = str(said.get("not_after", "?"))
        self.result = self.result._replace(
            tls=f"{_words(tls)}, certificate is the pinned one, until {ends}", certificate_ends=ends
        )

    def _checked(self, answered: Encryption, *, verifies: bool) -> str:
        if not self.plan.strict and answered is Encryption.OFF:
            return "for the login only, certificate not verified"
        if not verifies:
            return "certificate not verified"
        return f"certificate trusted, for {self.plan.names[0]}" if self.plan.names else "certificate trusted"

    # --- naming

    def _waited(self) -> str:
        return format_duration(self.patience.elapsed)

    def _silent(self) -> NegotiationError:
        service = self._ask_around()
        if service:
            return NegotiationError("wrong-service", service=service)
        return NegotiationError("accepted-then-silent", seconds=self._waited())

    def _closed(self, error: ClosedError) -> NegotiationError:
        if error.received:
            return self._not_tds(error.received)
        service = self._ask_around()
        if service:
            return NegotiationError("wrong-service", service=service)
        return NegotiationError("closed-during-negotiation", how="by a reset" if error.reset else "in order")

    def _not_tds(self, first: bytes) -> NegotiationError:
        data = first + self.channel.receive_for(0.3)
        service = name_service(data) or self._ask_around()
        if service:
            return NegotiationError("wrong-service", service=service)
        return NegotiationError("not-tds-protocol", bytes=data[:16].hex(" "))

    def _ask_around(self) -> str | None:
        service = ask_around(self.address, self.deadline, postgresql=True)
        return None if service and "TDS" in service else service

    def _alert(self, error: ssl.SSLError) -> NegotiationError:
        code = name_handshake_error(error)
        if self.plan.strict and code == "wrong-service":
            code = "tls-direct-refused"
        elif code == "wrong-service":
            code = "tls-handshake-failed"
        return NegotiationError(
            code, str(error.reason or error.strerror or ""), written=self.plan.word, minimum="TLSv1.2"
        )

    def _certificate_failure(self, code: str, words: str) -> NegotiationError:
        shown = fetch_certificate(self.address, self.plan, self.deadline)
        names: list[str] = shown.get("names") or [str(shown.get("subject", "?"))]
        return NegotiationError(
            code,
            words,
            **{
                **shown,
                "names": ", ".join(names[:5]),
                "first_name": names[0],
                "wanted_name": self.plan.names[0] if self.plan.names else None,
                "written": self.plan.word,
                "root": self.plan.pinned or "the operating system",
                "rows": tuple(f"{k.replace('_', ' ')}: {shown[k]}" for k in _SHOWN if k in shown),
            },
        )


def _words(tls: ssl.SSLSocket | ssl.SSLObject) -> str:
    cipher = tls.cipher()
    return f"{tls.version()}, {cipher[0] if cipher else '?'}"


_SHOWN = ("subject", "issuer", "not_after")


def fetch_certificate(address: Address, plan: EncryptionPlan, deadline: Deadline) -> dict[str, Any]:
    """What `describe_certificate` says of the server's, or {}: over a connection of its own, which verifies nothing."""
    import ssl

    attempt = connect_one(address, deadline)
    if attempt.socket is None:
        return {}
    channel = Channel(attempt.socket, deadline)
    try:
        context, name = make_context(plan, verify=False), _server_name(address)
        tls: ssl.SSLSocket | ssl.SSLObject
        if plan.strict:
            tls = channel.start_tls(context, name)
        else:
            tds = TdsChannel(channel)
            tds.send(wire.PRELOGIN, wire.prelogin(plan.wanted))
            tds.receive()
            tls = tds.start_tls(context, name)
        der = tls.getpeercert(binary_form=True)
        return describe_certificate(der) if der else {}
    except (ssl.SSLError, OSError, ClosedError, DeadlinePassedError, NotTdsError):
        return {}
    finally:
        channel.close()


def _server_name(address: Address) -> str | None:
    """What goes into the handshake as the name asked for (SNI): never an address."""
    host = address.endpoint.host
    if not host or host[0].isdigit() or ":" in host or not host.isascii():
        return None
    return host
