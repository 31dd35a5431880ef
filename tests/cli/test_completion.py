"""What the shell completes: asked for as bash asks, and once by a real bash."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.servers.cli import clean_environment, run_dbdoctor

ROOT = Path(__file__).resolve().parents[2]
FLEET = ROOT / "sample_configs" / "fleet.toml"


def completed(*words: str, cwd: Path | None = None) -> list[str]:
    """What is offered for the last word."""
    asked = {
        "_DBDOCTOR_COMPLETE": "complete_bash",
        "COMP_WORDS": " ".join(("dbdoctor", *words)),
        "COMP_CWORD": str(len(words)),
    }
    result = run_dbdoctor(env=asked, cwd=cwd)
    assert result.exit_code == 0, result.stderr
    assert result.stderr == ""
    return result.stdout.split()


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        (("che",), {"check"}),
        (("explain", "too-many-c"), {"too-many-clients"}),
        (("explain", "silent-drop"), {"silent-drop", "silent-drop-ignores-keepalive"}),
        (("schema", "lea"), {"leaks", "leaks-event"}),
        (("check", "--format", ""), {"text", "json", "github", "junit", "nagios"}),
        (("recommend", "--format", "t"), {"text", "toml"}),
        (("check", "--fail-on", ""), {"error", "warning", "never"}),
        (("leaks", "--group-by", "user,da"), {"user,database"}),
        (("simulate-timeout", "--drop", "half"), {"half-closed"}),
        (("simulate-timeout", "--drop", "silent-drop,half"), {"silent-drop,half-closed"}),
        (("simulate-timeout", "--pool", "recycle-b"), {"recycle-below", "recycle-below+user-timeout"}),
        (("simulate-timeout", "--pool", "default,cur"), {"default,current"}),
        (("recommend", "--server", "gu"), {"gunicorn"}),
        (("recommend", "--idle-timeout", "aws-n"), {"aws-nlb", "aws-nat-gateway"}),
        (("leaks", "--config", str(FLEET), ""), {"checkout", "jobs", "reports", "demo"}),
        (("leaks", "--config", "/no/such/file", ""), {"demo"}),
    ],
)
def test_what_is_offered(words: tuple[str, ...], offered: set[str]) -> None:
    assert offered <= set(completed(*words)), completed(*words)
    assert all(one.startswith(words[-1]) for one in completed(*words))


def test_profiles_of_the_config_that_lies_there(tmp_path: Path) -> None:
    (tmp_path / "dbdoctor.toml").write_text(FLEET.read_text())
    assert completed("check", "j", cwd=tmp_path) == ["jobs"]
    assert completed("check", "--no-config", "", cwd=tmp_path) == ["demo"]


def test_a_word_is_not_offered_twice() -> None:
    assert "user,user" not in completed("leaks", "--group-by", "user,")


def test_a_real_bash(tmp_path: Path) -> None:
    """The script that is printed completes, when a bash takes it."""
    (tmp_path / "bin").mkdir()
    (tmp_path / "home").mkdir()
    (tmp_path / "tmp").mkdir()
    command = tmp_path / "bin" / "dbdoctor"
    command.write_text(f'#!/bin/sh\nexec {sys.executable} -m dbdoctor "$@"\n')
    command.chmod(0o755)
    script = (
        'eval "$(_DBDOCTOR_COMPLETE=source_bash dbdoctor)"\n'
        "COMP_WORDS=(dbdoctor explain too-many-cl); COMP_CWORD=2\n"
        '_dbdoctor_completion dbdoctor\necho "${COMPREPLY[@]}"\ncomplete -p dbdoctor\n'
    )
    environment = clean_environment(tmp_path)
    environment["PATH"] = f"{tmp_path / 'bin'}:{environment['PATH']}"
    done = subprocess.run(
        ["bash", "--norc", "-c", script], capture_output=True, text=True, check=False, env=environment, timeout=60
    )
    assert done.stderr == ""
    assert done.stdout.splitlines() == ["too-many-clients", "complete -o default -F _dbdoctor_completion dbdoctor"]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish", "powershell"])
def test_every_shell_has_its_script(shell: str) -> None:
    result = run_dbdoctor(env={"_DBDOCTOR_COMPLETE": f"source_{shell}"})
    assert result.exit_code == 0
    assert "_DBDOCTOR_COMPLETE" in result.stdout
