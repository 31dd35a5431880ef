"""Every T-SQL text that is sent is parsed by two grammars, in all its forms."""

from __future__ import annotations

import itertools

import pytest
import sqlglot

from dbdoctor.databases import sqlserver, sqlserver_details, sqlserver_sessions, sqlserver_terminate
from dbdoctor.databases.sqlserver_edition import read_edition
from dbdoctor.databases.sqlserver_sessions import CONNECTIONS, REQUESTS, TRANSACTIONS, Parts
from dbdoctor.databases.sqlserver_text import first_sentence
from tests.servers.tds.grammar import faults

AZURE = read_edition((5, "12.0.2000.8", "SQL Azure", None, None, ""))
BOX = read_edition((3, "16.0.4175.1", "Developer Edition", None, None, ""))
FEWER = frozenset({"is_user_process", "open_transaction_count", "host_process_id"})


def _looks() -> list[str]:
    views = (CONNECTIONS, REQUESTS, TRANSACTIONS)
    chosen = [found for size in range(4) for found in itertools.combinations(views, size)]
    return [
        sqlserver_sessions.look_question(Parts(found, absent, hash_, own))
        for found in chosen
        for absent, hash_, own in ((frozenset(), True, False), (FEWER, False, True))
    ]


TEXTS = [
    sqlserver.SETTLE,
    *(
        f"SELECT {', '.join(one)}"
        for one in (sqlserver.EDITION, sqlserver.OURSELVES, sqlserver.RIGHTS, sqlserver.DATABASE)
    ),
    sqlserver.CONNECTION,
    sqlserver.UPTIME,
    sqlserver.TEMPDB,
    sqlserver.SETTINGS,
    sqlserver.LIMITS,
    sqlserver.used_question(AZURE),
    sqlserver.used_question(BOX),
    *_looks(),
    *(question for _, question in sqlserver_sessions.probes(Parts())),
    sqlserver_details.statements_question((51, 52)),
    sqlserver_details.buffers_question((51,)),
    sqlserver_details.log_question((51, 52)),
    sqlserver_terminate.end_question(51, 846_000_000_000),
    sqlserver_terminate.alive_question((51, 52)),
    sqlserver_terminate.alive_question((51,), with_requests=False),
    sqlserver_terminate.by_hand((51, 1_700_000_000.0)),
    sqlserver_terminate.by_hand((51, None)),
]


@pytest.mark.parametrize(
    ("said", "first"),
    [
        ("Invalid object name 'sys.dm_os_sys_info'.", "Invalid object name 'sys.dm_os_sys_info'."),
        ("Invalid object name 'sys.x'. This server has: a, b", "Invalid object name 'sys.x'"),
        ("\nno v1.2 here\nmore", "no v1.2 here"),
    ],
)
def test_a_first_sentence(said: str, first: str) -> None:
    assert first_sentence(said) == first


@pytest.mark.parametrize("text", TEXTS, ids=[" ".join(text.split())[:40] for text in TEXTS])
def test_both_grammars_know_it(text: str) -> None:
    assert faults(text) == []
    parsed = sqlglot.parse(text, read="tsql")
    assert parsed
    assert all(parsed)


def test_what_is_sent_only_reads() -> None:
    forbidden = ("INSERT ", "UPDATE ", "DELETE ", "CREATE ", "ALTER ", "DROP ", "DBCC ")
    for text in TEXTS:
        assert not any(word in text.upper() for word in forbidden), text
    ending = [text for text in TEXTS if "KILL" in text]
    assert len(ending) == 3
    assert all("login_time" in text for text in ending[:2])
