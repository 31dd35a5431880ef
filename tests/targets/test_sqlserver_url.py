"""`sqlserver://`, the URL of Go's driver, of Prisma and of others, is read as what they would connect to."""

from __future__ import annotations

from typing import Any

import pytest

from dbdoctor.errors import UsageError
from dbdoctor.model.target import Endpoint, Target
from dbdoctor.targets.parse import parse_dsn


def read(text: str) -> Target:
    return parse_dsn(text, environment={"HOME": "/nonexistent", "ODBCSYSINI": "/nonexistent"})


@pytest.mark.parametrize(
    ("text", "shown", "endpoint"),
    [
        ("sqlserver://u:p%40w@h:1500?database=d", "mssql://u@h:1500/d", Endpoint("h", 1500)),
        ("SQLServer://u:p%40w@h?database=d", "mssql://u@h:1433/d", Endpoint("h", 1433)),
        (r"sqlserver://u:p%40w@h\sales", r"mssql://u@h\sales", Endpoint("h", None, instance="sales")),
        ("sqlserver://u:p%40w@h/sales?database=d", r"mssql://u@h\sales/d", Endpoint("h", None, instance="sales")),
        ("sqlserver://u:p%40w@h:1500/d", "mssql://u@h:1500/d", Endpoint("h", 1500)),
        ("sqlserver://h:1500?user+id=u&password=p%40w&database=d", "mssql://u@h:1500/d", Endpoint("h", 1500)),
        ("sqlserver://h:1500;database=d;user=u;password={p@w};encrypt=true", "mssql://u@h:1500/d", Endpoint("h", 1500)),
        ("sqlserver://u:p%40w@[::1]:1500?database=d", "mssql://u@[::1]:1500/d", Endpoint("::1", 1500)),
    ],
)
def test_where_it_leads(text: str, shown: str, endpoint: Endpoint) -> None:
    target = read(text)
    assert target.shown == shown
    assert target.endpoints == (endpoint,)
    assert target.password is not None
    assert target.password.reveal() == "p@w"
    assert "p@w" not in repr(target)
    assert any("SQLAlchemy wants `mssql+pyodbc://" in note for note in target.notes)


@pytest.mark.parametrize(
    ("query", "parameters"),
    [
        ("", {"Encrypt": "no", "TrustServerCertificate": "yes"}),
        ("&encrypt=disable", {"Encrypt": "no"}),
        ("&encrypt=true&TrustServerCertificate=true", {"Encrypt": "yes", "TrustServerCertificate": "yes"}),
        ("&Encrypt=strict&hostNameInCertificate=x", {"Encrypt": "strict", "HostnameInCertificate": "x"}),
        ("&app+name=shop&dial+timeout=7&encrypt=true", {"APP": "shop", "connect_timeout": "7", "Encrypt": "yes"}),
    ],
)
def test_what_it_asks_for(query: str, parameters: dict[str, Any]) -> None:
    assert read(f"sqlserver://u:p@h:1433?database=d{query}").parameters == parameters


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("sqlserver://", "names no server"),
        ("sqlserver://u:p@w@h:1433?database=d", "ambiguous"),
        ("sqlserver://u:a;b=c@h:x", "1 to 65535"),
        ("sqlserver://u:p@h:1433?encrypt=perhaps", "must be one of"),
    ],
)
def test_what_is_refused_quotes_no_password(text: str, words: str) -> None:
    with pytest.raises(UsageError, match=words) as caught:
        read(text)
    assert "a;b" not in str(caught.value)
