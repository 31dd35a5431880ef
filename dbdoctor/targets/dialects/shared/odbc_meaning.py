"""What the writer of an ODBC string for SQL Server meant, where the driver ignores, refuses or misreads what stands there.

Facts: measured with Microsoft's driver 18.6 and FreeTDS 1.3.17, keyword by keyword (tests/databases/test_odbc_keywords.py does it
again). Both pass over the keywords they do not know; Microsoft's refuses true and false; neither has one for the login timeout.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from dbdoctor.model.target import TargetWarning
from dbdoctor.targets.dialects.shared.sqlserver import ODBC_KEYWORDS

IGNORED = "odbc-keyword-ignored"
REFUSED = "odbc-value-refused"
MISREAD = "odbc-server-misread"
NO_TIMEOUT = "odbc-login-timeout-ignored"

TIMEOUT_REMEDY = "connect_args={'timeout': 5}"

# Words of other dialects, without blanks and underscores: as people write them, and the driver's own.
_MEANT: Mapping[str, str] = {
    "initialcatalog": "Database",
    "databasename": "Database",
    "datasource": "Server",
    "networkaddress": "Server",
    "host": "Server",
    "hostname": "Server",
    "userid": "UID",
    "user": "UID",
    "username": "UID",
    "password": "PWD",
    "applicationname": "APP",
    "workstationid": "WSID",
    "multipleactiveresultsets": "MARS_Connection",
    "integratedsecurity": "Trusted_Connection",
    "trustservercertificate": "TrustServerCertificate",
    "hostnameincertificate": "HostnameInCertificate",
    "multisubnetfailover": "MultiSubnetFailover",
    "applicationintent": "ApplicationIntent",
    "connectretrycount": "ConnectRetryCount",
    "connectretryinterval": "ConnectRetryInterval",
    "packetsize": "PacketSize",
}
_TIMEOUTS = frozenset({"logintimeout", "connectiontimeout", "connecttimeout", "timeout"})
_INTEGRATED = "Trusted_Connection"
_YES_OR_NO = frozenset(
    {"Encrypt", "TrustServerCertificate", "Trusted_Connection", "MARS_Connection", "MultiSubnetFailover"}
)
_TRUTH = {"true": "yes", "1": "yes", "on": "yes", "sspi": "yes", "false": "no", "0": "no", "off": "no"}
_ENCRYPTION_OF = {"no": "off", "optional": "request", "strict": "strict"}
_ENCRYPT_OF = {"off": "no", "request": "no", "require": "yes", "strict": "strict"}
_FREETDS = re.compile(r"freetds|libtdsodbc", re.IGNORECASE)


class Meant(NamedTuple):
    """The pairs as they were meant, under ODBC's names where there is one, and what is to be said about it."""

    pairs: tuple[tuple[str, str], ...]
    warnings: tuple[TargetWarning, ...]


def is_freetds(driver: str) -> bool:
    """Whether this `Driver=` names FreeTDS."""
    return _FREETDS.search(driver) is not None


def as_meant(pairs: Iterable[tuple[str, str]], *, arguments: bool = False, freetds: bool | None = None) -> Meant:
    """What the pairs of a connection string mean; the first of two counts. `arguments`: keywords of `pyodbc.connect`.

    pyodbc itself translates `user`, `password` and `host`, and `timeout` there is the login timeout.
    """
    first: dict[str, tuple[str, str]] = {}
    for name, value in pairs:
        first.setdefault(name.lower(), (name, value))
    named = first.get("driver", ("", ""))[1]
    reader = _Reader(is_freetds(named) if freetds is None else freetds, arguments)
    for name, value in first.values():
        reader.take(name, value)
    return reader.finish()


class _Reader:
    """Goes through the pairs one by one; what a known keyword says weighs more than what an unknown one meant."""

    def __init__(self, freetds: bool, arguments: bool) -> None:  # noqa: FBT001
        self.freetds = freetds
        self.arguments = arguments
        self.known: dict[str, tuple[str, str]] = {}
        self.meant: dict[str, str] = {}
        self.warnings: list[TargetWarning] = []

    def warn(self, code: str, subject: str, remedy: str | None, *, fatal: bool = False) -> None:
        self.warnings.append(TargetWarning(code, subject, remedy, fatal))

    def take(self, name: str, value: str) -> None:
        plain = re.sub(r"[ _]", "", name.lower())
        exact = ODBC_KEYWORDS.get(name.lower())
        if self.arguments and name.lower() in ("user", "password", "host"):
            self.known[_MEANT[plain]] = (_MEANT[plain], value)
        elif plain in _TIMEOUTS and not (self.freetds and exact):
            self.warn(NO_TIMEOUT, name, TIMEOUT_REMEDY)
        elif plain in _MEANT and (exact is None or name.lower() in ("user", "password")):
            right = _MEANT[plain]
            self.warn(IGNORED, name, right)
            self.meant.setdefault(right, _TRUTH.get(value.lower(), value) if right in _YES_OR_NO else value)
        elif exact is None:
            self.known[name] = (name, value)
        else:
            self.known.setdefault(exact, (name, self._checked(exact, value, name)))

    def _checked(self, keyword: str, value: str, written: str) -> str:
        """The value as it was meant, with a warning where the driver takes it otherwise."""
        if keyword == "Server":
            return self._server(value, written)
        lower = value.lower()
        if self.freetds:
            if keyword == "Encrypt" and "encryption" not in self.known:
                self.warn(IGNORED, written, f"Encryption={_ENCRYPTION_OF.get(_TRUTH.get(lower, lower), 'require')}")
            elif keyword == "TrustServerCertificate":
                self.warn(IGNORED, written, None)
        elif keyword in _YES_OR_NO and lower in _TRUTH:
            self.warn(REFUSED, f"{written}={value}", f"{keyword}={_TRUTH[lower]}", fatal=True)
        elif keyword == "Encryption" and lower in _ENCRYPT_OF:
            self.warn(IGNORED, written, f"Encrypt={_ENCRYPT_OF[lower]}")
        return _TRUTH.get(lower, value) if keyword in _YES_OR_NO else value

    def _server(self, value: str, written: str) -> str:
        text = value.strip()
        if self.freetds and written.lower() in ("addr", "address"):
            self.warn(IGNORED, written, "Server")
        port = re.fullmatch(r"(tcp:)?([^:,\\\[\]]+):(\d{1,5})", text, re.IGNORECASE)
        if port and port[2].lower() not in ("np", "lpc", "admin", "tcp"):
            self.warn(MISREAD, "Server=host:port", "Server=host,port", fatal=True)
            return f"{port[1] or ''}{port[2]},{port[3]}"
        if re.match(r"(?:tcp:)?\[[^\]]*\]", text, re.IGNORECASE):
            self.warn(MISREAD, "Server=[address]", "Server=address,port", fatal=True)
        elif self.freetds and re.match(r"tcp:|\(local\)|\.(?:[,\\]|\Z)", text, re.IGNORECASE):
            form = "tcp:host" if text[:4].lower() == "tcp:" else "(local)" if text[:1] == "(" else "."
            self.warn(MISREAD, f"Server={form}", "Server=host", fatal=True)
        return text

    def finish(self) -> Meant:
        """Everything put together."""
        if self.known.get("UID", ("", ""))[1] and _INTEGRATED in self.meant:
            del self.meant[_INTEGRATED]
            # The driver passes over it and logs in with the user; written as it would count, the user would not.
            self.warnings = [one._replace(remedy=None) if one.remedy == _INTEGRATED else one for one in self.warnings]
        for right, value in self.meant.items():
            self.known.setdefault(right, (right, value))
        port = self.known.get("Port")
        if port is not None and not self.freetds:
            server = self.known.get("Server", ("", ""))[1]
            if "," not in server or server.rpartition(",")[2].strip() != port[1].strip():
                self.warn(IGNORED, port[0], "Server=host,port")
        return Meant(tuple(self.known.values()), tuple(self.warnings))
