"""What each driver really does with a keyword, which is what dbdoctor tells of it (targets/dialects/shared/odbc_meaning.py)."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from dbdoctor.targets.parse import parse_dsn
from tests.servers import odbc
from tests.servers.tds import PASSWORD, TdsServer

# Reads connection strings, one JSON text a line, and says of each what became of it and of the session when it was closed.
PROGRAM = """
import json, sys, time
import pyodbc
for line in sys.stdin:
    started = time.monotonic()
    try:
        connection = pyodbc.connect(json.loads(line), timeout=1, autocommit=True)
        database, program = connection.execute("SELECT DB_NAME(), APP_NAME()").fetchone()
        connection.close()
        answer = {"database": database, "program": program}
    except pyodbc.Error as error:
        answer = {"error": str(error.args[-1])}
    print(json.dumps(answer), flush=True)
"""


class Application:
    """A program of its own that connects as it is told."""

    def __init__(self, **environment: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", PROGRAM],
            env={**os.environ, **environment},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def connect(self, text: str) -> dict[str, Any]:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        print(json.dumps(text), file=self.process.stdin, flush=True)
        answer: dict[str, Any] = json.loads(self.process.stdout.readline())
        return answer

    def close(self) -> None:
        self.process.communicate("")


@pytest.fixture(scope="module")
def server() -> Iterator[TdsServer]:
    with TdsServer() as server:
        yield server


@pytest.fixture(scope="module")
def application() -> Iterator[Application]:
    application = Application(**odbc.environment())
    yield application
    application.close()


def warnings(text: str) -> list[str]:
    environment = {"HOME": "/nonexistent", "ODBCSYSINI": "/nonexistent"}
    return [warning.code for warning in parse_dsn(text, environment=environment).warnings]


def base(driver: str, server: TdsServer, **keywords: Any) -> str:
    return odbc.connection_string(driver, server.port, **keywords)


@pytest.mark.parametrize("driver", ["microsoft", "freetds"])
def test_a_database_under_another_name_is_ignored(application: Application, server: TdsServer, driver: str) -> None:
    text = base(driver, server, **{"Initial Catalog": "msdb"})
    assert application.connect(text)["database"] == "master"
    assert warnings(text) == ["odbc-keyword-ignored"]


@pytest.mark.parametrize("driver", ["microsoft", "freetds"])
def test_an_applications_name_under_another_name_is_ignored(
    application: Application, server: TdsServer, driver: str
) -> None:
    text = base(driver, server, **{"Application Name": "the shop"})
    assert application.connect(text)["program"] != "the shop"
    assert application.connect(base(driver, server, APP="the shop"))["program"] == "the shop"
    assert warnings(text) == ["odbc-keyword-ignored"]


@pytest.mark.parametrize("driver", ["microsoft", "freetds"])
@pytest.mark.parametrize("wrong", ["User", "User ID", "Username"])
def test_a_user_under_another_name_is_ignored(
    application: Application, server: TdsServer, driver: str, wrong: str
) -> None:
    text = base(driver, server, UID=None, **{wrong: "sa"})
    assert "error" in application.connect(text)
    assert warnings(text) == ["odbc-keyword-ignored"]


@pytest.mark.parametrize("driver", ["microsoft", "freetds"])
def test_a_password_under_another_name_is_ignored(application: Application, server: TdsServer, driver: str) -> None:
    text = base(driver, server, PWD=None, Password=odbc.braced(PASSWORD))
    assert "18456" in application.connect(text)["error"]
    assert warnings(text) == ["odbc-keyword-ignored"]


@pytest.mark.parametrize("value", ["true", "false", "1", "on", "True"])
@pytest.mark.parametrize(
    "keyword", ["Encrypt", "TrustServerCertificate", "Trusted_Connection", "MARS_Connection", "MultiSubnetFailover"]
)
def test_microsofts_driver_refuses_truth(application: Application, server: TdsServer, keyword: str, value: str) -> None:
    text = base("microsoft", server, **{keyword: value})
    assert "Invalid value specified" in application.connect(text)["error"]
    assert warnings(text) == ["odbc-value-refused"]


def test_microsofts_driver_ignores_port(application: Application, server: TdsServer) -> None:
    text = base("microsoft", server, Server="127.0.0.1", Port=server.port)
    assert "HYT00" in application.connect(text)["error"]
    assert warnings(text) == ["odbc-keyword-ignored"]


@pytest.mark.parametrize("driver", ["microsoft", "freetds"])
def test_a_colon_before_the_port_is_misread(application: Application, server: TdsServer, driver: str) -> None:
    text = base(driver, server, Server=f"127.0.0.1:{server.port}")
    assert "error" in application.connect(text)
    assert "odbc-server-misread" in warnings(text)


@pytest.mark.parametrize("form", ["tcp:127.0.0.1,{}", "(local),{}", ".,{}"])
def test_freetds_misreads_what_microsofts_driver_understands(
    application: Application, server: TdsServer, form: str
) -> None:
    written = form.format(server.port)
    assert "error" not in application.connect(base("microsoft", server, Server=written))
    assert warnings(base("microsoft", server, Server=written)) == []
    text = base("freetds", server, Server=written, Port=None)
    assert "error" in application.connect(text)
    assert warnings(text) == ["odbc-server-misread"]


def test_freetds_ignores_microsofts_encryption(application: Application, server: TdsServer) -> None:
    text = base("freetds", server, Encryption=None, Encrypt="strict", TrustServerCertificate="no")
    assert "error" not in application.connect(text)
    assert warnings(text) == ["odbc-keyword-ignored", "odbc-keyword-ignored"]


@pytest.mark.parametrize("value", ["Yes", "On", "1", "true", "No"])
@pytest.mark.parametrize("cp_timeout", ["", "CPTimeout=60\n"])
@pytest.mark.parametrize("python_pooling", [True, False])
def test_the_driver_managers_pool_is_told_as_it_is(value: str, cp_timeout: str, python_pooling: bool) -> None:
    from dbdoctor.targets.odbc_ini import pooling

    place = odbc.registry(ini=f"[shop]\nDriver={odbc.freetds()}\n{cp_timeout}[ODBC]\nPooling={value}\n")
    with TdsServer() as server:
        environment = odbc.environment(place)
        program = PROGRAM.replace("import pyodbc", f"import pyodbc; pyodbc.pooling = {python_pooling}")
        process = subprocess.Popen(
            [sys.executable, "-c", program],
            env={**os.environ, **environment},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert process.stdin is not None
        assert process.stdout is not None
        print(json.dumps(base("freetds", server, Driver="{shop}")), file=process.stdin, flush=True)
        assert "error" not in json.loads(process.stdout.readline())
        kept = pooling(environment) is not None
        if kept:
            assert len(server.sessions.live()) == 1
        else:
            server.sessions.wait_for(0)
        process.communicate("")
