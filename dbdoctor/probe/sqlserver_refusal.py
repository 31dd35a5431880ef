"""From an error of SQL Server or its ODBC drivers to the code of the failure: by native number, never by class or SQLSTATE.

The drivers give the same refusal different classes and states (10928: HY000 and 42000); the server's number is the same in
both and in every language. Numbers: Microsoft's "Database Engine events and errors", and those of Azure SQL.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

from dbdoctor.databases.odbc.driver import FREETDS, Driver
from dbdoctor.databases.odbc.errors import OdbcError
from dbdoctor.model.secret import redact
from dbdoctor.model.stage import Failure, StageName

_BY_NUMBER = {
    233: "closed-during-login",
    701: "server-out-of-memory",
    911: "database-not-found",
    916: "no-connect-privilege",
    924: "database-not-accepting",
    926: "database-not-accepting",
    927: "database-not-accepting",
    942: "database-not-accepting",
    945: "database-not-accepting",
    976: "availability-group-not-readable",
    978: "read-intent-required",
    983: "availability-group-not-readable",
    4060: "database-cannot-be-opened",
    4063: "database-cannot-be-opened",
    4064: "default-database-cannot-be-opened",
    6005: "server-shutting-down",
    10928: "database-connection-limit",
    10929: "azure-too-busy",
    10936: "elastic-pool-limit",
    17142: "server-paused",
    17187: "server-starting",
    17189: "server-out-of-memory",
    17809: "too-many-clients",
    17892: "login-trigger-refused",
    18401: "server-starting",
    18451: "server-shutting-down",
    18452: "login-untrusted-domain",
    18456: "login-failed",
    18461: "server-single-user",
    18470: "login-disabled",
    18486: "login-locked-out",
    18487: "password-expired",
    18488: "password-must-be-changed",
    40197: "azure-reconfiguration",
    40501: "azure-throttled",
    40531: "azure-server-unknown",
    40532: "azure-server-unknown",
    40613: "azure-database-unavailable",
    40615: "azure-firewall",
    40914: "azure-network-denied",
    42108: "server-paused",
    47073: "azure-network-denied",
    49918: "azure-not-enough-resources",
    49919: "azure-too-many-operations",
    49920: "azure-too-many-operations",
}
# Comes beside others that say more (a database that cannot be opened, an unknown server).
_LEAST_TELLING = 18456
# The drivers' own numbers, which are no server's: Microsoft's are those of its sockets, FreeTDS's begin at 20000.
_CLOSED = frozenset({10053, 10054, 104, 32, 20004, 20006, 20017, 20020})
_TIMED_OUT = frozenset({258, 20003})
_CERTIFICATE = (
    ("subject name does not match", "certificate-wrong-name"),
    ("has expired", "certificate-expired"),
    ("not yet valid", "certificate-not-yet-valid"),
    ("revoked", "certificate-revoked"),
    ("certificate verify failed", "certificate-untrusted"),
    ("Encryption not supported", "tls-not-offered"),
    ("unsupported protocol", "tls-version-refused"),
    ("SSL Provider", "tls-handshake-failed"),
)
# What the Kerberos library says before the server was asked; without a ticket, or with one and no SPN for it.
_KERBEROS = "SSPI Provider"
_NO_TICKET = re.compile(r"No Kerberos credentials|No credentials|credentials? cache|ticket expired", re.IGNORECASE)
_MISSING = ("Can't open lib", "Data source name not found")
_RESOURCE = re.compile(r"Resource ID\s*:\s*(\d+)", re.IGNORECASE)
_LIMIT = re.compile(r"limit for the (?:database|elastic pool) is (\d+)|greater than (\d+)", re.IGNORECASE)
_FIREWALL = re.compile(r"server '([^']{1,128})'.*?IP address '([0-9A-Fa-f.:]{2,45})'", re.IGNORECASE | re.DOTALL)


class Said(NamedTuple):
    """One error as it came: the native number, its words, and the SQLSTATE where a driver gave one."""

    number: int
    message: str
    sqlstate: str | None = None


def name_refusal(
    errors: Sequence[Said], *, stage: StageName = StageName.LOGIN, driver: Driver | None = None
) -> Failure:
    """The failure that these errors, the first as the driver shows it, stand for; the most telling one counts."""
    if not errors:
        return Failure("client-refused", stage)
    told = [error for error in errors if error.number in _BY_NUMBER]
    said = next((error for error in told if error.number != _LEAST_TELLING), told[0] if told else errors[0])
    code = _BY_NUMBER.get(said.number) or _by_driver(said, driver)
    values: dict[str, object] = {"error_number": said.number or None}
    if said.number in (10928, 10929, 10936):
        resource, limit = _RESOURCE.search(said.message), _LIMIT.search(said.message)
        values["limit"] = next((int(part) for part in limit.groups() if part), None) if limit else None
        if said.number == 10928 and resource and resource[1] == "1":
            code = "database-worker-limit"
    if said.number == 40615 and (match := _FIREWALL.search(said.message)):
        values.update(server=match[1], client_address=match[2])
    return Failure(code, stage, redact(said.message), said.sqlstate, values)


def said_by(error: OdbcError) -> list[Said]:
    """What a driver said, record by record."""
    if not error.records:
        return [Said(error.native or 0, error.message, error.sqlstate)]
    return [Said(record.native, record.message, record.sqlstate) for record in error.records]


def hides_the_first(errors: Sequence[Said], driver: Driver) -> bool:
    """Whether there may be a more telling error before the one that is shown: FreeTDS shows the last of several."""
    return driver.kind == FREETDS and [error.number for error in errors] == [_LEAST_TELLING]


def is_words_of_the_way(failure: Failure) -> bool:
    """Whether it is but the driver's own word that it could not get through, where a look of our own knows better."""
    return failure.code in ("client-refused", "closed-during-login", "login-stalled") or failure.code.startswith(
        ("certificate-", "tls-")
    )


def _by_driver(said: Said, driver: Driver | None) -> str:
    """The code of what a driver says by itself; its numbers mean different things in different drivers."""
    for words, code in _CERTIFICATE:
        if words in said.message:
            return code
    if _KERBEROS in said.message:
        return "kerberos-ticket-missing" if _NO_TICKET.search(said.message) else "client-refused"
    if any(words in said.message for words in _MISSING):
        return "driver-missing"
    if said.number in _CLOSED:
        return "closed-during-login"
    if said.number in _TIMED_OUT or "Login timeout expired" in said.message:
        return "login-stalled"
    own = said.number <= 0 or (driver is not None and driver.kind == FREETDS and 20000 <= said.number < 21000)
    return "client-refused" if own else "login-refused"
