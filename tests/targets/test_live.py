import subprocess
import sys
import textwrap
from collections.abc import Callable

import pytest

from dbdoctor.errors import ApplicationError, UsageError
from dbdoctor.model.pool import PoolSettings
from dbdoctor.model.target import Endpoint, Target, TargetWarning
from dbdoctor.targets.live import load_live

PASSWORD = "p@ss/w:rd%#?"
URL = "postgresql+psycopg2://app:p%40ss%2Fw%3Ard%25%23%3F@db1:6000/shop"
ENVIRONMENT = {"HOME": "/nonexistent"}


@pytest.fixture
def app(tmp_path):
    def write(code: str, name: str = "shopapp.py") -> None:
        file = tmp_path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(textwrap.dedent(code))

    def load(reference: str = "shopapp:x", code: str | None = None) -> Target:
        if code is not None:
            write(code)
        return load_live(reference, directory=tmp_path, environment=ENVIRONMENT)

    def error(reference: str = "shopapp:x", code: str | None = None) -> ApplicationError:
        with pytest.raises(ApplicationError) as caught:
            load(reference, code)
        return caught.value

    load.write, load.error, load.directory = write, error, tmp_path  # type: ignore[attr-defined]
    return load


ENGINE = f"""
from sqlalchemy import create_engine
engine = create_engine({URL!r}, pool_size=7, max_overflow=3, pool_recycle=280, pool_timeout=12.5, pool_pre_ping=True)
"""
ASYNC = f"""
from sqlalchemy.ext.asyncio import create_async_engine
engine = create_async_engine({URL.replace("psycopg2", "asyncpg")!r}, pool_size=7, max_overflow=3)
"""
FORMS = {
    "engine": "x = engine",
    "factory": "def x(): return engine",
    "sessionmaker": "from sqlalchemy.orm import sessionmaker\nx = sessionmaker(bind=engine)",
    "scoped": "from sqlalchemy.orm import sessionmaker, scoped_session\nx = scoped_session(sessionmaker(bind=engine))",
    "session": "from sqlalchemy.orm import Session\nx = Session(engine)",
    "session factory": "from sqlalchemy.orm import Session\ndef x(): return Session(engine)",
    "options": "x = engine.execution_options(isolation_level='AUTOCOMMIT')",
}


@pytest.mark.parametrize("form", FORMS)
def test_everything_with_an_engine_behind_it(app, form):
    target = app(code=ENGINE + FORMS[form])
    assert target.shown == "postgresql://app@db1:6000/shop"
    assert target.password is not None
    assert target.password.reveal() == PASSWORD
    assert target.driver == "psycopg2"
    assert target.pool == PoolSettings(7, 3, 12.5, 280, True, False, "QueuePool")
    assert (target.warnings, target.notes) == ((), ())


@pytest.mark.parametrize(
    "form",
    [
        "x = engine",
        "from sqlalchemy.ext.asyncio import async_sessionmaker\nx = async_sessionmaker(engine)",
        "from sqlalchemy.ext.asyncio import AsyncSession\nx = AsyncSession(engine)",
        "import sqlalchemy.orm, sqlalchemy.ext.asyncio as a\nx = sqlalchemy.orm.sessionmaker(engine, class_=a.AsyncSession)",
    ],
)
def test_async_forms(app, form):
    pytest.importorskip("asyncpg")
    target = app(code=ASYNC + form)
    assert target.shown == "postgresql://app@db1:6000/shop"
    assert target.password is not None
    assert target.password.reveal() == PASSWORD
    assert target.driver == "asyncpg"
    assert target.pool is not None
    assert (target.pool.pool_class, target.pool.pool_size) == ("AsyncAdaptedQueuePool", 7)
    assert any("psycopg2" in note for note in target.notes)


@pytest.mark.parametrize(
    "code",
    [f"x = {URL!r}", f"def x(): return {URL!r}", f"from sqlalchemy.engine import make_url\nx = make_url({URL!r})"],
)
def test_urls(app, code):
    target = app(code=code)
    assert target.password is not None
    assert (target.shown, target.password.reveal()) == ("postgresql://app@db1:6000/shop", PASSWORD)


def test_dotted_attributes_and_packages(app):
    app.write("", "shop/__init__.py")
    app.write(ENGINE + "class Database:\n    write = engine\n", "shop/data/db.py")
    assert app("shop.data.db:Database.write").database == "shop"


def test_source_layout_and_call_brackets(app):
    app.write(ENGINE + "def make(): return engine\n", "src/shop_in_src/db.py")
    assert app("shop_in_src.db:make()").database == "shop"


def connect_args(app: Callable[..., Target], text: str, url: str = URL) -> Target:
    return app(code=f"from sqlalchemy import create_engine\nx = create_engine({url!r}, connect_args={text})")


def test_connect_args_win_over_the_url(app):
    target = connect_args(
        app,
        "{'host': 'db2', 'password': 'other', 'application_name': 'b', 'keepalives_idle': 30}",
        URL + "?application_name=a&sslmode=require",
    )
    assert target.endpoints == (Endpoint("db2", 6000),)
    assert target.password is not None
    assert target.password.reveal() == "other"
    assert target.parameters["application_name"] == "b"
    assert target.parameters["sslmode"] == "require"
    assert target.parameters["keepalives_idle"] == "30"


def test_an_option_that_psycopg2_does_not_know(app):
    target = connect_args(app, "{'timeout': 3, 'ssl': True, 'cursor_factory': None}")
    assert target.warnings[0] == TargetWarning("unknown-driver-option", "timeout", "connect_timeout", fatal=True)
    assert [warning.subject for warning in target.warnings] == ["timeout", "ssl"]


def test_secret_arguments_stay_secret(app):
    target = connect_args(app, "{'sslpassword': 'hunter2-key', 'password': 'hunter2-pw'}")
    assert "hunter2" not in repr(target)
    assert target.secret_parameters["sslpassword"].reveal() == "hunter2-key"


def test_asyncpg_arguments(app):
    pytest.importorskip("asyncpg")
    target = app(
        code=f"""
        import ssl
        from sqlalchemy.ext.asyncio import create_async_engine
        x = create_async_engine({URL.replace("psycopg2", "asyncpg")!r}, connect_args={{
            "timeout": 2.5, "command_timeout": 9, "ssl": ssl.create_default_context(), "connect_timeout": 3,
            "server_settings": {{"application_name": "shop", "jit": "off", "search_path": "a b"}},
        }})
        """
    )
    assert target.parameters["connect_timeout"] == "3"
    assert target.parameters["sslmode"] == "verify-full"
    assert target.parameters["application_name"] == "shop"
    assert target.parameters["options"] == "-c jit=off -c search_path=a\\ b"
    assert [(w.subject, w.remedy) for w in target.warnings] == [("connect_timeout", "timeout")]


def test_sql_server(app):
    target = app(
        code="""
        from types import SimpleNamespace
        from sqlalchemy import create_engine
        # A stand-in for pyodbc, which is not even imported where Debian's unixodbc is missing; nothing calls it.
        driver = SimpleNamespace(paramstyle="qmark", version="5.1.0", pooling=False, Cursor=object)
        x = create_engine("mssql+pyodbc://sa:p%40w@sql1:1433/shop?driver=ODBC+Driver+18+for+SQL+Server",
                          connect_args={"timeout": 7, "Encrypt": "no"}, pool_size=2,
                          module=driver)
        """
    )
    assert target.shown == "mssql://sa@sql1:1433/shop"
    assert target.parameters["Encrypt"] == "no"
    assert any("7 s" in note for note in target.notes)
    assert target.pool is not None
    assert target.pool.pool_size == 2


SERVERLESS = """
from types import SimpleNamespace
from sqlalchemy import create_engine
driver = SimpleNamespace(paramstyle="qmark", version="5.1.0", pooling=False, Cursor=object)
x = create_engine("mssql+pyodbc://", module=driver, {arguments})
"""


def test_a_server_that_only_connect_args_name(app):
    target = app(code=SERVERLESS.format(arguments="connect_args={'server': 'sql1,1500', 'uid': 'app'}"))
    assert target.shown == "mssql://app@sql1:1500"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ("pool_size=2", "the target names no server"),
        ("creator=lambda: 1 / 0", "names no server: the engine's URL has none"),
    ],
)
def test_an_engine_without_a_server_is_one_clear_error(app, arguments, words):
    with pytest.raises(UsageError, match=words):
        app(code=SERVERLESS.format(arguments=arguments))


@pytest.mark.parametrize(
    ("pool", "expected"),
    [
        ("NullPool", PoolSettings(None, None, None, -1, False, None, "NullPool")),
        ("StaticPool", PoolSettings(None, None, None, -1, False, None, "StaticPool")),
        ("SingletonThreadPool", PoolSettings(5, None, None, -1, False, None, "SingletonThreadPool")),
    ],
)
def test_other_pools(app, pool, expected):
    target = app(code=f"from sqlalchemy import create_engine, pool\nx = create_engine({URL!r}, poolclass=pool.{pool})")
    assert target.pool == expected


def test_what_cannot_be_read_is_noted(app):
    creator = app(code=f"from sqlalchemy import create_engine\nx = create_engine({URL!r}, creator=lambda: 1 / 0)")
    assert any("creator" in note for note in creator.notes)
    event = app(
        code=ENGINE + "from sqlalchemy import event\nx = engine\n@event.listens_for(x, 'do_connect')\ndef f(*a): pass\n"
    )
    assert any("do_connect" in note for note in event.notes)


def test_nothing_is_connected(app):
    code = (
        ENGINE
        + "import psycopg2\ndef refuse(*a, **k): raise SystemExit('connected')\npsycopg2.connect = refuse\nx = engine"
    )
    import psycopg2

    real = psycopg2.connect
    try:
        assert app(code=code).database == "shop"
    finally:
        psycopg2.connect = real


# --- the import itself ---


def test_twice_in_one_process_without_stale_modules(app):
    app.write("name = 'one'", "shopconf.py")
    code = "from shopconf import name\nx = f'postgresql://h/{name}'"
    before = set(sys.modules), list(sys.path), list(sys.argv)
    assert app(code=code).database == "one"
    app.write("name = 'two'", "shopconf.py")
    assert app().database == "two"
    assert (set(sys.modules), sys.path, sys.argv) == before
    assert not (app.directory / "__pycache__").exists()


def test_a_module_with_the_name_of_one_of_ours(app):
    import colorsys

    app.write("x = 'postgresql://h/mine'", "colorsys.py")
    assert app("colorsys:x").database == "mine"
    assert sys.modules["colorsys"] is colorsys


def test_what_the_module_prints_goes_to_stderr(app):
    app.write(
        "import os, subprocess\nprint('from python')\nos.write(1, b'from C\\n')\n"
        "subprocess.run(['echo', 'from a child'])\nx = 'postgresql://h/d'"
    )
    code = (
        "import sys; from pathlib import Path; from dbdoctor.targets.live import load_live;"
        "print(load_live('shopapp:x', directory=Path(sys.argv[1]), environment={}).database)"
    )
    done = subprocess.run([sys.executable, "-c", code, str(app.directory)], capture_output=True, text=True, check=True)
    assert done.stdout == "d\n"
    assert sorted(done.stderr.split("\n")) == ["", "from C", "from a child", "from python"]


# --- what goes wrong ---


@pytest.mark.parametrize(
    ("code", "what", "cause"),
    [
        (
            "import os\nurl = os.environ['NO_SUCH_VARIABLE']",
            "could not import `shopapp`",
            "KeyError: 'NO_SUCH_VARIABLE' (shopapp.py:2)",
        ),
        (
            "import no_such_package",
            "could not import `shopapp`",
            "ModuleNotFoundError: No module named 'no_such_package' (shopapp.py:1)",
        ),
        ("x = = 1", "could not import `shopapp`", "SyntaxError: invalid syntax (shopapp.py:1)"),
        ("import sys\nsys.exit(3)", "could not import `shopapp`", "it called exit(3) (shopapp.py:2)"),
        ("def x():\n    return 1 / 0", "`shopapp:x()` failed", "ZeroDivisionError: division by zero (shopapp.py:2)"),
        ("import json\ndef f(): json.loads('[')\nf()", "could not import `shopapp`", None),
    ],
)
def test_the_users_own_error(app, code, what, cause):
    error = app.error(code=code)
    assert error.what == what
    assert error.help
    if cause is None:
        assert "JSONDecodeError" in error.cause
        assert error.cause.endswith("(shopapp.py:2)")
    else:
        assert error.cause == cause


@pytest.mark.parametrize(
    ("code", "what", "help"),
    [
        ("engin = 1", "`shopapp` has no attribute `engine`", "`engin`"),
        ("engine = 5", "`shopapp:engine` is an int", "name an Engine"),
        ("engine = None", "`shopapp:engine` is a NoneType", "AsyncEngine"),
        ("def engine(url): ...", "cannot be called without arguments", ""),
        ("async def engine(): ...", "coroutine or a generator", ""),
        ("def engine():\n    yield 1", "coroutine or a generator", ""),
        ("from sqlalchemy.orm import sessionmaker\nengine = sessionmaker()", "is bound to no engine", "module:engine"),
        ("class engine: ...", "is a type", ""),
    ],
)
def test_other_kinds_of_things(app, code, what, help):
    error = app.error("shopapp:engine", code)
    assert what in error.what
    assert help in error.help


def test_modules_that_are_not_there(app):
    app.write("", "shop/__init__.py")
    app.write("", "shop/database.py")
    assert "`shop.database:x`" in app.error("shop.databse:x").help
    assert "no module `nowhere`" in app.error("nowhere:x").what


@pytest.mark.parametrize(
    "code",
    [
        "raise ValueError('could not parse postgresql://app:hunter2@db/shop')",
        "raise ValueError('password=hunter2 is wrong')",
        "raise ValueError('unexpected hunter2')",
    ],
)
def test_no_secret_of_the_users_error(app, code, monkeypatch):
    if "unexpected" in code:
        monkeypatch.setenv("SHOP_PASSWORD", "hunter2")
    error = app.error(code=code)
    assert "hunter2" not in error.cause
    assert "***" in error.cause


def test_interrupt_passes(app):
    with pytest.raises(KeyboardInterrupt):
        app(code="raise KeyboardInterrupt")


def test_a_url_that_is_none(app):
    with pytest.raises(UsageError):
        app(code="x = 'not a url'")
