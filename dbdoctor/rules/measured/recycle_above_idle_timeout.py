"""The pool keeps connections for longer than the path to the server does

What it means
    The pool replaces its connections after `pool_recycle` seconds, or never (-1, SQLAlchemy's default), and something on
    the way, or the server, ends connections that idle for less than that.

Why it matters
    After a quiet while the pool hands out a connection that is gone. Where it was ended silently, the first statement
    hangs, and so does `pool_pre_ping`, which has no deadline; where it was announced, the first statement fails, unless
    `pool_pre_ping` tests it before.

What to do
    Set `pool_recycle` below the timeout, four fifths of it for example:

        create_engine(url, pool_recycle=280, pool_pre_ping=True)

    pool_recycle counts from the moment of connecting, and is looked at only at checkout: a connection that is checked out
    and idles (a transaction that waits for somebody else) is not protected by it.
"""

from __future__ import annotations

from collections.abc import Iterator

from dbdoctor.model.duration import format_duration
from dbdoctor.model.finding import Finding, Severity
from dbdoctor.model.measured import Drop, Measured

CODES = ("recycle-above-idle-timeout",)


def judge(measured: Measured) -> Iterator[Finding]:
    """The declared pool against what was measured; without a declared pool there is nothing to compare."""
    pool, limit = measured.target.pool, measured.seconds
    if pool is None or limit is None or pool.pool_class == "NullPool":
        return
    recycle = pool.pool_recycle
    if recycle is not None and 0 <= recycle < measured.bracket.at_least:
        return
    silent = measured.drop is Drop.SILENT
    never = recycle is None or recycle < 0
    what = (
        "never recycles its connections" if never else f"recycles its connections after {format_duration(recycle or 0)}"
    )
    hurts = "hangs, and pool_pre_ping with it" if silent else "fails"
    yield Finding(
        code=CODES[0],
        severity=Severity.WARNING if pool.pool_pre_ping and not silent else Severity.ERROR,
        title=f"the pool {what}, and connections idle for {format_duration(limit)} are ended",
        why=f"after {format_duration(limit)} without use, a checkout gives a connection that is gone, and the first "
        f"statement on it {hurts}",
        fix="recycle connections before they are ended",
        command=f"create_engine(url, pool_recycle={measured.advice.pool_recycle}, pool_pre_ping=True)",
        evidence={"idle_timeout_seconds": limit, "pool_recycle_seconds": recycle, "drop": measured.drop.value},
    )
