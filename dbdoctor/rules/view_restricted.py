"""What other roles' sessions do is hidden from this role

What it means
    PostgreSQL shows a role the state, start, address and statement of its own sessions only. Of the others it shows
    that they exist, their user, database and application. Members of `pg_monitor` see all of it.

Why it matters
    A full server is mostly somebody else's doing. Without this view dbdoctor can count the others' sessions, but not
    tell a leak (idle for hours, idle in transaction) from work.

What to do
    As a superuser, or whoever has the role with ADMIN OPTION:

        GRANT pg_monitor TO "app";

    It is read only, it holds at once, and `REVOKE pg_monitor FROM "app";` takes it back. It also shows the text of the
    other roles' statements.
"""

from __future__ import annotations

from collections.abc import Iterator

from dbdoctor.databases.remedies import remedy
from dbdoctor.model.finding import Finding, Severity, Skipped
from dbdoctor.model.server import ServerFacts
from dbdoctor.model.target import Target

CODES = ("view-restricted",)


def judge(facts: ServerFacts, target: Target) -> Iterator[Finding | Skipped]:
    """What the server hides from us although it has it, with the GRANT."""
    hidden = [missing for missing in facts.missing if missing.help]
    if not hidden:
        return
    yield Finding(
        code="view-restricted",
        severity=Severity.INFO,
        title=f"hidden from this {remedy(target.product, 'account')}: {'; '.join(missing.what for missing in hidden)}",
        why=f"{hidden[0].reason}: idle sessions and leaks of others cannot be told from work",
        fix="let an administrator grant the view; it is read only, and holds at once",
        command="\n".join(dict.fromkeys(missing.help for missing in hidden if missing.help)),
        evidence={"hidden_sessions": facts.hidden_sessions, "hidden": [missing.what for missing in hidden]},
    )
