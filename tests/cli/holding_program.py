"""A program with the recorder in it: takes one connection in AUTOCOMMIT, and gives it back when it reads a line.

python -m tests.cli.holding_program DSN DIRECTORY LEAK_AFTER
"""

from __future__ import annotations

import sys

from sqlalchemy import Connection, Engine, create_engine, make_url

from dbdoctor.recorder.start import attach_all


def take(engine: Engine) -> Connection:
    """The line to be found."""
    return engine.connect()  # taken here


def main(dsn: str, place: str, leak_after: str) -> None:
    attach_all(out=place, leak_after=float(leak_after))
    url = make_url(dsn).set(drivername="postgresql+psycopg2")
    engine = create_engine(url, isolation_level="AUTOCOMMIT", connect_args={"application_name": "holding"})
    connection = take(engine)
    print("ready", flush=True)
    sys.stdin.readline()
    connection.close()
    print("given back", flush=True)
    sys.stdin.readline()


if __name__ == "__main__":
    main(*sys.argv[1:])
