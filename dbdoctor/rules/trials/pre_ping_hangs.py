"""pool_pre_ping itself hangs

What it means
    The pool tests each connection at checkout, and the test waited for an answer that could not come: the path had dropped
    the connection without a word. The test is a statement like any other; no setting of SQLAlchemy and no driver gives it
    a deadline. What ends it is the kernel, when it gives up sending the same packet again, or nothing at all where a
    proxy acknowledges everything.

Why it matters
    pool_pre_ping is taken for the cure, and it is one for connections whose end was announced (a reset, an orderly close).
    After a silent drop every checkout hangs just as the first statement would have, and the requests behind it.

What to do
    Let no connection get so old: pool_recycle below the path's idle timeout replaces it before it is tested.

        create_engine(url, pool_recycle=280, pool_pre_ping=True)

    And give the kernel a limit (PostgreSQL, Linux; milliseconds), which also gives one to the test:

        create_engine(url, pool_pre_ping=True,
                      connect_args={"tcp_user_timeout": 5000})
"""

from __future__ import annotations

from collections.abc import Iterator

from dbdoctor.model.finding import Finding, Severity
from dbdoctor.model.target import Product
from dbdoctor.model.trial import Scenario
from dbdoctor.rules.trials._tried import Tried
from dbdoctor.rules.trials._words import lasts, seconds

CODES = ("pre-ping-hangs",)


def judge(tried: Tried) -> Iterator[Finding]:
    """Pools that test at checkout, and hang there."""
    hits = [
        hit
        for hit in tried.hits()
        if hit.plan.pool_pre_ping and hit.hangs and not hit.is_login and hit.fault.scenario is Scenario.IDLE
    ]
    if not hits:
        return
    longest = max((hit.case.would_hang for hit in hits if hit.case.would_hang), key=_end, default=None)
    why = longest.why if longest else "nothing limits it"
    ends = "only the kernel ends" if longest and longest.most is not None else "nothing ends"
    words = [f"pool_recycle={tried.recycle}", "pool_pre_ping=True"]
    if tried.target.product is Product.POSTGRESQL:
        words.append('connect_args={"tcp_user_timeout": 5000}')
    yield tried.finding(
        "pre-ping-hangs",
        Severity.ERROR,
        hits,
        title=f"pool_pre_ping hangs {lasts(longest)} on this host: its test has no deadline",
        why=f"the path dropped the connection without a word, and {ends} the wait ({why})",
        fix="replace connections before the path drops them; on PostgreSQL a limit on unacknowledged data ends the test",
        command="create_engine(\n    url,\n" + "".join(f"    {word},\n" for word in words) + ")",
        evidence=seconds(longest),
    )


def _end(bound: object) -> float:
    most = getattr(bound, "most", None)
    return float("inf") if most is None else float(most)
