"""The connection crosses a network in clear text

What it means
    The session runs over TCP to another machine, and without TLS. With libpq's default `sslmode=prefer` that happens
    silently when the server does not offer TLS.

Why it matters
    Whoever can read or bend the traffic in between sees every row and every statement, and can change them; the
    password too, when the server asks for it in clear.

What to do
    Where the server offers TLS, ask for it, and check the server's certificate:

        postgresql://app@db/shop?sslmode=verify-full&sslrootcert=/path/ca.pem

    Where it does not: set `ssl = on` with a certificate and key on the server, then reload it. Inside one trusted
    host's network (containers) it may be left as it is.
"""

from __future__ import annotations

from collections.abc import Iterator

from dbdoctor.databases.remedies import remedy
from dbdoctor.model.finding import Finding, Severity, Skipped
from dbdoctor.model.server import ServerFacts
from dbdoctor.model.target import Target
from dbdoctor.rules._common import is_near

CODES = ("tls-not-used",)


def judge(facts: ServerFacts, target: Target) -> Iterator[Finding | Skipped]:
    """Whether our own session is encrypted, where a network lies between."""
    if facts.tls or is_near(facts, target):
        return
    offered = facts.extra.get("server_offers_tls") if facts.pooler is None else None
    parameter = str(remedy(target.product, "tls-parameter"))
    wanted = target.parameters.get(parameter, str(remedy(target.product, "tls-default")))
    off = f"{parameter}={wanted}" == remedy(target.product, "no-tls")
    fix, command = "ask for TLS and for a certificate that names the server", remedy(target.product, "use-tls")
    if offered is False:
        fix = f"switch TLS on at the server ({remedy(target.product, 'needs-for-tls')}), then ask for it with {command}"
        command = remedy(target.product, "switch-tls-on")
    yield Finding(
        code="tls-not-used",
        severity=Severity.WARNING,
        title=f"the session with {target.shown} is not encrypted",
        why="rows and statements cross the network readable and changeable"
        + (f" because {parameter}={wanted} says so" if off else ""),
        fix=fix,
        command=command,
        evidence={"tls": None, parameter: wanted, "server_offers_tls": offered},
    )
