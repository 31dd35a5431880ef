"""`simulate-timeout --drop list` and `--pool list`: the names that can be given, and what each is."""

from __future__ import annotations

import sys
from collections.abc import Iterator

from dbdoctor.cli.simulate_options import LIST, SimulateOptions
from dbdoctor.errors import ExitCode
from dbdoctor.model.target import Product
from dbdoctor.model.trial import Scale
from dbdoctor.render.clean import fill
from dbdoctor.render.style import Style

_SHOWN = {Product.POSTGRESQL: "PostgreSQL", Product.SQLSERVER: "SQL Server"}


def print_lists(asked: SimulateOptions) -> int:
    """What was asked for, on stdout."""
    style = Style.of(sys.stdout)
    if LIST in asked.drop:
        for line in fault_lines(style):
            print(line)
    if LIST in asked.pool:
        for line in pool_lines(style, asked):
            print(line)
    return ExitCode.OK


def fault_lines(style: Style) -> Iterator[str]:
    """Every fault: its code, what it is, which devices do it."""
    from dbdoctor.faults.kinds import all_faults

    yield "Faults (* by default):"
    for code, fault in all_faults().items():
        mark = "*" if fault.by_default else " "
        only = "" if len(fault.products) > 1 else f"; {_SHOWN[fault.products[0]]} only"
        where = f" ({fault.stands_for})" if fault.stands_for else ""
        yield fill(f"{mark} {code}: {fault.title}{where}{only}", style.width, "      ", "  ")


def pool_lines(style: Style, asked: SimulateOptions) -> Iterator[str]:
    """Every pool of both products' tables."""
    from dbdoctor.trials.pools import DEFAULT, pools

    scale = Scale(asked.idle or 4.0, asked.idle_timeout or 350.0)
    for product in Product:
        yield f"Pools for {_SHOWN[product]} (* by default):"
        for name, plan in pools(product, scale).items():
            mark = "*" if name in DEFAULT[product] else " "
            yield fill(f"{mark} {name}: {plan.title}", style.width, "      ", "  ")
    yield "  current: the pool of the target, where it is a live engine or its profile states one"
