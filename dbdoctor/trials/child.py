"""The first and last steps of an application's process, which was forked from the stage."""

from __future__ import annotations

import os
import signal
import socket
from typing import Any, NoReturn

from dbdoctor.faults.fault import Fault
from dbdoctor.model.target import Product
from dbdoctor.trials.application import Application
from dbdoctor.trials.dialer import die_with_parent
from dbdoctor.trials.engine import WORDS, build_engine, merge_options
from dbdoctor.trials.orders import Lines, StageOrder, TrialOrder


def live(end: socket.socket, order: TrialOrder, whole: StageOrder, fault: Fault, port: int) -> NoReturn:
    """Be the application, then wait to be killed: its pool's sessions stay until somebody has looked at them."""
    try:
        die_with_parent()
        _forget_all_but(end.fileno())
        lines = Lines(end)
        try:
            _run(lines, order, whole, fault, port)
        except Exception as error:  # noqa: BLE001 - told, whatever it is
            lines.send({"event": "broken", "why": f"{type(error).__name__}: {error}"})
        signal.pause()
    finally:
        os._exit(0)


def _run(lines: Lines, order: TrialOrder, whole: StageOrder, fault: Fault, port: int) -> None:
    product = Product(whole.product)
    connect = arguments(whole, order, fault, port)
    engine = build_engine(product, connect, order.pool)
    if product is Product.SQLSERVER:
        from dbdoctor.trials.child_sqlserver import keep_alive

        keep_alive(engine, whole, order, port)
    application = Application(
        engine,
        order.pool,
        WORDS[product],
        fault.scenario,
        idle=order.idle,
        writes=fault.writes,
        tell=lines.send,
    )
    application.run()


def arguments(whole: StageOrder, order: TrialOrder, fault: Fault, port: int) -> dict[str, Any]:
    """The driver's arguments: the target's, the pool's, the fault's, and the relay as the place to go to."""
    if whole.product == Product.POSTGRESQL.value:
        return _for_postgresql(whole, order, fault, port)
    from dbdoctor.trials.child_sqlserver import for_sqlserver

    return for_sqlserver(whole, order, port)


def _for_postgresql(whole: StageOrder, order: TrialOrder, fault: Fault, port: int) -> dict[str, Any]:
    settings = " ".join(f"-c {name}={value}" for name, value in fault.session_settings().items())
    pool = dict(order.pool.connect_args)
    found = {**whole.connect, **pool}
    options = merge_options(whole.connect.get("options"), pool.get("options"), settings)
    if options:
        found["options"] = options
    found["hostaddr"] = "127.0.0.1"
    found["port"] = port
    found["application_name"] = whole.application_name(order.number)
    return {**found, **fault.connect_arguments()}


def _forget_all_but(keep: int) -> None:
    """Close every file of the stage's: a copy of the relay's sockets here would keep them open."""
    highest = os.sysconf("SC_OPEN_MAX")
    os.closerange(3, keep)
    os.closerange(keep + 1, min(highest, 65536))
