"""What is looked at only when SQL Server's driver told too little: a login of our own, and where a gateway sends it."""

from __future__ import annotations

import errno
import os
import time
from dataclasses import replace

from dbdoctor.model.duration import format_duration
from dbdoctor.model.stage import Failure, StageName
from dbdoctor.model.target import Endpoint, Target
from dbdoctor.probe.connect import connect_one
from dbdoctor.probe.deadline import Deadline
from dbdoctor.probe.resolve import Address, resolve_all
from dbdoctor.probe.sqlserver_refusal import Said, name_refusal
from dbdoctor.probe.tds.encryption import EncryptionPlan
from dbdoctor.probe.tds.login import End, OwnLogin, log_in


def all_errors(address: Address, target: Target, plan: EncryptionPlan, deadline: Deadline) -> list[Said]:
    """Every error of a refused login, in the server's order; FreeTDS shows the last one only."""
    own = log_in(address, target, plan, deadline)
    return [Said(error.number, error.message) for error in own.answer.errors]


def name_silence(
    address: Address, target: Target, plan: EncryptionPlan, deadline: Deadline, *, waited: float
) -> Failure:
    """Why the driver had no answer in time: the way on from a gateway, a refusal that it kept to itself, or silence."""
    values: dict[str, object] = {"seconds": format_duration(waited), "waited_seconds": round(waited, 3)}
    own = log_in(address, target, plan, deadline)
    return _named(own, deadline, values) or Failure("login-stalled", StageName.LOGIN, values=values)


def name_by_looking(
    address: Address, target: Target, plan: EncryptionPlan, deadline: Deadline, said: Failure
) -> Failure:
    """What is behind `said`, in which the driver tells only that it could not connect; the same when that stays hidden."""
    started = time.monotonic()
    own = log_in(address, target, plan, deadline)
    failure = _named(own, deadline, dict(said.values))
    if failure is None and own.end is End.CLOSED:
        failure = Failure("closed-during-login", StageName.LOGIN, values=said.values)
    if failure is None and own.end is End.SILENT:
        seconds = time.monotonic() - started
        values = {**said.values, "seconds": format_duration(seconds), "waited_seconds": round(seconds, 3)}
        failure = Failure("login-stalled", StageName.LOGIN, values=values)
    return replace(failure, cause=failure.cause or said.cause, sqlstate=said.sqlstate) if failure else said


def _named(own: OwnLogin, deadline: Deadline, values: dict[str, object]) -> Failure | None:
    """What a login of ours was told: a refusal, or a way on that ends nowhere."""
    if own.answer.errors:
        return name_refusal([Said(error.number, error.message) for error in own.answer.errors])
    if own.answer.routed_to:
        host, port = own.answer.routed_to
        values["routed_to"] = f"{host}:{port}"
        reason = _way_to(host, port, deadline)
        if reason:
            return Failure("azure-redirect-blocked", StageName.LOGIN, values={**values, "reason": reason})
    elif own.stalled:
        return Failure("query-stalled", StageName.LOGIN, values=values)
    return None


def _way_to(host: str, port: int, deadline: Deadline) -> str | None:
    """Why there is no connection to a server; None when there is one."""
    resolution = resolve_all([Endpoint(host, port)], deadline.part(0.5))[0]
    if not resolution.addresses:
        return "its name has no address here"
    attempt = connect_one(resolution.addresses[0], deadline)
    if attempt.socket is None:
        silent = attempt.error in (None, errno.ETIMEDOUT)
        return "no answer" if silent else os.strerror(attempt.error or 0).lower()
    attempt.socket.close()
    return None
