"""From a target to what its drivers are told in a trial: all but the relay's place and what a pool and a trial add."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from dbdoctor.databases.odbc.connection_string import keywords_of
from dbdoctor.databases.odbc.driver import MICROSOFT, Driver
from dbdoctor.databases.odbc.find import choose
from dbdoctor.model.target import Endpoint, Product, Target
from dbdoctor.probe.deadline import Deadline
from dbdoctor.probe.login import connection_arguments
from dbdoctor.probe.resolve import Address

# The application's own, where sessions of ours would have another.
_OF_THE_APPLICATION = ("KeepAlive", "KeepAliveInterval", "ConnectRetryCount", "ConnectRetryInterval")
# They are about where the server is, which is the relay now.
_OF_THE_PLACE = ("Server", "Port", "MultiSubnetFailover", "TransparentNetworkIPResolution", "IpAddressPreference")
_AZURE = ".database.windows.net"
_YES = frozenset({"yes", "true", "1", "sspi"})


def connect_of(target: Target, addresses: Sequence[Address], driver: Driver | None = None) -> Mapping[str, Any]:
    """`StageOrder.connect` of a target whose server was found at these addresses: plain values, secrets among them.

    For PostgreSQL libpq's keywords; for SQL Server `kind` ("microsoft" or "freetds"), `keywords`, ODBC's, and
    `login_timeout`, the application's own in whole seconds or None. `driver` overrules the one that would be found.
    Raises DriverMissingError where no driver of SQL Server can be used.
    """
    if target.product is Product.POSTGRESQL:
        return _postgresql(target, addresses)
    chosen = driver or choose(target)
    end = addresses[0].endpoint if addresses else None
    stated = target.parameters.get("connect_timeout")
    return {
        "kind": chosen.kind,
        "keywords": _sqlserver(target, chosen, end),
        "login_timeout": max(1, round(float(stated))) if stated else None,
    }


def address_of(target: Target, deadline: Deadline) -> Address | None:
    """The first address of the target that takes connections now, as its driver would find it; None when none does.

    A named instance of SQL Server is looked up first.
    """
    from dbdoctor.probe.events import StageLog
    from dbdoctor.probe.reach import reach
    from dbdoctor.probe.sqlserver_reach import reach_sqlserver

    find = reach_sqlserver if target.product is Product.SQLSERVER else reach
    attempts = find(target, deadline, StageLog(lambda _event: None)).attempts
    for attempt in attempts:
        if attempt.socket is not None:
            attempt.socket.close()
    return attempts[0].address if attempts else None


def _postgresql(target: Target, addresses: Sequence[Address]) -> dict[str, Any]:
    found: dict[str, Any] = dict(connection_arguments(target, addresses))
    if target.password is not None:
        found["password"] = target.password.reveal()
    found.update({key: secret.reveal() for key, secret in target.secret_parameters.items()})
    return found


def _sqlserver(target: Target, driver: Driver, end: Endpoint | None) -> dict[str, str]:
    keywords = keywords_of(_known_at_the_gateway(target), driver, end)
    keywords.pop("ConnectRetryCount", None)  # ours never reconnect by themselves; the application's do
    for name in _OF_THE_APPLICATION:
        if name in target.parameters:
            keywords[name] = target.parameters[name]
    for name in _OF_THE_PLACE:
        keywords.pop(name, None)
    if driver.kind == MICROSOFT:
        keywords |= _identity(target, end)
    return keywords


def _identity(target: Target, end: Endpoint | None) -> dict[str, str]:
    """Who the server is, for a driver that is sent to 127.0.0.1: the name in its certificate, and its Kerberos name."""
    real = end or (target.endpoints[0] if target.endpoints else Endpoint("localhost", 1433))
    found = {}
    if real.host and "HostnameInCertificate" not in target.parameters and "ServerCertificate" not in target.parameters:
        found["HostnameInCertificate"] = real.host
    if target.parameters.get("Trusted_Connection", "").lower() in _YES and "ServerSPN" not in target.parameters:
        found["ServerSPN"] = f"MSSQLSvc/{real.host}:{real.port or 1433}"
    return found


def _known_at_the_gateway(target: Target) -> Target:
    """Azure's gateway learns from the login which server is meant: by the name the driver went to, or by `user@server`."""
    host = (target.endpoints[0].host or "").lower() if target.endpoints else ""
    if not target.user or "@" in target.user or not host.endswith(_AZURE):
        return target
    return replace(target, user=f"{target.user}@{host.partition('.')[0]}")
