"""What to install when the driver manager or a driver is not there: one line for this platform."""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping
from pathlib import Path

from dbdoctor.databases.odbc.driver import Driver, DriverMissingError
from dbdoctor.model.secret import redact

_MANAGER: Mapping[str, str] = {
    "debian": "apt-get install unixodbc",
    "rhel": "dnf install unixODBC",
    "suse": "zypper install unixODBC",
    "alpine": "apk add unixodbc",
    "arch": "pacman -S unixodbc",
    "darwin": "brew install unixodbc",
}
_KERBEROS: Mapping[str, str] = {
    "debian": "apt-get install libgssapi-krb5-2",
    "rhel": "dnf install krb5-libs",
    "suse": "zypper install krb5",
    "alpine": "apk add krb5-libs",
    "arch": "pacman -S krb5",
    "darwin": "brew install krb5",
}
_FREETDS: Mapping[str, str] = {
    "debian": "apt-get install tdsodbc",
    "rhel": "dnf install freetds",
    "suse": "zypper install libtdsodbc0",
    "alpine": "apk add freetds",
    "arch": "pacman -S freetds",
    "darwin": "brew install freetds",
}
WHEEL = "pip install 'dbdoctor[mssql]'"
"""Brings Microsoft's driver 18 without registering it."""


def platform_family(text: str | None = None) -> str:
    """`debian`, `rhel`, `suse`, `alpine`, `arch`, `darwin`, or nothing for another system; `text` is /etc/os-release."""
    if sys.platform == "darwin" and text is None:
        return "darwin"
    if text is None:
        try:
            text = Path("/etc/os-release").read_text(encoding="utf-8", errors="replace")
        except OSError:
            return ""
    words = re.findall(r"^(?:ID|ID_LIKE)=(.*)$", text, re.MULTILINE)
    named = {word for line in words for word in line.strip("\"' ").split()}
    families = {
        "debian": {"debian", "ubuntu"},
        "rhel": {"rhel", "fedora", "centos", "amzn", "ol"},
        "suse": {"suse", "opensuse", "sles"},
        "alpine": {"alpine"},
        "arch": {"arch"},
    }
    return next((family for family, names in families.items() if named & names), "")


def manager_line(family: str | None = None) -> str:
    """How to install the driver manager here."""
    return _MANAGER.get(platform_family() if family is None else family, "install unixODBC (libodbc.so.2)")


def kerberos_line(family: str | None = None) -> str:
    """How to install the Kerberos libraries that Microsoft's driver is linked with."""
    return _KERBEROS.get(platform_family() if family is None else family, "install the Kerberos libraries (krb5)")


def freetds_line(family: str | None = None) -> str:
    """How to install FreeTDS's driver."""
    return _FREETDS.get(platform_family() if family is None else family, "install FreeTDS with its ODBC driver")


def manager_missing(cause: str) -> DriverMissingError:
    """For what `import pyodbc` said."""
    if "libodbc" in cause:
        return DriverMissingError(
            "SQL Server needs the ODBC driver manager, and libodbc.so.2 is not on this machine",
            cause=redact(cause)[:300],
            help=f"`{manager_line()}`; then `dbdoctor drivers` shows what is still missing",
        )
    return DriverMissingError(
        "SQL Server needs pyodbc, and it cannot be imported", cause=redact(cause)[:300], help="`pip install pyodbc`"
    )


def no_driver() -> DriverMissingError:
    """For a machine with no driver of SQL Server."""
    return DriverMissingError(
        "there is no ODBC driver for SQL Server on this machine",
        help=f"`{WHEEL}` brings Microsoft's; `{freetds_line()}` brings FreeTDS; `dbdoctor drivers` shows what was looked for",
    )


def not_loadable(driver: Driver) -> DriverMissingError:
    """For a driver that is registered while its file is gone."""
    return DriverMissingError(
        f"the ODBC driver `{driver.name}` is {driver.source}, but its file {driver.path} is not there",
        help=f"install it again, or `{WHEEL}`",
    )
