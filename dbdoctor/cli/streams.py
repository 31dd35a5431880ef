"""stdout and stderr that may be closed, full, abandoned by their reader, or of an encoding that knows few letters."""

from __future__ import annotations

import io
import os
import sys
from typing import TYPE_CHECKING, TextIO

from dbdoctor.errors import UsageError

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

_STANDARD = (0, 1, 2)
# Those that were closed when the process began; a program that `run` starts finds them so, too.
closed_at_start: list[int] = []


def prepare_streams() -> None:
    """Make sys.stdout and sys.stderr streams that can always be written to; for `main` alone, once.

    What a reader that went away (`| head -1`) did not take is dropped, and the exit code stays the verdict's. Any other
    failure to write stdout raises UsageError, exit code 2: neither our fault nor the database's, but of where the user
    sent the result. A failure to write stderr is dropped: there is no place left to tell it.
    """
    _open_closed_ones()
    sys.stdout = _stream(sys.stdout, 1, _Result)
    sys.stderr = _stream(sys.stderr, 2, _Messages)


def reader_is_gone() -> bool:
    """Whether nobody will ever read stdout (`| head -1` has ended): what goes on for hours may end then."""
    import select

    poller = select.poll()
    try:
        poller.register(sys.stdout.fileno(), 0)  # errors are told without being asked for
        return any(event & select.POLLERR for _, event in poller.poll(0))
    except (OSError, ValueError):
        return False


class _Messages(io.FileIO):
    """A descriptor whose first failure to be written is its last: from then on everything is dropped."""

    gone = False

    def write(self, data: ReadableBuffer, /) -> int:
        if self.gone:
            return memoryview(data).nbytes
        try:
            while (count := super().write(data)) is None:
                self._wait()
        except OSError as error:
            self.gone = True
            self._failed(error)
            return memoryview(data).nbytes
        return count

    def _wait(self) -> None:
        """Another process may have made the pipe non-blocking; a full one is then waited for."""
        import select

        poller = select.poll()
        poller.register(self.fileno(), select.POLLOUT)
        poller.poll()

    def _failed(self, error: OSError) -> None:
        """Nothing to be done."""


class _Result(_Messages):
    def _failed(self, error: OSError) -> None:
        if isinstance(error, BrokenPipeError):
            return
        raise UsageError(
            "cannot write the result",
            cause=error.strerror,
            help="send it somewhere else, for example `dbdoctor ... > FILE`",
        ) from None


def _open_closed_ones() -> None:
    """Put /dev/null where a standard descriptor is closed, so that no socket of ours takes its number."""
    while (descriptor := os.open(os.devnull, os.O_RDWR)) in _STANDARD:
        closed_at_start.append(descriptor)
        os.set_inheritable(descriptor, True)
    os.close(descriptor)


def _stream(given: TextIO | None, descriptor: int, kind: type[_Messages]) -> TextIO:
    encoding = getattr(given, "encoding", None) or "utf-8"
    buffer = io.BufferedWriter(kind(descriptor, "w", closefd=False))
    lines = descriptor == 2 or buffer.isatty()
    return io.TextIOWrapper(buffer, encoding=encoding, errors="backslashreplace", line_buffering=lines)
