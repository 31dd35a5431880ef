"""A login that the server accepts and does not answer has no limit

What it means
    The pool lost its connections and logged in anew inside a request. The server, or a proxy before it, accepted the
    connection and never answered, and nothing in the settings ends that wait.

Why it matters
    libpq waits for ever unless it is told otherwise (measured: more than 200 s; keepalives and tcp_user_timeout do not
    help, for everything that was sent is acknowledged). Each such request holds a thread of the application.

What to do
    A limit for each login, in whole seconds and for each address of the host:

        create_engine(url, connect_args={"connect_timeout": 5})
"""

from __future__ import annotations

from collections.abc import Iterator

from dbdoctor.model.finding import Finding, Severity
from dbdoctor.rules.trials._tried import Tried
from dbdoctor.rules.trials._words import seconds

CODES = ("login-without-timeout",)


def judge(tried: Tried) -> Iterator[Finding]:
    """Pools whose logins have no limit, where logins stalled."""
    hits = [
        hit for hit in tried.hits() if hit.is_login and hit.hangs and "connect_timeout" not in hit.plan.connect_args
    ]
    if not hits:
        return
    yield tried.finding(
        "login-without-timeout",
        Severity.ERROR,
        hits,
        title="a login that is accepted and not answered is waited for without a limit",
        why="neither the pool nor TCP ends it: what was sent has been acknowledged, and the answer never comes; the "
        "request that needed the connection never returns",
        fix="limit each login",
        command='create_engine(url, connect_args={"connect_timeout": 5})',
        evidence=seconds(hits[0].case.would_hang),
    )
