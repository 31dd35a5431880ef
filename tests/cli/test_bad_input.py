"""Bad input: one clear error, exit 2, never a traceback, never a secret; ten thousand cases and some by hand."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dbdoctor.cli import check_run
from dbdoctor.cli.main import run
from dbdoctor.model import secret as secret_module
from tests.servers.cli import run_dbdoctor

BY_HAND = {
    "empty": "",
    "blank": "   ",
    "windows path": "C:\\data\\shop.db",
    "windows path, other slashes": "C:/data/shop.db",
    "raw @ in the password": "postgresql://app:s3cr@t-pass9@db1/shop",
    "raw / in the password": "postgresql://app:s3cr/t-pass9@db1/shop",
    "raw # in the password": "postgresql://app:s3cr#t-pass9@db1/shop",
    "raw ? in the password": "postgresql://app:s3cr?t-pass9@db1/shop",
    "unknown scheme": "mysql://app:t-pass9@db1/shop",
    "http": "http://app:t-pass9@db1/shop",
    "sqlite": "sqlite:///shop.db",
    "port out of range": "postgresql://app:t-pass9@db1:99999/shop",
    "port is text": "postgresql://app:t-pass9@db1:port/shop",
    "a megabyte": "postgresql://app:t-pass9@db1/" + "x" * 100_000,
    "garbage": "\ufffd\u0001\u0002{}[]<>",
    "bad escape": "postgresql://app:t-pass9%zz@db1/shop",
    "bad sslmode": "postgresql://app:t-pass9@db1/shop?sslmode=perhaps",
    "unbalanced quote": "host=db1 password='t-pass9 user=app",
    "line breaks": "postgresql://app:t-pass9@db1/shop\nmore",
    "no such profile": "shop",
    "no such module": "no_such_module_here:engine",
}


@pytest.mark.parametrize("name", BY_HAND)
def test_one_clear_error(name: str) -> None:
    result = run_dbdoctor("check", BY_HAND[name])
    assert result.exit_code == 2, result.stderr
    assert result.stdout == ""
    assert result.stderr.startswith("error: ")
    assert result.stderr.count("error: ") == 1
    assert "\nhelp: " in result.stderr
    assert "Traceback" not in result.stderr
    assert "t-pass9" not in result.stderr
    assert "s3cr" not in result.stderr
    assert "Error:" not in result.stderr.replace("ModuleNotFoundError:", "")  # the user's own class name is theirs


@pytest.mark.parametrize("text", ["5 parsecs", "-1s", "0s", "2h", "", "1e999s", "nan"])
def test_bad_login_timeout(text: str) -> None:
    result = run_dbdoctor("check", "postgresql://a@127.0.0.1:1/b", f"--login-timeout={text}")
    assert result.exit_code == 2
    assert result.stderr.startswith("error: `--login-timeout`")


def test_nothing_to_check_names_all_the_ways() -> None:
    result = run_dbdoctor("check")
    assert result.exit_code == 2
    for way in ("DBDOCTOR_DSN", "DATABASE_URL", "dbdoctor check demo"):
        assert way in result.stderr


@pytest.fixture(autouse=True)
def _no_probe(monkeypatch: pytest.MonkeyPatch) -> None:
    """In this process nothing is probed: a random name must not be looked up. The one thing here that is not real."""

    def examine_all(*arguments: Any, **keywords: Any) -> Iterator[Any]:
        return iter(())

    monkeypatch.setattr(check_run, "examine_all", examine_all)


NASTY = st.sampled_from("@/:;?#%&={}[]'\"\\ \t\n\x00\x1b\u202e\ud800é漢")
PIECES = st.one_of(
    st.sampled_from(
        [
            *BY_HAND.values(),
            "postgresql://",
            "jdbc:postgresql:",
            "host=",
            "Server=",
            "Driver={",
            "odbc_connect=",
            "service=",
        ]
    ),
    st.text(max_size=20),
    NASTY,
    st.sampled_from(
        ["user", "password", "pass=", "port", ":5432", "@db1", "/shop", "?sslmode=require", "%40", "%", "+asyncpg"]
    ),
)
SECRET = "hunter2-Zq9"


@pytest.mark.timeout(600)
@settings(max_examples=10_000, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    st.lists(PIECES, max_size=6).map("".join), st.sampled_from(["", SECRET]), st.integers(0, 9).map(lambda n: n == 0)
)
def test_never_a_traceback_never_a_secret(text: str, secret: str, debug: bool) -> None:
    if secret:
        text = (
            text.replace("t-pass9", secret) if "t-pass9" in text else f"postgresql://app:{secret}{text[:40]}@db1/shop"
        )
    if "\x00" in text or text.startswith("-"):
        return  # no process can be given such an argument; an option is not a target
    secret_module._known.clear()  # each case is a process of its own, which knows few secrets
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = run(["check", "--no-config", *(["--debug"] if debug else []), text])
    said = out.getvalue() + err.getvalue()
    assert code in (0, 2), (text, said)
    assert debug or "Traceback" not in said
    if code == 2:
        assert out.getvalue() == ""
        assert err.getvalue().startswith("error: ")
    assert SECRET not in said
