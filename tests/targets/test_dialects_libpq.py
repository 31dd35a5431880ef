from __future__ import annotations

import ctypes
from collections.abc import Iterator
from pathlib import Path

import psycopg2
import pytest
from psycopg2 import _psycopg

from dbdoctor.errors import UsageError
from dbdoctor.model.secret import redact
from dbdoctor.model.target import Target
from dbdoctor.targets.libpq.defaults import complete
from dbdoctor.targets.libpq.home import operating_system_user
from dbdoctor.targets.libpq.names import suggest
from dbdoctor.targets.libpq.options import to_options, to_target
from dbdoctor.targets.libpq.parameters import KNOWN_PARAMETERS
from dbdoctor.targets.libpq.password_file import passfile
from dbdoctor.targets.parse import parse_dsn


def read(text: str, **environment: str) -> Target:
    return parse_dsn(text, environment={"HOME": "/nonexistent", **environment})


class _Option(ctypes.Structure):
    _fields_ = [(name, ctypes.c_char_p) for name in ("keyword", "envvar", "compiled", "val", "label", "dispchar")] + [
        ("dispsize", ctypes.c_int)
    ]


def installed() -> Iterator[tuple[str, str | None, str | None, bool]]:
    function = ctypes.CDLL(_psycopg.__file__).PQconndefaults
    function.restype = ctypes.POINTER(_Option)
    table = function()
    index = 0
    while table[index].keyword:
        option = table[index]
        decoded = [value.decode() if value is not None else None for value in (option.envvar, option.compiled)]
        yield option.keyword.decode(), decoded[0], decoded[1], option.dispchar == b"*"
        index += 1


def test_the_table_is_what_the_installed_libpq_says():
    for name, variable, default, secret in installed():
        ours = KNOWN_PARAMETERS[name]
        assert (ours.environment, ours.default, ours.secret) == (variable, default, secret), name
    version = psycopg2.extensions.libpq_version() // 10000
    missing = set(KNOWN_PARAMETERS) - {name for name, *_ in installed()}
    assert all(KNOWN_PARAMETERS[name].since > version for name in missing)


@pytest.mark.parametrize(
    "name",
    [n for n, p in KNOWN_PARAMETERS.items() if p.environment and n not in ("service", "servicefile", "sslnegotiation")],
)
def test_every_variable_is_read_and_gives_way_to_the_dsn(name):
    parameter = KNOWN_PARAMETERS[name]
    value = {"require_auth": "md5", "hostaddr": "10.0.0.7"}.get(
        name, parameter.choices[-1] if parameter.choices else "7"
    )
    assert parameter.environment
    options = to_options(read("fallback_application_name=x", **{parameter.environment: value}))
    assert options[name] == value
    other = {"sslmode": "disable", "port": "8", "connect_timeout": "8", "require_auth": "!md5", "hostaddr": "::1"}.get(
        name, parameter.choices[0] if parameter.choices else "8"
    )
    assert to_options(read(f"{name}={other}", **{parameter.environment: value}))[name] == other


def test_direct_negotiation_needs_tls():
    assert read("host=h sslnegotiation=direct sslmode=require").parameters["sslnegotiation"] == "direct"
    with pytest.raises(UsageError, match="sslmode=require"):
        read("host=h sslnegotiation=direct")


def test_defaults():
    me = operating_system_user()
    target = read("connect_timeout=5")
    assert (target.user, target.database) == (me, me)
    assert [end.port for end in target.endpoints] == [5432]
    assert target.endpoints[0].is_socket
    assert read("user=x").database == "x"
    assert read("host=h sslrootcert=system").parameters["sslmode"] == "verify-full"
    assert read("host=h", PGREQUIRESSL="1").parameters["sslmode"] == "require"


@pytest.fixture
def services(tmp_path: Path) -> Path:
    file = tmp_path / "services"
    file.write_text(
        "# comment\n[other]\nhost=no\n\n[shop]\nhost=h1,h2\nport=7\nuser=app\npassword=from-Service1\nsslmode=require\n[z]\n"
    )
    return file


def test_explicit_before_service_before_environment_before_default(services):
    environment = {
        "PGSERVICEFILE": str(services),
        "PGUSER": "env",
        "PGSSLMODE": "disable",
        "PGAPPNAME": "env",
        "PGPORT": "9",
    }
    target = read("service=shop", **environment)
    assert (target.user, target.parameters) == ("app", {"sslmode": "require", "application_name": "env"})
    assert [(end.host, end.port) for end in target.endpoints] == [("h1", 7), ("h2", 7)]
    assert target.dialect == "service name"
    assert target.password is not None
    assert target.password.reveal() == "from-Service1"
    assert read("service=shop user=me", **environment).user == "me"
    assert read("dbname=x", PGSERVICE="shop", **environment).user == "app"
    assert read("postgresql:///?service=shop", **environment).user == "app"


def test_service_files_are_looked_for_where_libpq_does(services, tmp_path):
    home = tmp_path / "home"
    home.mkdir()
    system = tmp_path / "etc"
    system.mkdir()
    (system / "pg_service.conf").write_text("[shop]\nuser=system\n[only]\nuser=only\n")
    environment = {"HOME": str(home), "PGSYSCONFDIR": str(system)}
    assert parse_dsn("service=shop", environment=environment).user == "system"
    (home / ".pg_service.conf").write_text("[shop]\nuser=mine\n")
    assert parse_dsn("service=shop", environment=environment).user == "mine"
    assert parse_dsn("service=only", environment=environment).user == "only"
    assert parse_dsn("service=shop", environment={**environment, "PGSERVICEFILE": str(services)}).user == "app"


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("[other]\n", "not defined"),
        ("[shop]\nnonsense\n", "line 2"),
        ("[shop]\nservice=x\n", "line 2"),
        ("[shop]\nldap://x\n", "LDAP"),
        ("[shop]\nport=99999\n", "the port is not a number from 1 to 65535, with what the service file adds"),
        ("[shop]\nsslmode=foo\n", "in the service file must be one of"),
    ],
)
def test_bad_services(tmp_path, content, words):
    file = tmp_path / "services"
    file.write_text(content)
    with pytest.raises(UsageError, match=words):
        read("service=shop", PGSERVICEFILE=str(file))


def test_a_missing_service_file_is_an_error():
    with pytest.raises(UsageError, match="PGSERVICEFILE"):
        read("service=shop", PGSERVICEFILE="/nonexistent/file")


def test_a_bad_variable_is_named():
    with pytest.raises(UsageError, match="in the environment variable PGSSLMODE must be one of disable"):
        read("host=h", PGSSLMODE="foo")
    with pytest.raises(UsageError, match="environment variable PGPORT"):
        read("host=h", PGPORT="x")


def pgpass(tmp_path: Path, text: str, mode: int = 0o600) -> dict[str, str]:
    file = tmp_path / "pgpass"
    file.write_text(text)
    file.chmod(mode)
    return {"PGPASSFILE": str(file), "HOME": str(tmp_path)}


@pytest.mark.parametrize(
    ("line", "matches"),
    [
        ("h:5432:d:u:secret-1", True),
        ("*:*:*:*:secret-2", True),
        ("h:5432:d:other:secret-3", False),
        (r"h:5432:d:u:with\:colon:and-more", True),
        ("# h:5432:d:u:secret-4", False),
        ("h:5432:d:u", False),
        ("h:5432:d:u:", False),
    ],
)
def test_lines_of_the_password_file(tmp_path, line, matches):
    environment = pgpass(tmp_path, line + "\n")
    state = passfile(parse_dsn("host=h user=u dbname=d", environment=environment), environment)
    assert (state.exists, state.permissions_too_open, state.matches) == (True, False, matches)
    password = line.split(":", 4)[-1].replace("\\", "")
    if matches:
        assert password not in redact(f"it said {password}")


def test_a_password_file_that_others_can_read(tmp_path):
    environment = pgpass(tmp_path, "*:*:*:*:not-used-1\n", 0o640)
    state = passfile(parse_dsn("host=h", environment=environment), environment)
    assert (state.permissions_too_open, state.matches) == (True, True)


def test_where_the_password_file_is(tmp_path):
    target = parse_dsn("host=h", environment={})
    assert passfile(target, {"HOME": str(tmp_path)}).path == tmp_path / ".pgpass"
    assert passfile(target, {"HOME": str(tmp_path), "PGPASSFILE": "/x"}).path == Path("/x")
    assert passfile(parse_dsn("host=h passfile=/y", environment={}), {"PGPASSFILE": "/x"}).path == Path("/y")
    assert not passfile(target, {"PGPASSFILE": str(tmp_path)}).exists


def test_a_socket_in_the_default_directory_is_localhost_to_the_password_file(tmp_path):
    environment = pgpass(tmp_path, "localhost:*:*:*:some-Secret-1\n")
    assert passfile(parse_dsn("host=/var/run/postgresql", environment=environment), environment).matches


def test_to_options_is_the_reverse_of_to_target():
    options = {
        "host": "a,b",
        "hostaddr": "10.0.0.1,10.0.0.2",
        "port": "7,8",
        "user": "u",
        "password": "p",
        "dbname": "d",
    }
    options |= {"sslmode": "require", "sslpassword": "s3"}
    assert to_options(to_target(options)) == options
    assert "s3" not in repr(to_target(options))
    assert complete(to_target(options), {"PGHOST": "no"}).endpoints[1].host == "b"


@pytest.mark.parametrize(
    ("wrong", "right"),
    [
        ("timeout", "connect_timeout"),
        ("connection_timeout", "connect_timeout"),
        ("connectTimeout", "connect_timeout"),
        ("ssl", "sslmode"),
        ("sslMode", "sslmode"),
        ("ssl_mode", "sslmode"),
        ("username", "user"),
        ("database", "dbname"),
        ("db", "dbname"),
        ("pwd", "password"),
        ("server", "host"),
        ("applicationName", "application_name"),
        ("currentSchema", "options"),
        ("command_timeout", "options"),
        ("server_settings", "options"),
        ("keepalive", "keepalives"),
        ("sslrootcrt", "sslrootcert"),
        ("target_session_attr", "target_session_attrs"),
        ("conect_timeout", "connect_timeout"),
        ("xyzzy", None),
    ],
)
def test_suggestions(wrong, right):
    assert suggest(wrong) == right
    assert right is None or right in KNOWN_PARAMETERS
