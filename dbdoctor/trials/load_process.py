"""The process that runs a load through real engines. It is run, not imported.

It is told what to run over the socket whose number is argv[1], one order after the other, and tells what was seen. It
ends when that socket does, and its sessions with it, whatever it is waiting for.
"""

from __future__ import annotations

import os
import signal
import socket
import sys
import threading
from typing import Any

from dbdoctor.model.target import Product
from dbdoctor.model.trial import PoolPlan
from dbdoctor.trials.dialer import die_with_parent
from dbdoctor.trials.engine import build_engine
from dbdoctor.trials.load import LoadOrder, run_load
from dbdoctor.trials.orders import Lines


def answer(told: dict[str, Any]) -> dict[str, Any]:
    """One order: `product`, `connect` (the driver's arguments), `pool` and `load`; what was seen, or `broken` and why."""
    product = Product(told["product"])
    try:
        engine = build_engine(product, told["connect"], PoolPlan(**told["pool"]))
        try:
            return run_load(engine, product, LoadOrder(**told["load"]))._asdict()
        finally:
            engine.dispose()
    except Exception as error:  # noqa: BLE001 - told, whatever it is
        original = getattr(error, "orig", None) or error
        return {"broken": f"{type(original).__name__}: {(str(original).splitlines() or [''])[0]}"}


def main() -> None:
    """Until the other end has gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the command ends us by ending the socket
    signal.pthread_sigmask(signal.SIG_UNBLOCK, (signal.SIGINT, signal.SIGTERM))  # it began us with both held back
    die_with_parent()
    os.environ.pop("PGOPTIONS", None)
    lines = Lines(socket.socket(fileno=int(sys.argv[1])))
    while not lines.ended:
        for told in lines.receive():
            threading.Thread(target=lambda one=told: lines.send(answer(one)), daemon=True).start()
    os._exit(0)  # nobody listens: what still runs is not waited for


if __name__ == "__main__":
    main()
