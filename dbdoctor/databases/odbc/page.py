"""The page `dbdoctor explain drivers`: how SQL Server is reached from here, with what was found and what to install."""

from __future__ import annotations

from dbdoctor.databases.odbc.find import broken, find_all
from dbdoctor.databases.odbc.install import WHEEL, freetds_line, kerberos_line, manager_line
from dbdoctor.model.finding import Page

CODE = "drivers"


def page() -> Page:
    """The page, with this machine's drivers and this platform's install lines in it; nothing is loaded for it."""
    return Page(
        code=CODE,
        summary="The ODBC driver manager and the drivers through which SQL Server is reached",
        means=_means(),
        matters=_MATTERS,
        do=_do(),
        example="dbdoctor drivers",
    )


_WAY = """SQL Server is reached through pyodbc, the driver manager unixODBC (libodbc.so.2) and one driver. Taken is, in this
order: the driver that the target names; Microsoft's that are registered, the newest first; the one in the Python package
mssql-python-odbc; FreeTDS, always with TDS_Version=7.4, for otherwise it hangs on a silent server."""


def _means() -> str:
    lines = [
        _WAY,
        "",
        "Found on this machine, best first:",
        "",
    ]
    found = [f"    {driver.name} {driver.version} ({driver.source})".replace("  (", " (") for driver in find_all()]
    gone = [f"    {driver.name} ({driver.source}): its file is not there" for driver in broken()]
    return "\n".join([*lines, *(found + gone or ["    none"])])


_MATTERS = """Each part that is missing has words of its own:

    ImportError: libodbc.so.2            the driver manager is not installed
    Can't open lib '...'                 the driver's file, or a library that it needs (Kerberos), is not there
    IM002 Data source name not found     no driver or data source of that name is registered in odbcinst.ini, odbc.ini

Drivers are registered in odbcinst.ini, data sources in odbc.ini: in the directory that ODBCSYSINI names, else in /etc,
and in one's own ~/.odbcinst.ini and ~/.odbc.ini (ODBCINI)."""


def _do() -> str:
    return "\n".join(
        (
            "`dbdoctor drivers` loads each driver and says what is missing. On this platform:",
            "",
            f"    {manager_line()}    # the driver manager",
            f"    {WHEEL}    # Microsoft's driver 18, with no need to register it",
            f"    {kerberos_line()}    # Kerberos, which that driver is linked with",
            f"    {freetds_line()}    # FreeTDS",
        )
    )
