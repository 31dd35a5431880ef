"""Whole lines out of a file that grows, whichever way it is cut."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from dbdoctor.traces.growing import LONGEST_LINE, Lines, open_plain

_TEXT = b"one\n\ntwo\n" + b"x" * (2 * LONGEST_LINE + 10) + b"\nthree\nfour"


@pytest.mark.parametrize("size", [1 << 12, 65537, 1 << 19, LONGEST_LINE])
def test_lines_are_whole_and_one_that_is_too_long_is_left_out(size: int) -> None:
    lines = Lines()
    found = [line for at in range(0, len(_TEXT), size) for line in lines.take(_TEXT[at : at + size])]
    assert found == [b"one", b"", b"two", b"three"]
    assert lines.left_out == 1
    assert lines.take(b"\n") == [b"four"]


def test_another_file_begins_anew() -> None:
    lines = Lines()
    lines.take(b"y" * (LONGEST_LINE + 1))
    lines.forget()
    assert lines.take(b"first\n") == [b"first"]
    lines.take(b"half of a")
    lines.forget()
    assert lines.take(b"first\n") == [b"first"]


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(OSError, match="not a plain file"):
        open_plain(tmp_path / "pipe")
