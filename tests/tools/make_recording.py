"""Makes `tests/recordings/shop.jsonl`, which README.md replays: a small shop of which two applications leak.

    python -m tests.tools.make_recording

The applications are this file, started once each with a name. Run again, it gives another recording of the same story.
"""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from pathlib import Path

from tests.servers.postgresql import PostgresServer
from tests.servers.workspace import workspace

ROOT = Path(__file__).resolve().parents[2]
RECORDING = ROOT / "tests" / "recordings" / "shop.jsonl"
APPLICATIONS = ("web", "checkout-api", "reports")


def main() -> None:
    """Without a name: the server, the applications, the recording."""
    if len(sys.argv) > 1:
        run(sys.argv[1], os.environ["SHOP_DSN"])
    RECORDING.parent.mkdir(exist_ok=True)
    RECORDING.unlink(missing_ok=True)
    try:
        with PostgresServer(settings={"max_connections": 100}) as server:
            record(server)
    finally:
        workspace().close()


def record(server: PostgresServer) -> None:
    """Watches for half a minute what the applications do."""
    server.execute("CREATE ROLE app LOGIN PASSWORD 'app'")
    server.execute("CREATE DATABASE shop OWNER app")
    dsn = f"postgresql://app:app@127.0.0.1:{server.port}/shop"
    environment = {**os.environ, "SHOP_DSN": dsn.replace("://", "+psycopg2://")}
    started = [
        subprocess.Popen([sys.executable, "-m", "tests.tools.make_recording", name], env=environment, cwd=ROOT)
        for name in APPLICATIONS
    ]
    try:
        time.sleep(8)
        watch = [
            *["--for", "24s", "--interval", "1s", "--idle-in-transaction", "5s", "--no-config", "--json", "--record"],
            str(RECORDING),
        ]
        subprocess.run(
            [Path(sys.executable).parent / "dbdoctor", "leaks", dsn, *watch], check=False, capture_output=True
        )
    finally:
        for process in started:
            process.kill()
            process.wait()
    text = RECORDING.read_text().replace(str(Path(sys.executable)), "python").replace(str(server.port), "5432")
    RECORDING.write_text(text)


def run(name: str, dsn: str) -> None:
    """One application, until it is killed."""
    from sqlalchemy import create_engine, text

    random.seed(name)
    kept: list[object] = []
    named = {"application_name": name}
    shared = create_engine(dsn, connect_args=named)
    if name == "checkout-api":
        with shared.begin() as connection:
            connection.execute(text("CREATE TABLE IF NOT EXISTS carts (id int PRIMARY KEY, owner text)"))
    while True:
        time.sleep(random.uniform(0.3, 0.9))
        if name == "reports":
            time.sleep(1)
            made = create_engine(dsn, connect_args=named)
            kept.append(made)
            with made.connect() as connection:
                connection.execute(text("SELECT count(*) FROM pg_class"))
            continue
        connection = shared.connect()
        if name == "checkout-api" and random.random() < 0.12:
            connection.execute(text("UPDATE carts SET owner = 'Smith' WHERE id = 7"))
            connection.execute(text("INSERT INTO carts VALUES (:id, 'Smith')"), {"id": random.randrange(1 << 30)})
            kept.append(connection)  # the error path, on which nobody closes it
            continue
        connection.execute(text("SELECT 1"))
        connection.close()


if __name__ == "__main__":
    main()
