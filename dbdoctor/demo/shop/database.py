"""The shop's way to its database: each service is a process with an engine of its own."""

import os
import tomllib
from pathlib import Path

from sqlalchemy import create_engine

DSN = os.environ["SHOP_DATABASE_URL"]
SETTINGS = Path("pool.toml")  # what `dbdoctor recommend --format toml` says, if somebody asked it


def make_engine(service: str, dsn: str = DSN, **settings):
    if SETTINGS.exists():
        settings |= tomllib.loads(SETTINGS.read_text())["engine"]
    connect_args = {"application_name": f"shop-{service}", **settings.pop("connect_args", {})}
    return create_engine(dsn, connect_args=connect_args, **settings)
