"""ODBC for child processes: with the driver manager and without, with drivers registered and with none."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping

from tests.servers import odbc
from tests.servers.workspace import workspace


def child(code: str, environment: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    """A program of its own in the least environment."""
    return subprocess.run(
        [sys.executable, "-c", code],
        env={**workspace().environment(), **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_the_driver_manager_is_found_where_it_is_given() -> None:
    done = child("import pyodbc; print(pyodbc.drivers())", odbc.environment())
    assert (done.returncode, done.stdout) == (0, "[]\n"), done.stderr
    missing = child("import pyodbc", odbc.environment_without_manager())
    assert "ImportError: libodbc.so.2" in missing.stderr


def test_drivers_are_registered_by_name() -> None:
    drivers = {odbc.MICROSOFT_NAME: odbc.microsoft(), odbc.FREETDS_NAME: odbc.freetds()}
    place = odbc.registry(drivers, ini="[ODBC]\nPooling=Yes\n")
    done = child("import pyodbc; print(*sorted(pyodbc.drivers()), sep='\\n')", odbc.environment(place))
    assert done.stdout.splitlines() == sorted(drivers), done.stderr
    name = f"Driver={{{odbc.MICROSOFT_NAME}}};Server=127.0.0.1,1"
    done = child(f"import pyodbc; pyodbc.connect({name!r}, timeout=1)", odbc.environment(place))
    assert "HYT00" in done.stderr
    done = child(f"import pyodbc; pyodbc.connect({name!r}, timeout=1)", odbc.environment())
    assert "Can't open lib" in done.stderr


def test_values_are_braced() -> None:
    assert odbc.braced("a;b}c") == "{a;b}}c}"
    text = odbc.connection_string("freetds", 1433, Database="shop", Encryption=None)
    assert "Database=shop;" in text
    assert "TDS_Version=7.4;" in text
    assert "Encryption" not in text
