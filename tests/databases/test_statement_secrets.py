"""Passwords in the text of somebody's statement."""

from __future__ import annotations

from time import process_time

import pytest

from dbdoctor.databases.statement_secrets import without_passwords


@pytest.mark.parametrize(
    ("statement", "kept"),
    [
        ("ALTER ROLE app PASSWORD 'hunter2'", "ALTER ROLE app PASSWORD '***'"),
        ("create user x with encrypted password 'hunter2' login", "create user x with encrypted password '***' login"),
        ("ALTER ROLE app PASSWORD 'it''s hunter2' VALID UNTIL 'infinity'", "VALID UNTIL 'infinity'"),
        (r"ALTER ROLE app PASSWORD E'it\'s hunter2' LOGIN", "LOGIN"),
        ("ALTER ROLE app PASSWORD $q$it's hunter2$q$ LOGIN", "LOGIN"),
        ("ALTER ROLE app PASSWORD $$hunter2$$", "ALTER ROLE app"),
        ("ALTER ROLE app PASSWORD 'hunter2 and the rest was c", "ALTER ROLE app"),
        (
            "CREATE USER MAPPING FOR app SERVER s OPTIONS (user 'app', password 'hunter2')",
            "(user 'app', password '***')",
        ),
        (
            "CREATE SUBSCRIPTION s CONNECTION 'host=db password=hunter2 user=app' PUBLICATION p",
            "user=app' PUBLICATION p",
        ),
        ("SELECT * FROM dblink('host=db password=''it is hunter2'' user=app', 'select 1')", "user=app', 'select 1')"),
        ("SELECT dblink_connect('postgresql://app:hunter2@db/shop')", "'postgresql://app:***@db/shop'"),
        ("UPDATE account SET password = 'hunter2' WHERE id = 7", "WHERE id = 7"),
        ("SELECT set_password(new_password => 'hunter2', who => 'app')", "who => 'app'"),
    ],
)
def test_a_password_is_masked_and_the_rest_stays(statement, kept):
    shown = without_passwords(statement)
    assert "hunter2" not in shown
    assert kept in shown


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT password, changed_at FROM account WHERE id = $1",
        "UPDATE account SET password = $1, token = $2 WHERE id = $3",
        "SELECT 'password' AS what",
        "SELECT a::text, b FROM orders WHERE mail = 'x@y'",
    ],
)
def test_nothing_else_is_touched(statement):
    assert without_passwords(statement) == statement


def test_a_megabyte_is_read_at_once():
    """Nobody's statement keeps us from the next look."""
    began = process_time()
    for text in ("'", "password='", "://a:", "$a$", "password $", "\\'", "E'\\"):
        without_passwords(f"SELECT {text * (1_000_000 // len(text))}")
    assert process_time() - began < 10.0
