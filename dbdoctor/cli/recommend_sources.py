"""The demand from a recorded trace: a file, a compressed one, stdin, or a run's directory; read with its progress shown."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import IO

from dbdoctor.errors import UsageError
from dbdoctor.model.demand import Trace
from dbdoctor.sizing.trace import MOST_KEPT, read_trace

_HELP = "each line is one checkout: `arrival`, `wait`, `use` and `process`, as CSV with a header or as JSON"
_BAD_SHARE = 0.5
_SPARE_DESCRIPTORS = 64


def load_trace(traces: Path | Sequence[Path], progress: Callable[[str], None]) -> Trace:
    """The checkouts of the file, of stdin for `-`, or of the recorder's files: those in a directory, or several.

    Raises UsageError for what is no trace, with the lines named.
    """
    paths = [traces] if isinstance(traces, Path) else list(traces)

    def tell(count: int) -> None:
        progress(f"reading the trace, {count:,} lines")

    try:
        if len(paths) > 1 or paths[0].is_dir():
            trace = _of_run(paths, tell)
        else:
            with _opened(paths[0]) as lines:
                trace = read_trace(lines, progress=tell)
    except FileNotFoundError as error:
        raise UsageError(
            f"the trace could not be read: there is no `{error.filename}`",
            help="name a trace, what `dbdoctor run` recorded, or `-` for stdin",
        ) from None
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


def _of_run(paths: Sequence[Path], tell: Callable[[int], None]) -> Trace:
    from dbdoctor.sizing.recorded import read_recordings
    from dbdoctor.traces.find import by_process, opened, recording_files
    from dbdoctor.traces.read import lines_of

    def lines(path: Path) -> Iterator[bytes]:
        with opened(path) as stream:
            yield from lines_of(stream)

    groups = by_process(recording_files(paths))
    _check_open_files(len(groups))
    sources = [[(path.name, lines(path)) for path in group] for group in groups]
    return read_recordings(sources, most=MOST_KEPT, progress=tell)


def _check_open_files(files: int) -> None:
    """As many files are read at once: raise the limit on open ones as far as it may be. Raises UsageError."""
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = files + _SPARE_DESCRIPTORS
    if soft != resource.RLIM_INFINITY and soft < wanted:
        if hard != resource.RLIM_INFINITY and hard < wanted:
            raise UsageError(
                f"{files:,} recordings are more than can be read at once here ({hard:,} open files)",
                help="put them into one file: `cat DIR/*.jsonl > all.jsonl`",
            )
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


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
