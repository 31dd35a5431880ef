"""What is looked at only when something went wrong: would TLS have been let in, is the password file ignored."""

from __future__ import annotations

import os
from dataclasses import replace

from dbdoctor.model.finding import Finding, Severity
from dbdoctor.model.stage import Failure, StageName
from dbdoctor.model.target import Target
from dbdoctor.probe import postgresql_wire as wire
from dbdoctor.probe.channel import Channel, ClosedError
from dbdoctor.probe.connect import connect_one
from dbdoctor.probe.deadline import Deadline, DeadlinePassedError
from dbdoctor.probe.failures import find
from dbdoctor.probe.negotiate import Negotiation, Negotiator
from dbdoctor.probe.refusal import hba_values
from dbdoctor.probe.resolve import Address
from dbdoctor.probe.tls import TlsSetupError, plan_tls

_MISSING_ENTRY = frozenset({"no-hba-entry", "hba-rejects"})


def tls_required(target: Target, negotiation: Negotiation, deadline: Deadline) -> Negotiation:
    """When plain text was refused for want of a pg_hba.conf entry, see whether TLS is admitted: then that is the cause.

    One more connection, which ends before any login.
    """
    failure = negotiation.failure
    if failure is None or negotiation.error is None or failure.code not in _MISSING_ENTRY:
        return negotiation
    if failure.code == "no-hba-entry":
        failure = replace(failure, values={**hba_values(negotiation.error.message, target), **failure.values})
    mode = target.parameters.get("sslmode", "prefer")
    if negotiation.tls or negotiation.address.endpoint.is_socket or mode not in ("disable", "allow"):
        return negotiation._replace(failure=failure)
    with_tls = replace(target, parameters={**target.parameters, "sslmode": "require"})
    attempt = connect_one(negotiation.address, deadline)
    if attempt.socket is None:
        return negotiation._replace(failure=failure)
    try:
        second = Negotiator(attempt, with_tls, plan_tls(with_tls), deadline).run(lambda: None)
    except TlsSetupError:
        return negotiation._replace(failure=failure)
    if second.asked is not None:
        values = {**failure.values, "sslmode": mode}
        failure = Failure("tls-required-by-server", StageName.LOGIN, failure.cause, failure.sqlstate, values)
    return negotiation._replace(failure=failure)


def password_file(target: Target) -> Finding | None:
    """A warning when libpq will silently ignore the password file that this target needs."""
    if target.password is not None:
        return None
    from dbdoctor.targets.libpq.password_file import passfile

    state = passfile(target, os.environ)
    if not (state.exists and state.permissions_too_open):
        return None
    failure = Failure("password-file-ignored", StageName.LOGIN, values={"path": str(state.path)})
    return find(failure, severity=Severity.WARNING)


def is_pgbouncer(target: Target, address: Address, deadline: Deadline) -> bool:
    """Whether PgBouncer answers there: it alone refuses a start-up parameter that PostgreSQL takes, before any login.

    PostgreSQL takes any parameter with a dot in its name. One more connection; nothing is asked where TLS is required.
    """
    if target.parameters.get("sslmode") in ("require", "verify-ca", "verify-full"):
        return False
    attempt = connect_one(address, deadline.part(0.5))
    if attempt.socket is None:
        return False
    channel = Channel(attempt.socket, deadline.part(0.5))
    try:
        parameters = {"user": target.user or "", "database": target.database or "", "dbdoctor.question": "1"}
        channel.send(wire.startup_message(parameters))
        header = channel.receive_exactly(5)
        if header[:1] != b"E" or not wire.looks_like_message(header):
            return False
        error = wire.read_error(channel.receive_exactly(int.from_bytes(header[1:5], "big") - 4))
    except (ClosedError, DeadlinePassedError):
        return False
    finally:
        channel.close()
    return "unsupported startup parameter" in error.message
