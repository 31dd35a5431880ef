from dataclasses import replace

import pytest

from dbdoctor.model.finding import Severity, Skipped
from dbdoctor.model.pool import PoolSettings
from dbdoctor.model.server import Pooler
from dbdoctor.model.target import Endpoint, Product
from dbdoctor.rules import (
    client_connection_check,
    idle_in_transaction,
    idle_session_timeout,
    server_keepalive,
    tls,
)
from tests.rules.facts import ENCRYPTED, HEALTHY, facts, far, one, target

POOLED = Pooler("PgBouncer", None, "transaction")
OS_DEFAULT = {"tcp_keepalives_idle": 7200.0, "tcp_keepalives_interval": 75.0, "tcp_keepalives_count": 9.0}


def test_idle_in_transaction():
    off = {"idle_in_transaction_session_timeout": 0.0}
    finding = one(idle_in_transaction, facts(settings=off, user='o"k'), target())
    assert finding.severity is Severity.INFO
    assert finding.command == 'ALTER ROLE "o""k" SET idle_in_transaction_session_timeout = \'5min\';'
    assert one(idle_in_transaction, facts(settings={"idle_in_transaction_session_timeout": 0.001}), target()) is None
    states = {"idle_in_transaction": 4}
    assert "4 of the sessions" in one(idle_in_transaction, facts(settings=off, extra={"states": states}), target()).why
    assert one(idle_in_transaction, facts(settings=off), replace(target(), product=Product.SQLSERVER)) is None
    assert isinstance(one(idle_in_transaction, replace(HEALTHY, settings={}), target()), Skipped)


@pytest.mark.parametrize(
    ("pool", "severity"),
    [
        (None, Severity.INFO),
        (PoolSettings(5, 10), Severity.WARNING),
        (PoolSettings(5, 10, pool_recycle=-1), Severity.WARNING),
        (PoolSettings(5, 10, pool_recycle=299), None),
        (PoolSettings(5, 10, pool_recycle=300), Severity.WARNING),
        (PoolSettings(5, 10, pool_recycle=3600), Severity.WARNING),
        (PoolSettings(5, 10, pool_pre_ping=True), None),
        (PoolSettings(5, 10, pool_pre_ping=False), Severity.WARNING),
        (PoolSettings(pool_class="NullPool"), None),
    ],
)
def test_idle_session_timeout_against_recycling(pool, severity):
    finding = one(idle_session_timeout, facts(settings={"idle_session_timeout": 300.0}), target(pool=pool))
    assert (finding.severity if finding else None) == severity
    if finding:
        assert finding.command == "create_engine(url, pool_recycle=240, pool_pre_ping=True)"


def test_idle_session_timeout_elsewhere():
    limit = {"idle_session_timeout": 300.0}
    pool = PoolSettings(5, 10)
    assert one(idle_session_timeout, facts(), target(pool=pool)) is None
    assert one(idle_session_timeout, facts(settings=limit, pooler=POOLED), target(pool=pool)) is None
    older = {name: value for name, value in HEALTHY.settings.items() if name != "idle_session_timeout"}
    assert one(idle_session_timeout, replace(HEALTHY, settings=older), target(pool=pool)) is None
    tiny = one(idle_session_timeout, facts(settings={"idle_session_timeout": 0.5}), target(pool=pool))
    assert "pool_recycle=1," in tiny.command


@pytest.mark.parametrize(
    ("idle", "path", "severity"),
    [
        (60.0, None, None),
        (3539.0, None, None),
        (3540.0, None, Severity.INFO),
        (7200.0, None, Severity.INFO),
        (7200.0, 350.0, Severity.WARNING),
        (350.0, 350.0, None),
        (351.0, 350.0, Severity.WARNING),
        (60.0, 30.0, Severity.WARNING),
        (0.0, None, Severity.INFO),
    ],
)
def test_server_keepalive(idle, path, severity):
    finding = one(
        server_keepalive, far(settings={"tcp_keepalives_idle": idle}), target(host="db1", path_idle_timeout=path)
    )
    assert (finding.severity if finding else None) == severity


def test_server_keepalive_says_how_long():
    finding = one(server_keepalive, far(settings=OS_DEFAULT), target(host="db1"))
    assert "2h 11m" in finding.title
    unset = dict.fromkeys(OS_DEFAULT, 0.0)
    assert one(server_keepalive, far(settings=unset), target(host="db1")).title == finding.title
    below_path = one(server_keepalive, far(settings=OS_DEFAULT), target(host="db1", path_idle_timeout=20.0))
    assert "tcp_keepalives_idle = 10;" in below_path.command


def test_server_keepalive_where_it_does_not_matter():
    assert one(server_keepalive, facts(settings=OS_DEFAULT), target()) is None
    assert one(server_keepalive, far(settings=OS_DEFAULT, pooler=POOLED), target(host="db1")) is None
    assert isinstance(one(server_keepalive, replace(far(), settings={}), target(host="db1")), Skipped)


def test_client_connection_check():
    off = {"client_connection_check_interval": 0.0, "statement_timeout": 0.0}
    away = target(host="db1")
    assert one(client_connection_check, far(settings=off), away).severity is Severity.INFO
    assert one(client_connection_check, far(settings={**off, "statement_timeout": 30.0}), away) is None
    assert one(client_connection_check, far(settings={**off, "client_connection_check_interval": 1.0}), away) is None
    assert one(client_connection_check, facts(settings=off), target()) is None
    assert one(client_connection_check, far(settings=off, pooler=POOLED), away) is None
    older = {
        name: value for name, value in {**HEALTHY.settings, **off}.items() if name != "client_connection_check_interval"
    }
    assert one(client_connection_check, replace(far(), settings=older), away) is None


@pytest.mark.parametrize(
    ("seen_from", "host", "fires"),
    [
        ("10.0.0.9", "db1", True),
        ("2001:db8::9", "2001:db8::1", True),
        ("127.0.0.1", "db1", False),
        ("::1", "db1", False),
        (None, "/run/postgresql", False),
        ("10.0.0.9", "localhost", False),
        ("10.0.0.9", "127.0.0.1", False),
        ("10.0.0.9", "/run/postgresql", False),
        ("10.0.0.9", None, False),
    ],
)
def test_tls_where_a_network_lies_between(seen_from, host, fires):
    finding = one(tls, facts(extra={"client_address": seen_from}), target(host=host))
    assert (finding is not None) == fires
    assert one(tls, facts(extra={"client_address": seen_from}, tls=ENCRYPTED), target(host=host)) is None


def test_tls_says_what_to_do_by_what_the_server_offers():
    offered = one(tls, far(), target(host="db1"))
    assert offered.severity is Severity.WARNING
    assert offered.command == "sslmode=verify-full"
    assert "ssl = on" in one(tls, far(extra={"server_offers_tls": False}), target(host="db1")).command
    assert "sslmode=disable" in one(tls, far(), target(host="db1", parameters={"sslmode": "disable"})).why


def test_tls_behind_a_pooler_the_poolers_address_says_nothing():
    near_the_pooler = facts(pooler=POOLED, extra={"client_address": None, "server_offers_tls": False})
    assert one(tls, near_the_pooler, target(host="db1")).command == "sslmode=verify-full"
    assert one(tls, near_the_pooler, target(host="localhost")) is None


def test_tls_one_far_host_of_two_is_far():
    two = replace(target(), endpoints=(Endpoint("localhost", 5432), Endpoint("db2", 5432)))
    assert one(tls, far(), two) is not None
