"""From ODBC keywords of SQL Server, which every dialect is turned into, to a Target."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace

from dbdoctor.errors import UsageError
from dbdoctor.model.secret import Secret
from dbdoctor.model.target import Target
from dbdoctor.targets.dialects.shared.server_name import read_server

_CANONICAL = """
    Driver DSN FILEDSN Server Port UID PWD Database APP WSID Encrypt TrustServerCertificate Trusted_Connection
    Authentication MARS_Connection ApplicationIntent MultiSubnetFailover ConnectRetryCount ConnectRetryInterval KeepAlive
    KeepAliveInterval PacketSize Language HostnameInCertificate ServerCertificate RetryExec QuotedId AnsiNPW Regional
    AutoTranslate ColumnEncryption Failover_Partner TransparentNetworkIPResolution LongAsMax UseFMTONLY ServerSPN
    FailoverPartnerSPN AttachDBFileName ClientCertificate KeystoreSecret KeystorePrincipalId KeystoreAuthentication
    IpAddressPreference TDS_Version Encryption ClientCharset Timeout Servername Description
""".split()  # noqa: SIM905 (fifty lines of list)
ODBC_KEYWORDS: Mapping[str, str] = {
    **{name.lower(): name for name in _CANONICAL},
    "addr": "Server",
    "address": "Server",
    "user": "UID",
    "password": "PWD",
}
"""ODBC keywords of Microsoft's driver and of FreeTDS, from lower case to how they are written here."""

SECRET_KEYWORDS = frozenset({"PWD", "KeystoreSecret"})
"""ODBC keywords whose value never prints."""

_FIELDS = frozenset({"Server", "Servername", "Port", "UID", "Database"})
_CHOICES: Mapping[str, tuple[str, ...]] = {
    "Encrypt": ("yes", "no", "mandatory", "optional", "strict"),
    "TrustServerCertificate": ("yes", "no"),
    "Trusted_Connection": ("yes", "no"),
    "MARS_Connection": ("yes", "no"),
    "MultiSubnetFailover": ("yes", "no"),
    "ApplicationIntent": ("ReadOnly", "ReadWrite"),
    "Encryption": ("off", "request", "require", "strict"),
}
_INTEGERS = frozenset(
    {
        "ConnectRetryCount",
        "ConnectRetryInterval",
        "KeepAlive",
        "KeepAliveInterval",
        "PacketSize",
        "connect_timeout",
        "Timeout",
    }
)
_FREETDS = re.compile(r"freetds|libtdsodbc", re.IGNORECASE)
_OLD_DRIVER = re.compile(
    r"\AODBC Driver 1[0-7] for|\ASQL Server(?: Native Client.*)?\Z|libmsodbcsql-1[0-7]\.", re.IGNORECASE
)
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")


def to_target(options: Mapping[str, str], base: Target) -> Target:
    """A Target of ODBC options under their canonical names; the rest is as in `base`. Raises UsageError.

    `connect_timeout`, the application's login timeout in seconds, is not ODBC's name: ODBC has no keyword for it.
    """
    for name, value in options.items():
        _check(name, value)
    server = options.get("Server") or options.get("Servername")
    named = read_server(server, options.get("Port")) if server else None
    extra = {name: value for name, value in options.items() if name not in _FIELDS and value}
    extra = {**_defaults_of(extra.get("Driver", ""), base.driver, extra), **extra}
    password = extra.pop("PWD", None)
    return replace(
        base,
        endpoints=(named.endpoint,) if named else (),
        user=options.get("UID") or None,
        password=Secret(password) if password else None,
        database=options.get("Database") or None,
        parameters={name: value for name, value in extra.items() if name not in SECRET_KEYWORDS},
        secret_parameters={name: Secret(value) for name, value in extra.items() if name in SECRET_KEYWORDS},
        # SqlClient's application may well be on Windows, where the way is there.
        warnings=(*base.warnings, named.warning._replace(fatal=base.driver != "SqlClient"))
        if named and named.warning
        else base.warnings,
    )


def _defaults_of(driver: str, used: str | None, options: Mapping[str, str]) -> dict[str, str]:
    """How the application's driver treats encryption when nothing is said of it, where that is not as Microsoft's 18 does.

    Microsoft's up to 17 does not encrypt; FreeTDS (pymssql is made of it) encrypts when asked and believes any certificate.
    """
    freetds = used == "pymssql" or _FREETDS.search(driver) is not None
    defaults = {"TrustServerCertificate": "yes"} if freetds else {}
    if (freetds or _OLD_DRIVER.search(driver)) and "Encrypt" not in options and "Encryption" not in options:
        defaults["Encrypt"] = "no"
    return defaults


def to_options(target: Target) -> dict[str, str]:
    """The ODBC options that `to_target` makes this target of."""
    options = dict(target.parameters)
    if target.endpoints:
        end = target.endpoints[0]
        options["Server"] = (end.host or "localhost") + (f"\\{end.instance}" if end.instance else "")
        if end.port is not None:
            options["Server"] += f",{end.port}"
    fields = (
        ("UID", target.user),
        ("Database", target.database),
        ("PWD", target.password and target.password.reveal()),
    )
    options |= {name: value for name, value in fields if value}
    return options | {name: secret.reveal() for name, secret in target.secret_parameters.items()}


def _check(name: str, value: str) -> None:
    if name not in SECRET_KEYWORDS and _CONTROL.search(value):
        raise UsageError(f"the value of `{name}` has a control character in it")
    choices = _CHOICES.get(name)
    if choices and value and value.lower() not in [choice.lower() for choice in choices]:
        raise UsageError(f"`{name}` must be one of {', '.join(choices)}")
    if name in _INTEGERS and value and not (value.isascii() and value.isdigit() and len(value) < 10):
        raise UsageError(f"`{name}` must be a whole number")
