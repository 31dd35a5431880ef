"""The lines that the pages of SQL Server's faults say to paste, pasted: with them a test at checkout does what it is for."""

from __future__ import annotations

import contextlib
import re
import textwrap
import time
from collections.abc import Iterator
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy import event

from dbdoctor.faults.kinds import pages
from tests.servers import odbc
from tests.servers.tds import Refuse, SqlError, TdsServer
from tests.trials.recovering import recovering_server

odbc.load()

# Microsoft's driver recovers a session that has been idle for a second.
_IDLE_ENOUGH = 1.5


@pytest.fixture(autouse=True)
def _drivers(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in odbc.environment().items():
        monkeypatch.setenv(name, value)


def lines_of(code: str) -> str:
    """The code on a page."""
    text = pages()[code].do
    paragraphs = [part for part in text.split("\n\n") if part.lstrip().startswith("@event")]
    return textwrap.dedent("\n".join(paragraphs))


@contextlib.contextmanager
def warm(server: TdsServer, driver: str, code: str | None) -> Iterator[sa.Engine]:
    """An engine with one connection in its pool; with the lines of the page `code` pasted below it."""
    engine = sa.create_engine(server.url(driver), pool_pre_ping=True)
    if code is not None:
        exec(lines_of(code), {"engine": engine, "event": event, "re": re})
    with engine.connect() as connection:
        connection.execute(sa.text("SELECT 1"))
    try:
        yield engine
    finally:
        engine.dispose()


def use(engine: sa.Engine) -> Any:
    """What the application gets."""
    with engine.connect() as connection:
        return connection.execute(sa.text("SELECT 1")).scalar()


def end(server: TdsServer) -> None:
    """The server ends all sessions."""
    for session in server.sessions.live():
        session.end("kill")
    server.sessions.wait_for(0)


@pytest.mark.parametrize("pasted", [False, True], ids=["without", "with"])
def test_freetds_after_kill(pasted: bool) -> None:
    with TdsServer("2022") as server, warm(server, "freetds", "killed" if pasted else None) as engine:
        end(server)
        if pasted:
            assert use(engine) == 1
        else:
            with pytest.raises(sa.exc.DBAPIError, match="Unknown error"):
                use(engine)


@pytest.mark.parametrize("pasted", [False, True], ids=["without", "with"])
def test_a_recovered_session(pasted: bool) -> None:
    with recovering_server() as server, warm(server, "microsoft", "killed" if pasted else None) as engine:
        end(server)
        time.sleep(_IDLE_ENOUGH)  # being idle is the point
        if pasted:
            assert use(engine) == 1
        else:
            with pytest.raises(sa.exc.ProgrammingError, match="failed to resume the transaction"):
                use(engine)


@pytest.mark.parametrize("driver", ["microsoft", "freetds"])
@pytest.mark.parametrize("pasted", [False, True], ids=["without", "with"])
def test_an_error_in_the_session(pasted: bool, driver: str) -> None:
    with TdsServer("2022") as server, warm(server, driver, "session-error-40613" if pasted else None) as engine:
        server.controls.at("query", Refuse(SqlError(40613, "shop", "tests")), times=1, matching="SELECT 1")
        if pasted:
            assert use(engine) == 1
        else:
            with pytest.raises(sa.exc.ProgrammingError, match="not currently available"):
                use(engine)
