"""Text that a user typed to a Target: the guard against what no DSN can be, then the one dialect that it is written in."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from importlib import import_module

from dbdoctor.errors import UsageError
from dbdoctor.model.secret import remember
from dbdoctor.model.target import Product, Target
from dbdoctor.targets.dialects import DIALECTS

LONGEST = 32_768
"""How many characters a DSN may have; dbdoctor's own judgement, well above what certificates' paths and options need."""

# Patterns that most DSNs never need are compiled when they are used.
_CONTROL = r"[\x00-\x08\x0a-\x1f\x7f-\x9f\u2028\u2029]"
_FILE_PATH = r"[A-Za-z]:[\\/]|\\\\|[./~]|.*\.(db|sqlite3?|toml|ya?ml|env|ini|json|txt)\Z"
_SCHEME = r"([A-Za-z][A-Za-z_]{0,20})(\+[A-Za-z_]\w{0,20})?://"
_SHAPE = r"(?i)\w[\w+.-]*://|jdbc:|\s*[A-Za-z_][\w. -]*="
_TELLING_NAME = (
    r"(?i)(?:password|passwd|pwd|psw|_secret|_key)\s*=\s*('(?:[^'\\]|\\.|'')*'|\"[^\"]*\"|\{(?:[^}]|\}\})*\}|[^&;\s]*)"
)
# What a shell or an `.env` file has before the DSN.
_BEFORE_DSN = r"(?:export )?[A-Z][A-Z0-9_]*=['\"]?(?:postgres(?:ql)?|mssql|jdbc)[+:]"
_FORMS = (
    "write `postgresql://user:password@host:5432/database`, or see the README for the other forms: libpq, SQLAlchemy, ODBC, "
    "ADO.NET, JDBC"
)


def looks_like_dsn(text: str) -> bool:
    """Whether this is meant as a DSN, well-formed or not, rather than as a profile's name or a `module:attribute`."""
    return "://" in text or re.match(_SHAPE, text) is not None


def parse_dsn(text: str, *, environment: Mapping[str, str] | None = None, whole: bool = True) -> Target:
    """The Target that this text names, completed as libpq would (PostgreSQL), with `environment` or the process's own.

    `whole` says that nothing comes after it that may name the server (as connect_args do).
    Raises UsageError for anything else than one well-formed DSN; its texts quote nothing in which a password could stand.
    """
    _guard(text)
    dsn = text.strip() if "://" in text else text.strip("\r\n\t").lstrip()
    for secret in probable_secrets(dsn):
        remember(secret)
    try:
        target = _read(dsn)
        environment = os.environ if environment is None else environment
        if target.product is not Product.POSTGRESQL:
            from dbdoctor.targets.odbc_source import complete_source

            target = complete_source(target, environment)
            if whole:
                require_server(target)
            return target
        from dbdoctor.targets.libpq.defaults import complete

        return complete(target, environment)
    except UsageError:
        raise
    except Exception:
        # A fault of ours: whatever the last handler prints of it must not have a piece of the DSN in it.
        remember(dsn)
        raise


def require_server(target: Target, *, why: str = "") -> None:
    """Raise UsageError for a target of SQL Server without a server; PostgreSQL's have libpq's default."""
    if target.product is Product.SQLSERVER and not target.endpoints:
        from dbdoctor.targets.dialects.shared.server_name import no_server

        raise no_server(why)


def _read(dsn: str) -> Target:
    if dsn.startswith(("'", '"')) or ("=" in dsn and re.match(_BEFORE_DSN, dsn)):
        raise UsageError(
            "the target has quotation marks or a variable's name before the DSN",
            help="give the DSN alone; where it comes from an `.env` file, take the quotation marks off there",
        )
    for name in DIALECTS:
        dialect = import_module(f"dbdoctor.targets.dialects.{name}")
        if dialect.recognises(dsn):
            target: Target = dialect.read(dsn)
            return target if target.dialect else replace(target, dialect=dialect.NAME)
    raise _not_recognised(dsn)


def _guard(text: str) -> None:
    if not text.strip():
        raise UsageError("the target is empty", help=_FORMS)
    if len(text) > LONGEST:
        raise UsageError(f"the target has {len(text)} characters, and no DSN has more than {LONGEST}", help=_FORMS)
    if "\0" in text:
        raise UsageError("the target has a NUL byte in it", help=_FORMS)
    if not text.isprintable() and re.search(_CONTROL, text.strip("\r\n")):
        raise UsageError(
            "the target has a line break or another control character in it", help="a DSN is one line of text"
        )
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        raise UsageError("the target is not valid UTF-8 text", help=_FORMS) from None


def _not_recognised(dsn: str) -> UsageError:
    scheme = re.match(_SCHEME, dsn)
    if "://" in dsn:
        named = f"`{scheme[1].lower()}://` is not" if scheme else "this is not the URL of"
        products = "a product that dbdoctor knows" if scheme else "a database that dbdoctor knows"
        return UsageError(
            f"{named} {products}",
            help="PostgreSQL (`postgresql://`) and SQL Server (`mssql+pyodbc://`) are supported",
        )
    if re.match(_FILE_PATH, dsn) and "=" not in dsn:
        return UsageError("this looks like a file's path, not like a DSN", help=_FORMS)
    return UsageError("this is not a DSN in any dialect that dbdoctor knows", help=_FORMS)


def probable_secrets(dsn: str) -> Iterator[str]:
    """What is most probably a password in a text that is not parsed yet: raw and decoded, and no more than that."""
    from urllib.parse import unquote

    before, at, _ = dsn.partition("://")[2].rpartition("@")
    if at and ":" in before:
        raw = before.split(":", 1)[1]
        if not any(letter in raw for letter in "/?="):
            yield raw
            yield unquote(raw)
    for match in re.finditer(_TELLING_NAME, dsn) if "=" in dsn else ():
        raw = match[1]
        yield from (raw, unquote(raw))
        if raw[:1] in ("'", '"', "{"):
            yield raw[1:-1]
