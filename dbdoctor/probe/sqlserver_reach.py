r"""Stages one and two for SQL Server: a named instance's port is asked of its browser service between the two."""

from __future__ import annotations

from typing import NamedTuple

from dbdoctor.model.duration import format_duration
from dbdoctor.model.stage import Failure, StageName
from dbdoctor.model.target import Endpoint, Target
from dbdoctor.probe.connect import Attempt
from dbdoctor.probe.deadline import Deadline
from dbdoctor.probe.events import StageLog
from dbdoctor.probe.reach import connect, resolve
from dbdoctor.probe.resolve import Address
from dbdoctor.probe.tds.browser import PORT, Told, ask_browser

# Of the time that remains, what a silent browser may use up.
_SHARE_FOR_BROWSER = 0.7


class Reached(NamedTuple):
    """The connections made, failures for each way that did not work, and the endpoint with its port for the driver."""

    attempts: tuple[Attempt, ...] = ()
    failures: tuple[Failure, ...] = ()
    endpoint: Endpoint | None = None


def reach_sqlserver(target: Target, deadline: Deadline, log: StageLog) -> Reached:
    """Resolve the host, find the port of its instance, and connect to all addresses."""
    resolved = resolve(target.endpoints, deadline, log)
    addresses = list(resolved.addresses)
    endpoint = target.endpoints[0] if target.endpoints else None
    if not addresses or endpoint is None:
        return Reached(failures=resolved.failures)
    how = ""
    if endpoint.instance and endpoint.port is None:
        log.start(StageName.CONNECT, f"SQL Server Browser of {endpoint.host}, for {endpoint.instance}")
        told = ask_browser(addresses, endpoint.instance, deadline.part(_SHARE_FOR_BROWSER))
        if told.port is None:
            failure = _name_browser(told, endpoint)
            log.end(ok=False, detail=_word(told))
            return Reached(failures=(failure,))
        endpoint = endpoint._replace(port=told.port, instance=None)
        addresses = [_with_port(address, endpoint) for address in addresses]
        how = f", the port of {target.endpoints[0].instance} as SQL Server Browser told it"
    # Microsoft's driver prefers IPv4 (IpAddressPreference=IPv4First).
    made = connect(sorted(addresses, key=lambda address: ":" in address.ip), deadline, log, how)
    return Reached(made.attempts, (*resolved.failures, *made.failures), endpoint)


def _with_port(address: Address, endpoint: Endpoint) -> Address:
    if isinstance(address.sockaddr, str) or endpoint.port is None:
        return address
    host, _, *rest = address.sockaddr
    return address._replace(endpoint=endpoint, sockaddr=(host, endpoint.port, *rest))


def _word(told: Told) -> str:
    if told.answered:
        return "the instance has no TCP port" if told.found else "the instance is not known"
    return "nobody listens" if told.refused else "no answer"


def _name_browser(told: Told, endpoint: Endpoint) -> Failure:
    values: dict[str, object] = {
        "host": endpoint.host,
        "where": endpoint.shown,
        "instance": endpoint.instance,
        "browser_port": PORT,
        "seconds": format_duration(told.seconds),
        "waited_seconds": round(told.seconds, 3),
        "instances": ", ".join(told.instances) or "none",
    }
    if told.answered:
        code = "instance-without-tcp" if told.found else "instance-not-found"
    else:
        code = "browser-refused" if told.refused else "browser-silent"
    return Failure(code, StageName.CONNECT, values=values)
