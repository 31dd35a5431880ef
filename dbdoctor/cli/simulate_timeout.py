"""`dbdoctor simulate-timeout [TARGET]`: which pool survives which kind of dropped connection, tried for real."""

from __future__ import annotations

from typing import Annotated

import typer

from dbdoctor.cli import options

_LONGEST_LOGIN_TIMEOUT = 3600.0


def _duration(name: str, text: str) -> typer.models.OptionInfo:
    found: typer.models.OptionInfo = typer.Option(name, metavar="DURATION", help=text, show_default=False)
    return found


def complete_drop(incomplete: str) -> list[str]:
    """Codes of the faults, for the shell."""
    from dbdoctor.faults.kinds import all_faults

    return options.complete_words(incomplete, [*all_faults(), "all", "list"])


def complete_pool(incomplete: str) -> list[str]:
    """Names of the pools of both products, for the shell."""
    from dbdoctor.model.target import Product
    from dbdoctor.model.trial import Scale
    from dbdoctor.trials.pools import pools

    names = [name for product in Product for name in pools(product, Scale(4.0, 350.0))]
    return options.complete_words(incomplete, [*dict.fromkeys(names), "current", "all", "list"])


Idle = Annotated[
    str | None, _duration("--idle", "After how long without traffic the fault strikes, 1s to 2h. Default: 4s.")
]
IdleTimeout = Annotated[
    str | None,
    _duration(
        "--idle-timeout",
        "The idle timeout of the real path, which `--idle` stands for. Default: the profile's path_idle_timeout, else 350s.",
    ),
]
ForReal = Annotated[bool, typer.Option("--for-real", help="Do not scale: idle for as long as the real path allows.")]
Drop = Annotated[
    list[str] | None,
    typer.Option(
        "--drop",
        metavar="FAULTS",
        help="Which faults to try, with commas, or all; `list` shows them. Default: the four of paths that drop idle "
        "connections.",
        autocompletion=complete_drop,
        show_default=False,
    ),
]
Pool = Annotated[
    list[str] | None,
    typer.Option(
        "--pool",
        metavar="POOLS",
        help="Which pools to try, with commas: names, current (your own settings), or all; `list` shows them.",
        autocompletion=complete_pool,
        show_default=False,
    ),
]
Workers = Annotated[
    int | None,
    typer.Option(
        "--workers",
        min=1,
        max=200,
        help="How many sessions to open at most at once, beside one that observes. Default: 5; 24 on demo.",
        show_default=False,
    ),
]
Cap = Annotated[
    str | None, _duration("--cap", "For how long a request may hang before its trial is ended, 1s to 2h. Default: 30s.")
]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask before it begins.")]


def simulate_timeout(
    target: options.OneTarget = None,
    drop: Drop = None,
    pool: Pool = None,
    idle: Idle = None,
    idle_timeout: IdleTimeout = None,
    for_real: ForReal = False,
    workers: Workers = None,
    cap: Cap = None,
    yes: Yes = False,
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
    """Try which pool settings survive which kind of dropped connection: real engines, the real server, real faults.

    Opens only sessions of its own, says beforehand how many and for how long, and writes nothing.
    """
    del debug
    options.hide_arguments([target] if target else [])
    from dbdoctor.cli.leaks_answer import Manner
    from dbdoctor.cli.simulate_options import lists, read_simulate_options

    manner = Manner(json_wanted or output is options.Format.JSON, no_color, fail_on)
    asked = read_simulate_options(
        drop=drop,
        pool=pool,
        idle=idle,
        idle_timeout=idle_timeout,
        for_real=for_real,
        workers=workers,
        cap=cap,
        yes=yes,
    )
    if lists(asked):
        from dbdoctor.cli.simulate_lists import print_lists

        return print_lists(asked)
    timeout = options.read_duration("--login-timeout", login_timeout, least=0.05, most=_LONGEST_LOGIN_TIMEOUT)
    from dbdoctor.cli.simulate_run import simulate_target
    from dbdoctor.targets.select import select_targets

    selection = select_targets([target] if target else [], config=config, use_config=not no_config, trust=trust)
    return simulate_target(selection, asked, manner, timeout)
