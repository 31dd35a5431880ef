"""This role or this database is close to a connection limit of its own

What it means
    Roles and databases can have a CONNECTION LIMIT besides the server's. It counts the sessions of that role on the
    whole server, or of all roles in that database. Superusers are not bound by it. The thresholds are those of the
    server's slots: 80 % is a warning, 90 % an error.

Why it matters
    At the limit this application is refused while the server looks half empty:
    `FATAL: too many connections for role "app"` or `FATAL: too many connections for database "shop"`.

What to do
    Make the pools fit the limit, or raise it:

        ALTER ROLE "app" CONNECTION LIMIT 200;
        ALTER DATABASE "shop" CONNECTION LIMIT 200;

    -1 takes the limit away.
"""

from __future__ import annotations

from collections.abc import Iterator

from dbdoctor.model.finding import Finding, Severity, Skipped
from dbdoctor.model.identifier import quote_identifier
from dbdoctor.model.server import ConnectionLimit, ServerFacts
from dbdoctor.model.target import Target
from dbdoctor.rules._common import count, threshold_of, unseen

CODES = ("database-connection-limit-near", "role-connection-limit-near")


def judge(facts: ServerFacts, target: Target) -> Iterator[Finding | Skipped]:
    """Each limit of its own that is known, against what is in use."""
    for limit in facts.limits:
        code = f"{limit.of}-connection-limit-near"
        if limit.used is None:
            yield unseen(code, facts, f"how many sessions the {limit.of} {limit.name} has")
            continue
        share = limit.used / limit.limit if limit.limit else 1.0
        if share >= threshold_of(target, "slots_error"):
            yield _finding(code, limit, limit.used, Severity.ERROR)
        elif share >= threshold_of(target, "slots_warning"):
            yield _finding(code, limit, limit.used, Severity.WARNING)


def _finding(code: str, limit: ConnectionLimit, used: int, severity: Severity) -> Finding:
    free = max(0, limit.limit - used)
    left = f"after {count(free, 'more login')}" if free else "at the next login"
    return Finding(
        code=code,
        severity=severity,
        title=f"the {limit.of} {limit.name} has {used} of the {limit.limit} sessions it may have, {free} free",
        why=f"{left} this application is refused, however much room the server has",
        fix=f"make the pools fit, or raise the limit of the {limit.of}",
        command=f"ALTER {limit.of.upper()} {quote_identifier(limit.name)} CONNECTION LIMIT {max(2 * limit.limit, 10)};",
        evidence={"of": limit.of, "name": limit.name, "limit": limit.limit, "used": used, "free": free},
    )
