"""The answer read without a server."""

import json
from typing import Any

import pytest

from dbdoctor.databases.postgresql import FALLBACK_QUERY, SETTINGS, facts_query, read_facts
from dbdoctor.model.identifier import quote_identifier
from dbdoctor.model.server import Pooler, ServerFacts

ANSWER: dict[str, Any] = {
    "version": "PostgreSQL 18.4 on x86_64-pc-linux-gnu, compiled by gcc, 64-bit",
    "now": 1_000_010.0,
    "started": 1_000_000.0,
    "pid": 4711,
    "user": "app",
    "acting_user": "app",
    "database": "shop",
    "client": "10.0.0.9",
    "tls": "TLSv1.3, TLS_AES_256_GCM_SHA384",
    "all_stats": True,
    "role": {"superuser": False, "limit": -1, "valid_until": None},
    "database_limit": -1,
    "slots": {
        "used": 7,
        "hidden": 0,
        "idle": 5,
        "idle_in_transaction": 1,
        "active": 1,
        "role_used": 6,
        "database_used": 7,
    },
    "used_by": [["app", "shop", 6], ["postgres", "", 1]],
    "settings": {
        "max_connections": ["100", "100", None],
        "max_worker_processes": ["8", "8", None],
        "superuser_reserved_connections": ["3", "3", None],
        "reserved_connections": ["2", "2", None],
        "server_encoding": ["UTF8", "UTF8", None],
        "server_version": ["18.4 (Debian 18.4-1.pgdg120+1)", "18.4", None],
        "server_version_num": ["180004", "180004", None],
        "ssl": ["on", "on", None],
        "statement_timeout": ["2000", "60000", "ms"],
        "tcp_keepalives_idle": ["7200", "0", "s"],
        "idle_session_timeout": ["0", "300000", "ms"],
    },
    "aurora": False,
    "alloydb": False,
    "standby": False,
    "replica": None,
}


def told(*, sent=1_000_010.0, received=1_000_010.0, backend_pid=4711, tls=None, **changes: Any) -> ServerFacts:
    text = json.dumps({**ANSWER, **changes})
    return read_facts(text, sent_at=sent, received_at=received, backend_pid=backend_pid, tls=tls)


def test_the_plain_answer():
    facts = told()
    assert (facts.product, facts.version, facts.version_number) == ("PostgreSQL", "18.4", 180004)
    assert facts.uptime == 10.0
    assert facts.slots is not None
    assert (facts.slots.limit, facts.slots.reserved, facts.slots.used, facts.slots.free) == (100, 5, 7, 88)
    assert facts.settings["statement_timeout"] == 60.0
    assert facts.settings["idle_session_timeout"] == 300.0
    assert facts.settings["tcp_keepalives_idle"] == 7200.0
    assert told(client=None).settings["tcp_keepalives_idle"] == 0.0
    assert "max_connections" not in facts.settings
    assert "server_version" not in facts.settings


def test_bytes_and_text_are_read_alike():
    text = json.dumps(ANSWER)
    one = read_facts(text, sent_at=0, received_at=0, backend_pid=None, tls=None)
    assert one == read_facts(text.encode(), sent_at=0, received_at=0, backend_pid=None, tls=None)


def test_the_clock_is_held_against_the_middle_of_the_round_trip():
    facts = told(sent=1_000_000.0, received=1_000_004.0)
    assert facts.clock_skew == 8.0
    assert facts.clock_uncertainty == 2.0


@pytest.mark.parametrize(
    ("announced", "pooler"), [(4711, None), (None, None), (0, None), (99, Pooler("a connection pooler"))]
)
def test_another_backend_than_announced_is_a_pooler(announced, pooler):
    assert told(backend_pid=announced).pooler == pooler


def test_behind_a_pooler_the_servers_word_on_tls_is_about_the_pooler():
    assert told().tls == ANSWER["tls"]
    assert told(backend_pid=99).tls is None
    assert told(backend_pid=99).extra["server_tls"] == ANSWER["tls"]
    assert told(backend_pid=99, tls="TLSv1.2, X").tls == "TLSv1.2, X"


# Each as its vendor's documentation or users quote it.
@pytest.mark.parametrize(
    ("text", "product", "version", "number"),
    [
        (
            "PostgreSQL 8.0.2 on i686-pc-linux-gnu, compiled by GCC gcc (GCC) 3.4.2, Redshift 1.0.77467",
            "Amazon Redshift",
            "1.0.77467",
            80002,
        ),
        ("CockroachDB CCL v23.1.11 (x86_64-pc-linux-gnu, built 2023/09/27)", "CockroachDB", "23.1.11", 0),
        ("PostgreSQL 11.2-YB-2.18.0.0-b0 on x86_64-pc-linux-gnu, compiled by clang", "YugabyteDB", "2.18.0.0", 110002),
        ("PostgreSQL 9.4.26 (Greenplum Database 6.20.3 build commit:24b949d) on x86_64", "Greenplum", "6.20.3", 90426),
        (
            "PostgreSQL 14.7 (EnterpriseDB Advanced Server 14.7.0) on x86_64-pc-linux-gnu",
            "EDB Postgres Advanced Server",
            "14.7.0",
            140007,
        ),
        ("PostgreSQL 19beta1 on x86_64-pc-linux-gnu", "PostgreSQL", "19beta1", 190000),
        ("PostgreSQL 16.4 (Debian 16.4-1.pgdg120+1) on x86_64", "PostgreSQL", "16.4", 160004),
        ("SomethingElse 1.0", "an unknown server", "SomethingElse", 0),
        ("", "an unknown server", "unknown", 0),
    ],
)
def test_relatives_that_only_tell_their_version(text, product, version, number):
    facts = read_facts(text.encode(), sent_at=1.0, received_at=2.0, backend_pid=5, tls="TLSv1.3")
    assert (facts.product, facts.version, facts.version_number) == (product, version, number)
    assert facts.slots is None
    assert facts.tls == "TLSv1.3"
    assert [missing.what for missing in facts.missing] == ["slots, limits and settings"]


def test_relatives_that_answer_in_full():
    assert told(aurora=True).product == "Amazon Aurora PostgreSQL"
    assert told(alloydb=True).product == "AlloyDB"


def test_rds_reserves_beyond_postgresql():
    settings = {**ANSWER["settings"], "rds.rds_superuser_reserved_connections": ["2", "2", None]}
    slots = told(settings=settings).slots
    assert slots is not None
    assert slots.reserved == 7


@pytest.mark.parametrize(
    ("escaped", "encoding", "name"),
    [
        ("plain", "UTF8", "plain"),
        (r"Zo\303\253", "UTF8", "Zoë"),
        (r"b\344r", "LATIN1", "bär"),
        (r"\317\360\350", "WIN1251", "При"),
        (r"b\344r", "SQL_ASCII", "b\ufffdr"),
        (r"b\344r", "MULE_INTERNAL", "b\ufffdr"),
        (r"a\\101b", "UTF8", r"a\101b"),
        (r"\\\\", "UTF8", "\\\\"),
        ("\x1b[31m\n", "UTF8", "\x1b[31m\n"),
    ],
)
def test_names_come_back_from_their_bytes(escaped, encoding, name):
    settings = {**ANSWER["settings"], "server_encoding": [encoding, encoding, None]}
    facts = told(settings=settings, user=escaped, used_by=[[escaped, escaped, 1]])
    assert facts.user == name
    assert facts.slots is not None
    assert facts.slots.used_by == ((name, name, 1),)


@pytest.mark.parametrize(
    ("replica", "lag"),
    [
        ({"receiving": True, "status": "streaming", "behind": False, "replayed": 1.0}, 0.0),
        ({"receiving": True, "status": "streaming", "behind": True, "replayed": 1_000_003.0}, 7.0),
        ({"receiving": True, "status": "streaming", "behind": True, "replayed": 1_000_011.0}, 0.0),
        ({"receiving": True, "status": "streaming", "behind": True, "replayed": None}, None),
        ({"receiving": False, "status": None, "behind": None, "replayed": 1_000_003.0}, None),
    ],
)
def test_lag(replica, lag):
    assert told(standby=True, replica=replica).replica_lag == lag


def test_limits_that_are_none():
    role = {"superuser": False, "limit": 5, "valid_until": None}
    assert len(told(role=role, database_limit=10).limits) == 2
    assert told(role={**role, "superuser": True}, database_limit=10).limits == ()
    assert told(database_limit=-2).limits == ()
    assert told(role=None, database_limit=-1).limits == ()


def test_the_question_is_one_text_with_the_answer_last():
    text = facts_query(2.5)
    assert "statement_timeout = 2500;" in text
    assert "statement_timeout = 1;" in facts_query(0.0)
    statements = [part.strip() for part in text.rstrip().rstrip(";").split(";\n")]
    assert [part.split()[:2] for part in statements[:-1]] == [["SET", "LOCAL"]] * 4
    assert statements[-1].startswith("WITH ")
    assert all(f"'{name}'" in text for name in SETTINGS)
    assert "{" not in text
    assert text.isascii()
    assert FALLBACK_QUERY == "SELECT version()"


def test_quoting():
    assert quote_identifier('o"k; DROP') == '"o""k; DROP"'
