"""The shop's way to its database: each service is a process with an engine of its own."""

import json
import os
from pathlib import Path

from sqlalchemy import create_engine

DSN = os.environ["SHOP_DATABASE_URL"]
SETTINGS = Path("recommended.json")  # what `dbdoctor recommend --json` says, if somebody asked it


def make_engine(service: str, dsn: str = DSN, **settings):
    if SETTINGS.exists():
        settings |= json.loads(SETTINGS.read_text())["settings"]
    connect_args = {"application_name": f"shop-{service}", **settings.pop("connect_args", {})}
    return create_engine(dsn, connect_args=connect_args, **settings)
