"""A secret in every part of every dialect that can hold one; each command fails in several ways; nothing shows it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import psutil
import pytest

from tests.servers import odbc
from tests.servers.cli import run_dbdoctor, start_dbdoctor
from tests.servers.network import black_hole
from tests.servers.postgresql import PostgresServer
from tests.servers.tds import Delay, Refuse, SqlError, TdsServer
from tests.servers.wire import FakeServer
from tests.servers.wire_postgres import answers_error, fatal

SECRET = "Zx9'q@k/w:v;7}t #p%5"
PLAIN = "Zx9qkwv7tp5-plain"
ENCODED = quote(SECRET, safe="")
KEY_VALUE = SECRET.replace("\\", "\\\\").replace("'", "\\'")

DIALECTS = {
    "sqlalchemy": lambda port: f"postgresql+psycopg2://app:{ENCODED}@127.0.0.1:{port}/shop",
    "asyncpg": lambda port: f"postgresql+asyncpg://app:{ENCODED}@127.0.0.1:{port}/shop",
    "uri": lambda port: f"postgresql://app:{ENCODED}@127.0.0.1:{port}/shop",
    "uri, several hosts": lambda port: f"postgres://app:{ENCODED}@127.0.0.1:{port},127.0.0.1:{port}/shop",
    "uri, password as parameter": lambda port: f"postgresql://127.0.0.1:{port}/shop?user=app&password={ENCODED}",
    "uri, key's password": lambda port: f"postgresql://app@127.0.0.1:{port}/shop?sslpassword={ENCODED}",
    "key=value": lambda port: f"host=127.0.0.1 port={port} user=app dbname=shop password='{KEY_VALUE}'",
    "jdbc": lambda port: f"jdbc:postgresql://127.0.0.1:{port}/shop?user=app&password={ENCODED}",
    "npgsql": lambda port: f'Host=127.0.0.1;Port={port};Username=app;Password="{SECRET}";Database=shop',
    "odbc, sql server": lambda port: (
        f"Driver={{ODBC Driver 18 for SQL Server}};Server=127.0.0.1,{port};UID=app;PWD={{{SECRET.replace('}', '}}')}}}"
    ),
    "odbc_connect": lambda port: (
        "mssql+pyodbc:///?odbc_connect=" + quote(f"Driver=x;Server=127.0.0.1,{port};UID=app;PWD={PLAIN}", safe="")
    ),
    "jdbc, sql server": lambda port: (
        f"jdbc:sqlserver://127.0.0.1:{port};databaseName=shop;user=app;password={{{SECRET.replace('}', '}}')}}}"
    ),
    "sql server": lambda port: (
        f"mssql+pyodbc://app:{ENCODED}@127.0.0.1:{port}/shop?driver=ODBC+Driver+18+for+SQL+Server"
    ),
    "wrong: raw": lambda port: f"postgresql://app:{SECRET}@127.0.0.1:{port}/shop",
    "wrong: as port": lambda port: f"postgresql://app@127.0.0.1:{PLAIN}/shop",
    "wrong: as sslmode": lambda port: f"postgresql://app@127.0.0.1:{port}/shop?sslmode={PLAIN}",
    "wrong: unbalanced": lambda port: f"host=127.0.0.1 port={port} password='{PLAIN} user=app",
    "wrong: scheme": lambda port: f"mysql://app:{PLAIN}@127.0.0.1:{port}/shop",
}
# What a thief could use: the whole in each spelling, and its halves.
LEAKS = (SECRET, ENCODED, KEY_VALUE, PLAIN, PLAIN[:9], "Zx9'q", "q@k/w", "Zx9%27q")


def assert_silent(*texts: str) -> None:
    for text in texts:
        for leak in LEAKS:
            assert leak not in text, (leak, text)


@pytest.fixture(scope="module")
def echo_port() -> object:
    """A server that refuses, quoting the password in its words as careless proxies do."""
    words = f"no login for app with password {SECRET} / {ENCODED}"
    with FakeServer(answers_error(fatal("28000", words))) as server:
        yield server.port


SQL_SERVER = {
    "odbc, sql server": lambda port: DIALECTS["odbc, sql server"](port) + ";Encrypt=no",
    "jdbc, sql server": lambda port: DIALECTS["jdbc, sql server"](port) + ";encrypt=false",
    "sql server": lambda port: DIALECTS["sql server"](port) + "&Encrypt=no",
    "pymssql": lambda port: f"mssql+pymssql://app:{ENCODED}@127.0.0.1:{port}/shop",
    "ado.net": lambda port: (
        f'Server=tcp:127.0.0.1,{port};User ID=app;Initial Catalog=shop;Encrypt=false;Password="{SECRET}"'
    ),
    "odbc, ignored keyword": lambda port: (
        f"Driver={{FreeTDS}};Server=127.0.0.1;Port={port};UID=app;Encryption=off;Password={{{SECRET.replace('}', '}}')}}}"
    ),
    "wrong: raw after semicolon": lambda port: (
        f"Driver={{FreeTDS}};Server=127.0.0.1,{port};UID=app;PWD={PLAIN};{PLAIN}=x;Encrypt=true"
    ),
}


@pytest.mark.parametrize("options", [[], ["--json"], ["--debug"]], ids=["text", "json", "debug"])
@pytest.mark.parametrize("dialect", DIALECTS)
def test_no_secret_when_refused(dialect: str, options: list[str], echo_port: int) -> None:
    for port in (1, echo_port):
        result = run_dbdoctor("check", DIALECTS[dialect](port), "--no-config", *options, env=odbc.environment())
        assert result.exit_code in (2, 3)
        assert_silent(result.stdout, result.stderr)


@pytest.fixture(scope="module")
def echo_tds() -> Iterator[TdsServer]:
    """A SQL Server that refuses the login, quoting the password in its words."""
    with TdsServer() as server:
        words = f"Login failed for app with password {SECRET} / {ENCODED}"
        server.controls.at("login", Refuse(SqlError(18456, words)))
        yield server


@pytest.mark.parametrize("driver", ["microsoft", "freetds"])
@pytest.mark.parametrize("command", ["check", "leaks"])
@pytest.mark.parametrize("dialect", SQL_SERVER)
def test_no_secret_when_sql_server_refuses(dialect: str, command: str, driver: str, echo_tds: TdsServer) -> None:
    place = odbc.registry({"FreeTDS" if driver == "freetds" else odbc.MICROSOFT_NAME: odbc.DRIVERS[driver]()})
    for options in ([], ["--json", "--debug"]):
        # What is wrong has another password in it than the server quotes.
        dsn = SQL_SERVER[dialect](1 if dialect.startswith("wrong") else echo_tds.port)
        result = run_dbdoctor(command, dsn, "--no-config", *options, env=odbc.environment(place))
        assert result.exit_code in (1, 2, 3), result.stderr
        assert_silent(result.stdout, result.stderr)
        assert result.outlived_by == ()


def test_no_secret_from_a_data_source(echo_tds: TdsServer, tmp_path: Path) -> None:
    ini = tmp_path / "odbc.ini"
    ini.write_text(
        f"[shop]\nDriver=FreeTDS\nServer=127.0.0.1\nPort={echo_tds.port}\nUID=app\nPWD={PLAIN}\nEncrypt={PLAIN}\n"
    )
    for options in ([], ["--json"], ["--debug"]):
        environment = {**odbc.environment(), "ODBCINI": str(ini)}
        result = run_dbdoctor("check", "DSN=shop", "--no-config", *options, env=environment)
        assert result.exit_code in (2, 3)
        assert_silent(result.stdout, result.stderr)


@pytest.mark.skipif(not Path("/proc/self/cmdline").exists(), reason="process titles are read from /proc")
@pytest.mark.parametrize("dialect", ["sql server", "odbc, sql server"])
def test_no_process_of_ours_shows_the_secret(dialect: str) -> None:
    """Neither the command nor the driver's process, while a login hangs."""
    with TdsServer() as server:
        server.controls.at("login", Delay(30))
        dsn = SQL_SERVER[dialect](server.port)
        running = start_dbdoctor("check", dsn, "--no-config", "--login-timeout", "4s", env=odbc.environment())
        running.wait_for("no answer for 1.", seconds=4)
        ours = psutil.Process(running.process.pid)
        (driver,) = ours.children()
        for process in (ours, driver):
            place = Path(f"/proc/{process.pid}")
            assert_silent(*((place / name).read_bytes().decode(errors="replace") for name in ("cmdline", "comm")))
        assert_silent(Path(f"/proc/{driver.pid}/environ").read_bytes().decode(errors="replace"))
        running.finish()


def test_no_secret_after_a_wrong_password(postgres: PostgresServer) -> None:
    for dialect in ("uri", "key=value", "jdbc", "npgsql", "asyncpg"):
        result = run_dbdoctor("check", DIALECTS[dialect](postgres.port), "--no-config", "--json")
        assert result.exit_code == 3
        assert "wrong-password" in result.stdout
        assert_silent(result.stdout, result.stderr)


def test_no_secret_in_environment_config_or_engine(tmp_path: Path) -> None:
    (tmp_path / "dbdoctor.toml").write_text(
        f'[targets.shop]\ndsn = "postgresql://app:{ENCODED}@127.0.0.1:1/shop"\nunknown_key = "{PLAIN}"\n'
    )
    (tmp_path / "own.toml").write_text(
        f'[targets.shop]\nhost = "127.0.0.1"\nport = 1\nuser = "app"\npassword = """{SECRET}"""\n'
    )
    (tmp_path / "shop_db.py").write_text(f"raise RuntimeError('cannot reach postgresql://app:{PLAIN}@db')\n")
    for arguments, env in (
        (["check", "shop"], {}),
        (["check", "shop", "--config", "own.toml"], {}),
        (["check", "--no-config"], {"DBDOCTOR_DSN": f"postgresql://app:{ENCODED}@127.0.0.1:1/shop"}),
        (["check", "--no-config"], {"DATABASE_URL": f"postgresql://app:{SECRET}@127.0.0.1:1/shop"}),
        (["check", "postgresql://app@127.0.0.1:1/shop", "--no-config"], {"PGPASSWORD": SECRET}),
    ):
        result = run_dbdoctor(*arguments, "--debug", env=env, cwd=tmp_path)
        assert result.exit_code in (2, 3), result.stderr
        assert_silent(result.stdout, result.stderr)


@pytest.mark.skipif(not Path("/proc/self/cmdline").exists(), reason="process titles are read from /proc")
def test_the_process_title_shows_no_secret() -> None:
    with black_hole() as port:
        running = start_dbdoctor("check", DIALECTS["uri"](port), "--no-config", "--login-timeout", "4s")
        running.wait_for("no answer for 1.", seconds=4)
        title = Path(f"/proc/{running.process.pid}/cmdline").read_bytes().decode(errors="replace")
        running.finish()
    assert_silent(title)
    assert "dbdoctor" in title


@pytest.mark.parametrize(
    "words",
    [
        ("trace", "{dsn}"),
        ("recommend", "--trace", "{dsn}"),
        ("leaks", "--replay", "{dsn}"),
        ("report", "demo", "--html", "{dsn}/x.html"),
        ("report", "--from", "{dsn}"),
        ("check", "shop", "--config", "{dsn}"),
        ("schema", "{dsn}"),
        ("explain", "{dsn}"),
        ("{dsn}",),
    ],
    ids=" ".join,
)
@pytest.mark.parametrize(
    "dsn", ["postgresql://app:hunter2-Zq9@db1/shop", "host=db1 password=hunter2-Zq9", "Server=db1;PWD=hunter2-Zq9"]
)
def test_a_dsn_in_the_place_of_a_file_is_not_told(dsn: str, words: tuple[str, ...]) -> None:
    result = run_dbdoctor(*(word.format(dsn=dsn) for word in words))
    assert result.exit_code == 2
    assert "hunter2" not in result.stdout + result.stderr
