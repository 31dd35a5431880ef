"""From a Target to what a driver is given for a connection of ours: every value in braces, no keyword it would ignore."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from dbdoctor.databases.odbc.driver import FREETDS, Driver, DriverUnableError
from dbdoctor.databases.odbc.install import WHEEL
from dbdoctor.model.target import Endpoint, Target

_YES = frozenset({"yes", "true", "1", "mandatory", "sspi"})
# Passed on to Microsoft's driver as the target has them.
_MICROSOFT_TAKES = (
    "TrustServerCertificate",
    "Trusted_Connection",
    "Authentication",
    "ApplicationIntent",
    "MultiSubnetFailover",
    "HostnameInCertificate",
    "ServerCertificate",
    "ServerSPN",
    "IpAddressPreference",
    "PacketSize",
    "Language",
    "TransparentNetworkIPResolution",
)
_FREETDS_ENCRYPTION: Mapping[str, str] = {
    "yes": "require",
    "true": "require",
    "mandatory": "require",
    "no": "request",
    "false": "request",
    "optional": "request",
    "strict": "strict",
}


def connection_string(
    target: Target, driver: Driver, endpoint: Endpoint | None = None, application: str = "dbdoctor"
) -> str:
    r"""The connection string, with the password in it: for the child's pipe and nothing else.

    `endpoint` overrules the target's first one. A host with an instance and no port goes as `host\instance`.
    """
    return write_keywords(keywords_of(target, driver, endpoint, application), driver.kind)


def keywords_of(
    target: Target, driver: Driver, endpoint: Endpoint | None = None, application: str = "dbdoctor"
) -> dict[str, str]:
    """The same before it is written: ODBC's keywords and their values, the password among them."""
    end = endpoint or (target.endpoints[0] if target.endpoints else Endpoint("localhost", 1433))
    keywords = {"Driver": driver.path}
    keywords |= _freetds(target, driver, end) if driver.kind == FREETDS else _microsoft(target, end)
    if target.user is not None:
        keywords["UID"] = target.user
    if target.password is not None:
        keywords["PWD"] = target.password.reveal()
    if target.database:
        keywords["Database"] = target.database
    if "WSID" in target.parameters:
        keywords["WSID"] = target.parameters["WSID"]
    keywords["APP"] = application
    return keywords


def write_keywords(keywords: Mapping[str, str], kind: str) -> str:
    """A connection string of these, for a driver of this kind. Raises DriverUnableError for what it cannot be given."""
    quoted = _braced_for_freetds if kind == FREETDS else _braced
    return "".join(f"{name}={quoted(value)};" for name, value in keywords.items())


def _braced(value: str) -> str:
    return "{" + value.replace("}", "}}") + "}"


def _braced_for_freetds(value: str) -> str:
    """FreeTDS reads to the first `};` and takes a doubled brace for two. Raises DriverUnableError for what has one in it."""
    if "};" in value:
        raise DriverUnableError(
            "FreeTDS cannot be given a password or a name with `};` in it", help=f"use Microsoft's driver: `{WHEEL}`"
        )
    return "{" + value + "}"


def _microsoft(target: Target, end: Endpoint) -> dict[str, str]:
    keywords = {"Server": _server(end), "ConnectRetryCount": "0"}
    for name in _MICROSOFT_TAKES:
        value = target.parameters.get(name)
        if value:
            keywords[name] = value
    encrypt = target.parameters.get("Encrypt") or _encrypt_of_freetds(target)
    if encrypt:
        keywords["Encrypt"] = {"true": "yes", "false": "no"}.get(encrypt.lower(), encrypt)
    for name, secret in target.secret_parameters.items():
        keywords[name] = secret.reveal()
    return keywords


def _server(end: Endpoint) -> str:
    r"""`tcp:host,port`, or `host\instance` while the port is not known. An IPv6 address stands as it is."""
    host = end.host or end.address or "localhost"
    if end.port is not None:
        return f"tcp:{host},{end.port}"
    return f"tcp:{host}\\{end.instance}" if end.instance else f"tcp:{host}"


def _encrypt_of_freetds(target: Target) -> str | None:
    written = target.parameters.get("Encryption", "").lower()
    return {"off": "no", "request": "no", "require": "yes", "strict": "strict"}.get(written)


def _must_know_strict(driver: Driver) -> None:
    """Raises DriverUnableError for a FreeTDS that has no such word: it would say no more than `Unable to connect`."""
    file = Path(driver.path)
    if file.is_file() and b"strict" not in file.read_bytes():
        raise DriverUnableError(
            f"the FreeTDS in {file} knows no strict encryption (TDS 8) and refuses to connect",
            help=f"use Microsoft's driver 18: `{WHEEL}`",
        )


def _freetds(target: Target, driver: Driver, end: Endpoint) -> dict[str, str]:
    """Raises DriverUnableError for an authentication or an encryption that FreeTDS does not know."""
    if target.parameters.get("Authentication", "SqlPassword").lower() != "sqlpassword":
        raise DriverUnableError(
            "only Microsoft's driver knows `Authentication`, and there is only FreeTDS here", help=f"`{WHEEL}`"
        )
    if "strict" in (target.parameters.get(name, "").lower() for name in ("Encrypt", "Encryption")):
        _must_know_strict(driver)
    host = end.host or end.address or "localhost"
    keywords = {"TDS_Version": "7.4", "ClientCharset": "UTF-8"}
    if end.port is None and end.instance:
        keywords["Server"] = f"{host}\\{end.instance}"
    else:
        keywords |= {"Server": host, "Port": str(end.port or 1433)}
    written = target.parameters.get("Encryption")
    encrypt = target.parameters.get("Encrypt", "").lower()
    keywords["Encryption"] = written or _FREETDS_ENCRYPTION.get(encrypt, "request")
    if target.parameters.get("ApplicationIntent", "").lower() == "readonly":
        keywords["ApplicationIntent"] = "ReadOnly"
    if target.parameters.get("Trusted_Connection", "").lower() in _YES:
        keywords["Trusted_Connection"] = "Yes"
    return keywords
