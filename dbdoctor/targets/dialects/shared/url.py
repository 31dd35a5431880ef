"""Taking a URL apart, and refusing one that the parsers in use read in different ways.

SQLAlchemy ends the password at the first `@` wherever it stands, libpq at the first `@` before a `/`, and urllib cuts at
`/ ? #` first. Where they differ, any reading may show a piece of the password as a host name. So it is refused.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import NamedTuple

from dbdoctor.errors import UsageError
from dbdoctor.targets.dialects.shared.percent import decode

_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9]*(?:\+(?P<driver>\w+))?://")


class Url(NamedTuple):
    """A URL in pieces, decoded; `hosts` and `ports` are comma-separated lists as libpq has them, None when not there.

    `query` keeps the order and the repetitions.
    """

    driver: str | None
    user: str | None
    password: str | None
    hosts: str | None
    ports: str | None
    database: str | None
    query: tuple[tuple[str, str], ...]

    def __repr__(self) -> str:
        return "Url(...)"  # a password is in it


def split_url(text: str, is_known: Callable[[str], bool], *, plus: bool = False) -> Url:
    """Take the URL apart; `is_known` says which query names there are, `plus` that `+` is a blank in the query.

    Raises UsageError for what is ambiguous or malformed.
    """
    shape = _SCHEME.match(text)
    if shape is None:
        raise UsageError("this is not a URL", help="write `postgresql://user:password@host:5432/database`")
    rest = text[shape.end() :]
    end = next((i for i, letter in enumerate(rest) if letter in "/?#"), len(rest))
    authority, separator = rest[:end], rest[end : end + 1]
    tail = rest[end:]
    path, _, query_text = tail.partition("?")
    pairs = _split_query(query_text)
    _refuse_ambiguous(authority, separator, path, query_text, all(is_known(_name(pair)) for pair in pairs))
    userinfo, at, netloc = authority.rpartition("@")
    user, _, password = userinfo.partition(":")
    hosts, ports = split_netloc(netloc)
    return Url(
        driver=shape["driver"],
        user=decode(user) or None if at else None,
        password=decode(password) or None if at else None,
        hosts=decode(hosts) or None,
        ports=decode(ports) or None,
        database=decode(path[1:]) or None,
        query=tuple(_pair(pair, plus=plus) for pair in pairs),
    )


def _refuse_ambiguous(authority: str, separator: str, path: str, query: str, names_known: bool) -> None:  # noqa: FBT001
    """An `@` may stand once before the host, and in the query of a URL in which it cannot be taken for that one."""
    in_query = "@" in query
    clear_query = not in_query or (names_known and ("@" in authority or (":" not in authority and separator == "/")))
    if authority.count("@") <= 1 and "@" not in path and separator != "#" and clear_query:
        return
    raise UsageError(
        "the URL is ambiguous: it has an `@`, `/`, `?` or `#` in a place where it may belong to the password",
        help="percent-encode the user, the password and the query's values: `@` is `%40`, `/` is `%2F`, `?` is `%3F`, `#` is "
        "`%23`, `:` is `%3A`, `%` is `%25`; `python3 -c 'import getpass, urllib.parse as u; "
        'print(u.quote(getpass.getpass(), safe=""))\'` does it',
    )


def _split_query(query: str) -> list[str]:
    return query.removesuffix("&").split("&") if query else []


def _name(pair: str) -> str:
    return pair.partition("=")[0]


def _pair(pair: str, *, plus: bool) -> tuple[str, str]:
    name, equals, value = pair.partition("=")
    if not equals or not name:
        raise UsageError(
            "the part of the URL after `?` is not a list of `name=value` with `&` between them",
            help="write for example `?sslmode=require&connect_timeout=5`; an `&` in a value is `%26`",
        )
    return decode(name, plus=plus), decode(value, plus=plus)


def split_netloc(netloc: str) -> tuple[str, str]:
    """The hosts and the ports, each joined with commas; IPv6 addresses lose their brackets."""
    hosts, ports = [], []
    for item in _split_at_commas(netloc):
        host, port = _split_port(item)
        hosts.append(host)
        ports.append(port)
    return ",".join(hosts), ",".join(ports)


def _split_at_commas(netloc: str) -> list[str]:
    return re.split(r",(?![^\[]*\])", netloc) if "," in netloc else [netloc]


def _split_port(item: str) -> tuple[str, str]:
    if not item.startswith("["):
        host, _, port = item.partition(":")
        return host, port
    host, bracket, after = item[1:].partition("]")
    if not bracket or not host or (after and not after.startswith(":")):
        raise UsageError("the IPv6 address in the URL is malformed", help="write it as `[::1]:5432`")
    return host, after[1:]
