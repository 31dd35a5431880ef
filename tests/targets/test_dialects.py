from __future__ import annotations

import os
import warnings
from pathlib import Path

import psycopg2
import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st
from psycopg2.extensions import parse_dsn as libpq_parse
from sqlalchemy.engine import make_url

from dbdoctor.errors import UsageError
from dbdoctor.model.target import Endpoint, Product, Target, TargetWarning
from dbdoctor.targets.dialects import DIALECTS
from dbdoctor.targets.dialects.libpq_keyvalue import read_pairs
from dbdoctor.targets.dialects.libpq_uri import read_options
from dbdoctor.targets.parse import looks_like_dsn, parse_dsn


def read(text: str, **environment: str) -> Target:
    return parse_dsn(text, environment={"HOME": "/nonexistent", **environment})


def password(target: Target) -> str | None:
    return target.password.reveal() if target.password else None


def ends(target: Target) -> list[tuple[str | None, int | None]]:
    return [(end.host, end.port) for end in target.endpoints]


# --- against the real parsers -------------------------------------------------------------------------------------

SECRET_TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=20)
NAME = st.text(st.characters(codec="utf-8", exclude_categories=["Cc"]), min_size=1, max_size=15)
HOST = st.from_regex(r"[a-z][a-z0-9.-]{0,15}|\[[0-9a-f:]{2,10}\]|[0-9]{1,3}(\.[0-9]{1,3}){3}", fullmatch=True)
PORT = st.none() | st.integers(1, 65535)
PARAMETERS = st.dictionaries(
    st.sampled_from(["application_name", "options", "sslrootcert", "fallback_application_name", "krbsrvname", "host"]),
    NAME.filter(lambda text: ":" not in text and not text.startswith("-c+")),
    max_size=3,
)
NETLOC = st.lists(st.tuples(HOST, PORT), min_size=0, max_size=3)


def netloc_text(hosts: list[tuple[str, int | None]]) -> str:
    return ",".join(host if port is None else f"{host}:{port}" for host, port in hosts)


def encode(text: str) -> str:
    from urllib.parse import quote

    return quote(text, safe="")


@given(SECRET_TEXT, NAME, NETLOC, NAME, PARAMETERS)
@settings(max_examples=600, deadline=None)
def test_a_libpq_uri_means_what_libpq_reads(secret, user, hosts, database, parameters):
    query = "&".join(f"{encode(name)}={encode(value)}" for name, value in parameters.items())
    uri = f"postgresql://{encode(user)}:{encode(secret)}@{netloc_text(hosts)}/{encode(database)}?{query}"
    ours = read_options(uri)[0]
    theirs = libpq_parse(uri)
    assert {k: v for k, v in ours.items() if v} == {k: v for k, v in theirs.items() if v}


@given(st.text("ab1:/@?#&=%[],.+ -4z", max_size=30))
@example("u:a:b@h/d")
@example("h:1,h2/d?host=x")
@settings(max_examples=3000, deadline=None)
def test_what_is_read_of_a_messy_uri_is_what_libpq_reads(rest):
    uri = f"postgresql://{rest}".strip()
    try:
        target = read(uri)
        ours = read_options(uri)[0]
    except UsageError:
        return
    try:
        theirs = libpq_parse(uri)
    except psycopg2.ProgrammingError:
        # Only what SQLAlchemy takes although libpq does not: a second `=` in a value, a name that libpq does not know.
        assert target.warnings or rest.partition("?")[2].count("=") > 1
        return
    assert {k: v for k, v in ours.items() if v} == {k: v for k, v in theirs.items() if v}


@given(
    st.dictionaries(
        st.sampled_from(["host", "user", "password", "dbname", "options", "application_name", "sslcert", "port"]),
        SECRET_TEXT,
        min_size=1,
    ),
    st.sampled_from(["plain", "quoted"]),
    st.sampled_from([" ", "  ", "\t"]),
)
@settings(max_examples=600, deadline=None)
def test_a_keyvalue_string_means_what_libpq_reads(values, style, blank):
    def one(name: str, value: str) -> str:
        value = value.replace("\\", "\\\\").replace("'", "\\'")
        return f"{name}='{value}'" if style == "quoted" or any(map(str.isspace, value)) else f"{name} = {value}"

    text = blank.join(one(name, value) for name, value in values.items())
    assert dict(read_pairs(text)) == libpq_parse(text)


@given(st.text("ab1='\\ \t;:", max_size=25).map(lambda rest: "host=" + rest))
@settings(max_examples=3000, deadline=None)
def test_a_messy_keyvalue_string_is_read_as_libpq_reads_it_or_refused_as_libpq_refuses_it(text):
    try:
        ours = dict(read_pairs(text))
    except UsageError:
        with pytest.raises(psycopg2.ProgrammingError):
            libpq_parse(text)
        return
    try:
        theirs = libpq_parse(text)
    except psycopg2.ProgrammingError as error:
        assert "invalid connection option" in str(error)
        return
    assert ours == theirs


@given(SECRET_TEXT, NAME, st.lists(st.tuples(HOST, PORT), min_size=1, max_size=1), NAME, PARAMETERS)
@settings(max_examples=500, deadline=None)
def test_a_sqlalchemy_url_means_what_sqlalchemy_hands_to_psycopg2(secret, user, hosts, database, parameters):
    from urllib.parse import urlencode

    text = f"postgresql+psycopg2://{encode(user)}:{encode(secret)}@{netloc_text(hosts)}/{encode(database)}?{urlencode(parameters)}"
    url = make_url(text)
    _, wanted = url.get_dialect()().create_connect_args(url)
    assume("," not in wanted.get("host", ""))
    try:
        target = read(text)
    except UsageError as error:
        assert ("host" in error.what and "host" in parameters) or "socket" in error.what
        return
    assert (target.user, password(target), target.database) == (wanted["user"], wanted["password"], wanted["dbname"])
    assert ends(target) == [(wanted["host"], int(wanted.get("port", 5432)))]
    assert target.parameters == {name: value for name, value in parameters.items() if name != "host"}


@given(SECRET_TEXT, NAME, HOST.filter(lambda host: "[" not in host), st.integers(1, 65535), NAME)
@settings(max_examples=300, deadline=None)
def test_a_mssql_url_means_what_sqlalchemy_hands_to_pyodbc(secret, user, host, port, database):
    """The ODBC string that SQLAlchemy makes of a URL, read by our ODBC dialect, is what we read of the URL itself."""
    assume(not any(part[:1] == "{" or part != part.strip() or "=" in part for part in (secret, user, database)))
    text = f"mssql+pyodbc://{encode(user)}:{encode(secret)}@{host}:{port}/{encode(database)}?driver=ODBC+Driver+18+for+SQL+Server"
    url = make_url(text)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        (odbc,), _ = url.get_dialect()().create_connect_args(url)
    assume(not any(letter in odbc for letter in map(chr, [*range(32), *range(127, 160), 0x2028, 0x2029])))
    ours, theirs = read(text), read(odbc)
    for name in ("endpoints", "user", "database", "parameters", "password"):
        assert getattr(ours, name) == getattr(theirs, name), name


# --- one by one ---------------------------------------------------------------------------------------------------

NASTY = r"a@b/c:d;e{f}g%h#i j'k\"l?m&n=o+p"
ENCODED = "a%40b%2Fc%3Ad%3Be%7Bf%7Dg%25h%23i%20j%27k%5C%22l%3Fm%26n%3Do%2Bp"
BRACED = "{" + NASTY.replace("}", "}}") + "}"
ADO_QUOTED = '"' + NASTY.replace('"', '""') + '"'
KEYVALUE = "'" + NASTY.replace("\\", "\\\\").replace("'", "\\'") + "'"

EVERY_DIALECT = [
    (f"postgresql://u:{ENCODED}@h:5433/d", "libpq URI", None),
    (f"postgres://u:{ENCODED}@h:5433/d", "libpq URI", None),
    (f"postgresql://h:5433/d?user=u&password={ENCODED}", "libpq URI", None),
    (f"postgresql+psycopg2://u:{ENCODED}@h:5433/d", "SQLAlchemy URL", "psycopg2"),
    (f"postgresql+psycopg2cffi://u:{ENCODED}@h:5433/d", "SQLAlchemy URL", "psycopg2cffi"),
    (f"postgresql+psycopg://u:{ENCODED}@h:5433/d", "SQLAlchemy URL", "psycopg"),
    (f"postgresql+psycopg_async://u:{ENCODED}@h:5433/d", "SQLAlchemy URL", "psycopg_async"),
    (f"postgresql+asyncpg://u:{ENCODED}@h:5433/d", "SQLAlchemy URL", "asyncpg"),
    (f"postgresql+pg8000://u:{ENCODED}@h:5433/d", "SQLAlchemy URL", "pg8000"),
    (f"host=h port=5433 user=u dbname=d password={KEYVALUE}", "libpq key=value string", None),
    (f"jdbc:postgresql://h:5433/d?user=u&password={ENCODED}", "JDBC URL", "pgjdbc"),
    (f"Host=h;Port=5433;Username=u;Database=d;Password={ADO_QUOTED}", "ADO.NET connection string", "Npgsql"),
    (
        f"Driver={{PostgreSQL Unicode}};Server=h;Port=5433;UID=u;Database=d;PWD={BRACED}",
        "ODBC connection string",
        "psqlODBC",
    ),
    (f"mssql+pyodbc://u:{ENCODED}@h:5433/d?driver=x", "SQLAlchemy URL", "pyodbc"),
    (f"mssql://u:{ENCODED}@h:5433/d?driver=x", "SQLAlchemy URL", "pyodbc"),
    (f"mssql+aioodbc://u:{ENCODED}@h:5433/d?driver=x", "SQLAlchemy URL", "aioodbc"),
    (f"mssql+mssqlpython://u:{ENCODED}@h:5433/d", "SQLAlchemy URL", "mssqlpython"),
    (f"mssql+pymssql://u:{ENCODED}@h:5433/d", "SQLAlchemy URL", "pymssql"),
    (
        f"mssql+pyodbc:///?odbc_connect={encode('Driver={x};Server=h,5433;UID=u;Database=d;PWD=' + BRACED)}",
        "SQLAlchemy URL",
        "pyodbc",
    ),
    (f"Driver={{x}};Server=tcp:h,5433;UID=u;Database=d;PWD={BRACED}", "ODBC connection string", None),
    (f"Server=tcp:h,5433;User ID=u;Initial Catalog=d;Password={ADO_QUOTED}", "ADO.NET connection string", "SqlClient"),
    (f"jdbc:sqlserver://h:5433;user=u;databaseName=d;password={BRACED}", "JDBC URL", "mssql-jdbc"),
]


@pytest.mark.parametrize(("text", "dialect", "driver"), EVERY_DIALECT)
def test_every_dialect_says_the_same(text, dialect, driver):
    target = read(text)
    assert ends(target) == [("h", 5433)]
    assert (target.user, target.database, password(target)) == ("u", "d", NASTY)
    assert (target.dialect, target.driver) == (dialect, driver)
    assert not target.warnings
    assert target.login_timeout is None


@pytest.mark.parametrize("driver", ["asyncpg", "psycopg", "psycopg_async", "pg8000", "psycopg2cffi"])
def test_another_driver_is_named_once(driver):
    assert read(f"postgresql+{driver}://h/d").notes == (
        f"{driver} is probed through psycopg2: same server, same login; errors are worded by psycopg2",
    )
    assert read("postgresql+psycopg2://h/d").notes == ()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("postgresql://h1:1,h2:2/d", [("h1", 1), ("h2", 2)]),
        ("postgresql://h1,h2:2/d", [("h1", 5432), ("h2", 2)]),
        ("postgresql://[::1]:1,[fe80::1%25eth0]/d", [("::1", 1), ("fe80::1%eth0", 5432)]),
        ("postgresql://%2Fvar%2Frun/d", [("/var/run", 5432)]),
        ("postgresql:///d?host=/tmp&port=1", [("/tmp", 1)]),
        ("postgresql:///d?host=@abstract", [("@abstract", 5432)]),
        ("postgresql+psycopg2:///d?host=h1:1&host=h2:2", [("h1", 1), ("h2", 2)]),
        ("postgresql+psycopg2:///d?host=h1,h2&port=1,2", [("h1", 1), ("h2", 2)]),
        ("postgresql+psycopg2://h1,h2/d", [("h1", 5432), ("h2", 5432)]),
        ("host=h1,h2,h3 port=7", [("h1", 7), ("h2", 7), ("h3", 7)]),
        ("host=h1,h2 port=7,", [("h1", 7), ("h2", 5432)]),
        ("host=::1 port=7", [("::1", 7)]),
        ("host='/my sockets' port=7", [("/my sockets", 7)]),
        ("jdbc:postgresql:d", [("localhost", 5432)]),
        ("jdbc:postgresql://h1,[::1]:7/d", [("h1", 5432), ("::1", 7)]),
        ("Host=h1:7,h2;Port=8;Username=u", [("h1", 7), ("h2", 8)]),
        ("postgresql+pg8000:///d?unix_sock=/run/pg/.s.PGSQL.5432", [("/run/pg", 5432)]),
    ],
)
def test_hosts(text, expected):
    assert ends(read(text)) == expected


def test_an_empty_item_of_a_host_list_is_libpqs_default_host():
    hosts = [host for host, _ in ends(read("host=h1,,h2"))]
    assert (hosts[0], hosts[2]) == ("h1", "h2")
    assert hosts[1] in ("/var/run/postgresql", "/tmp")
    assert read("host=h1,,h2").endpoints[1].is_socket


def test_hostaddr_goes_with_its_host():
    assert read("host=a,b hostaddr=10.0.0.1,10.0.0.2 port=7").endpoints == (
        Endpoint("a", 7, "10.0.0.1"),
        Endpoint("b", 7, "10.0.0.2"),
    )


@pytest.mark.parametrize(
    ("text", "endpoint"),
    [
        ("Driver=x;Server=h", Endpoint("h", 1433)),
        ("Driver=x;Server=tcp:h,1500", Endpoint("h", 1500)),
        (r"Driver=x;Server=h\sales", Endpoint("h", None, instance="sales")),
        ("Driver=x;Server=(local)", Endpoint("localhost", 1433)),
        ("Driver=x;Server=.", Endpoint("localhost", 1433)),
        (r"Driver=x;Server=.\SQLEXPRESS", Endpoint("localhost", None, instance="SQLEXPRESS")),
        ("Driver=FreeTDS;Server=h;Port=1500", Endpoint("h", 1500)),
        (r"jdbc:sqlserver://h\sales;user=u", Endpoint("h", None, instance="sales")),
        ("jdbc:sqlserver://;serverName=h;portNumber=1500", Endpoint("h", 1500)),
        ("jdbc:sqlserver://[::1]:1500;user=u", Endpoint("::1", 1500)),
        (r"mssql+pyodbc://u:p@h\sales/d?driver=x", Endpoint("h", None, instance="sales")),
        ("mssql+pyodbc://u:p@h,1500/d?driver=x", Endpoint("h", 1500)),
    ],
)
def test_servers_of_sql_server(text, endpoint):
    target = read(text)
    assert target.product is Product.SQLSERVER
    assert target.endpoints == (endpoint,)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "postgresql+asyncpg://h/d?ssl=verify-full&timeout=2.5&command_timeout=9&target_session_attrs=primary",
            {"sslmode": "verify-full", "connect_timeout": "3", "target_session_attrs": "primary"},
        ),
        ("postgresql+psycopg://h/d?prepare_threshold=0&autocommit=1&connect_timeout=4", {"connect_timeout": "4"}),
        ("postgresql+asyncpg://h/d?statement_cache_size=0&prepared_statement_cache_size=0&server_settings=x", {}),
        (
            "postgresql+pg8000://h/d?timeout=4&tcp_keepalive=1",
            {"connect_timeout": "4", "keepalives": "1", "sslmode": "disable"},
        ),
        ("postgresql+psycopg2://h/d?options=-c+statement_timeout%3D5s", {"options": "-c statement_timeout=5s"}),
        ("postgresql://h/d?options=-csearch_path=x", {"options": "-csearch_path=x"}),
        ("postgresql://h/d?ssl=true", {"sslmode": "require"}),
        (
            "jdbc:postgresql://h/d?ssl=true&loginTimeout=3&prepareThreshold=0&reWriteBatchedInserts=true&socketTimeout=9",
            {"sslmode": "verify-full", "connect_timeout": "3"},
        ),
        ("jdbc:postgresql://h/d?tcpKeepAlive=true&targetServerType=preferSecondary&currentSchema=a,b&ApplicationName=x",
         {"keepalives": "1", "target_session_attrs": "prefer-standby",
          "options": "-c search_path=a,b", "application_name": "x"}),
        ("Host=h;SSL Mode=Require;Timeout=7;Command Timeout=9;Keepalive=30;Search Path=a;Target Session Attributes=PreferStandby",
         {"sslmode": "require", "connect_timeout": "7", "options": "-c search_path=a", "target_session_attrs": "prefer-standby"}),
        ("Server=h;Database=d;Encrypt=true;TrustServerCertificate=False;Connect Timeout=7;MultipleActiveResultSets=true",
         {"Encrypt": "yes", "TrustServerCertificate": "no", "connect_timeout": "7", "MARS_Connection": "yes"}),
        ("jdbc:sqlserver://h;encrypt=false;loginTimeout=7", {"Encrypt": "no", "connect_timeout": "7"}),
        ("mssql+pymssql://h/d?login_timeout=5&tds_version=7.4&charset=utf8",
         {"connect_timeout": "5", "TDS_Version": "7.4", "TrustServerCertificate": "yes", "Encrypt": "no"}),
    ],
)  # fmt: skip
def test_options_of_other_drivers_are_translated(text, expected):
    target = read(text)
    assert target.parameters == expected
    assert not target.warnings
    assert target.login_timeout is None


@pytest.mark.parametrize(
    ("text", "name", "remedy"),
    [
        ("postgresql://h/d?timeout=5", "timeout", "connect_timeout"),
        ("postgresql+psycopg2://h/d?timeout=5", "timeout", "connect_timeout"),
        ("host=h timeout=5", "timeout", "connect_timeout"),
        ("postgresql+psycopg2://h/d?sslMode=require", "sslMode", "sslmode"),
        ("postgresql+psycopg2://h/d?ssl=true", "ssl", "sslmode"),
        ("postgresql://h/d?conect_timeout=5", "conect_timeout", "connect_timeout"),
        ("postgresql://h/d?command_timeout=5", "command_timeout", "options"),
        ("postgresql+asyncpg://h/d?sslmode=require", "sslmode", "ssl"),
        ("postgresql+asyncpg://h/d?connect_timeout=5", "connect_timeout", "timeout"),
        ("postgresql+pg8000://h/d?sslmode=require", "sslmode", "ssl_context"),
        ("postgresql://h/d?zzz=1", "zzz", None),
    ],
)
def test_an_option_that_the_driver_does_not_know_is_a_warning(text, name, remedy):
    target = read(text)
    assert target.warnings == (TargetWarning("unknown-driver-option", name, remedy, fatal=True),)


def test_the_driver_really_refuses_an_option_it_does_not_know():
    with pytest.raises(psycopg2.ProgrammingError, match="invalid connection option"):
        psycopg2.connect(host="/nonexistent", timeout=5)


def test_pool_keywords_of_ado_net_fill_the_pool():
    pool = read("Host=h;Maximum Pool Size=20;Connection Lifetime=300").pool
    assert pool is not None
    assert (pool.pool_size, pool.max_overflow, pool.pool_recycle) == (20, 0, 300)
    unpooled = read("Server=tcp:h;Pooling=false").pool
    assert unpooled is not None
    assert unpooled.pool_class == "NullPool"
    assert read("Server=tcp:h;User ID=u").pool is None


@pytest.mark.parametrize(
    "text", [text for text, _, _ in EVERY_DIALECT] + ["service=x", "DSN=x", "jdbc:x", "mysql://h", "Server=h"]
)
def test_what_looks_like_a_dsn(text):
    assert looks_like_dsn(text)


@pytest.mark.parametrize("text", ["shop", "shop-1.prod", "my.app:engine", "demo", "", "pkg.mod:make_engine", "C:\\x"])
def test_what_does_not_look_like_a_dsn(text):
    assert not looks_like_dsn(text)


def test_every_dialect_file_is_in_the_list():
    directory = Path(__file__).parents[2] / "dbdoctor/targets/dialects"
    assert sorted(DIALECTS) == sorted(path.stem for path in directory.glob("[a-z]*.py"))


def test_the_environment_is_the_processs_own_when_none_is_given(monkeypatch):
    monkeypatch.setenv("PGAPPNAME", "from-the-environment")
    assert parse_dsn("host=h").parameters["application_name"] == "from-the-environment"
    assert "PATH" in os.environ
