"""What each kind of SQL Server says of itself, and what it says without rights."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator

import pytest

from dbdoctor.databases import sqlserver
from dbdoctor.databases.odbc.session import OdbcError, OdbcSession
from dbdoctor.databases.sqlserver_edition import read_edition
from dbdoctor.databases.sqlserver_text import Ask, RefusedError, Row
from dbdoctor.model.server import ServerFacts
from dbdoctor.targets.parse import parse_dsn
from tests.servers import odbc
from tests.servers.tds import PROFILES, Account, TdsServer
from tests.servers.tds import profiles as rights

Start = Callable[..., TdsServer]
DAYS = 3 * 86_400


@pytest.fixture(autouse=True)
def _drivers(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in odbc.environment().items():
        monkeypatch.setenv(name, value)


@pytest.fixture(params=["microsoft", "freetds"])
def driver(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@contextlib.contextmanager
def asking(server: TdsServer, driver: str, **keywords: object) -> Iterator[Ask]:
    with OdbcSession(parse_dsn(server.dsn(driver, **keywords), environment={})) as session:
        session.open(5.0)

        def ask(question: str) -> list[Row]:
            try:
                return session.query(question, 5.0)
            except OdbcError as error:
                raise RefusedError(error.message, error.native) from None

        yield ask


def facts(server: TdsServer, driver: str, **keywords: object) -> ServerFacts:
    with asking(server, driver, **keywords) as ask:
        return sqlserver.gather_facts(ask, clock=time.time)


KINDS = {
    "2016": ("SQL Server", "2016 SP3 (13.0.6300.2)", 32_767),
    "2019": ("SQL Server", "2019 CU32 (15.0.4430.1)", 32_767),
    "2022": ("SQL Server", "2022 CU16 (16.0.4175.1)", 32_767),
    "2025": ("SQL Server", "2025 (17.0.1000.7)", 32_767),
    "managed-instance": ("Azure SQL Managed Instance", "12.0.2000.8", 32_767),
    "azure-sql-db-basic": ("Azure SQL Database", "12.0.2000.8", 300),
    "azure-sql-db-standard": ("Azure SQL Database", "12.0.2000.8", 2400),
    "azure-sql-db-general-purpose": ("Azure SQL Database", "12.0.2000.8", 30_000),
    "babelfish-like": ("Babelfish for PostgreSQL", "5.2.0", 32_767),
    "synapse-like": ("Azure Synapse Analytics", "10.0.10887.0", None),
    "fabric-like": ("SQL database in Fabric", "12.0.2000.8", 32_767),
}


def test_every_kind_is_tried() -> None:
    assert set(KINDS) == set(PROFILES)


@pytest.mark.parametrize("profile", KINDS)
def test_what_it_is_and_what_it_admits(profile: str, driver: str, start_tds: Start) -> None:
    server = start_tds(profile)
    for name in ("web", "web", "batch"):
        server.inject(program_name=name)
    found = facts(server, driver)
    product, version, limit = KINDS[profile]
    assert (found.product, found.version, found.user, found.database) == (product, version, "sa", "shop")
    assert (found.slots.limit if found.slots else None) == limit
    if found.slots:
        assert (found.slots.used, found.slots.used_by[0]) == (4, ("shop", "web", 2))
    assert abs(found.clock_skew or 9) < 1
    assert not found.restricted
    if profile != "fabric-like":
        assert found.uptime == pytest.approx(DAYS, abs=5)
    assert found.extra["own_session"]
    assert found.is_standby is False


def test_limits_of_the_administrators_own(driver: str, start_tds: Start) -> None:
    server = start_tds("2022")
    server.facts.configuration["user connections"] = 100
    found = facts(server, driver)
    assert found.slots is not None
    assert (found.slots.limit, found.slots.used, found.slots.free) == (100, 1, 99)
    assert found.extra["max_workers"] == 512


def test_azures_tier(driver: str, start_tds: Start) -> None:
    found = facts(start_tds("azure-sql-db-standard"), driver)
    assert (found.extra["tier"], found.extra["dtu_limit"], found.extra["max_workers"]) == ("S3", 100, 200)
    assert found.settings["azure_gateway_idle_timeout"] == 1800


def test_a_small_tier_tells_its_published_limit_without_the_view(driver: str, start_tds: Start) -> None:
    account = Account(rights=frozenset({rights.VIEW_DATABASE_STATE}))
    found = facts(start_tds("azure-sql-db-basic", accounts={"sa": account}), driver)
    assert found.slots is not None
    assert found.slots.limit == 300
    assert "in the service tier Basic" in found.missing[0].reason


@pytest.mark.parametrize(("encryption", "tls"), [("off", None), ("required", "TLS")])
def test_the_encryption_of_our_own_session(encryption: str, tls: str | None, driver: str, start_tds: Start) -> None:
    trusted = {"TrustServerCertificate": "yes"} if driver == "microsoft" else {}
    found = facts(start_tds("2022", encryption=encryption), driver, **trusted)
    assert found.tls == tls


@pytest.mark.parametrize("profile", KINDS)
def test_nothing_is_refused_in_a_way_that_is_not_told(profile: str, driver: str, start_tds: Start) -> None:
    server = start_tds(profile)
    found = facts(server, driver, UID="reader")
    assert found.product == KINDS[profile][0]
    assert found.slots is None
    # A right that shows sessions is only named where there is a view of them.
    assert found.restricted == (profile != "synapse-like")
    told = [one for one in found.missing if one.what == "the sessions of other logins"]
    assert [one.help is not None for one in told] == [True] * found.restricted
    assert all(one.reason for one in found.missing)


def test_the_edition_is_asked_before_anything_that_may_be_denied(start_tds: Start) -> None:
    asked: list[str] = []
    with asking(start_tds("azure-sql-db-basic"), "microsoft", UID="reader") as ask:

        def note(question: str) -> list[Row]:
            asked.append(question)
            return ask(question)

        sqlserver.gather_facts(note, clock=time.time)
    assert "EngineEdition" in asked[0]
    assert not [question for question in asked if "EngineEdition" in question and "sys." in question]


def test_a_server_that_knows_next_to_nothing() -> None:
    def ask(question: str) -> list[Row]:
        if question == "SELECT @@VERSION":
            return [["Something else 3.1\nby somebody"]]
        raise RefusedError("Incorrect syntax near '('.", 102)

    found = sqlserver.gather_facts(ask, clock=time.time)
    assert (found.product, found.version) == ("an unknown server", "Something else 3.1 by somebody")
    assert (found.slots, found.server_time, found.user) == (None, None, None)
    assert found.missing


EDITIONS = [
    ((3, "11.0.7001.0", "Enterprise", None, None, ""), "SQL Server", "2012 (11.0.7001.0)", 11),
    ((2, "18.0.1.0", "Standard", "CU1", None, "Microsoft SQL Server 2028 - 18.0.1.0"), "SQL Server", "2028 CU1 (18.0.1.0)", 18),
    ((None, None, None, None, None, "Microsoft SQL Server 2019 (CU9) - 15.0.4102.2"), "SQL Server", "2019 CU9 (15.0.4102.2)", 15),
    ((9, "15.0.2000.1", "Azure SQL Edge", None, None, ""), "Azure SQL Edge", "15.0.2000.1", 15),
    ((None, None, None, None, None, None), "an unknown server", "unknown", 0),
]  # fmt: skip


@pytest.mark.parametrize(("answer", "product", "version", "major"), EDITIONS)
def test_editions(answer: tuple[object, ...], product: str, version: str, major: int) -> None:
    edition = read_edition(answer)
    assert (edition.product, edition.version, edition.major) == (product, version, major)
