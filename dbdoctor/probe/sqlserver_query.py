"""After the login on SQL Server: its facts, why a question failed, and what logins and round trips cost."""

from __future__ import annotations

import time

from dbdoctor.databases import sqlserver as product
from dbdoctor.databases.odbc.driver import Driver
from dbdoctor.databases.odbc.session import OdbcCrashedError, OdbcError, OdbcSession, OdbcTimeoutError
from dbdoctor.databases.sqlserver_text import RefusedError, Row, first_line, is_refusal
from dbdoctor.model.server import ServerFacts
from dbdoctor.model.stage import Failure, StageName, Timings
from dbdoctor.model.target import Endpoint
from dbdoctor.probe.deadline import Deadline
from dbdoctor.probe.samples import reason_to_stop
from dbdoctor.probe.sqlserver_refusal import name_refusal, said_by

_ROUND_TRIP = "SELECT 1"
# Of the login timeout, what sampling may use up.
_SHARE_OF_DEADLINE = 0.6
# The session waits a little longer than it is told for the driver's own word, and then ends its process.
_TIME_TO_END = 0.15
# A lock timeout of the server's own, and the driver's word for a query that it took back.
_SLOW = frozenset({1222})


def facts(session: OdbcSession, deadline: Deadline, *, tls: str | None) -> ServerFacts:
    """What the server says of itself. Raises what the session raises when there was no answer at all."""

    def ask(sql: str) -> list[Row]:
        try:
            return session.query(sql, _patience(deadline))
        except OdbcError as error:
            if is_refusal(error.native, error.sqlstate):
                raise RefusedError(first_line(error.message), error.native) from None
            raise

    session.query(product.SETTLE, _patience(deadline))
    return product.gather_facts(ask, clock=time.time, tls=tls)


def name_failure(error: OdbcError, driver: Driver) -> Failure:
    """Why the first questions failed."""
    failure = name_refusal(said_by(error), stage=StageName.QUERY, driver=driver)
    if error.sqlstate == "HYT00" or error.native in _SLOW:
        return Failure("statement-timeout", StageName.QUERY, failure.cause, failure.sqlstate, failure.values)
    if failure.code in ("client-refused", "login-refused", "closed-during-login", "login-stalled"):
        return Failure("query-failed", StageName.QUERY, failure.cause, failure.sqlstate, failure.values)
    return failure


def take_samples(
    session: OdbcSession, endpoint: Endpoint | None, facts: ServerFacts, count: int, deadline: Deadline
) -> tuple[Timings, str | None]:
    """Time `count` logins, one after the other, and a round trip on each; the session that is open is the first sample.

    Gives the timings and why there are fewer than asked for. The driver's process stays, as an application's would.
    """
    logins, trips = [session.login_seconds], []
    note = reason_to_stop(facts)
    try:
        trips.append(_time_round_trip(session, deadline))
        while len(logins) < count and note is None:
            if deadline.elapsed > deadline.seconds * _SHARE_OF_DEADLINE:
                note = "the login timeout would not have been enough for more"
                break
            session.open(_patience(deadline), endpoint)
            trips.append(_time_round_trip(session, deadline))
            logins.append(session.login_seconds)
    except OdbcTimeoutError:
        note = "a further login or round trip was not answered"
    except (OdbcError, OdbcCrashedError):
        note = "a further login was refused"
    return Timings(tuple(logins[: len(trips)]), tuple(trips)), note


def _patience(deadline: Deadline) -> float:
    """Seconds to wait for the driver's process, so that it has been ended when the deadline passes."""
    return max(0.05, deadline.remaining - _TIME_TO_END)


def _time_round_trip(session: OdbcSession, deadline: Deadline) -> float:
    started = time.monotonic()
    session.query(_ROUND_TRIP, _patience(deadline))
    return time.monotonic() - started
