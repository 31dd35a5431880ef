"""A question on the terminal that stops a command from doing what was not meant."""

from __future__ import annotations

import sys


def can_ask() -> bool:
    """Whether there is somebody to ask: stdin and stderr are a terminal."""
    return sys.stdin is not None and sys.stdin.isatty() and sys.stderr.isatty()


def is_confirmed(question: str) -> bool:
    """Ask on stderr; only `y` and `yes` confirm."""
    sys.stderr.write(f"{question} [y/N] ")
    sys.stderr.flush()
    answer = sys.stdin.readline()
    if not answer.endswith("\n"):  # the end of input: the line is still the question's
        sys.stderr.write("\n")
        sys.stderr.flush()
    return answer.strip().lower() in {"y", "yes"}
