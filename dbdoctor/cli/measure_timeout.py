"""`dbdoctor measure-timeout [TARGET]`: the idle timeout that the path to this server really has, and how it drops."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from dbdoctor.cli import options

_LONGEST_LOGIN_TIMEOUT = 3600.0

UpTo = Annotated[
    str | None,
    typer.Option(
        "--up-to",
        metavar="DURATION",
        help="The longest idle timeout to look for, 2s to 7d. Default: 30m.",
        show_default=False,
    ),
]
Resolution = Annotated[
    str | None,
    typer.Option(
        "--resolution",
        metavar="PERCENT",
        help="How near to the truth, 0.5% to 20%; never below 0.3 s. Default: 2%.",
        show_default=False,
    ),
]
Connections = Annotated[
    int | None,
    typer.Option(
        "--connections",
        min=1,
        max=200,
        help="How many connections at once, at most; more are sooner done. Default: 24.",
        show_default=False,
    ),
]
Keepalive = Annotated[
    bool, typer.Option("--keepalive", help="Find out, too, whether TCP keepalives keep a connection alive.")
]
Background = Annotated[
    Path | None,
    typer.Option(
        "--background",
        metavar="FILE",
        help="Measure in the background, with FILE for its state; the same command again shows how far it is.",
        show_default=False,
    ),
]


def measure_timeout(
    target: options.OneTarget = None,
    up_to: UpTo = None,
    resolution: Resolution = None,
    connections: Connections = None,
    keepalive: Keepalive = False,
    background: Background = None,
    login_timeout: options.LoginTimeout = None,
    fail_on: options.FailOnOption = None,
    output: options.FormatOption = options.Format.TEXT,
    json_wanted: options.Json = False,
    config: options.Config = None,
    no_config: options.NoConfig = False,
    trust: options.Trust = False,
    no_color: options.NoColor = False,
    debug: options.Debug = False,
) -> int:
    """Measure the idle timeout that the path to this server really has: how long, how it drops, who it is likely to be.

    Opens some connections, lets them idle for different times, watches each for its end, and uses them to find silent drops.
    """
    options.hide_arguments([target] if target else [])
    from dbdoctor.cli.measure_options import read_measure_options

    asked = read_measure_options(up_to, resolution, connections, keepalive=keepalive)
    timeout = options.read_duration("--login-timeout", login_timeout, least=0.05, most=_LONGEST_LOGIN_TIMEOUT)
    from dbdoctor.cli.measure_order import Order

    order = Order(
        target=target,
        options=asked,
        login_timeout=timeout,
        wants_json=json_wanted or output is options.Format.JSON,
        fail_on=fail_on.value if fail_on else None,
        config=str(config) if config else None,
        no_config=no_config,
        trust=trust,
        no_color=no_color,
        debug=debug,
    )
    if background is not None:
        from dbdoctor.cli.measure_background import in_background

        return in_background(order, background)
    from dbdoctor.cli.measure_run import measure_now

    return measure_now(order)
