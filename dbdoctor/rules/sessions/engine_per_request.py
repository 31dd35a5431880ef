"""Sessions are opened, used once, returned to a pool that nobody asks again, and kept

What it means
    The client goes on opening sessions while others of the same process sit idle, each of which was used just after it
    was opened, was given back (its last statement is the pool's own ROLLBACK), and was never taken again. A pool gives
    out what it has before it opens more; so each of these sits in a pool of its own. That is `create_engine()` called
    again and again: in a request handler, a task, a constructor, a thread-local.

    Proof asked for: three sessions passed over, and others opened and kept at three separate times (a second apart)
    while we watched, when the client process is known; six and five when it is not, because several processes behind one
    address each have a pool of their own, and for processes of one application that each lose a few, six and six of all.
    A session's silence counts when it had lasted 3 s before the other was opened, and only beyond twice the longest
    silence from which a session of the same process came back. Five such sessions, used one after the other, with
    nothing opened meanwhile, are a suspicion only.

    Where the recorder is in the process (`dbdoctor run`), it says which line took each of them last, and in which pool
    each rests: when every one is in a pool of its own, and more are opened while we watch, the suspicion is a proof; when
    they rest together in pools that they share, nobody forgot them, and nothing is said.

Why it matters
    The number grows with each request until the server has no slots left, and then refuses everybody. Until then each
    request pays for a login instead of a checkout. Python's garbage collector closes some from time to time, which hides
    it in tests.

What to do
    Create one engine a process, at import or start, and share it:

        engine = create_engine(url)   # once, in a module

    Where an engine must be short-lived, call `engine.dispose()` when it is done with, or use `poolclass=NullPool`.
"""

from __future__ import annotations

from collections.abc import Iterator

from dbdoctor.rules._common import count
from dbdoctor.rules.sessions._passed_over import groups_passed_over, judged, seen
from dbdoctor.rules.sessions._watched import Judged, Watched

CODES = ("engine-per-request",)


def judge(watched: Watched) -> Iterator[Judged]:
    """Groups whose idle sessions were returned to pools that are not asked again."""
    for passed in groups_passed_over(watched):
        if not (passed.returned or (passed.swept and not passed.lives)):
            continue
        number = count(len(passed.lives) or passed.swept, "session was", "sessions were")
        yield judged(
            "engine-per-request",
            passed,
            watched,
            f"{number} used once and never taken again, while others were opened: {passed.group.key.shown}",
            "each sits in a pool that nobody asks again, or is held after a rollback "
            f"({seen(passed, watched)}): their number grows until the server has no slots left",
            "create one engine a process and share it; dispose of short-lived ones, or use NullPool",
            "engine = create_engine(url)  # once, when the process starts",
        )
