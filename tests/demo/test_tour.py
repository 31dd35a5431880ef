"""The tour as a person takes it: on a terminal, step by step; and that nothing of it stays behind."""

import os
import pty
import re
import select
import shlex
import signal
import subprocess
import sys
import time
import tomllib
from contextlib import closing
from pathlib import Path

import psycopg2
import pytest

from dbdoctor.cli import demo_shell
from dbdoctor.demo.embedded import embedded_postgresql
from dbdoctor.demo.fixes import FIXES
from dbdoctor.demo.shop_owner import open_shop
from tests.demo.place import REPOSITORY, session_environment
from tests.readme import block

SHOP = REPOSITORY / "dbdoctor" / "demo" / "shop"
_PATIENCE = 240.0


def start(place: Path, *options: str, **streams: int) -> "subprocess.Popen[bytes]":
    process: subprocess.Popen[bytes] = subprocess.Popen(
        [sys.executable, "-m", "dbdoctor", "demo", *options],
        cwd=REPOSITORY,
        env=session_environment(place, NO_COLOR="1", COLUMNS="80"),
        start_new_session=True,
        **streams,  # type: ignore[call-overload]
    )
    return process


def outline(text: str) -> list[str]:
    """What must not differ from run to run: steps, commands, verdicts, guilty lines, last lines."""
    kept = []
    for line in map(str.strip, re.sub(r"/tmp/\S+", "", text).splitlines()):
        verdict = re.match(r"(LEAK|ok)\s+(shop-\w+)", line)
        guilty = re.match(r"(?:last )?taken at (shop/\w+\.py:\d+ [\w.]+)", line)
        if line.startswith(("── ", "$ ", "+ ", "- ")):
            kept.append(line)
        elif verdict:
            kept.append(f"{verdict[1]} {verdict[2]}")
        elif guilty:
            kept.append(guilty[1])
        elif line.startswith(("healthy", "idle timeout")):
            kept.append(line.split()[0].rstrip(":"))
    return kept


def assert_nothing_grows(shown: str) -> None:
    """Whoever reads a step for minutes must not find the server full at the next."""
    match = re.search(r"(/\S+)/shop, for as long", shown)
    assert match is not None, shown
    place = Path(match[1])
    dsn = tomllib.loads((place / "dbdoctor.toml").read_text())["targets"]["shop"]["dsn"].replace("+psycopg2", "")
    counts = []
    for seconds in (
        0.0,
        1.0,
        3.0,
    ):  # first what was on its way when the shop closed; then 3 s of the tour add six or more
        time.sleep(seconds)
        with (
            closing(psycopg2.connect(dsn, passfile=str(place / "password"))) as connection,
            connection.cursor() as cursor,
        ):
            cursor.execute("SELECT count(*) FROM pg_stat_activity WHERE application_name ~ '^shop-(orders|invoices)'")
            counts += [count for (count,) in cursor]
    assert counts[2] == counts[1] > 0, counts


def read_until_end(terminal: int, process: "subprocess.Popen[bytes]") -> tuple[str, int]:
    """Everything that the terminal showed, and how often Enter was asked for and pressed."""
    shown, entered = b"", 0
    end = time.monotonic() + _PATIENCE
    while time.monotonic() < end:
        ready, _, _ = select.select([terminal], [], [], 1.0)
        try:
            part = os.read(terminal, 65536) if ready else b""
        except OSError:  # its last process has closed it
            break
        shown += part
        if shown.count(b"Enter goes on") > entered:
            entered += 1
            if entered == 1:
                assert_nothing_grows(shown.decode())
            os.write(terminal, b"\n")
        if not ready and process.poll() is not None:
            break
    text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", shown.decode().replace("\r\n", "\n"))
    return re.sub(r"[^\n]*\r", "", text), entered  # without the progress that was drawn over


@pytest.mark.alone
@pytest.mark.timeout(300)
def test_the_tour_on_a_terminal(place: Path) -> None:
    ours, theirs = pty.openpty()
    process = start(place, "--fast", stdin=theirs, stdout=theirs, stderr=theirs)
    os.close(theirs)
    shown, entered = read_until_end(ours, process)
    os.close(ours)
    assert process.wait(30) == 0, shown[-3000:]
    assert entered >= 6
    recorded = "\n".join(line[4:] for line in block("recorded: demo").splitlines()[1:])
    seen = outline(shown)
    assert [line for line in seen if line[:2] in ("──", "$ ")] == [
        line for line in outline(recorded) if line[:2] in ("──", "$ ")
    ]
    before, after = seen[: (mended := _index(seen, "The code is mended"))], seen[mended:]
    for service in ("orders", "invoices", "payments"):
        assert f"LEAK shop-{service}" in before, shown
        assert any(line.startswith(f"shop/{service}.py:") for line in before), shown
        assert f"LEAK shop-{service}" not in after, shown
    assert not [line for line in before if line.startswith("shop/catalogue.py")]
    assert "idle" in after, shown
    assert "healthy" in after, shown
    assert "Traceback" not in shown


def _index(lines: list[str], text: str) -> int:
    return next(number for number, line in enumerate(lines) if text in line)


def test_the_guilty_lines_are_the_guilty_ones() -> None:
    """What the README says of the tour: the lines named are those that take what is never given back."""
    recorded = block("recorded: demo")
    named = set(re.findall(r"taken at (shop/\w+\.py):(\d+)", recorded))
    assert {name for name, _ in named} == {"shop/orders.py", "shop/invoices.py", "shop/payments.py"}
    for name, number in named:
        line = (SHOP.parent / name).read_text().splitlines()[int(number) - 1]
        assert re.search(r"scalar\(|connect\(\)|execute\(", line), (name, number, line)


def test_every_fix_fits_its_file() -> None:
    for fix in FIXES:
        assert (SHOP / fix.name).read_text().count(fix.old) == 1, fix.name


@pytest.mark.timeout(300)
def test_interrupted_it_leaves_nothing_behind(place: Path) -> None:
    for seconds in (0.4, 2.5, 7.0):
        process = start(place, "--fast", stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        time.sleep(seconds)  # the moment is the test's input: there is no event to wait for
        os.killpg(process.pid, signal.SIGINT)  # as a terminal does it, to the whole foreground group
        _, errors = process.communicate(timeout=60)
        assert process.returncode == 130, errors.decode()
        assert list(place.iterdir()) == [], f"left after {seconds} s"


@pytest.mark.timeout(300)
def test_it_ends_when_nobody_reads_any_more(place: Path) -> None:
    process = start(place, "--fast", stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout is not None and process.stderr is not None
    assert next(line for line in process.stdout if b"small shop" in line)
    process.stdout.close()
    with process.stderr:
        said = process.stderr.read().decode()
    assert process.wait(60) == 0, said
    assert "measuring the idle timeout" not in said


@pytest.mark.timeout(300)
def test_killed_it_leaves_nothing_behind(place: Path) -> None:
    process = start(place, "--shell", stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    assert process.stdout is not None
    directory = next(line for line in process.stdout if b"cd " in line).decode().split()[1]
    process.kill()
    process.communicate(timeout=60)
    end = time.monotonic() + 60
    while any(_inside(pid, directory) for pid in _processes()) or list(place.iterdir()):
        assert time.monotonic() < end, list(place.iterdir())
        time.sleep(0.05)


def _processes() -> list[int]:
    return [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdecimal()]


def _inside(pid: int, directory: str) -> bool:
    try:
        return str(Path(f"/proc/{pid}/cwd").readlink()).startswith(directory)
    except OSError:
        return False


@pytest.mark.timeout(300)
def test_the_shell_can_be_used_from_another_terminal(place: Path) -> None:
    process = start(place, "--shell", stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout is not None
    lines: list[str] = []
    while not any("within two minutes" in line for line in lines):
        line = process.stdout.readline().decode()
        assert line, lines
        lines.append(line.strip())
    directory = next(shlex.split(line)[1] for line in lines if line.startswith("cd "))
    dsn = next(shlex.split(line)[1].partition("=")[2] for line in lines if line.startswith("export "))
    for command in ("check", "trace recordings"):
        done = subprocess.run(
            [sys.executable, "-m", "dbdoctor", *command.split()],
            cwd=directory,
            env={**os.environ, "DBDOCTOR_DSN": dsn},
            capture_output=True,
            check=False,
            text=True,
        )
        assert done.returncode in (0, 1), done.stderr
        assert done.stdout
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 0, errors.decode()
    assert list(place.iterdir()) == []


@pytest.mark.alone
@pytest.mark.timeout(300)
def test_the_shell_restarts_the_shop_before_the_server_is_full(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with embedded_postgresql() as target, open_shop(target, idle_timeout=20.0) as shop:
        shop.start(leak_after="10s", recordings=shop.recordings, slowness=0.2)
        end = time.monotonic() + 60
        while (sessions := shop.sessions()) is not None and sessions < demo_shell.MOST_SESSIONS:
            assert time.monotonic() < end, sessions
            demo_shell.keep_room(shop)
            assert not capsys.readouterr().err
            time.sleep(0.1)
        monkeypatch.setattr(demo_shell, "SLOWNESS", 100.0)
        demo_shell.keep_room(shop)
        assert "restarted it" in capsys.readouterr().err
        after = shop.sessions()
        assert after is not None and after < demo_shell.MOST_SESSIONS / 2, after
