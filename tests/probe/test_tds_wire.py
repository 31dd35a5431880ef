"""Our TDS: what we say is what a server reads, and whatever a server says is read without a fault. And the catalogue."""

from __future__ import annotations

import re
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dbdoctor.model.stage import Failure, StageName
from dbdoctor.model.target import Endpoint, Product, Target
from dbdoctor.probe import sqlserver_refusal
from dbdoctor.probe.deadline import Deadline
from dbdoctor.probe.failures import catalogue, find, pages, words_of
from dbdoctor.probe.resolve import resolve_all
from dbdoctor.probe.sqlserver_refusal import Said, name_refusal
from dbdoctor.probe.tds import wire
from dbdoctor.probe.tds.browser import ask_browser
from dbdoctor.probe.tds.encryption import name_matches, plan_encryption
from tests.probe.sqlserver_named import speaks_no_postgresql
from tests.servers.tds import SqlBrowser, SqlError, prelogin, tokens
from tests.servers.tds import login as server_login

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=60)


@given(TEXTS, TEXTS, TEXTS, st.booleans())
def test_a_login_is_read_as_it_was_written(user: str, password: str, database: str, read_only: bool) -> None:
    texts = {"user": user, "password": password, "database": database, "program": "dbdoctor", "host": "here"}
    read = server_login.parse(wire.login(texts, read_only=read_only))
    assert (read.user, read.password, read.database, read.program) == (user, password, database, "dbdoctor")
    assert read.read_only is read_only
    assert read.tds_version == server_login.TDS_7_4


@pytest.mark.parametrize("wanted", wire.Encryption)
def test_a_prelogin_is_read_as_it_was_written(wanted: wire.Encryption) -> None:
    asked = prelogin.parse(wire.prelogin(wanted))
    assert asked[prelogin.ENCRYPTION] == bytes([wanted])
    answer = wire.read_prelogin(prelogin.answer(asked, 3, (16, 0, 4175)))
    assert answer == ((16, 0, 4175), wire.Encryption.REQUIRED)


@given(st.binary(max_size=200))
def test_any_prelogin_is_read_or_refused(data: bytes) -> None:
    try:
        assert wire.read_prelogin(data).encryption in wire.Encryption
    except ValueError:
        return


@given(st.binary(max_size=300))
def test_any_answer_to_a_login_is_read_or_refused(data: bytes) -> None:
    try:
        wire.read_login_answer(data)
    except ValueError:
        return


def test_every_error_of_a_refusal_is_read() -> None:
    errors = SqlError(4060, "shop", also=(SqlError(18456, "sa"),))
    answer = wire.read_login_answer(tokens.error(errors, "TESTS") + tokens.done(failed=True))
    assert [error.number for error in answer.errors] == [4060, 18456]
    assert "shop" in answer.errors[0].message


@given(st.binary(min_size=8, max_size=8))
def test_a_header_is_read_or_refused(data: bytes) -> None:
    try:
        kind, _, length = wire.read_header(data)
    except ValueError:
        return
    assert kind in (wire.REPLY, wire.PRELOGIN)
    assert length == struct.unpack(">H", data[2:4])[0] - 8


@pytest.mark.parametrize(
    "raw",
    [
        b"\x05",
        b"\x05\x00\x00",
        b"\xff" * 300,
        b"\x05\xff\xff" + b";" * 50,
        b"\x05\x04\x00tcp;",
        b"\x05\x09\x00tcp;x;;;;;",
    ],
)
def test_a_browser_s_nonsense(raw: bytes) -> None:
    with SqlBrowser({}, raw=raw) as browser:
        addresses = resolve_all([Endpoint("127.0.0.1", 1)], Deadline.after(1))[0].addresses
        told = ask_browser(addresses, "sales", Deadline.after(0.6), browser.port)
    assert told.port is None
    assert not told.found
    assert told.seconds < 0.8


def test_a_browser_on_one_of_two_addresses() -> None:
    with SqlBrowser({"Sales": 51433}) as browser:
        ends = [Endpoint("127.0.0.2", 1), Endpoint("127.0.0.1", 1)]
        addresses = [r.addresses[0] for r in resolve_all(ends, Deadline.after(1))]
        told = ask_browser(addresses, "SALES", Deadline.after(2), browser.port)
    assert told.port == 51433
    assert told.seconds < 0.5


NAMES = {"subjectAltName": (("DNS", "db.example.org"), ("DNS", "*.example.com"), ("IP Address", "10.0.0.1"))}
COMMON = {"subject": ((("commonName", "db.example.org"),),)}


@pytest.mark.parametrize(
    ("certificate", "name", "fits"),
    [
        (NAMES, "DB.example.org", True),
        (NAMES, "a.example.com", True),
        (NAMES, "a.b.example.com", False),
        (NAMES, "example.com", False),
        (NAMES, "10.0.0.1", False),
        (COMMON, "db.example.org", True),
        ({**NAMES, "subject": ((("commonName", "other.example"),),)}, "other.example", False),
        ({}, "db.example.org", False),
    ],
)
def test_names(certificate: dict[str, object], name: str, fits: bool) -> None:
    """Each of these was tried with Microsoft's driver 18.6."""
    assert name_matches(certificate, (name,)) is fits


def test_without_a_driver_the_newest_is_judged_by() -> None:
    plan = plan_encryption(Target(Product.SQLSERVER, ()), None, "db")
    assert (plan.word, plan.required, plan.trusts) == ("Encrypt=yes", True, False)


# --- the catalogue


def test_every_number_leads_to_an_entry() -> None:
    for number, code in sqlserver_refusal._BY_NUMBER.items():
        assert name_refusal([Said(number, "words")]).code == code
        assert code in catalogue()


def test_the_most_telling_error_counts() -> None:
    both = [Said(18456, "Login failed"), Said(4060, "Cannot open"), Said(5701, "Changed")]
    assert name_refusal(both).code == "database-cannot-be-opened"
    assert name_refusal(both[:1]).code == "login-failed"
    assert name_refusal([]).code == "client-refused"


def test_words_belong_to_codes_that_there_are() -> None:
    own = set(words_of("sqlserver"))
    assert own <= set(catalogue())
    assert not own & {entry for entry in catalogue() if entry.startswith(("azure-", "browser-"))}


@pytest.mark.parametrize("code", sorted({*words_of("sqlserver"), *sqlserver_refusal._BY_NUMBER.values()}))
def test_a_finding_speaks_of_sql_server_alone(code: str) -> None:
    values: dict[str, object] = {"user": "it's [me]", "where": "db:1433", "host": "db"}
    finding = find(Failure(code, StageName.LOGIN, values=values), product=Product.SQLSERVER)
    speaks_no_postgresql(" ".join((finding.title, finding.why, finding.fix, finding.command or "")))
    assert not re.search(r"\{\w*\}", f"{finding.title}{finding.why}{finding.fix}")


def test_a_page_has_both_products_words() -> None:
    page = pages()["too-many-clients"]
    assert "max_connections" in page.summary
    assert "On SQL Server: " in page.means
    assert "17809" in page.means
    assert "sys.dm_exec_sessions" in (page.example or "")
