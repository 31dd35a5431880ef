"""Where a fault cannot be tried, it says so and what would help; and every fault has its page."""

from __future__ import annotations

import itertools
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dbdoctor.faults.fault import Surroundings
from dbdoctor.faults.kinds import all_faults, pages
from dbdoctor.faults.startup import FirstMessages, is_startup, with_option
from dbdoctor.model.target import Product

NEAR = Surroundings(Product.POSTGRESQL, 180006)
POSTGRESQL = [code for code, fault in all_faults().items() if Product.POSTGRESQL in fault.products]


@pytest.mark.parametrize("code", POSTGRESQL)
def test_on_a_server_on_this_machine_without_tls_every_fault_can_be_tried(code: str):
    assert all_faults()[code].unable(NEAR) is None


@pytest.mark.parametrize(
    ("code", "around", "because"),
    [
        ("transaction-timeout", NEAR._replace(version=160014), "PostgreSQL 16 does not know transaction_timeout"),
        ("idle-session-timeout", NEAR._replace(version=130023), "PostgreSQL 13 does not know idle_session_timeout"),
        ("idle-session-timeout", NEAR._replace(pooler="PgBouncer"), "PgBouncer sits between"),
        ("idle-in-transaction-timeout", NEAR._replace(pooler="PgBouncer"), "PgBouncer sits between"),
        ("reconnect-refused", NEAR._replace(insists_on_tls=True), "the login is encrypted"),
        ("failover-read-only", NEAR._replace(insists_on_tls=True), "the login is encrypted"),
        ("failover-read-only", NEAR._replace(encrypted=True), "the login is encrypted"),
        ("failover-read-only", NEAR._replace(pooler="PgBouncer"), "PgBouncer sits between"),
        ("tls-close", NEAR._replace(encrypted=True, near=False), "talk to the server without TLS"),
        ("tls-close-notify", NEAR._replace(insists_on_tls=True), "talk to the server without TLS"),
        ("tls-close-notify", Surroundings(Product.SQLSERVER), "it is no fault of mssql"),
    ],
)
def test_it_says_why_it_cannot_be_tried_and_what_would_help(code: str, around: Surroundings, because: str):
    why = all_faults()[code].unable(around)
    assert why is not None
    assert why.startswith("not testable here, because")
    assert because in why
    assert "; run with " in why or "no fault of" in why


@pytest.mark.parametrize(
    ("code", "around"),
    [
        ("idle-session-timeout", NEAR._replace(version=140000)),
        ("transaction-timeout", NEAR._replace(version=170000)),
        ("tls-close", NEAR._replace(near=False)),
        ("tls-close", NEAR._replace(encrypted=True)),
        ("reconnect-refused", NEAR._replace(encrypted=True)),
        ("silent-drop", NEAR._replace(near=False, encrypted=True, insists_on_tls=True, pooler="PgBouncer")),
    ],
)
def test_it_can_be_tried(code: str, around: Surroundings):
    assert all_faults()[code].unable(around) is None


def test_every_fault_is_named_told_and_explained():
    faults = all_faults()
    assert set(pages()) == set(faults)
    for code, fault in faults.items():
        assert code == fault.code
        assert fault.title
        assert fault.stands_for
        assert not fault.title.endswith(".")
    assert len({fault.title for fault in faults.values()}) == len(faults)


def test_few_faults_are_tried_by_default():
    assert [code for code in POSTGRESQL if all_faults()[code].by_default] == [
        "closed",
        "reset-on-use",
        "silent-drop",
        "silent-drop-ignores-keepalive",
    ]


NAMES = st.text(st.characters(blacklist_characters="\0", blacklist_categories=["Cs"]), min_size=1, max_size=20)
SETTINGS = st.dictionaries(NAMES, NAMES | st.just(""), max_size=6)


def _startup(settings: dict[str, str]) -> bytes:
    body = b"".join(f"{key}\0{value}\0".encode() for key, value in settings.items()) + b"\0"
    return struct.pack(">II", 8 + len(body), 196608) + body


def _read(message: bytes) -> dict[str, str]:
    words = message[8:-1].decode().split("\0")[:-1]
    return dict(zip(words[::2], words[1::2], strict=True))


@given(SETTINGS, st.lists(st.integers(1, 400), max_size=5), st.binary(max_size=20))
def test_a_first_message_in_any_pieces_keeps_all_it_says_and_says_one_option_more(
    settings: dict[str, str], cuts: list[int], after: bytes
):
    message = _startup(settings)
    data = message + after
    places = sorted({min(cut, len(data)) for cut in cuts} | {0, len(data)})
    first = FirstMessages()
    found = None
    for begin, end in itertools.pairwise(places):
        first.feed(data[begin:end])
        found = found or first.next()
    assert found == (196608, message)
    assert first.rest() == after
    assert is_startup(found[0])
    changed = with_option(message, "a=b")
    assert struct.unpack(">II", changed[:8]) == (len(changed), 196608)
    assert _read(changed) == {**settings, "options": settings.get("options", "") + " -c a=b"}


@given(st.binary(min_size=8, max_size=100))
def test_what_is_no_first_message_is_passed_on_unchanged(data: bytes):
    first = FirstMessages()
    first.feed(data)
    found = first.next()
    given_out = b"" if found is None else found[1]
    assert given_out + first.rest() == data
