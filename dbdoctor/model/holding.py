"""What the recorder inside an application says of one of its sessions: who took it, since when, or that it rests in a pool."""

from __future__ import annotations

from typing import NamedTuple

_LIBRARIES = ("/site-packages/", "/dist-packages/")


class Frame(NamedTuple):
    """One line of the application's code, and the function that it is in; `file` is the whole path."""

    file: str
    line: int
    function: str

    @property
    def shown(self) -> str:
        """`shop/orders.py:12 take_order`: the file with the directory that it is in, which is enough to find it.

        Of a function within another, its own name.
        """
        parts = [part for part in self.file.replace("\\", "/").split("/") if part]
        return f"{'/'.join(parts[-2:]) or '?'}:{self.line} {self.function.rpartition('<locals>.')[2] or '?'}"


def chosen_frame(frames: tuple[Frame, ...]) -> Frame | None:
    """The innermost that is the application's own and no installed package's, if there is one; None of no frames."""
    for frame in frames:
        if not any(mark in frame.file.replace("\\", "/") for mark in _LIBRARIES):
            return frame
    return frames[0] if frames else None


class Holding(NamedTuple):
    """One session as the recorder of its process sees it; it was told apart from other servers' sessions by its age.

    `since` is when it was checked out (server's clock, Unix seconds); None when it rests in its pool. `taken_at` is where
    that was, innermost frame first, or where it was taken last; empty when nobody took it yet, or when there were too many
    places to tell apart. `leak_after` is how long (seconds) the recorder was told that a checkout may last. `pool` is the
    pool's number in its process. `thread` is who holds it. `beside`: the recorder sees this process's pools, and the
    session is of none of them: it was opened by hand, or by an engine that the recorder is not attached to.
    """

    process: int
    since: float | None
    taken_at: tuple[Frame, ...]
    leak_after: float
    pool: int | None = None
    program: str | None = None
    thread: str | None = None
    beside: bool = False

    @property
    def rests(self) -> bool:
        """Whether it is in its pool, for whoever comes next."""
        return self.since is None and not self.beside

    @property
    def frame(self) -> Frame | None:
        """The line of code to be shown."""
        return chosen_frame(self.taken_at)

    def held(self, now: float) -> float:
        """For how long it has been checked out at `now` (server's clock); 0 when it is not."""
        return max(0.0, now - self.since) if self.since is not None else 0.0

    def is_held_too_long(self, now: float) -> bool:
        """Whether it is out for as long as the recorder was told to wait, and longer."""
        return self.since is not None and self.held(now) >= self.leak_after
