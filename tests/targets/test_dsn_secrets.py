from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, assume, example, given, settings
from hypothesis import strategies as st

from dbdoctor.errors import UsageError
from dbdoctor.model import secret as model_secret
from dbdoctor.model.secret import redact
from dbdoctor.model.target import Target
from dbdoctor.targets.parse import parse_dsn
from tests.servers.workspace import workspace

NASTY = "@/:;{}%#?&=+,'\"\\ [].$!|<>~^`()*-_"
SECRETS = st.one_of(
    st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=6, max_size=24),
    st.text(st.sampled_from(NASTY + "abcdefXYZ0123456789"), min_size=6, max_size=24),
    st.text(st.sampled_from("@/:?#&=;" + "kqzw7"), min_size=6, max_size=16),
).filter(lambda text: re.search(r"[0-9]", text) is not None and not text.strip().isdigit())


def keyvalue(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


def braced(text: str) -> str:
    return "{" + text.replace("}", "}}") + "}"


def quoted(text: str) -> str:
    return '"' + text.replace('"', '""') + '"'


def encoded(text: str) -> str:
    return quote(text, safe="")


def raw(text: str) -> str:
    return text


SLOTS: list[tuple[str, Callable[[str], str]]] = [
    ("postgresql://usr:{}@hst/dbs?sslmode=require", encoded),
    ("postgresql://hst/dbs?user=usr&password={}", encoded),
    ("postgresql://hst/dbs?sslpassword={}", encoded),
    ("postgresql+psycopg2://usr:{}@hst:5433/dbs", encoded),
    ("postgresql+psycopg://usr:{}@hst/dbs?foo=1", encoded),
    ("postgresql+asyncpg://usr:{}@hst/dbs?sslmode=require", encoded),
    ("postgresql+pg8000://usr:{}@hst/dbs", encoded),
    ("host=hst user=usr password={} dbname=dbs", keyvalue),
    ("mssql+pyodbc://usr:{}@hst/dbs?driver=x", encoded),
    ("mssql+pymssql://usr:{}@hst/dbs", encoded),
    ("mssql+pyodbc:///?odbc_connect={}", lambda text: encoded(f"Driver={{x}};Server=hst;UID=usr;PWD={braced(text)}")),
    ("Driver={{x}};Server=hst;UID=usr;PWD={};Database=dbs", braced),
    ("DSN=dsn;UID=usr;PWD={}", braced),
    ("Server=tcp:hst;User ID=usr;Password={};Initial Catalog=dbs", quoted),
    ("Host=hst;Username=usr;Password={};Database=dbs", quoted),
    ("jdbc:postgresql://hst/dbs?user=usr&password={}", encoded),
    ("jdbc:sqlserver://hst;user=usr;password={};databaseName=dbs", braced),
]
# The same slots with the password as it is, and places where none belongs.
AS_IT_IS: list[tuple[str, Callable[[str], str]]] = [(template, raw) for template, _ in SLOTS]
WRONG: list[tuple[str, Callable[[str], str]]] = [
    *AS_IT_IS,
    ("mssql+pyodbc:///?odbc_connect=Driver={{x}};Server=hst;UID=usr;PWD={}", raw),
    ("postgresql://usr:{0}@hst/dbs?password={0}", raw),
    ("postgresql://usr:{}@hst/dbs?application_name=app", raw),
    ("postgresql://usr:{}@hst1:1,hst2:2/dbs", raw),
    ("postgresql://hst/dbs?sslmode={}", encoded),
    ("postgresql://hst/dbs?connect_timeout={}", encoded),
    ("postgresql://hst/dbs?port={}", encoded),
    ("postgresql://hst/dbs?timeout={}", encoded),
    ("postgresql://hst/dbs?token={}", encoded),
    ("postgresql+asyncpg://hst/dbs?ssl={}", encoded),
    ("postgresql+asyncpg://hst/dbs?command_timeout={}", encoded),
    ("host=hst port={}", keyvalue),
    ("host=hst sslmode={}", keyvalue),
    ("host=hst password={0} passwort={0}", keyvalue),
    ("service={}", keyvalue),
    ("password={}", raw),
    ("Driver={{x}};Server=hst;Encrypt={}", braced),
    ("Driver={{x}};Server=hst;Pasword={}", braced),
    ("Server=tcp:hst;Encrypt={}", quoted),
    ("Host=hst;Timeout={}", quoted),
    ("Host=hst;Port={}", quoted),
    ("jdbc:sqlserver://hst;encrypt={}", braced),
    ("jdbc:postgresql://hst/dbs?ssl={}", encoded),
    ("jdbc:postgresql://usr:{}@hst/dbs", raw),
    ("{}", raw),
    ("{}://hst/dbs", raw),
    ("mysql://usr:{}@hst/dbs", raw),
]


def _odbc_ini() -> str:
    """A file with the data source that a template names."""
    path = workspace().write(workspace().directory("ini", mode=0o755) / "odbc.ini", "[dsn]\nServer=hst\n", mode=0o644)
    return str(path)


ENVIRONMENT = {"HOME": "/nonexistent", "ODBCSYSINI": "/nonexistent", "ODBCINI": _odbc_ini()}


def said(text: str) -> str:
    """Everything that may be shown of a text: of the Target, or of the error and of all that hangs on it."""
    try:
        target: Target = parse_dsn(text, environment=ENVIRONMENT)
    except UsageError as error:
        assert error.__cause__ is None
        return "\n".join(str(part) for part in (error, error.what, error.cause, error.help, error.args))
    return "\n".join([repr(target), target.shown, *target.notes, repr(target.warnings)])


def fragments(secret: str) -> Iterator[str]:
    yield from {secret[at : at + 4] for at in range(len(secret) - 3)}


def ours(template: str) -> str:
    """What is said however the password looks, and the names in the template."""
    return said(template.format(*["Q9zzzzQ9"] * 2)) + template


def assert_silent(template: str, form: Callable[[str], str], secret: str) -> None:
    text = template.format(*[form(secret)] * 2)
    shown = said(text)
    for fragment in fragments(secret):
        # A fragment that our own sentence has anyway, whatever the password, gives nothing away.
        if fragment in shown:
            assert fragment in BASELINE or fragment in ours(template), (template, fragment)


def baseline() -> str:
    """Every text of ours, collected from the sources: what stands there is no secret."""
    from pathlib import Path

    root = Path(model_secret.__file__).parents[1]
    files = [*root.glob("targets/**/*.py"), *root.glob("model/*.py"), root / "errors.py"]
    return "\n".join(file.read_text() for file in files) + repr(parse_dsn("host=hst", environment={}))


BASELINE = baseline()


@pytest.fixture(autouse=True)
def forget() -> Iterator[None]:
    before = dict(model_secret._known)
    model_secret._known.clear()
    yield
    model_secret._known.clear()
    model_secret._known.update(before)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(secret=SECRETS)
@pytest.mark.parametrize(("template", "form"), SLOTS)
def test_a_password_in_its_place_is_read_and_never_shown(template, form, secret):
    # A control character as it is is refused in every dialect; percent-encoded it is a password like others.
    text = template.format(form(secret))
    try:
        target = parse_dsn(text, environment=ENVIRONMENT)
    except UsageError:
        assert form is not encoded or "odbc" in template
        assert re.search(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]", secret)
    else:
        held = target.secret_parameters.get("sslpassword") or target.password
        assert held is not None
        assert held.reveal() == secret
        assert secret not in redact(f"the driver quoted {secret}")
    assert_silent(template, form, secret)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(secret=SECRETS)
@example(secret="ab1@cd2/ef3@gh4")
@example(secret="kkkk&zzzz=1x")
@example(secret="kkkk@zzzz7")
@example(secret="kkkk7/zzzz@wwww")
@example(secret="kkkk zzzz=7")
@example(secret="kkkk7;zzzz=qqqq")
@example(secret="kkkk7%zzqq")
@pytest.mark.parametrize(("template", "form"), WRONG)
def test_a_password_in_the_wrong_place_or_as_it_is_is_never_shown(template, form, secret):
    # Text that makes a well-formed DSN of its own, of other hosts and users, is what its writer says it is.
    assume(not (form is raw and template == "{}" and "=" in secret))
    assert_silent(template, form, secret)


@pytest.mark.parametrize("place", ["port", "second port"])
def test_a_password_where_the_port_belongs(place):
    for secret in ("hunter2hunter2", "pa55:word", "7up7up", "123456"):
        text = f"postgresql://hst:{secret}/dbs" if place == "port" else f"postgresql://hst:1,hst:{secret}/dbs"
        shown = said(text)
        assert "port" in shown
        assert all(fragment not in shown or fragment in BASELINE for fragment in fragments(secret))
        assert secret not in shown


def test_what_is_not_a_password_is_not_masked_afterwards():
    said("postgresql://app:Hunter2-x@dbhost1:5432/shopdb?application_name=frontend")
    said("host=dbhost1 dbname=shopdb password=Hunter2-x user=frontend")
    assert redact("dbhost1 5432 shopdb frontend app") == "dbhost1 5432 shopdb frontend app"
    assert redact("Hunter2-x") == "***"


def test_a_fault_of_ours_leaves_nothing_to_print(monkeypatch):
    from dbdoctor.targets.dialects import libpq_uri

    def broken(_text: str) -> Target:
        raise RuntimeError("at fault: kkkk7zzzz9 and q8q8q8q8")

    monkeypatch.setattr(libpq_uri, "read", broken)
    with pytest.raises(RuntimeError) as caught:
        parse_dsn("postgresql://u:kkkk7zzzz9@q8q8q8q8@h/d", environment={})
    assert redact(str(caught.value)) == "at fault: *** and ***"
