"""What ODBC drivers ignore, refuse or misread in a string for SQL Server is read as it was meant, with a warning."""

from __future__ import annotations

from pathlib import Path

import pytest

from dbdoctor.errors import UsageError
from dbdoctor.model.target import Endpoint, Target
from dbdoctor.targets.live_arguments import with_arguments
from dbdoctor.targets.odbc_ini import source_files
from dbdoctor.targets.parse import parse_dsn

MICROSOFT = "Driver={ODBC Driver 18 for SQL Server}"


def read(text: str, **environment: str) -> Target:
    return parse_dsn(text, environment={"HOME": "/nonexistent", "ODBCSYSINI": "/nonexistent", **environment})


def said(target: Target) -> list[tuple[str, str, str | None]]:
    return [(warning.code.removeprefix("odbc-"), warning.subject, warning.remedy) for warning in target.warnings]


@pytest.mark.parametrize(
    ("text", "warnings"),
    [
        ("Server=h;Encrypt=yes;TrustServerCertificate=no;Database=d;APP=x", []),
        ("Server=h;Encrypt=true", [("value-refused", "Encrypt=true", "Encrypt=yes")]),
        ("Server=h;Encrypt=False", [("value-refused", "Encrypt=False", "Encrypt=no")]),
        (
            "Server=h;trustservercertificate=TRUE",
            [("value-refused", "trustservercertificate=TRUE", "TrustServerCertificate=yes")],
        ),
        ("Server=h;Trusted_Connection=SSPI", [("value-refused", "Trusted_Connection=SSPI", "Trusted_Connection=yes")]),
        ("Server=h;MARS_Connection=true", [("value-refused", "MARS_Connection=true", "MARS_Connection=yes")]),
        ("Server=h;Initial Catalog=d", [("keyword-ignored", "Initial Catalog", "Database")]),
        ("Data Source=h", [("keyword-ignored", "Data Source", "Server")]),
        ("Server=h;User ID=u", [("keyword-ignored", "User ID", "UID")]),
        ("Server=h;User=u", [("keyword-ignored", "User", "UID")]),
        ("Server=h;Password=hunter2", [("keyword-ignored", "Password", "PWD")]),
        ("Server=h;Application Name=x", [("keyword-ignored", "Application Name", "APP")]),
        ("Server=h;MultipleActiveResultSets=true", [("keyword-ignored", "MultipleActiveResultSets", "MARS_Connection")]),
        ("Server=h;Port=1500", [("keyword-ignored", "Port", "Server=host,port")]),
        ("Server=h,1500;Port=1500", []),
        ("Server=h;LoginTimeout=5", [("login-timeout-ignored", "LoginTimeout", "connect_args={'timeout': 5}")]),
        ("Server=h;Connection Timeout=5", [("login-timeout-ignored", "Connection Timeout", "connect_args={'timeout': 5}")]),
        ("Server=h;Connect Timeout=5", [("login-timeout-ignored", "Connect Timeout", "connect_args={'timeout': 5}")]),
        ("Server=h;Timeout=5", [("login-timeout-ignored", "Timeout", "connect_args={'timeout': 5}")]),
        ("Server=h:1500", [("server-misread", "Server=host:port", "Server=host,port")]),
        ("Server=tcp:h:1500", [("server-misread", "Server=host:port", "Server=host,port")]),
        ("Server=[::1],1500", [("server-misread", "Server=[address]", "Server=address,port")]),
        ("Server=h;Encryption=require", [("keyword-ignored", "Encryption", "Encrypt=yes")]),
        ("Server=h;connect timeout=5", [("login-timeout-ignored", "connect timeout", "connect_args={'timeout': 5}")]),
        ("Server=h;Integrated Security=SSPI", [("keyword-ignored", "Integrated Security", "Trusted_Connection")]),
        ("Server=h;UID=u;Integrated Security=SSPI", [("keyword-ignored", "Integrated Security", None)]),
    ],
)  # fmt: skip
def test_microsofts_driver(text: str, warnings: list[tuple[str, str, str | None]]) -> None:
    assert said(read(f"{MICROSOFT};{text}")) == warnings


@pytest.mark.parametrize(
    ("text", "warnings"),
    [
        ("Server=h;Port=1500;Encryption=require;TDS_Version=7.4", []),
        ("Server=h;Encrypt=yes", [("keyword-ignored", "Encrypt", "Encryption=require")]),
        ("Server=h;TrustServerCertificate=no", [("keyword-ignored", "TrustServerCertificate", None)]),
        ("Server=h;LoginTimeout=5", [("login-timeout-ignored", "LoginTimeout", "connect_args={'timeout': 5}")]),
        ("Server=tcp:h,1500", [("server-misread", "Server=tcp:host", "Server=host")]),
        ("Server=(local)", [("server-misread", "Server=(local)", "Server=host")]),
        ("Address=h", [("keyword-ignored", "Address", "Server")]),
    ],
)
def test_freetds(text: str, warnings: list[tuple[str, str, str | None]]) -> None:
    assert said(read(f"Driver=FreeTDS;{text}")) == warnings


def test_what_was_meant_is_what_is_probed() -> None:
    target = read(
        f"{MICROSOFT};Data Source=db1;Port=1500;User ID=app;Password=hunter2;Initial Catalog=shop;Encrypt=true;Foo=bar"
    )
    assert target.shown == "mssql://app@db1:1500/shop"
    assert target.password is not None
    assert target.password.reveal() == "hunter2"
    assert target.parameters == {"Driver": "ODBC Driver 18 for SQL Server", "Encrypt": "yes"}
    assert "hunter2" not in repr(target)
    assert [warning.fatal for warning in target.warnings] == [False, False, False, False, True, False]


@pytest.mark.parametrize(
    ("text", "encrypt", "trusts"),
    [
        ("Driver={ODBC Driver 18 for SQL Server};Server=h", None, None),
        ("Driver={ODBC Driver 17 for SQL Server};Server=h", "no", None),
        ("Driver={ODBC Driver 17 for SQL Server};Server=h;Encrypt=yes", "yes", None),
        ("Driver=/opt/microsoft/msodbcsql17/lib64/libmsodbcsql-17.10.so.6.1;Server=h", "no", None),
        ("Driver=SQL Server;Server=h", "no", None),
        ("Driver=FreeTDS;Server=h", "no", "yes"),
        ("Driver=FreeTDS;Server=h;Encryption=require", None, "yes"),
        ("mssql+pymssql://u:p@h/d", "no", "yes"),
        ("mssql+mssqlpython://u:p@h/d", None, None),
    ],
)
def test_what_the_applications_driver_does_by_default_is_done(
    text: str, encrypt: str | None, trusts: str | None
) -> None:
    parameters = read(text).parameters
    assert (parameters.get("Encrypt"), parameters.get("TrustServerCertificate")) == (encrypt, trusts)


def test_the_right_keyword_outweighs_the_wrong_one_wherever_it_stands() -> None:
    for text in ("Initial Catalog=wrong;Database=right", "Database=right;Initial Catalog=wrong"):
        assert read(f"{MICROSOFT};Server=h;{text}").database == "right"


@pytest.mark.parametrize(
    ("text", "warnings"),
    [
        ("mssql+pyodbc://u:p@h:1500/d?driver=ODBC+Driver+18+for+SQL+Server", []),
        ("mssql+pyodbc://u:p@h/d?driver=x&timeout=5", [("login-timeout-ignored", "timeout", "connect_args={'timeout': 5}")]),
        (
            "mssql+pyodbc://u:p@h/d?driver=FreeTDS&timeout=5",
            [("login-timeout-ignored", "timeout", "connect_args={'timeout': 5}")],
        ),
        ("mssql+pyodbc://u:p@h/d?driver=x&Encrypt=true", [("value-refused", "Encrypt=true", "Encrypt=yes")]),
        ("mssql+aioodbc://u:p@h/d", [("driver-not-named", "driver", "driver=ODBC+Driver+18+for+SQL+Server")]),
        ("mssql+mssqlpython://u:p@h/d", []),
        ("mssql+pymssql://u:p@h/d?timeout=5", []),
        ("mssql+pyodbc://u:p@h:1500?driver=x", [("url-names-data-source", "database", "master")]),
    ],
)  # fmt: skip
def test_sqlalchemys_urls(text: str, warnings: list[tuple[str, str, str | None]]) -> None:
    target = read(text)
    assert said(target) == warnings
    assert target.endpoints[0].host == "h"


def test_arguments_of_an_engine() -> None:
    target = read("mssql+pyodbc://u:p@h/d?driver=x")
    changed = with_arguments(target, {"Encrypt": True, "user": "other", "timeout": 5, "LoginTimeout": 3}, "pyodbc")
    assert said(changed) == [
        ("value-refused", "Encrypt=True", "Encrypt=yes"),
        ("login-timeout-ignored", "LoginTimeout", "connect_args={'timeout': 5}"),
    ]
    assert (changed.user, changed.parameters["Encrypt"], changed.database) == ("other", "yes", "d")
    assert changed.endpoints == target.endpoints
    assert changed.password == target.password


@pytest.mark.parametrize(
    ("server", "endpoint", "subject"),
    [
        ("np:h", Endpoint("h", 1433), "Server=np:... (named pipe)"),
        ("NP: h,1500", Endpoint("h", 1500), "Server=np:... (named pipe)"),
        (r"np:\\h\pipe\sql\query", Endpoint("h", 1433), r"Server=\\h\pipe\... (named pipe)"),
        (r"\\h\pipe\MSSQL$SALES\sql\query", Endpoint("h", None, instance="SALES"), r"Server=\\h\pipe\... (named pipe)"),
        (r"lpc:h\sales", Endpoint("h", None, instance="sales"), "Server=lpc:... (shared memory)"),
        ("lpc:(local)", Endpoint("localhost", 1433), "Server=lpc:... (shared memory)"),
    ],
)
@pytest.mark.parametrize("driver", [MICROSOFT, "Driver=FreeTDS"])
def test_a_way_that_only_windows_has_is_looked_at_over_tcp(
    driver: str, server: str, endpoint: Endpoint, subject: str
) -> None:
    target = read(f"{driver};Server={server};UID=u")
    assert target.endpoints == (endpoint,)
    where = f"{endpoint.host},{endpoint.port}" if endpoint.port else f"{endpoint.host}\\{endpoint.instance}"
    assert said(target) == [("server-not-over-tcp", subject, f"Server={where}")]
    assert target.warnings[0].fatal
    # Said once, also when an engine's arguments are read on top.
    assert said(with_arguments(target, {"Encrypt": "yes"}, "pyodbc"))[0][0] == "server-not-over-tcp"
    assert len(with_arguments(target, {"APP": "x"}, "pyodbc").warnings) == 1


def test_an_application_of_ado_net_may_be_where_that_way_is() -> None:
    target = read("Data Source=np:h;Integrated Security=true")
    assert [(warning.code, warning.fatal) for warning in target.warnings] == [("server-not-over-tcp", False)]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (rf"{MICROSOFT};Server=(localdb)\MSSQLLocalDB", "LocalDB"),
        (r"Data Source=(LocalDB)\v11;Integrated Security=true", "LocalDB"),
        (rf"{MICROSOFT};Server=np:(localdb)\x", "LocalDB"),
        (f"{MICROSOFT};Server=admin:h", "dedicated administrator connection"),
        (r"Server=ADMIN:h\sales;Encrypt=true", "dedicated administrator connection"),
        (f"{MICROSOFT};Database=x", "names no server"),
        (f"{MICROSOFT};Server=;Database=x", "names no server"),
        ("Driver=FreeTDS;Port=1433", "names no server"),
        ("FILEDSN=/etc/x.dsn;UID=u", "`FILEDSN` names a file"),
        ("mssql+pyodbc:///?odbc_connect=", "names no server"),
        ("mssql+pyodbc:///?odbc_connect=Driver%3Dx%3BDatabase%3Dd", "names no server"),
        ("mssql+pymssql:///d", "names no server"),
        ("Initial Catalog=d;User ID=u", "names no server"),
    ],
)
def test_what_leads_to_no_server_is_one_clear_error(text: str, words: str) -> None:
    with pytest.raises(UsageError, match=words) as caught:
        read(text)
    assert caught.value.help


# --- data sources -------------------------------------------------------------------------------------------------


@pytest.fixture
def ini(tmp_path: Path) -> dict[str, str]:
    (tmp_path / "odbcinst.ini").write_text("[Mine]\nDriver=/opt/lib/libtdsodbc.so\n")
    (tmp_path / "odbc.ini").write_text(
        "[ODBC Data Sources]\nshop=x\n\n; a comment\n[Shop]\nDriver = ODBC Driver 18 for SQL Server\n"
        "Server = tcp:db1,1500\nDatabase = shop\nEncrypt = true\n# another\nDescription = the shop's\n\n"
        "[old]\nDriver=Mine\nServername=conf\nEncrypt=yes\n[plain]\nDriver=Mine\nServername=db3\nPort=1600\n"
    )
    (tmp_path / "freetds.conf").write_text("[global]\ntds version = 7.4\n[conf]\n\thost = db2\n\tport = 1501\n")
    return {"ODBCSYSINI": str(tmp_path), "FREETDSCONF": str(tmp_path / "freetds.conf")}


def test_a_data_source_gives_the_endpoint(ini: dict[str, str]) -> None:
    for text in ("DSN=shop;UID=app;PWD=hunter2", "mssql+pyodbc://app:hunter2@shop"):
        target = read(text, **ini)
        assert target.shown == "mssql://app@db1:1500/shop"
        assert target.parameters["Driver"] == "ODBC Driver 18 for SQL Server"
        assert said(target) == [("value-refused", "Encrypt=true", "Encrypt=yes")]
    assert read("DSN=shop;Database=other", **ini).database == "other"


def test_a_data_source_of_freetds_leads_to_freetds_conf(ini: dict[str, str]) -> None:
    target = read("DSN=old", **ini)
    assert target.endpoints == (Endpoint("db2", 1501),)
    assert said(target) == [("keyword-ignored", "Encrypt", "Encryption=require")]
    assert read("DSN=plain", **ini).endpoints == (Endpoint("db3", 1600),)


def test_ones_own_file_comes_before_the_systems(ini: dict[str, str], tmp_path: Path) -> None:
    own = tmp_path / "own.ini"
    own.write_text("[shop]\nServer=mine\n")
    assert read("DSN=shop", **ini, ODBCINI=str(own)).endpoints == (Endpoint("mine", 1433),)
    (tmp_path / ".odbc.ini").write_text("[shop]\nServer=home\n")
    assert read("DSN=shop", **{**ini, "HOME": str(tmp_path)}).endpoints == (Endpoint("home", 1433),)


@pytest.mark.parametrize("server", ["Server=db1,99999", "Server=db1,x", "Server=db1;Port=0"])
def test_a_wrong_port_is_told_in_the_words_of_sql_server(server: str) -> None:
    with pytest.raises(UsageError, match="not a number from 1 to 65535") as caught:
        read(f"{MICROSOFT};{server};UID=u")
    assert "5432" not in str(caught.value.help)


def test_a_file_of_data_sources_is_looked_into_once(tmp_path: Path) -> None:
    environment = {"ODBCSYSINI": str(tmp_path), "ODBCINI": str(tmp_path / "odbc.ini")}
    assert source_files(environment) == [tmp_path / "odbc.ini"]


def test_a_data_source_that_is_nowhere_is_one_clear_error(ini: dict[str, str]) -> None:
    with pytest.raises(UsageError, match="`nowhere` is in none of the files") as caught:
        read("DSN=nowhere;UID=u", **ini)
    assert ini["ODBCSYSINI"] in str(caught.value.help)
