"""What a target of SQL Server does not tell of itself: what its parts do to each other, and this machine's ODBC set-up to it."""

from __future__ import annotations

from dbdoctor.databases.odbc.contradictions import contradictions
from dbdoctor.databases.odbc.driver import DriverMissingError
from dbdoctor.databases.odbc.find import choose, is_known
from dbdoctor.model.target import Product, Target, TargetWarning
from dbdoctor.targets.odbc_ini import pooling

# Applications that do not go through the driver manager.
_NOT_ODBC = frozenset({"pymssql", "mssqlpython", "SqlClient", "mssql-jdbc", "go-mssqldb"})


def warnings_of(target: Target) -> list[TargetWarning]:
    """For a target of SQL Server its contradictions; and where ODBC is used, a driver not here, a pool beneath the pool."""
    if target.product is not Product.SQLSERVER:
        return []
    found = list(contradictions(target))
    if target.driver in _NOT_ODBC:
        return found
    named = target.parameters.get("Driver", "")
    if named and not is_known(named):
        found.append(TargetWarning("odbc-driver-not-registered", named, _instead(target)))
    on = pooling()
    if on is not None:
        found.append(TargetWarning("odbc-pooling-on", str(on), "Pooling=No"))
    return found


def _instead(target: Target) -> str:
    try:
        driver = choose(target)
    except DriverMissingError:
        return "none"
    return f"{driver.name} ({driver.source})"
