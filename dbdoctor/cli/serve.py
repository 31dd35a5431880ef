"""`dbdoctor serve [TARGET]...`: judges targets without end, and shows what it sees to Prometheus."""

from __future__ import annotations

from typing import Annotated

import typer

from dbdoctor.cli import options

_LONGEST_LOGIN_TIMEOUT = 3600.0
_SHORTEST_INTERVAL, _LONGEST_INTERVAL = 0.2, 3600.0
_INTERVAL, _LOGIN_EVERY = 15.0, 300.0
DEFAULT_LISTEN = "127.0.0.1:9797"

Listen = Annotated[
    str,
    typer.Option(
        "--listen",
        metavar="HOST:PORT",
        help="Where to answer; port 0 is any free one. Anything but this machine's own addresses needs --yes.",
    ),
]
Interval = Annotated[
    str | None,
    typer.Option(
        "--interval",
        metavar="DURATION",
        help="How often to look at each target, 200ms to 1h. Default: 15s.",
        show_default=False,
    ),
]
LoginEvery = Annotated[
    str | None,
    typer.Option(
        "--login-every",
        metavar="DURATION",
        help="How often to log in anew, stage by stage, up to 24h. Default: 5m, or the interval if that is longer.",
        show_default=False,
    ),
]


def serve(
    targets: options.Targets = None,
    every_profile: Annotated[bool, typer.Option("--all", help="Judge every profile of the config file.")] = False,
    listen: Listen = DEFAULT_LISTEN,
    interval: Interval = None,
    login_every: LoginEvery = None,
    yes: Annotated[bool, typer.Option("--yes", help="Let --listen be reached from other machines.")] = False,
    login_timeout: options.LoginTimeout = None,
    config: options.Config = None,
    no_config: options.NoConfig = False,
    trust: options.Trust = False,
    debug: options.Debug = False,
) -> int:
    """Judge targets without end, and answer Prometheus: /metrics, /healthz, and a page for people.

    Each target has a thread and one session of its own, so that one that hangs keeps no other waiting. Ends with Ctrl-C.
    """
    del debug
    words = targets or []
    options.hide_arguments(words)
    pace = options.read_duration("--interval", interval, least=_SHORTEST_INTERVAL, most=_LONGEST_INTERVAL) or _INTERVAL
    every = options.read_duration("--login-every", login_every, least=pace, most=86400.0) or max(pace, _LOGIN_EVERY)
    seconds = options.read_duration("--login-timeout", login_timeout, least=0.05, most=_LONGEST_LOGIN_TIMEOUT)
    from dbdoctor.cli.serve_options import read_listen

    place = read_listen(listen, yes=yes)
    from dbdoctor.targets.select import select_targets

    selection = select_targets(words, config=config, use_config=not no_config, trust=trust, every_profile=every_profile)
    from dbdoctor.cli.serve_run import run_fleet

    return run_fleet(selection, place, interval=pace, login_every=every, login_timeout=seconds)
