"""A login in our own words, when the driver's told too little: what the server answers, all of it, and where it sends us.

Used only after the driver had no answer in time, or when it shows the last of several errors: a refused login counts for
a lockout policy, so none is made without need.
"""

from __future__ import annotations

import socket
from enum import Enum
from typing import NamedTuple

from dbdoctor.model.target import Target
from dbdoctor.probe.channel import ClosedError
from dbdoctor.probe.connect import connect_one
from dbdoctor.probe.deadline import Deadline, DeadlinePassedError
from dbdoctor.probe.resolve import Address
from dbdoctor.probe.tds import wire
from dbdoctor.probe.tds.channel import NotTdsError, TdsChannel
from dbdoctor.probe.tds.encryption import EncryptionPlan
from dbdoctor.probe.tds.negotiate import NegotiationError, TdsNegotiator


class End(str, Enum):
    """How a login of ours ended."""

    ANSWERED = "answered"
    SILENT = "silent"
    CLOSED = "closed"
    NOT_TRIED = "not tried"


class OwnLogin(NamedTuple):
    """`answer` is there when `end` is ANSWERED; `stalled` says that it let us in and then left a first query unanswered."""

    end: End
    answer: wire.LoginAnswer = wire.LoginAnswer()
    stalled: bool = False


def can_log_in(target: Target) -> bool:
    """Whether it is a login with name and password, which is all that is done here."""
    integrated = target.parameters.get("Trusted_Connection", "no").lower() in ("yes", "true", "1", "sspi")
    other = target.parameters.get("Authentication", "SqlPassword").lower() not in ("", "sqlpassword")
    return bool(target.user) and target.password is not None and not integrated and not other


def log_in(address: Address, target: Target, plan: EncryptionPlan, deadline: Deadline) -> OwnLogin:
    """Log in, read the answer, ask one thing if we are in, and leave. Never raises."""
    attempt = connect_one(address, deadline) if can_log_in(target) else None
    if attempt is None or attempt.socket is None:
        return OwnLogin(End.NOT_TRIED)
    negotiator = TdsNegotiator(attempt, plan._replace(trusts=True), deadline)
    negotiator.patience = negotiator.channel.deadline = deadline
    try:
        negotiator.begin()
        encrypted = negotiator.result.answer
        negotiator.tds.send(wire.LOGIN7, wire.login(_texts(target, address), read_only=_read_only(target)))
        if encrypted and encrypted.encryption is wire.Encryption.OFF and not plan.strict:
            negotiator.tds.stop_tls()
        answer = wire.read_login_answer(negotiator.tds.receive())
        return OwnLogin(End.ANSWERED, answer, stalled=answer.let_in and not _answers(negotiator.tds))
    except DeadlinePassedError:
        return OwnLogin(End.SILENT)
    except ClosedError:
        return OwnLogin(End.CLOSED)
    except (NegotiationError, NotTdsError, ValueError, OSError):
        return OwnLogin(End.NOT_TRIED)
    finally:
        negotiator.channel.close(wait=min(0.2, deadline.remaining))


def _answers(tds: TdsChannel) -> bool:
    """Whether the server answers a question within the time that is left."""
    try:
        tds.send(wire.SQL_BATCH, wire.batch("SELECT 1"))
        tds.receive()
    except DeadlinePassedError:
        return False
    except (ClosedError, NotTdsError, OSError):
        return True
    return True


def _texts(target: Target, address: Address) -> dict[str, str]:
    return {
        "host": socket.gethostname()[:128],
        "user": (target.user or "")[:128],
        "password": target.password.reveal()[:128] if target.password else "",
        "program": "dbdoctor",
        "server": (address.endpoint.host or address.ip)[:128],
        "interface": "dbdoctor",
        "database": (target.database or "")[:128],
    }


def _read_only(target: Target) -> bool:
    return target.parameters.get("ApplicationIntent", "").lower() == "readonly"
