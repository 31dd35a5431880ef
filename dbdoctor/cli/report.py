"""`dbdoctor report [TARGET]`: everything about one target in one HTML file that can be passed on."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from dbdoctor.cli import leaks as of_leaks
from dbdoctor.cli import options
from dbdoctor.cli import recommend as of_recommend

_LONGEST_LOGIN_TIMEOUT = 3600.0

Html = Annotated[
    str | None,
    typer.Option(
        "--html",
        metavar="FILE",
        help="Where to write it; a directory, or `-` for stdout. Default: dbdoctor-report-TARGET-TIME.html, here.",
        show_default=False,
    ),
]
Force = Annotated[bool, typer.Option("--force", help="Overwrite FILE if it is there.")]
From = Annotated[
    Path | None,
    typer.Option(
        "--from",
        metavar="RECORDING",
        help="Connect to nothing: what `leaks --record` wrote, or a recorder's file or directory (`dbdoctor run`).",
        show_default=False,
    ),
]
Trace = Annotated[
    Path | None,
    typer.Option(
        "--trace",
        metavar="FILE",
        help="Recorded checkouts to size the pool by: a recorder's file or directory, CSV or JSON lines.",
        show_default=False,
    ),
]
For = Annotated[
    str | None,
    typer.Option("--for", metavar="DURATION", help="How long to watch the sessions. Default: 10s.", show_default=False),
]
Simulate = Annotated[
    bool, typer.Option("--simulate", help="Also run `simulate-timeout`, which opens sessions of its own; asks first.")
]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask before `--simulate` begins.")]


def report(
    target: options.OneTarget = None,
    html: Html = None,
    force: Force = False,
    recording: From = None,
    trace: Trace = None,
    seconds: For = None,
    interval: of_leaks.Interval = None,
    idle: of_leaks.Idle = None,
    idle_in_transaction: of_leaks.IdleInTransaction = None,
    simulate: Simulate = False,
    yes: Yes = False,
    processes: of_recommend.Processes = None,
    replicas: of_recommend.Replicas = None,
    surge: of_recommend.Surge = None,
    rate: of_recommend.Rate = None,
    use_time: of_recommend.UseTime = None,
    burst: of_recommend.Burst = None,
    deadline: of_recommend.Deadline = None,
    idle_timeout: of_recommend.IdleTimeout = None,
    login_timeout: options.LoginTimeout = None,
    fail_on: options.FailOnOption = None,
    config: options.Config = None,
    no_config: options.NoConfig = False,
    trust: options.Trust = False,
    no_color: options.NoColor = False,
    debug: options.Debug = False,
) -> int:
    """Write everything about one target into one HTML file: it needs no network and holds no secret.

    What check, leaks and recommend say, sessions over time, the forecast, and with `--simulate` the timeout matrix. The
    file's name is printed on stdout.
    """
    del debug, no_color
    options.hide_arguments([target] if target else [])
    from dbdoctor.cli.report_options import read_report_options

    asked = read_report_options(
        target=target,
        place=(html, force),
        recording=recording,
        watching=(seconds, interval, idle, idle_in_transaction),
        simulating=(simulate, yes),
        fleet=(processes, replicas, surge),
        source=(trace, (rate, use_time, burst)),
        path=(deadline, idle_timeout),
    )
    timeout = options.read_duration("--login-timeout", login_timeout, least=0.05, most=_LONGEST_LOGIN_TIMEOUT)
    from dbdoctor.cli.recommend_run import Way
    from dbdoctor.cli.report_run import report_for

    way = Way(config=config, use_config=not no_config, trust=trust, login_timeout=timeout)
    return report_for(target, asked, way, fail_on)
