"""`dbdoctor check [TARGET]...`: where exactly a connection fails, and how close the server is to refusing the next one."""

from __future__ import annotations

from typing import Annotated

import typer

from dbdoctor.cli import options
from dbdoctor.cli.output_format import format_option, is_ours, read_format
from dbdoctor.errors import UsageError

_LONGEST_LOGIN_TIMEOUT = 3600.0


def check(
    targets: options.Targets = None,
    every_profile: Annotated[bool, typer.Option("--all", help="Check every profile of the config file.")] = False,
    samples: Annotated[
        int | None,
        typer.Option(
            "--samples", min=1, max=100, help="How many logins and round trips to time. Default: 5.", show_default=False
        ),
    ] = None,
    login_timeout: options.LoginTimeout = None,
    fail_on: options.FailOnOption = None,
    output: Annotated[str | None, format_option("check")] = None,
    json_wanted: options.Json = False,
    config: options.Config = None,
    no_config: options.NoConfig = False,
    trust: options.Trust = False,
    no_color: options.NoColor = False,
    debug: options.Debug = False,
) -> int:
    """Find out where exactly connecting fails, stage by stage, within the login timeout.

    When it works: how close the server is to refusing the next session, and what a login costs.
    """
    del debug
    words = targets or []
    wanted = "json" if json_wanted else read_format(output, "check")
    options.hide_arguments(words)
    seconds = options.read_duration("--login-timeout", login_timeout, least=0.05, most=_LONGEST_LOGIN_TIMEOUT)
    if wanted == "nagios" and fail_on is not None:
        raise UsageError(
            "`--format nagios` has exit codes of its own, and `--fail-on` no say in them",
            help="leave one of the two away",
        )
    import contextlib

    from dbdoctor.cli.check_run import CheckRun
    from dbdoctor.cli.start import choose_login_timeout, start_targets
    from dbdoctor.targets.select import select_targets

    selection = select_targets(words, config=config, use_config=not no_config, trust=trust, every_profile=every_profile)
    wanted = wanted or str(selection.settings.get("format", "text"))
    failing = fail_on or options.FailOn(selection.settings.get("fail_on", "error"))
    with contextlib.ExitStack() as stack:
        run = CheckRun(start_targets(selection, stack), output=wanted, no_color=no_color)
        run.say(selection.notes)
        run.examine(choose_login_timeout(seconds, selection), samples or int(selection.settings.get("samples", 5)))
    return run.exit_code(failing) if is_ours(wanted) else run.print_outcomes(failing)
