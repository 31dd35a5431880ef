"""The demand from a recorded trace: a file, a compressed one, or stdin; read with its progress shown."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO

from dbdoctor.errors import UsageError
from dbdoctor.model.demand import Trace
from dbdoctor.sizing.trace import read_trace

_HELP = "each line is one checkout: `arrival`, `wait`, `use` and `process`, as CSV with a header or as JSON"
_BAD_SHARE = 0.5


def load_trace(path: Path, progress: Callable[[str], None]) -> Trace:
    """The checkouts of the file, of stdin for `-`. Raises UsageError for what is no trace, with the lines named."""
    try:
        with _opened(path) as lines:
            trace = read_trace(lines, progress=lambda count: progress(f"reading the trace, {count:,} lines"))
    except (OSError, EOFError) as error:
        raise UsageError(
            "the trace could not be read", cause=getattr(error, "strerror", None) or str(error), help=_HELP
        ) from None
    if trace.bad_lines > _BAD_SHARE * (trace.bad_lines + trace.counted):
        raise UsageError(
            f"most lines of the trace could not be read: {trace.bad_lines:,} of {trace.bad_lines + trace.counted:,}",
            cause=bad_lines(trace),
            help=_HELP,
        )
    return trace


def bad_lines(trace: Trace) -> str:
    """The first lines that could not be read, and why."""
    named = "; ".join(f"line {bad.number}: {bad.reason}" for bad in trace.bad)
    more = trace.bad_lines - len(trace.bad)
    return f"{named}; and {more:,} more" if more > 0 else named


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[IO[str]]:
    if str(path) == "-":
        yield sys.stdin
        return
    if path.suffix == ".gz":
        import gzip

        with gzip.open(path, "rt", encoding="utf-8", errors="replace") as packed:
            yield packed
        return
    with path.open(encoding="utf-8", errors="replace") as lines:
        yield lines
