"""What parts of a target for SQL Server do to each other: of user, password and integrated login, of strict and certificates.

Facts: tried with Microsoft's driver 18.6 and FreeTDS 1.3.17 (tests/databases/test_odbc_contradictions.py does it again).
"""

from __future__ import annotations

from collections.abc import Iterator

from dbdoctor.model.target import Target, TargetWarning
from dbdoctor.targets.dialects.shared.odbc_meaning import is_freetds

CREDENTIALS = "credentials-ignored"
NO_USER = "login-without-user"
CERTIFICATE = "certificate-option-ignored"

# They compare the server's certificate with the one in the file also when Encrypt is not strict.
_PINS_ALWAYS = frozenset({"SqlClient", "mssql-jdbc", "go-mssqldb"})


def contradictions(target: Target) -> Iterator[TargetWarning]:
    """A warning for each setting that another one makes void, and one for a login without a name."""
    yield from _of_login(target)
    yield from _of_encryption(target)


def login_name(target: Target) -> str:
    """Who logs in, for people: the user, unless the integrated login wins over it."""
    if _is_integrated(target):
        return "(integrated)"
    return target.user or ("(no user)" if "Authentication" not in target.parameters else "(Microsoft Entra)")


def _is_integrated(target: Target) -> bool:
    return target.parameters.get("Trusted_Connection", "").lower() in ("yes", "true", "1", "sspi")


def _of_login(target: Target) -> Iterator[TargetWarning]:
    integrated = _is_integrated(target)
    if integrated and (target.user or target.password):
        yield TargetWarning(CREDENTIALS, "the user" if target.password is None else "the user and the password")
    if integrated or target.user or "Authentication" in target.parameters:
        return
    # An empty name means Kerberos to FreeTDS, of which pymssql is made.
    kerberos = target.driver == "pymssql" or is_freetds(target.parameters.get("Driver", ""))
    yield TargetWarning(NO_USER, "UID", "UID=...;PWD=...", fatal=not kerberos)


def _of_encryption(target: Target) -> Iterator[TargetWarning]:
    if target.driver == "pymssql" or is_freetds(target.parameters.get("Driver", "")):
        return
    words = (target.parameters.get(name, "").lower() for name in ("Encrypt", "Encryption"))
    strict = "strict" in words
    if strict and target.parameters.get("TrustServerCertificate", "").lower() == "yes":
        yield TargetWarning(CERTIFICATE, "TrustServerCertificate=yes with Encrypt=strict", "ServerCertificate=FILE")
    if not strict and "ServerCertificate" in target.parameters and target.driver not in _PINS_ALWAYS:
        yield TargetWarning(CERTIFICATE, "ServerCertificate without Encrypt=strict", "Encrypt=strict")
