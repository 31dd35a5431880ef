"""The plugin of pytest, in runs of pytest of their own."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PLUGINS = ROOT / ".cache" / "python" / "pytest-plugins"
OPTION = "--dbdoctor-leaks"

SHOP = """
from sqlalchemy import create_engine, text
from sqlalchemy.orm import Session
from sqlalchemy.pool import QueuePool

engine = create_engine(
    "sqlite://", poolclass=QueuePool, pool_size=10, max_overflow=10, connect_args={"check_same_thread": False}
)


def total():
    connection = engine.connect()
    connection.execute(text("select 1"))
    return connection


def tidy():
    with engine.connect() as connection:
        return connection.scalar(text("select 1"))
"""


class Project:
    """A directory with shop.py and tests, and what pytest says of it."""

    def __init__(self, place: Path) -> None:
        self.place = place
        (place / "shop.py").write_text(SHOP)
        (place / "pytest.ini").write_text("[pytest]\nfilterwarnings = error\n")

    def write(self, text: str, name: str = "test_it.py") -> None:
        start = "import gc\nimport threading\n\nimport pytest\n\n"
        start += "import shop\nfrom shop import Session, engine, text, tidy, total\n\n"
        (self.place / name).write_text(start + text)

    def run(self, *arguments: str, path: Path | None = None, out: Path | None = None) -> str:
        """What it printed; the last line says `exit N`."""
        paths = [str(self.place), str(ROOT)] + ([str(path)] if path else [])
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths), "XDG_STATE_HOME": str(self.place / "state")}
        # In CI pytest repeats the errors in its summary.
        for name in ("PYTEST_ADDOPTS", "CI", "BUILD_NUMBER"):
            environment.pop(name, None)
        dbdoctor = Path(sys.executable).with_name("dbdoctor")
        recorded: list[str | Path] = [dbdoctor, "run", "--out", out, "--"] if out else []
        words = [
            *recorded,
            sys.executable,
            "-m",
            "pytest",
            "-p",
            "no:cacheprovider",
            "-p",
            "no:randomly",
            "-q",
            *arguments,
        ]
        done = subprocess.run(
            words, cwd=self.place, env=environment, capture_output=True, text=True, timeout=120, check=False
        )
        return f"{done.stdout}{done.stderr}\nexit {done.returncode}"

    def line(self, text: str, name: str = "test_it.py") -> int:
        return 1 + [text in one for one in (self.place / name).read_text().splitlines()].index(True)


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path)


def told(output: str) -> list[str]:
    """What is told of each connection, without the seconds."""
    return [
        re.sub(r"held \d+\.\d s", "held", one)
        for one in re.findall(r"^E? *(connection taken at .*)$", output, re.MULTILINE)
    ]


def test_the_line_that_took_it_is_named(project: Project) -> None:
    project.write(
        "kept = []\n\ndef test_leaves(no_leaked_connections):\n    kept.append(total())\n\n"
        "def test_tidy(no_leaked_connections):\n    tidy()\n\n"
        "def test_not_watched():\n    kept.append(total())\n"
    )
    output = project.run()
    taken = project.line("connection = engine.connect()", "shop.py")
    assert told(output) == [
        f"connection taken at shop.py:{taken} in total, still checked out when the test ended (held)"
    ]
    assert f"called from test_it.py:{project.line('kept.append(total())')} in test_leaves" in output
    assert "3 passed, 1 error" in output
    assert re.search(r"^ERROR test_it.py::test_leaves - Failed: connection taken at shop.py", output, re.MULTILINE)
    assert output.endswith("exit 1")


def test_the_option_watches_every_test(project: Project) -> None:
    project.write(
        "import unittest\n\nkept = []\n\ndef test_leaves():\n    kept.append(total())\n\ndef test_tidy():\n    tidy()\n\n"
        "class Old(unittest.TestCase):\n    def test_old(self):\n        kept.append(total())\n\n"
        "@pytest.mark.parametrize('number', [1, 2])\ndef test_many(number):\n    kept.append(total())\n"
    )
    assert "5 passed" in (without := project.run())
    assert without.endswith("exit 0")
    output = project.run(OPTION)
    assert "5 passed, 4 errors" in output
    assert len(told(output)) == 4


def test_what_the_garbage_collector_returned_was_leaked(project: Project) -> None:
    project.write(
        "def test_dropped():\n    engine.raw_connection().cursor()\n\n"
        "def test_cycle():\n    knot = [total()]\n    knot.append(knot)\n    del knot\n    gc.collect()\n\n"
        "def test_uncollected():\n    knot = [total()]\n    knot.append(knot)\n\n"
        "def test_collects_the_one_before():\n    gc.collect()\n\n"
        "def test_session():\n    Session(engine).execute(text('select 1'))\n"
    )
    output = project.run(OPTION)
    assert "5 passed, 4 errors" in output
    ends = [one.split(", ", 1)[1] for one in told(output)]
    garbage = "left to the garbage collector without being returned (held)"
    out = "still checked out when the test ended (held)"
    # A session and its transaction know each other, so only a run of the garbage collector ends them.
    assert ends == [garbage, garbage, out, out]
    assert f"test_it.py:{project.line('Session(engine)')} in test_session, still" in output


def test_what_fixtures_of_a_wider_scope_took_in_their_setup_may_stay(project: Project) -> None:
    project.write(
        "@pytest.fixture(scope='session')\ndef everybodys():\n    connection = total()\n    yield connection\n"
        "    connection.close()\n\n"
        "@pytest.fixture(scope='module')\ndef modules(everybodys):\n    with total() as connection:\n"
        "        yield connection\n\n"
        "@pytest.fixture\ndef own(modules):\n    connection = total()\n    yield connection\n    connection.close()\n\n"
        "@pytest.fixture\ndef untidy():\n    return total()\n\n"
        "@pytest.fixture(scope='class')\ndef lazily():\n    with Session(engine) as session:\n        yield session\n\n"
        "class TestAll:\n    @classmethod\n    def setup_class(cls):\n        cls.connection = total()\n\n"
        "    @classmethod\n    def teardown_class(cls):\n        cls.connection.close()\n\n"
        "    def test_all(self, everybodys, modules, own):\n        tidy()\n\n"
        "    def test_later(self, own):\n        pass\n\n"
        "    def test_untidy(self, untidy):\n        pass\n\n"
        "    def test_lazily(self, lazily):\n        lazily.execute(text('select 2'))\n\n"
        "    def test_still_lazily(self, lazily):\n        lazily.execute(text('select 3'))\n"
    )
    output = project.run(OPTION)
    # A checkout that a test began is that test's, whosever the session is; and it is told once.
    assert "5 passed, 2 errors" in output
    assert re.findall(r"^ERROR test_it.py::TestAll::(\w+)", output, re.MULTILINE) == ["test_untidy", "test_lazily"]


def test_an_own_failure_is_told_too(project: Project) -> None:
    project.write(
        "def test_fails():\n    connection = total()\n    assert connection is None, 'its own'\n\n"
        "@pytest.fixture\ndef broken():\n    yield\n    raise OSError('in its end')\n\n"
        "kept = []\n\ndef test_fixture_fails(broken):\n    kept.append(total())\n\n"
        "def test_expected():\n    with pytest.raises(ZeroDivisionError):\n        with engine.connect():\n"
        "            1 / 0\n\n"
        "def test_skipped():\n    kept.append(total())\n    pytest.skip('no more')\n\n"
        "@pytest.mark.xfail(strict=True)\ndef test_xfail():\n    kept.append(total())\n    assert False\n"
    )
    output = project.run(OPTION)
    assert "1 failed, 2 passed, 1 skipped, 2 xfailed, 3 errors" in output
    assert "its own" in output
    assert "OSError: in its end" in output
    assert "connections left checked out" in output
    # The one of the test that is expected to fail is part of that, as whatever goes wrong in its end.
    assert len(told(output)) == 3


def test_other_threads(project: Project) -> None:
    project.write(
        "from concurrent.futures import ThreadPoolExecutor\n\nkept = []\n\n"
        "def test_thread_leaks():\n    thread = threading.Thread(target=lambda: kept.append(total()))\n"
        "    thread.start()\n    thread.join()\n\n"
        "def test_pool():\n    with ThreadPoolExecutor(4) as pool:\n        list(pool.map(lambda _: tidy(), range(20)))\n\n"
        "def test_still_at_it():\n    taken = threading.Event()\n\n    def serve():\n        with total():\n"
        "            taken.set()\n"
        "            threading.Event().wait(0.2)\n\n    threading.Thread(target=serve).start()\n    taken.wait()\n"
    )
    output = project.run(OPTION)
    assert "3 passed, 1 error" in output
    assert re.findall(r"^ERROR test_it.py::(\w+)", output, re.MULTILINE) == ["test_thread_leaks"]


ASYNC = """
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import AsyncAdaptedQueuePool

kept = []

async def leaks(engine):
    connection = await engine.connect()
    kept.append(connection)

@pytest.fixture
async def engine(request):
    engine = create_async_engine(request.config.getini("database"), poolclass=AsyncAdaptedQueuePool)
    yield engine
    await engine.dispose()

@MARK
async def test_leaks(engine):
    await leaks(engine)

@MARK
async def test_tidy(engine):
    async with engine.connect() as connection:
        await connection.execute(text("select 1"))
"""


@pytest.mark.parametrize(("mark", "mode"), [("pytest.mark.asyncio", "auto"), ("pytest.mark.anyio", "strict")])
def test_asynchronous(project: Project, postgres, mark: str, mode: str) -> None:
    ini = project.place / "pytest.ini"
    ini.write_text(
        ini.read_text() + f"asyncio_mode = {mode}\nasyncio_default_fixture_loop_scope = function\n"
        f"database = {postgres.dsn(scheme='postgresql+asyncpg')}\n"
    )
    (project.place / "conftest.py").write_text(
        "import pytest\n\ndef pytest_addoption(parser):\n    parser.addini('database', '')\n\n"
        "@pytest.fixture\ndef anyio_backend():\n    return 'asyncio'\n"
    )
    project.write(ASYNC.replace("MARK", mark))
    output = project.run(OPTION, path=PLUGINS)
    taken = project.line("connection = await engine.connect()")
    assert f"connection taken at test_it.py:{taken} in leaks, still checked out" in output
    assert "2 passed, 1 error" in output


def test_workers_and_subtests(project: Project) -> None:
    project.write(
        "kept = []\n\n@pytest.mark.parametrize('number', range(6))\ndef test_some(number):\n"
        "    if number % 2:\n        kept.append(total())\n\n"
        "def test_subtests(subtests):\n    for number in range(3):\n        with subtests.test(number=number):\n"
        "            assert number != 1\n            kept.append(total())\n"
    )
    output = project.run(OPTION, "-n", "2")
    assert "2 failed, 6 passed, 4 errors, 2 subtests passed" in output
    assert len(told(output)) == 5


def test_beside_dbdoctor_run(project: Project) -> None:
    project.write("kept = []\n\ndef test_leaves():\n    kept.append(total())\n")
    out = project.place / "out"
    output = project.run(OPTION, out=out)
    assert "1 passed, 1 error" in output
    assert len(told(output)) == 1
    (written,) = out.glob("*.jsonl")
    assert '"open":1' in written.read_text()
    assert '"end":' in written.read_text()


def test_no_file_is_written(project: Project) -> None:
    project.write("kept = []\n\ndef test_leaves():\n    kept.append(total())\n")
    before = {path for path in project.place.rglob("*") if "__pycache__" not in path.parts}
    assert "1 passed, 1 error" in project.run(OPTION)
    assert {path for path in project.place.rglob("*") if "__pycache__" not in path.parts} == before


def test_what_it_costs_a_project_that_does_not_use_it(project: Project) -> None:
    project.write("")
    (project.place / "test_it.py").write_text(
        "import sys\n\ndef test_modules():\n"
        "    ours = sorted(name for name in sys.modules if name.partition('.')[0] in ('dbdoctor', 'sqlalchemy'))\n"
        "    assert ours == ['dbdoctor', 'dbdoctor.recorder', 'dbdoctor.recorder.pytest_plugin']\n"
    )
    assert project.run().endswith("exit 0")


def test_without_sqlalchemy(project: Project) -> None:
    (project.place / "sqlalchemy.py").write_text("raise ModuleNotFoundError('No module', name='sqlalchemy')\n")
    (project.place / "test_it.py").write_text("def test_nothing(no_leaked_connections):\n    pass\n")
    assert "1 passed" in project.run()
    assert "1 passed" in project.run(OPTION)
