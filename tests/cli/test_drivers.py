"""`dbdoctor drivers` on machines with a driver manager and without, with drivers that load, that are gone, that are broken."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.servers import odbc
from tests.servers.cli import Result, run_dbdoctor
from tests.servers.postgresql import PostgresServer
from tests.servers.tds import PASSWORD, TdsServer

GONE = Path("/nowhere/libmsodbcsql-17.10.so.1.1")


def drivers(environment: Mapping[str, str], *arguments: str, expect: int = 0) -> Result:
    result = run_dbdoctor("drivers", *arguments, env=environment)
    assert result.exit_code == expect, result.stderr
    assert result.stderr == ""
    assert result.left_behind == ()
    assert result.outlived_by == ()
    return result


def report(environment: Mapping[str, str], expect: int = 0) -> Any:
    answer = json.loads(drivers(environment, "--json", expect=expect).stdout)
    assert answer["schema"] == "dbdoctor.drivers/1"
    return answer


def test_every_driver_is_shown_best_first() -> None:
    place = odbc.registry(
        {"ODBC Driver 17 for SQL Server": GONE, "tds": odbc.freetds(), "PostgreSQL": Path("/x/psqlodbcw.so")}
    )
    answer = report(odbc.environment(place))
    assert answer["usable"]
    assert answer["driver_manager"]["found"]
    assert "libodbc" in answer["driver_manager"]["path"]
    shown = [(one["name"], one["kind"], one["taken"], one["problem"]) for one in answer["drivers"]]
    assert shown == [
        ("ODBC Driver 18 for SQL Server", "microsoft", True, None),
        ("tds", "freetds", False, None),
        ("ODBC Driver 17 for SQL Server", "microsoft", False, "its file is not there"),
    ]
    assert answer["drivers"][0]["source"] == "the package mssql-python-odbc"
    assert answer["drivers"][0]["version"].startswith("18.")
    text = drivers(odbc.environment(place)).stdout
    assert "taken  ODBC Driver 18" in text
    assert "fails  ODBC Driver 17" in text


def test_a_registered_one_comes_before_the_packages(tmp_path: Path) -> None:
    copy = tmp_path / odbc.microsoft().name
    copy.write_bytes(odbc.microsoft().read_bytes())
    answer = report(odbc.environment(odbc.registry({"mine": copy})))
    first = answer["drivers"][0]
    assert (first["name"], first["taken"]) == ("mine", True)


def test_a_driver_that_does_not_load_says_why_and_is_not_taken(tmp_path: Path) -> None:
    broken = tmp_path / "libmsodbcsql-18.9.so.1.1"
    broken.write_bytes(b"not a library")
    answer = report(odbc.environment(odbc.registry({"broken": broken})))
    first, second, *_ = answer["drivers"]
    assert first["name"] == "broken"
    assert first["problem"]
    assert not first["taken"]
    assert second["taken"]


@pytest.mark.parametrize("library", ["libkrb5.so.3", "libgssapi_krb5.so.2"])
def test_missing_kerberos_libraries_are_named_with_the_install_line(tmp_path: Path, library: str) -> None:
    (tmp_path / library).write_bytes(b"")
    environment = odbc.environment()
    answer = report({**environment, "LD_LIBRARY_PATH": f"{tmp_path}:{environment['LD_LIBRARY_PATH']}"}, expect=3)
    (driver,) = (one for one in answer["drivers"] if one["kind"] == "microsoft")
    assert library in driver["problem"]
    assert driver["help"] == "`apt-get install libgssapi-krb5-2`"
    assert "apt-get install libgssapi-krb5-2" in [one["command"] for one in answer["install"]]


def test_without_a_driver_manager() -> None:
    environment = odbc.environment_without_manager()
    answer = report(environment, expect=3)
    assert not answer["usable"]
    assert not answer["driver_manager"]["found"]
    assert "libodbc.so.2" in answer["driver_manager"]["problem"]
    assert {"for": "the driver manager", "command": "apt-get install unixodbc"} in answer["install"]
    text = drivers(environment, expect=3).stdout
    assert "apt-get install unixodbc" in text
    assert "taken" not in text


@pytest.mark.parametrize(("written", "on"), [("Yes", True), ("on", True), ("1", True), ("No", False), ("true", False)])
def test_the_driver_managers_pool_is_shown(written: str, on: bool) -> None:
    place = odbc.registry({odbc.FREETDS_NAME: odbc.freetds()}, ini=f"[ODBC]\nPooling = {written}\n")
    assert (report(odbc.environment(place))["driver_manager"]["pooling"] is not None) is on
    assert ("defeats pool_recycle" in drivers(odbc.environment(place)).stdout.replace("\n  ", " ")) is on


def test_explain_drivers_has_the_install_lines() -> None:
    result = run_dbdoctor("explain", "drivers", env=odbc.environment())
    assert result.exit_code == 0
    for words in ("apt-get install unixodbc", "dbdoctor[mssql]", "IM002", "Can't open lib", "mssql-python-odbc"):
        assert words in result.stdout


# --- a machine without a driver manager ---------------------------------------------------------------------------


def test_postgresql_works_without_a_driver_manager(postgres: PostgresServer) -> None:
    environment = odbc.environment_without_manager()
    for command in (("check",), ("leaks",), ("explain",)):
        arguments = (*command, postgres.dsn(), "--no-config") if command != ("explain",) else command
        result = run_dbdoctor(*arguments, env=environment)
        assert result.exit_code in (0, 1), (command, result.stderr)
        assert "libodbc" not in result.stdout + result.stderr


@pytest.mark.parametrize("command", ["check", "leaks"])
def test_a_sql_server_target_gets_one_clear_error(command: str) -> None:
    with TdsServer() as server:
        dsn = f"mssql+pyodbc://sa:x@127.0.0.1:{server.port}/shop?driver={odbc.MICROSOFT_NAME.replace(' ', '+')}&Encrypt=no"
        result = run_dbdoctor(command, dsn, "--no-config", env=odbc.environment_without_manager())
    assert result.exit_code == 3
    text = result.stdout + result.stderr
    assert "Traceback" not in text
    assert "apt-get install unixodbc" in text
    assert text.count("error[") + text.count("error:") == 1, text


# --- what the application's string does not do --------------------------------------------------------------------


def codes(result: Result) -> dict[str, str]:
    return {one["code"]: one["severity"] for one in json.loads(result.stdout)["findings"]}


def test_a_string_that_does_not_do_what_it_says_is_a_finding() -> None:
    place = odbc.registry({odbc.MICROSOFT_NAME: odbc.microsoft()}, ini="[ODBC]\nPooling=Yes\n")
    with TdsServer() as server:
        dsn = (
            f"Driver={{{odbc.MICROSOFT_NAME}}};Data Source=127.0.0.1,{server.port};User ID=sa;PWD={odbc.braced(PASSWORD)};"
            "Encrypt=false;LoginTimeout=5;Initial Catalog=shop"
        )
        result = run_dbdoctor("check", dsn, "--no-config", "--json", env=odbc.environment(place))
        assert json.loads(result.stdout)["ok"]
    found = codes(result)
    assert found["odbc-keyword-ignored"] == "warning"
    assert found["odbc-login-timeout-ignored"] == "warning"
    assert found["odbc-value-refused"] == "error"
    assert found["odbc-pooling-on"] == "warning"
    assert "odbc-driver-not-registered" not in found


def test_a_driver_that_is_not_here_is_a_finding() -> None:
    with TdsServer() as server:
        dsn = f"Driver={{ODBC Driver 17 for SQL Server}};Server=127.0.0.1,{server.port};UID=sa;PWD={odbc.braced(PASSWORD)}"
        result = run_dbdoctor("check", dsn, "--no-config", "--json", env=odbc.environment())
    assert codes(result)["odbc-driver-not-registered"] == "warning"
    assert json.loads(result.stdout)["ok"]  # as driver 17, which does not encrypt by itself
