"""`dbdoctor recommend [TARGET]`: the pool settings to paste, each with its evidence."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from dbdoctor.cli import options
from dbdoctor.cli.output_format import OURS, RECOMMENDED, format_option, read_format
from dbdoctor.errors import UsageError

_LONGEST_LOGIN_TIMEOUT = 3600.0


def complete_device(incomplete: str) -> list[str]:
    """Names of devices with an idle timeout, for the shell."""
    from dbdoctor.model.device import devices

    return [device.slug for device in devices() if device.slug.startswith(incomplete)]


def complete_server(incomplete: str) -> list[str]:
    """Application servers, for the shell."""
    from dbdoctor.cli.recommend_options import SERVERS

    return [name for name in SERVERS if name.startswith(incomplete)]


def _count(name: str, text: str, least: int = 1, most: int = 100_000) -> typer.models.OptionInfo:
    found: typer.models.OptionInfo = typer.Option(name, min=least, max=most, help=text, show_default=False)
    return found


def _text(name: str, metavar: str, text: str) -> typer.models.OptionInfo:
    found: typer.models.OptionInfo = typer.Option(name, metavar=metavar, help=text, show_default=False)
    return found


Processes = Annotated[
    int | None, _count("--processes", "Processes of a replica, each with a pool. Default: profile's.")
]
Replicas = Annotated[int | None, _count("--replicas", "Replicas of the application. Default: the profile's, else 1.")]
Surge = Annotated[int | None, _count("--surge", "Replicas more that a rollout starts. Default: 0.", 0)]
Threads = Annotated[
    int | None, _count("--threads", "How many of a process's threads can use the pool at once.", 1, 10_000)
]
Server = Annotated[
    str | None,
    typer.Option(
        "--server",
        metavar="NAME",
        help="The application server, for its threads: gunicorn, uvicorn, fastapi, celery, ...; `list` shows them.",
        autocompletion=complete_server,
        show_default=False,
    ),
]
PerRequest = Annotated[
    int | None, _count("--per-request", "Connections that one request holds at the same time. Default: 1.", 1, 20)
]
Deadline = Annotated[
    str | None, _text("--deadline", "DURATION", "After how long the caller gives up (a balancer, a worker's timeout).")
]
Trace = Annotated[
    list[Path] | None,
    typer.Option(
        "--trace",
        metavar="FILE|DIR",
        help="Recorded checkouts: what `dbdoctor run` recorded (a file, or the directory of a run; may be repeated), or CSV or "
        "JSON lines; `-` is stdin.",
        show_default=False,
    ),
]
For = Annotated[
    str | None,
    _text(
        "--for", "DURATION", "How long to sample the server's sessions; 0 is not at all. Default: 60s without a trace."
    ),
]
Rate = Annotated[
    float | None,
    typer.Option("--rate", metavar="R", help="Checkouts a second, of all processes together.", show_default=False),
]
UseTime = Annotated[
    str | None, _text("--use-time", "DURATION", "The mean time from checkout to checkin, with `--rate`.")
]
Burst = Annotated[
    float | None,
    typer.Option(
        "--burst",
        metavar="N",
        help="The busiest second's rate, as a multiple, with `--rate`. Default: 3.",
        show_default=False,
    ),
]
WaitTarget = Annotated[
    str | None, _text("--wait-target", "pN=DURATION", "What is good enough: p95=20ms, p99.9=1s. Default: p99=10ms.")
]
IdleTimeout = Annotated[
    str | None,
    typer.Option(
        "--idle-timeout",
        metavar="DURATION|DEVICE",
        help="The path's idle timeout, or the device that has it (aws-nlb, azure-lb, ...); `list` shows them. Default: the "
        "profile's path_idle_timeout.",
        autocompletion=complete_device,
        show_default=False,
    ),
]
Asked = Annotated[
    list[str] | None,
    _text("--what-if", "KEY=VALUE", "The answer with other figures, beside the recommendation; may be repeated."),
]
SweepOption = Annotated[bool, typer.Option("--sweep", help="Show what every size around would do.")]
Explain = Annotated[bool, typer.Option("--explain-numbers", help="Show the inputs and the working of every number.")]
Offline = Annotated[bool, typer.Option("--offline", help="Connect to nothing: what the target says of itself must do.")]
Verify = Annotated[
    bool,
    typer.Option(
        "--verify", help="Run the demand for real, with the current and the recommended settings; asks first."
    ),
]
VerifyFor = Annotated[
    str | None, _text("--verify-for", "DURATION", "How much of the demand `--verify` runs each time. Default: 30s.")
]
Statement = Annotated[
    str | None, _text("--statement", "SQL", "What each checkout runs in `--verify`. Default: sleep for its use time.")
]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask before `--verify` begins.")]
FormatOption = Annotated[str | None, format_option("recommend", RECOMMENDED)]


def _traces(paths: list[Path] | None) -> Path | tuple[Path, ...] | None:
    return None if not paths else paths[0] if len(paths) == 1 else tuple(paths)


def recommend(
    target: options.OneTarget = None,
    processes: Processes = None,
    replicas: Replicas = None,
    surge: Surge = None,
    threads: Threads = None,
    server: Server = None,
    per_request: PerRequest = None,
    deadline: Deadline = None,
    trace: Trace = None,
    seconds: For = None,
    rate: Rate = None,
    use_time: UseTime = None,
    burst: Burst = None,
    wait_target: WaitTarget = None,
    idle_timeout: IdleTimeout = None,
    what_if: Asked = None,
    sweep: SweepOption = False,
    explain_numbers: Explain = False,
    offline: Offline = False,
    verify: Verify = False,
    verify_for: VerifyFor = None,
    statement: Statement = None,
    yes: Yes = False,
    login_timeout: options.LoginTimeout = None,
    fail_on: options.FailOnOption = None,
    output: FormatOption = None,
    json_wanted: options.Json = False,
    config: options.Config = None,
    no_config: options.NoConfig = False,
    trust: options.Trust = False,
    no_color: options.NoColor = False,
    debug: options.Debug = False,
) -> int:
    """Recommend pool settings to paste: each with a reason, and with the numbers behind it.

    The demand comes from a trace, else from sampling the server for a minute, else from stated figures. With a trace or
    stated figures and without TARGET nothing is connected to.
    """
    del debug
    options.hide_arguments([target] if target else [])
    from dbdoctor.cli.recommend_options import read_recommend_options

    asked = read_recommend_options(
        target=target,
        fleet=(processes, replicas, surge),
        work=(threads, server, per_request, deadline),
        source=(_traces(trace), seconds, (rate, use_time, burst)),
        wait_target=wait_target,
        idle_timeout=idle_timeout,
        what_if=what_if,
        flags=(sweep, explain_numbers, offline),
    )
    if asked.lists:
        from dbdoctor.cli.recommend_lists import print_lists

        return print_lists(asked.lists)
    from dbdoctor.cli.verify_options import read_verify_options

    wanted = "json" if json_wanted else read_format(output, "recommend", RECOMMENDED)
    if verify and wanted not in (None, *OURS):
        what = "is only what to paste" if wanted in RECOMMENDED else "has a place for findings alone"
        raise UsageError(
            f"`--format {wanted}` {what}, and shows nothing of `--verify`", help="leave one of the two away"
        )
    told = read_verify_options(verify, verify_for, statement, yes, connects=asked.connects)
    asked = asked._replace(verify=told)
    timeout = options.read_duration("--login-timeout", login_timeout, least=0.05, most=_LONGEST_LOGIN_TIMEOUT)
    from dbdoctor.cli.recommend_run import Way, recommend_for

    way = Way(config=config, use_config=not no_config, trust=trust, login_timeout=timeout)
    return recommend_for(target, asked, way, wanted, no_color=no_color, fail_on=fail_on)
