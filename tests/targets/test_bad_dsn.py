from __future__ import annotations

import re
import subprocess
import sys

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dbdoctor.errors import ExitCode, UsageError
from dbdoctor.model.target import Target
from dbdoctor.targets.parse import LONGEST, parse_dsn


def refused(text: str) -> UsageError:
    with pytest.raises(UsageError) as caught:
        parse_dsn(text, environment={"HOME": "/nonexistent"})
    assert caught.value.exit_code == ExitCode.USAGE
    return caught.value


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "empty"),
        ("   \t ", "empty"),
        ("\n", "empty"),
        ("C:\\data\\db.sqlite", "file's path"),
        ("\\\\server\\share\\x", "file's path"),
        ("./dbdoctor.toml", "file's path"),
        ("/etc/passwd", "file's path"),
        ("shop.db", "file's path"),
        ("just words", "not a DSN"),
        ("[targets.shop]\ndsn = 'x'\nhost = 'y'", "line break"),
        ("\x7fELF\x02\x01", "control character"),
        ("postgresql://u:p@h/d\0", "NUL"),
        ("host=h\0", "NUL"),
        ("postgresql://u:p%00w@h/d", "%00"),
        ("postgresql://h/d\x1b[31m", "control character"),
        ("host=h \x9b31m", "control character"),
        ("postgresql://h%0Ax/d", "control character"),
        ("postgresql://u:p\ud800@h/d", "UTF-8"),
        ("postgresql://u:%ff@h/d", "UTF-8"),
        ("x" * 1_000_000, "characters"),
        ("postgresql://u:" + "x" * LONGEST + "@h/d", "characters"),
        ("postgresql://u:p@w@h/d", "ambiguous"),
        ("postgresql://u:p/w@h/d", "ambiguous"),
        ("postgresql://u:p?w@h/d", "ambiguous"),
        ("postgresql://u:p#w@h/d", "ambiguous"),
        ("postgresql+psycopg2://u:p@w@h/d", "ambiguous"),
        ("postgresql://h:5432/d?application_name=a@b", "ambiguous"),
        ("mssql+pyodbc://u:p@w@h/d", "ambiguous"),
        ("jdbc:postgresql://u:p@h/d", "user:password@"),
        ("jdbc:sqlserver://u:p@h;x=y", "user:password@"),
        ("jdbc:mysql://h/d", "JDBC"),
        ("jdbc:", "JDBC"),
        ("mysql://u:p@h/d", "`mysql://` is not"),
        ("mysql+pymysql://u:p@h/d", "`mysql://` is not"),
        ("sqlite:///x.db", "`sqlite://` is not"),
        ("http://h/d", "`http://` is not"),
        ("p4ss-w0rd://h", "not the URL of a database"),
        ("://", "not the URL of a database"),
        ("postgresql+nosuch://h/d", "driver"),
        ("mssql+nosuch://h/d", "driver"),
        ("'postgresql://h/d'", "quotation marks"),
        ("DATABASE_URL=postgresql://h/d", "variable's name"),
        ("postgresql://h:99999/d", "1 to 65535"),
        ("postgresql://h:0/d", "1 to 65535"),
        ("postgresql://h:-1/d", "1 to 65535"),
        ("postgresql://h:abc/d", "1 to 65535"),
        ("postgresql://h:\u0661/d", "1 to 65535"),
        ("host=h port=99999", "1 to 65535"),
        ("jdbc:postgresql://h:abc/d", "1 to 65535"),
        ("jdbc:sqlserver://h:99999", "1 to 65535"),
        ("Driver=x;Server=h,99999", "1 to 65535"),
        ("Driver=x;Server=np:h:1433", "comma"),
        ("Host=h;Port=x", "1 to 65535"),
        ("mssql+pyodbc://h:x/d?driver=x", "1 to 65535"),
        ("postgresql://h1:1,h2:2,h3/d?port=1,2", "2 ports cannot be matched to 3 hosts"),
        ("host=h port=1,2", "2 ports cannot be matched to one host"),
        ("host=a,b hostaddr=10.0.0.1", "2 host names"),
        ("postgresql+psycopg2://h1:1,h2:2/d", "SQLAlchemy does not take"),
        ("postgresql://[::1/d", "IPv6"),
        ("postgresql://[]/d", "IPv6"),
        ("postgresql://a b/d", "host names cannot have"),
        ("postgresql://u:p%zz@h/d", "two hexadecimal digits"),
        ("postgresql://h/d?sslmode", "name=value"),
        ("postgresql://h/d?=x", "name=value"),
        ("postgresql://h/d?a=b&&c=d", "name=value"),
        ("host='h", "single quote"),
        ("host=h nonsense", "name=value"),
        ("Driver={x;Server=y", "not closed"),
        ("Driver={x}y;Server=y", "not closed"),
        ('Server=tcp:h;Password="x', "not closed"),
        ('Server=tcp:h;Password="x"y', "not closed"),
        ("Server=tcp:h;nonsense", "name=value"),
        ("mssql+pyodbc:///?odbc_connect=Driver={x};Server=h;UID=u;PWD=a&b=c", "percent-encoded as a whole"),
        ("host=h sslmode=foo", "one of disable, allow, prefer, require, verify-ca, verify-full"),
        ("postgresql://h/d?target_session_attrs=foo", "one of any, read-write"),
        ("postgresql://h/d?connect_timeout=2.5", "whole number"),
        ("postgresql://h/d?connect_timeout=99999999999", "whole number"),
        ("postgresql://h/d?keepalives=x", "whole number"),
        ("postgresql://h/d?sslrootcert=system&sslmode=require", "verify-full"),
        ("postgresql://h/d?ssl_min_protocol_version=TLSv9", "one of TLSv1, "),
        ("postgresql://h/d?require_auth=foo", "require_auth"),
        ("postgresql://h/d?ssl=yes", "`true`"),
        ("postgresql+asyncpg://h/d?ssl=true", "one of disable"),
        ("postgresql+asyncpg://h/d?timeout=soon", "number"),
        ("jdbc:postgresql://h/d?targetServerType=boss", "one of any, primary"),
        ("Host=h;SSL Mode=foo", "one of"),
        ("Host=h;Maximum Pool Size=x", "whole number"),
        ("Driver=x;Server=h;Encrypt=perhaps", "one of yes, no"),
        ("Server=tcp:h;Encrypt=foo", "one of"),
        ("service=shop-1", "service is not defined"),
    ],
)  # fmt: skip
def test_bad_input_gets_one_clear_error(text, words):
    error = refused(text)
    assert words in error.what or words in (error.help or "")
    assert "\n" not in error.what
    assert len(error.what) < 200
    assert error.__cause__ is None


def test_the_way_out_of_an_ambiguous_url_is_told():
    assert "`%40`" in (refused("postgresql://u:p@w@h/d").help or "")


def test_a_url_that_every_parser_reads_alike_is_not_refused():
    for text in (
        "postgresql://u:a:b@h/d",
        "postgresql://u:a;b@h/d",
        "postgresql://u:a,b@h/d",
        "postgresql://u:[a]@h/d",
    ):
        assert parse_dsn(text, environment={}).endpoints[0].host == "h"


# --- fuzz ---------------------------------------------------------------------------------------------------------

SEEDS = (
    "postgresql://u:pw@h1:5432,[::1]:5433/d?sslmode=require&target_session_attrs=read-write",
    "postgresql+asyncpg://u:p%40w@h/d?ssl=require&timeout=5&application_name=x",
    "postgresql+psycopg2:///d?host=h1:1&host=h2:2&options=-c+statement_timeout%3D5s",
    "host=h1,h2 port=1,2 user=u password='a\\'b' dbname=d connect_timeout=5",
    "service=shop",
    "mssql+pyodbc://u:p@h:1433/d?driver=ODBC+Driver+18+for+SQL+Server&Encrypt=yes",
    "mssql+pyodbc:///?odbc_connect=Driver%3D%7Bx%7D%3BServer%3Dh%3BPWD%3D%7Ba%3Bb%7D",
    "Driver={ODBC Driver 18 for SQL Server};Server=tcp:h,1433;UID=u;PWD={a;b}}c};Encrypt=yes",
    "DSN=shop;UID=u;PWD=p",
    'Server=tcp:h,1433;Initial Catalog=d;User ID=u;Password="a;b";Max Pool Size=50',
    "Host=h1:1,h2;Port=5;Username=u;Password='x';SSL Mode=Require;Pooling=false",
    "jdbc:postgresql://h1:1,h2/d?user=u&password=p&ssl=true&currentSchema=s",
    "jdbc:sqlserver://h\\i:1433;databaseName=d;user=u;password={a;b};encrypt=true",
    "C:\\x\\db.sqlite",
)
PIECES = st.sampled_from(
    [*"@:/?#%&;=,{}[]'\"\\ +.-_", "%zz", "%00", "://", "\0", "\n", "\ud800", "é", "99999", "host=", "PWD=", "jdbc:"]
)
ANYTHING = st.text(st.characters(), max_size=60) | st.binary(max_size=60).map(lambda raw: raw.decode("latin-1"))


@st.composite
def mutated(draw: st.DrawFn) -> str:
    text = draw(st.sampled_from(SEEDS))
    for _ in range(draw(st.integers(1, 4))):
        at, upto = draw(st.integers(0, len(text))), draw(st.integers(0, 6))
        text = text[:at] + draw(PIECES) + text[at + upto :]
    return text


@settings(max_examples=10_000, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(ANYTHING | mutated() | mutated() | st.lists(PIECES, max_size=12).map("".join))
def test_whatever_is_typed_gives_a_target_or_a_usage_error(text):
    try:
        target = parse_dsn(text, environment={"HOME": "/nonexistent"})
    except UsageError as error:
        assert str(error)
    else:
        assert isinstance(target, Target)
        assert re.fullmatch(r"(postgresql|mssql)://.*", target.shown, re.DOTALL)


def test_reading_a_dsn_imports_nothing_heavy():
    code = (
        "import sys; before = set(sys.modules); from dbdoctor.targets.parse import parse_dsn;"
        "parse_dsn('postgresql+asyncpg://u:p@h/d?ssl=require&foo=1', environment={});"
        "print(*(m for m in ('sqlalchemy','psycopg2','pyodbc','asyncio','ssl','subprocess','tomllib','json','tempfile','rich')"
        " if m in set(sys.modules) - before))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() == ""
