"""The probe of a PostgreSQL target: reach it, negotiate, log in, ask; every stage named, one deadline over all.

Nothing here judges a server that answers (that is `rules`); here is only how far one gets, and what it costs.
"""

from __future__ import annotations

import time
from dataclasses import replace

from dbdoctor.databases import postgresql as product
from dbdoctor.model.duration import format_duration
from dbdoctor.model.examination import Examination
from dbdoctor.model.finding import Finding, Severity
from dbdoctor.model.server import ServerFacts
from dbdoctor.model.stage import Failure, StageName
from dbdoctor.model.target import Target
from dbdoctor.probe import login, second_look
from dbdoctor.probe.connect import Attempt
from dbdoctor.probe.deadline import Deadline, DeadlinePassedError
from dbdoctor.probe.events import OnEvent
from dbdoctor.probe.failures import find
from dbdoctor.probe.negotiate import Negotiation, Negotiator
from dbdoctor.probe.reach import Reach, reach, values_of
from dbdoctor.probe.refusal import name_refusal
from dbdoctor.probe.resolve import Address
from dbdoctor.probe.samples import take_samples
from dbdoctor.probe.staged import StagedProbe, StoppedError
from dbdoctor.probe.tls import NO_TLS, TlsSetupError, plan_tls

# The server ends our question by itself a little before we would stop waiting for it.
_STATEMENT_TIMEOUT_SHARE = 0.9
# Kept back from the wait for a login, to find out whether it is a pooler that does not answer.
_TIME_TO_NAME_A_STALL = 0.3
# Refusals that depend on whether TLS is used, so that libpq's second way may be let in.
_BY_THE_WAY_IT_CAME = frozenset(
    {"no-hba-entry", "hba-rejects", "client-certificate-missing", "authentication-failed", "tls-required-by-server"}
)
_SILENT = frozenset({"accepted-then-silent", "startup-stalled", "tls-handshake-stalled"})
# Failures of one server after which libpq goes on to the next host of the DSN.
_NEXT_HOST = frozenset({"server-starting", "server-shutting-down", "server-in-recovery", "server-not-ready"})


class PostgresqlProbe(StagedProbe):
    """One examination of one target; `run` may be called once."""

    def __init__(self, target: Target, deadline: Deadline, samples: int, on_event: OnEvent) -> None:
        super().__init__(target, deadline, samples, on_event)
        self.session_where: str | None = None

    def _go_through_stages(self) -> None:
        addresses = self._negotiate(reach(self.target, self.deadline, self.log))
        session = self._log_in(addresses)
        try:
            self._ask(session)
            self._measure(session, addresses)
        finally:
            login.log_out(session)

    # --- stages

    def _negotiate(self, reached: Reach) -> list[Address]:
        """Talk to one server after the other, as libpq would, until one would let us log in."""
        if not reached.attempts:
            raise StoppedError(reached.failures[0])
        worth_a_warning = [
            f for f in reached.failures if f.code in ("no-answer", "resolver-silent") or len(self.target.endpoints) > 1
        ]
        self.findings += [self._find(failure, Severity.WARNING) for failure in worth_a_warning]
        waiting = list(reached.attempts)
        passed_over: list[Failure] = []
        try:
            while waiting:
                negotiation = self._negotiate_one(waiting.pop(0), others=len(waiting))
                failure = negotiation.failure
                if failure is None or self._driver_decides(negotiation, failure):
                    self.doubt = failure and self._located(failure, negotiation.address)
                    self.findings += [self._find(passed, Severity.WARNING) for passed in passed_over]
                    return [negotiation.address, *(attempt.address for attempt in waiting)]
                passed_over.append(self._located(failure, negotiation.address))
                if not self._libpq_tries_the_next(failure):
                    break
        finally:
            for attempt in waiting:
                if attempt.socket:
                    attempt.socket.close()
        self.findings += [self._find(failure, Severity.WARNING) for failure in passed_over[:-1]]
        raise StoppedError(passed_over[-1])

    def _negotiate_one(self, attempt: Attempt, *, others: int) -> Negotiation:
        address = attempt.address
        try:
            plan = NO_TLS if address.endpoint.is_socket else plan_tls(self.target)
        except TlsSetupError as error:
            if attempt.socket:
                attempt.socket.close()
            mode = self.target.parameters.get("sslmode")
            failure = Failure(error.code, StageName.TLS, error.cause, values={"root": error.path, "sslmode": mode})
            self.log.start(StageName.TLS, address.shown)
            raise StoppedError(self._located(failure, address)) from error
        if plan.first:
            self.log.start(StageName.TLS, f"{address.shown}, sslmode={plan.mode}")
        started = time.monotonic()
        negotiator = Negotiator(attempt, self.target, plan, self.deadline.part(1 / (others + 1)))

        def encrypted() -> None:
            if plan.first:
                offered = "not offered by the server" if negotiator.result.tls_offered is False else "not used"
                self.log.end(ok=True, detail=negotiator.result.tls or offered, seconds=time.monotonic() - started)
            self.log.start(StageName.LOGIN, f"{self.target.user or '?'} on {address.shown}")

        negotiation = negotiator.run(encrypted)
        if negotiation.failure and negotiation.error:
            return second_look.tls_required(self.target, negotiation, self.deadline)
        return negotiation

    def _driver_decides(self, negotiation: Negotiation, failure: Failure) -> bool:
        """Whether libpq may still get in where our own way ended: by the other way of sslmode prefer or allow.

        It falls back on any failure of TLS that does not hang, and on any refusal over TLS (CONNECTION_FAILED in
        fe-connect.c); we let it try only where the other way can make a difference.
        """
        if failure.code == "client-key-unreadable":  # libpq also reads forms of key that Python does not
            return True
        mode = self.target.parameters.get("sslmode") or "prefer"
        if mode not in ("prefer", "allow") or negotiation.address.endpoint.is_socket:
            return False
        if negotiation.error is not None:
            refused_over_tls = negotiation.tls is not None or mode == "allow"
            return refused_over_tls and failure.code in _BY_THE_WAY_IT_CAME
        return failure.stage is StageName.TLS and failure.code.startswith(
            ("certificate-", "client-", "root-certificate-", "tls-handshake-failed", "tls-version-")
        )

    def _libpq_tries_the_next(self, failure: Failure) -> bool:
        """libpq goes on to the next host when a server is not ready, and when connect_timeout ends a silence; else it ends."""
        if failure.code in _SILENT:
            return self.target.parameters.get("connect_timeout", "0").strip() not in ("", "0")
        return failure.code in _NEXT_HOST

    def _log_in(self, addresses: list[Address]) -> login.LoggedIn:
        if self.log.under_way is not StageName.LOGIN:
            self.log.end(ok=False, detail="refused; the driver tries without")
            self.log.start(StageName.LOGIN, f"{self.target.user or '?'} on {addresses[0].shown}")
        self._check_password_file()
        patience = self.deadline.within(
            max(self.deadline.remaining - _TIME_TO_NAME_A_STALL, self.deadline.remaining * 0.8)
        )
        try:
            session = login.log_in(self.target, addresses, patience)
        except DeadlinePassedError as error:
            pooler = second_look.is_pgbouncer(self.target, addresses[0], self.deadline)
            code = "pooler-holds-client" if pooler else "login-stalled"
            failure = Failure(code, StageName.LOGIN, values={"seconds": format_duration(patience.seconds)})
            raise StoppedError(self._located(failure, addresses[0])) from error
        except login.LoginFailedError as error:
            raise StoppedError(self._refused(str(error), addresses)) from None
        tls = f", {session.tls}" if session.tls else ""
        self.log.end(ok=True, detail=f"{self.target.user or '?'} on {session.where}{tls}", seconds=session.seconds)
        self.session_where = session.where
        if self.doubt and self.doubt.stage is StageName.TLS and not session.tls:
            self.findings.append(self._find(self.doubt, Severity.WARNING))
            self.findings.append(
                self._find(Failure("tls-given-up", StageName.TLS, values={"where": session.where}), Severity.WARNING)
            )
        return session

    def _refused(self, message: str, addresses: list[Address]) -> Failure:
        failure, error = name_refusal(message, self.target)
        if self.doubt and failure.code in ("client-refused", "closed-during-login", "tls-handshake-failed"):
            failure = self.doubt
        if error and failure.code == "no-hba-entry":
            negotiation = Negotiation(addresses[0], failure=failure, error=error)
            failure = second_look.tls_required(self.target, negotiation, self.deadline).failure or failure
        return self._located(failure, addresses[0])

    def _ask(self, session: login.LoggedIn) -> None:
        self.log.start(StageName.QUERY, "what the server says of itself")
        started = time.monotonic()
        try:
            self.facts = self._facts(session)
        except DeadlinePassedError as error:
            values: dict[str, object] = {"seconds": format_duration(time.monotonic() - started)}
            raise StoppedError(self._here(Failure("query-stalled", StageName.QUERY, values=values))) from error
        except login.QueryFailedError as error:
            failure, _ = name_refusal(str(error), self.target, stage=StageName.QUERY, sqlstate=error.sqlstate)
            if failure.code in ("client-refused", "login-refused", "closed-during-login", "no-connect-privilege"):
                failure = replace(failure, code="query-failed")
            raise StoppedError(self._here(failure)) from None
        self.connected = True
        self.log.end(ok=True, detail=f"{self.facts.product} {self.facts.version}")

    def _facts(self, session: login.LoggedIn) -> ServerFacts:
        # Room for the server's own timeout to reach us before ours.
        timeout = max(0.05, self.deadline.remaining * _STATEMENT_TIMEOUT_SHARE - 0.1)
        sent = time.time()
        try:
            row = login.run_query(session, product.facts_query(timeout), self.deadline)
        except login.QueryFailedError as error:
            if error.sqlstate in (None, "57014", "55P03", "57P01", "0A000"):
                raise
            sent = time.time()
            row = login.run_query(session, product.FALLBACK_QUERY, self.deadline)
        received = time.time()
        try:
            return product.read_facts(
                row[0] if row else b"",
                sent_at=sent,
                received_at=received,
                backend_pid=session.backend_pid,
                tls=session.tls,
            )
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise login.QueryFailedError("the answer is not what this query gives", None) from error

    def _measure(self, session: login.LoggedIn, addresses: list[Address]) -> None:
        if self.facts is None:
            return
        samples = take_samples(self.target, addresses, session, self.facts, self.samples, self.deadline)
        self.timings, self.timings_note, self.facts = samples.timings, samples.note, samples.facts

    # --- words

    def _check_password_file(self) -> None:
        finding = second_look.password_file(self.target)
        if finding:
            self.findings.append(finding)

    def _here(self, failure: Failure) -> Failure:
        return replace(failure, values={"where": self.session_where, **failure.values})

    def _located(self, failure: Failure, address: Address) -> Failure:
        return replace(failure, values={**values_of(address), **failure.values})

    def _find(self, failure: Failure, severity: Severity = Severity.ERROR) -> Finding:
        who: dict[str, object] = {"user": self.target.user, "database": self.target.database}
        return find(replace(failure, values={**who, **failure.values}), severity=severity)


def examine(target: Target, deadline: Deadline, samples: int, on_event: OnEvent) -> Examination:
    """Examine one PostgreSQL target within the deadline; failures are findings, never exceptions."""
    return PostgresqlProbe(target, deadline, samples, on_event).run()
