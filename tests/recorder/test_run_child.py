"""A program under `dbdoctor run` is started as without it, gets the signals that were meant for it, and its end is ours."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.servers.cli import DBDOCTOR, Running, run_dbdoctor, start_dbdoctor
from tests.servers.terminal import run_on_terminal
from tests.servers.waiting import wait_until

# Counts the signals it is named; a line on stdin has it say which came, and end.
COUNTING = """
import os, select, signal, sys
waking, wakes = os.pipe()
os.set_blocking(wakes, False)
signal.set_wakeup_fd(wakes)  # or a signal just before the wait would be seen only after it
seen = []
for number in map(int, sys.argv[1:]):
    signal.signal(number, lambda number, _: seen.append(number))
print("ready", flush=True)
while 0 not in select.select([0, waking], [], [])[0]:
    for number in os.read(waking, 100):
        print("got", number, flush=True)
print("all", *seen, flush=True)
"""
# What a program sees of how it was started: signals, directory, descriptors. Not of Python, which ignores signals itself.
STATE = r"""
state="$(grep -E '^Sig(Blk|Ign)' /proc/$$/status) $(pwd)"
for number in 0 1 2 3 4 5 6 7 8 9; do
    state="$state $number=$(readlink /proc/$$/fd/$number)"
done
echo $state >> "$SAYS"
"""
# Two that the C library keeps for itself, and sets anew in what it starts.
INTERNAL = 0b11 << 31


def state_of(line: str) -> tuple[int, int, str]:
    """(blocked, ignored, the rest) of what STATE wrote."""
    _, blocked, _, ignored, rest = line.split(" ", 4)
    # The shell's own pipe from readlink takes the first free number.
    return int(blocked, 16), int(ignored, 16) & ~INTERNAL, re.sub(r"pipe:\[\d+\]", "", rest)


@pytest.mark.parametrize(
    ("command", "code", "said"),
    [
        (["true"], 0, ""),
        (["sh", "-c", "exit 77"], 77, ""),
        (["sh", "-c", "exit 255"], 255, ""),
        (["no-such-command"], 127, "error: there is no command no-such-command"),
        (["./no-such-file"], 127, "error: there is no command ./no-such-file"),
        (["/etc"], 126, "error: cannot run /etc"),
        (["/etc/passwd"], 126, "error: cannot run /etc/passwd\n  cause: Permission denied"),
        (["sh", "-c", "kill -TERM $$"], -signal.SIGTERM, ""),
        (["sh", "-c", "kill -KILL $$"], -signal.SIGKILL, ""),
        (["sh", "-c", "kill -SEGV $$"], -signal.SIGSEGV, ""),
        (["sh", "-c", "kill -QUIT $$"], -signal.SIGQUIT, ""),
        (["sh", "-c", "kill -INT $$"], -signal.SIGINT, ""),
        (["sh", "-c", "kill -HUP $$"], -signal.SIGHUP, ""),
        (["sh", "-c", "kill -USR1 $$"], -signal.SIGUSR1, ""),
        (["sh", "-c", "kill -PIPE $$"], -signal.SIGPIPE, ""),
    ],
)
def test_the_exit_code_is_the_commands(command: list[str], code: int, said: str) -> None:
    result = run_dbdoctor("run", "--", *command)
    assert result.exit_code == code, result.stderr
    assert said in result.stderr
    assert not [file for file in result.left_behind if file.endswith("core")]


@pytest.mark.parametrize(
    "words",
    [
        ["run"],
        ["run", "--"],
        ["run", "--", ""],
        ["run", "--sample", "0", "true"],
        ["run", "--sample", "nan", "true"],
        ["run", "--sample", "1.5", "true"],
        ["run", "--leak-after", "soon", "true"],
        ["run", "--leak-after", "0s", "true"],
        ["run", "--max-size", "64", "true"],
        ["run", "--max-size", "1kB", "true"],
        ["run", "--out", "/etc/passwd", "true"],
        ["run", "--out", "/no/such/place/run.jsonl", "true"],
        ["run", "--out", "/dev/null/x", "true"],
        ["run", "--no-such-option", "true"],
    ],
)
def test_our_own_usage_errors_start_nothing(words: list[str]) -> None:
    result = run_dbdoctor(*words)
    assert result.exit_code == 2
    assert result.stderr.startswith("error: ")
    assert not result.left_behind


@pytest.mark.parametrize("dashes", [["--"], []])
def test_options_of_the_command_are_not_ours(dashes: list[str]) -> None:
    result = run_dbdoctor("run", *dashes, "printf", "%s|", "--help", "--quiet", "--", "-h", "--debug", "--out")
    assert result.stdout == "--help|--quiet|--|-h|--debug|--out|"
    assert result.exit_code == 0


@pytest.mark.parametrize("word", ["PGPASSWORD=geheim", "postgresql://shop:geheim@db1/shop", "/tmp:geheim://x"])
def test_a_word_that_may_hold_a_password_is_not_told(word: str) -> None:
    result = run_dbdoctor("run", "--", word, "true")
    assert result.exit_code == 127, result.stderr
    assert result.stderr.startswith("error: ")
    assert "geheim" not in result.stderr


def test_a_script_without_a_first_line_is_the_shells(tmp_path: Path) -> None:
    script = tmp_path / "plain"
    script.write_text('echo "$1"; exit 5\n')
    script.chmod(0o755)
    result = run_dbdoctor("run", "--", script, "word")
    assert (result.exit_code, result.stdout) == (5, "word\n")


def test_a_script_whose_interpreter_is_missing(tmp_path: Path) -> None:
    script = tmp_path / "odd"
    script.write_text("#!/no/such/python\n")
    script.chmod(0o755)
    result = run_dbdoctor("run", "--", script)
    assert result.exit_code == 127
    assert "interpreter" in result.stderr


PASSED_ON = ["INT", "TERM", "HUP", "QUIT", "USR1", "USR2", "WINCH", "TTIN", "TTOU", "CONT"]


@pytest.mark.parametrize("name", PASSED_ON)
def test_a_signal_sent_to_us_alone_reaches_the_command_once(name: str, tmp_path: Path) -> None:
    number = int(signal.Signals[f"SIG{name}"])
    asking, telling = os.pipe()
    with subprocess.Popen(
        [*DBDOCTOR, "run", "--quiet", "--out", tmp_path / "out", "--", sys.executable, "-c", COUNTING, str(number)],
        stdin=asking,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as process:
        os.close(asking)
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        process.send_signal(number)
        assert process.stdout.readline() == f"got {number}\n"
        os.close(telling)
        assert process.stdout.read() == f"all {number}\n"
        assert process.wait(30) == 0


def test_ctrl_c_reaches_the_command_once_and_we_wait(tmp_path: Path) -> None:
    def press(running: Running, keys: int) -> None:
        running.wait_for("ready")
        os.write(keys, b"\x03")
        running.wait_for("got 2")
        os.write(keys, b"\n")

    command = [sys.executable, "-c", COUNTING, str(int(signal.SIGINT))]
    done = run_on_terminal("run", "--quiet", "--out", tmp_path / "out", "--", *command, after_start=press)
    assert "all 2" in done.screen, done.screen
    assert done.exit_code == 0


def test_a_quit_key_reaches_the_command_once(tmp_path: Path) -> None:
    def press(running: Running, keys: int) -> None:
        running.wait_for("ready")
        os.write(keys, b"\x1c")
        running.wait_for("got 3")
        os.write(keys, b"\n")

    command = [sys.executable, "-c", COUNTING, str(int(signal.SIGQUIT))]
    done = run_on_terminal("run", "--quiet", "--out", tmp_path / "out", "--", *command, after_start=press)
    assert "all 3" in done.screen, done.screen


def test_ctrl_c_ends_both_when_the_command_does_not_handle_it() -> None:
    def press(running: Running, keys: int) -> None:
        running.wait_for("ready")
        os.write(keys, b"\x03")

    done = run_on_terminal("run", "--", "sh", "-c", "echo ready; exec sleep 100", after_start=press)
    assert done.exit_code == -signal.SIGINT
    assert "interrupted" not in done.drawn


def test_killing_us_does_not_harm_the_command(tmp_path: Path) -> None:
    with subprocess.Popen(
        [*DBDOCTOR, "run", "--out", tmp_path / "out", "--", sys.executable, "-c", COUNTING, "10"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stdin is not None
        assert process.stdout.readline() == "ready\n"
        process.kill()
        process.wait(10)
        process.stdin.write("\n")
        process.stdin.flush()
        assert process.stdout.readline() == "all\n"


@pytest.mark.parametrize(
    ("shell", "what"),
    [
        ("exec {command}", "plainly"),
        ("trap '' HUP USR1; exec {command}", "with ignored signals"),
        ("exec {command} 3</dev/null 7</etc/hosts", "with more descriptors"),
        ("exec {command} <&-", "without stdin"),
        ("exec {command} >&-", "without stdout"),
        ("exec {command} 2>&-", "without stderr"),
    ],
)
def test_a_command_finds_what_it_would_find_without_us(shell: str, what: str, tmp_path: Path) -> None:
    says, script = tmp_path / "says", tmp_path / "state.sh"
    script.write_text(STATE)
    plain = f"sh {script}"
    ours = f"{' '.join(DBDOCTOR)} run --quiet --out {tmp_path / 'out'} -- {plain}"
    for command in (plain, ours):
        subprocess.run(
            ["sh", "-c", shell.format(command=command)],
            env={**os.environ, "SAYS": str(says)},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            check=False,
        )
    without, under = (state_of(line) for line in says.read_text().splitlines())
    assert without == under, what


def test_it_is_in_our_process_group_and_session(tmp_path: Path) -> None:
    code = "import os; print(os.getpgid(0) == os.getpgid(os.getppid()), os.getsid(0) == os.getsid(os.getppid()))"
    result = run_dbdoctor("run", "--quiet", "--out", tmp_path / "out", "--", sys.executable, "-c", code)
    assert result.stdout == "True True\n"


def test_orphans_of_a_container_are_not_mistaken_for_the_command(tmp_path: Path) -> None:
    """As the first process of a container we inherit them: the exit code stays the command's."""
    script = "(sh -c 'sleep 0.1; exit 9' &) ; sleep 0.3; exit 4"
    result = run_dbdoctor(
        "run", "--quiet", "--", "sh", "-c", script, prefix=("unshare", "--pid", "--fork", "--mount-proc")
    )
    assert result.exit_code == 4, result.stderr


def test_signals_before_the_command_is_there_are_not_lost(tmp_path: Path) -> None:
    """A signal at any moment of the start ends us or the command, never neither."""
    for number in range(5):
        out = tmp_path / str(number)
        with start_dbdoctor("run", "--quiet", "--out", out, "--", "sleep", "100") as running:
            wait_until(out.exists, "the start")
            running.send_signal(signal.SIGTERM)
            assert running.finish(20).exit_code in {-signal.SIGTERM, 130}
