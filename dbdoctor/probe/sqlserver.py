"""The probe of a SQL Server target: reach it, ask what it is, log in through its ODBC driver, ask; one deadline over all.

Microsoft's driver says `HYT00 Login timeout expired` to almost everything that goes wrong before the login, so all of it is
looked at here first, in TDS of our own. Nothing here judges a server that answers (that is `rules`).
"""

from __future__ import annotations

import time
from dataclasses import replace

from dbdoctor.databases.odbc.contradictions import login_name
from dbdoctor.databases.odbc.driver import Driver, DriverMissingError
from dbdoctor.databases.odbc.session import OdbcCrashedError, OdbcError, OdbcSession, OdbcTimeoutError
from dbdoctor.model.duration import format_duration
from dbdoctor.model.examination import Examination
from dbdoctor.model.finding import Finding, Severity
from dbdoctor.model.secret import redact
from dbdoctor.model.stage import Failure, StageName
from dbdoctor.model.target import Product, Target
from dbdoctor.probe import sqlserver_query, sqlserver_second_look
from dbdoctor.probe.connect import Attempt
from dbdoctor.probe.deadline import Deadline
from dbdoctor.probe.events import OnEvent
from dbdoctor.probe.failures import find
from dbdoctor.probe.reach import values_of
from dbdoctor.probe.sqlserver_reach import Reached, reach_sqlserver
from dbdoctor.probe.sqlserver_refusal import hides_the_first, is_words_of_the_way, name_refusal, said_by
from dbdoctor.probe.staged import StagedProbe, StoppedError
from dbdoctor.probe.tds.encryption import EncryptionPlan, plan_encryption
from dbdoctor.probe.tds.negotiate import TdsNegotiation, TdsNegotiator
from dbdoctor.probe.tds.wire import Encryption

# Kept back from the wait for the driver, to find out for ourselves what it waits for.
_TIME_FOR_A_SECOND_LOOK = 0.5
_NO_WAY_ON = "tls-handshake-stalled"


class SqlServerProbe(StagedProbe):
    """One examination of one target; `run` may be called once."""

    def __init__(self, target: Target, deadline: Deadline, samples: int, on_event: OnEvent) -> None:
        super().__init__(target, deadline, samples, on_event)
        self.session: OdbcSession | None = None
        self.missing: DriverMissingError | None = None
        # What every failure from here on says of the place.
        self.place: dict[str, object] = {}

    def run(self) -> Examination:
        """Go through the stages until one fails or all are done; the driver's process has ended then."""
        try:
            return super().run()
        finally:
            if self.session is not None:
                self.session.close()

    def _go_through_stages(self) -> None:
        self._start_driver()
        reached = self._reach()
        negotiation, plan = self._negotiate(reached)
        session = self._log_in(reached, negotiation, plan)
        self._ask(session, negotiation)
        self._measure(session, reached)

    # --- stages

    def _start_driver(self) -> None:
        """Its process warms up while we look at the network; a missing driver is said when it would be needed."""
        try:
            self.session = OdbcSession(self.target)
            if self.deadline.recall is not None:
                self.deadline.recall.then(self.session.close)
        except DriverMissingError as error:
            self.missing = error

    def _reach(self) -> Reached:
        if not self.target.endpoints:
            self.log.start(StageName.CONNECT, self.target.shown)
            raise StoppedError(Failure("client-refused", StageName.CONNECT, "the target names no server"))
        reached = reach_sqlserver(self.target, self.deadline, self.log)
        if not reached.attempts:
            raise StoppedError(reached.failures[0])
        at_once = self.target.parameters.get("MultiSubnetFailover", "no").lower() == "yes"
        silent = [failure for failure in reached.failures if failure.code in ("no-answer", "host-unreachable")]
        if silent and not at_once:
            failure = replace(silent[0], code="multi-subnet-failover-off", cause=None)
            self.findings.append(self._find(failure, Severity.WARNING))
        return reached

    def _negotiate(self, reached: Reached) -> tuple[TdsNegotiation, EncryptionPlan]:
        """Talk to the first address that let us in, as the driver would."""
        first: Attempt = reached.attempts[0]
        for other in reached.attempts[1:]:
            if other.socket:
                other.socket.close()
        address = first.address
        self.place = dict(values_of(address))
        driver = self.session.driver if self.session else None
        plan = plan_encryption(self.target, driver, address.endpoint.host or address.ip)
        self.log.start(StageName.TLS, f"{address.shown}, {plan.word}")
        negotiation = TdsNegotiator(first, plan, self.deadline).run()
        if negotiation.answer:
            self.place["server_version"] = ".".join(str(part) for part in negotiation.answer.version)
        failure = negotiation.failure
        if failure is None:
            unasked = plan.wanted is Encryption.NOT_SUPPORTED
            why = f"not wanted ({plan.word})" if unasked else "not offered by the server"
            self.log.end(ok=True, detail=negotiation.tls or f"{why}, not required")
        elif self.session is None or failure.stage is not StageName.TLS or not _driver_decides(failure):
            raise StoppedError(failure)
        else:
            self.doubt = failure
            self.log.end(ok=False, detail=self._find(failure).title)
        return negotiation, plan

    def _log_in(self, reached: Reached, negotiation: TdsNegotiation, plan: EncryptionPlan) -> OdbcSession:
        user, where = login_name(self.target), negotiation.address.shown
        self.log.start(StageName.LOGIN, f"{user} on {where}")
        session = self.session
        if session is None:
            raise StoppedError(self._no_driver(self.missing))
        kept = min(_TIME_FOR_A_SECOND_LOOK, self.deadline.remaining * 0.25)
        patience = self.deadline.within(max(0.05, self.deadline.remaining - kept))
        try:
            session.open(patience.seconds, reached.endpoint)
        except OdbcTimeoutError as error:
            said = "; ".join(record.message for record in error.records)
            failure = self.doubt or sqlserver_second_look.name_silence(
                negotiation.address, self.target, plan, self.deadline, waited=patience.elapsed
            )
            raise StoppedError(replace(failure, cause=failure.cause or redact(said) or None)) from None
        except OdbcCrashedError as error:
            values: dict[str, object] = {"driver": _shown(session.driver), "signal": f"signal {error.signal}"}
            raise StoppedError(Failure("driver-crashed", StageName.LOGIN, values=values)) from None
        except DriverMissingError as error:
            raise StoppedError(self._no_driver(error)) from None
        except OdbcError as error:
            raise StoppedError(self._refused(error, session, negotiation, plan)) from None
        detail = f"{user} on {where}, through {_shown(session.driver)}"
        self.log.end(ok=True, detail=detail, seconds=session.login_seconds)
        if self.doubt:
            self.findings.append(self._find(self.doubt, Severity.INFO))
        return session

    def _refused(
        self, error: OdbcError, session: OdbcSession, negotiation: TdsNegotiation, plan: EncryptionPlan
    ) -> Failure:
        said = said_by(error)
        if hides_the_first(said, session.driver) and self.target.database:
            said = [*sqlserver_second_look.all_errors(negotiation.address, self.target, plan, self.deadline), *said]
        failure = name_refusal(said, driver=session.driver)
        if failure.code == "driver-missing":
            return self._no_driver(None, failure.cause)
        if self.doubt and is_words_of_the_way(failure):
            rows = (*self.doubt.values.get("rows", ()), f"the driver says: {failure.cause}")  # type: ignore[misc]
            return replace(self.doubt, values={**self.doubt.values, "rows": rows})
        if failure.code == "client-refused":
            return sqlserver_second_look.name_by_looking(negotiation.address, self.target, plan, self.deadline, failure)
        return failure

    def _ask(self, session: OdbcSession, negotiation: TdsNegotiation) -> None:
        self.log.start(StageName.QUERY, "what the server says of itself")
        started = time.monotonic()
        try:
            self.facts = sqlserver_query.facts(
                session, self.deadline, tls=negotiation.tls if negotiation.whole else None
            )
        except OdbcTimeoutError:
            values: dict[str, object] = {"seconds": format_duration(time.monotonic() - started)}
            raise StoppedError(Failure("query-stalled", StageName.QUERY, values=values)) from None
        except OdbcCrashedError as error:
            values = {"driver": _shown(session.driver), "signal": f"signal {error.signal}"}
            raise StoppedError(Failure("driver-crashed", StageName.QUERY, values=values)) from None
        except OdbcError as error:
            raise StoppedError(sqlserver_query.name_failure(error, session.driver)) from None
        self.connected = True
        self.log.end(ok=True, detail=f"{self.facts.product} {self.facts.version}")

    def _measure(self, session: OdbcSession, reached: Reached) -> None:
        if self.facts is not None:
            self.timings, self.timings_note = sqlserver_query.take_samples(
                session, reached.endpoint, self.facts, self.samples, self.deadline
            )

    # --- words

    def _no_driver(self, error: DriverMissingError | None, said: str | None = None) -> Failure:
        values: dict[str, object] = {
            "reason": error.what if error else "the driver cannot be loaded",
            "remedy": (error.help if error else None) or "see `dbdoctor drivers`",
            "product": "SQL Server",
        }
        code = error.code if error else "driver-missing"
        return Failure(code, StageName.LOGIN, error.cause if error else said, values=values)

    def _find(self, failure: Failure, severity: Severity = Severity.ERROR) -> Finding:
        own: dict[str, object] = {"user": login_name(self.target), "database": self.target.database or "master"}
        values = {**own, **self.place, **failure.values}
        return find(replace(failure, values=values), severity=severity, product=Product.SQLSERVER)


def _driver_decides(failure: Failure) -> bool:
    """Whether the driver's own TLS may get through where ours did not: it may trust other authorities, or older ways."""
    return failure.code.startswith(("certificate-", "tls-", "client-certificate-")) and failure.code != _NO_WAY_ON


def _shown(driver: Driver) -> str:
    """The driver for people: its registered name, or what it is where the target names its file; and its version."""
    name = {"microsoft": "Microsoft's ODBC driver", "freetds": "FreeTDS"}.get(driver.kind, driver.name)
    return f"{name if '/' in driver.name else driver.name} {driver.version}".strip()


def examine(target: Target, deadline: Deadline, samples: int, on_event: OnEvent) -> Examination:
    """Examine one SQL Server target within the deadline; failures are findings, never exceptions."""
    return SqlServerProbe(target, deadline, samples, on_event).run()
