"""Applications of trials without a relay: run as a script, it is given orders as JSON, and tells what they see, line by line.

    [{"number": 0, "pool": {...}, "scenario": "idle", "idle": 3.0, "connect": {...}}, ...]

Each is a process; all of them end at the end of its standard input.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
from collections.abc import Mapping
from typing import Any, NoReturn

import psycopg2  # noqa: F401 - once, before the first fork
import sqlalchemy.dialects.postgresql  # noqa: F401

from dbdoctor.model.target import Product
from dbdoctor.model.trial import PoolPlan, Scenario
from dbdoctor.trials.application import Application
from dbdoctor.trials.dialer import die_with_parent
from dbdoctor.trials.engine import WORDS, build_engine


def live(order: Mapping[str, Any]) -> NoReturn:
    """Be the application, then wait to be killed."""

    def tell(event: Mapping[str, Any]) -> None:
        os.write(1, json.dumps({"number": order["number"], **event}).encode() + b"\n")

    try:
        die_with_parent()
        os.close(0)
        plan = PoolPlan(**order["pool"])
        engine = build_engine(Product.POSTGRESQL, {**order["connect"], **plan.connect_args}, plan)
        words = WORDS[Product.POSTGRESQL]
        Application(engine, plan, words, Scenario(order["scenario"]), idle=order["idle"], writes=False, tell=tell).run()
        threading.Event().wait()
    finally:
        os._exit(0)


def main() -> None:
    """Fork one application for each order."""
    children = []
    for order in json.loads(sys.stdin.readline()):
        child = os.fork()
        if child == 0:
            live(order)
        children.append(child)
    sys.stdin.read()
    for child in children:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)


if __name__ == "__main__":
    main()
