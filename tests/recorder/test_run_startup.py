"""sitecustomize.py: what a Python process sees of it, and that nothing of what it meets reaches the program."""

from __future__ import annotations

import ast
import importlib
import json
import os
import subprocess
import sys
import venv
import zipfile
from pathlib import Path
from typing import Any

import pytest

import dbdoctor
from tests.recorder.running import recordings, run_program, run_python, write

PACKAGE = Path(dbdoctor.__file__).parent
STARTUP = PACKAGE / "recorder" / "startup"
# Asks SQLite for one connection: enough to be recorded.
ONE_CHECKOUT = "from sqlalchemy import create_engine\nwith create_engine('sqlite://').connect(): pass\nprint('done')\n"
SEES = """
import json, os, sys
own = {"PYTHONPATH", "DBDOCTOR_RECORDER"}
environment = {key: value for key, value in os.environ.items() if key not in own}
importers = sorted(sys.path_importer_cache)
print(json.dumps([sys.path, sorted(sys.modules), environment, importers, sys.flags.isolated, os.listdir("/proc/self/fd")]))
"""


def settings_for(out: Path, **changes: Any) -> dict[str, str]:
    """The environment that turns the recorder on."""
    settings = {"out": str(out), "leak_after": 60.0, "sample": 1.0, "most_bytes": 10**7, "package": str(PACKAGE.parent)}
    text = json.dumps({**settings, **changes}, separators=(",", ":"))
    return {"PYTHONPATH": str(STARTUP), "DBDOCTOR_RECORDER": text}


def python(text: str, env: dict[str, str], cwd: Path, executable: str | Path = sys.executable) -> Any:
    """Run a program without `dbdoctor run`, with this environment on top of a clean one."""
    clean = {"PATH": os.environ["PATH"], "HOME": str(cwd), **env}
    return subprocess.run(
        [executable, "-c", text], env=clean, cwd=cwd, capture_output=True, text=True, check=False, timeout=60
    )


def test_the_program_sees_nothing_of_it(tmp_path: Path) -> None:
    without = python(SEES, {"PYTHONPATH": "/some/where"}, tmp_path)
    env = settings_for(tmp_path)
    under = python(SEES, {**env, "PYTHONPATH": f"{STARTUP}:/some/where"}, tmp_path)
    assert json.loads(without.stdout) == json.loads(under.stdout)
    assert without.stderr == under.stderr == ""


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("print('theirs', __name__)", ""),
        ("raise ValueError('no')", "ValueError: no"),
        ("import no_such_module", "no_such_module"),
        ("import sqlalchemy; print('theirs')", ""),
    ],
)
def test_a_hidden_sitecustomize_runs_once_as_without_us(text: str, says: str, tmp_path: Path) -> None:
    place = write(tmp_path / "theirs", sitecustomize=f"print('begins')\n{text}\n")
    program = "import sys; print(getattr(sys.modules.get('sitecustomize'), '__file__', None))"
    without = python(program, {"PYTHONPATH": str(place)}, tmp_path)
    env = settings_for(tmp_path)
    under = python(program, {**env, "PYTHONPATH": f"{STARTUP}:{place}"}, tmp_path)
    assert under.stdout == without.stdout
    assert under.stdout.count("begins") == 1
    assert under.stderr == without.stderr
    assert says in under.stderr


def test_it_can_be_read_by_every_python() -> None:
    text = (STARTUP / "sitecustomize.py").read_text()
    ast.parse(text, feature_version=(3, 4))
    assert text.isascii()
    for word in ('f"', "->", ": str", "nonlocal"):
        assert word not in text, word


def test_until_sqlalchemy_is_imported_nothing_else_is(tmp_path: Path) -> None:
    """The cost of a start is that of one small file."""
    program = "import sys; print(*sorted(sys.modules))"
    assert python(program, settings_for(tmp_path), tmp_path).stdout == python(program, {}, tmp_path).stdout


@pytest.mark.parametrize(
    "before",
    [
        "",
        "import importlib.util; importlib.util.find_spec('sqlalchemy')",
        "import importlib.util; [importlib.util.find_spec('sqlalchemy') for _ in range(3)]",
        "import importlib; importlib.import_module('sqlalchemy.orm')",
        "import threading; t = threading.Thread(target=lambda: __import__('sqlalchemy')); t.start(); import sqlalchemy; t.join()",
    ],
)
def test_every_way_of_importing_turns_it_on(before: str, tmp_path: Path) -> None:
    done = python(f"{before}\n{ONE_CHECKOUT}", settings_for(tmp_path), tmp_path)
    assert (done.stdout, done.stderr) == ("done\n", "")
    assert len(recordings(tmp_path)) == 1


def test_it_lives_with_another_import_hook(tmp_path: Path) -> None:
    """One that asks everybody, as tracers do, in front of us."""
    hook = """
import sys
class Hook:
    def find_spec(self, name, path=None, target=None):
        if name != "sqlalchemy": return None
        for finder in sys.meta_path:
            if finder is not self and (spec := finder.find_spec(name, path, target)):
                return spec
sys.meta_path.insert(0, Hook())
"""
    done = python(hook + ONE_CHECKOUT, settings_for(tmp_path), tmp_path)
    assert (done.stdout, done.stderr) == ("done\n", "")
    assert len(recordings(tmp_path)) == 1


def test_a_failed_import_is_as_without_us_and_the_next_one_counts(tmp_path: Path) -> None:
    broken = tmp_path / "broken" / "sqlalchemy"
    broken.mkdir(parents=True)
    (broken / "__init__.py").write_text("raise RuntimeError('broken')")
    program = f"""
import sys
sys.path.insert(0, {str(broken.parent)!r})
try:
    import sqlalchemy
except RuntimeError as error:
    print(error)
sys.path.pop(0)
{ONE_CHECKOUT}"""
    done = python(program, settings_for(tmp_path), tmp_path)
    assert (done.stdout, done.stderr) == ("broken\ndone\n", "")
    assert len(recordings(tmp_path)) == 1


def test_sqlalchemy_in_a_zip_file(tmp_path: Path) -> None:
    import sqlalchemy

    source = Path(sqlalchemy.__file__).parent
    archive = tmp_path / "all.zip"
    with zipfile.ZipFile(archive, "w") as file:
        for module in source.rglob("*.py"):
            file.write(module, Path("sqlalchemy") / module.relative_to(source))
    env = settings_for(tmp_path)
    env["PYTHONPATH"] += f":{archive}"
    done = python(ONE_CHECKOUT + "import sqlalchemy; print(sqlalchemy.__file__)", env, tmp_path)
    assert str(archive) in done.stdout, done.stderr
    assert len(recordings(tmp_path)) == 1


@pytest.fixture(scope="module")
def foreign(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """(interpreter, libraries) of a virtual environment with SQLAlchemy, and without dbdoctor."""
    import sqlalchemy
    import typing_extensions

    place = tmp_path_factory.mktemp("foreign")
    venv.create(place / "venv", with_pip=False)
    libraries = place / "libraries"
    libraries.mkdir()
    for module in (sqlalchemy, importlib.import_module("greenlet")):
        assert module.__file__
        (libraries / module.__name__).symlink_to(Path(module.__file__).parent)
    (libraries / "typing_extensions.py").symlink_to(typing_extensions.__file__)
    return place / "venv" / "bin" / "python", libraries


@pytest.mark.parametrize(
    ("variable", "reason"),
    [
        ("no JSON", "JSONDecodeError"),
        ("[]", "TypeError"),
        ('{"out":"OUT"}', "KeyError"),
        (
            '{"out":"/proc/none","leak_after":60,"sample":1,"most_bytes":1000000,"package":"PACKAGE"}',
            "FileNotFoundError",
        ),
        ('{"out":"OUT","leak_after":60,"sample":1,"most_bytes":1000000,"package":"OUT"}', "FileNotFoundError"),
    ],
)
def test_what_fails_says_so_once_and_the_program_goes_on(
    variable: str, reason: str, foreign: tuple[Path, Path], tmp_path: Path
) -> None:
    interpreter, libraries = foreign
    variable = variable.replace("OUT", str(tmp_path)).replace("PACKAGE", str(PACKAGE.parent))
    env = {"PYTHONPATH": f"{STARTUP}:{libraries}", "DBDOCTOR_RECORDER": variable}
    done = python(ONE_CHECKOUT, env, tmp_path, interpreter)
    assert (done.returncode, done.stdout) == (0, "done\n")
    assert len(done.stderr.splitlines()) == 1, done.stderr
    assert done.stderr.startswith("dbdoctor: ")
    assert reason in done.stderr


@pytest.mark.parametrize("way", ["PYTHONPATH", ".pth"])
def test_another_virtual_environment_without_dbdoctor(way: str, foreign: tuple[Path, Path], tmp_path: Path) -> None:
    interpreter, libraries = foreign
    env = {}
    if way == "PYTHONPATH":
        env = {"PYTHONPATH": str(libraries)}
    else:
        site = next((interpreter.parent.parent / "lib").glob("python*/site-packages"))
        (site / "libraries.pth").write_text(f"{libraries}\n")
    program = f"{ONE_CHECKOUT}import dbdoctor, sys; print(dbdoctor.__file__, sys.prefix)"
    lacks = python("import dbdoctor", env, tmp_path, interpreter)
    assert "ModuleNotFoundError" in lacks.stderr
    out = tmp_path / "dbdoctor"  # which Python would take for a package
    result = run_program(interpreter, "-c", program, out=out, env=env, cwd=tmp_path)
    assert result.exit_code == 0
    assert result.stdout.startswith("done\n"), result.stderr
    assert str(PACKAGE) in result.stdout
    assert len(recordings(out)) == 1


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["-I"], "`-I`"),
        (["-E"], "`-E`"),
        (["-S"], "`-S`"),
        (["-uI"], "`-I`"),
        (["-W", "ignore", "-I"], "nothing was recorded"),
    ],
)
def test_an_interpreter_that_does_not_listen_is_named(options: list[str], says: str, tmp_path: Path) -> None:
    result = run_program(sys.executable, *options, "-c", "print('done')", out=tmp_path / "out")
    assert (result.exit_code, result.stdout) == (0, "done\n")
    assert says in result.stderr
    assert "attach_all()" in result.stderr


def test_an_empty_environment_is_named(tmp_path: Path) -> None:
    result = run_program("env", "-i", sys.executable, "-c", ONE_CHECKOUT, out=tmp_path / "out")
    assert result.stdout == "done\n"
    assert "`env -i`" in result.stderr


def test_a_script_whose_first_line_has_python_not_listen(tmp_path: Path) -> None:
    script = tmp_path / "tool"
    script.write_text(f"#!{sys.executable} -I\nprint('done')\n")
    script.chmod(0o755)
    result = run_program(script, out=tmp_path / "out")
    assert "first line of tool has `-I`" in result.stderr


@pytest.mark.parametrize("name", ["a", 'quo"ted', "back\\slash", "žluťoučký kůň"])
def test_a_program_without_sqlalchemy_or_without_a_checkout(name: str, tmp_path: Path) -> None:
    assert "none imported SQLAlchemy" in run_python("pass", out=tmp_path / name).stderr
    result = run_python("import sqlalchemy", out=tmp_path / "b")
    assert "no connection asked for" in result.stderr
    assert not list((tmp_path / "b").iterdir())
