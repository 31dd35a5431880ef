"""`dbdoctor leaks [TARGET]`: who holds sessions that nobody uses, since when, at what cost, growing how fast."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from dbdoctor.cli import options
from dbdoctor.cli.output_format import format_option, read_format

_LONGEST_LOGIN_TIMEOUT = 3600.0


def _duration(name: str, text: str) -> typer.models.OptionInfo:
    found: typer.models.OptionInfo = typer.Option(name, metavar="DURATION", help=text, show_default=False)
    return found


def complete_group_by(incomplete: str) -> list[str]:
    """What sessions can be grouped by, for the shell."""
    from dbdoctor.model.leaks import GROUP_BY

    return options.complete_words(incomplete, GROUP_BY)


For = Annotated[
    str | None, _duration("--for", "How long to watch; 0 is a single look, which sees no growth. Default: 10s.")
]
Interval = Annotated[
    str | None, _duration("--interval", "How often to look, 200ms to 1h. Default: 2s; 1s for less than a minute.")
]
Watch = Annotated[bool, typer.Option("--watch", help="Watch until Ctrl-C, then sum up.")]
GroupBy = Annotated[
    list[str] | None,
    typer.Option(
        "--group-by",
        metavar="WORDS",
        help="Of application, user, database, client and process, with commas. Default: all.",
        autocompletion=complete_group_by,
        show_default=False,
    ),
]
Idle = Annotated[
    str | None, _duration("--idle", "How long a session may be idle. Default: the config's threshold, else 5m.")
]
IdleInTransaction = Annotated[
    str | None,
    _duration(
        "--idle-in-transaction", "How long one may be idle in transaction. Default: the config's threshold, else 60s."
    ),
]
Queries = Annotated[bool, typer.Option("--queries", help="Show the text of last statements, and record it.")]
Sessions = Annotated[bool, typer.Option("--sessions", help="List every session, not only the groups.")]
Limit = Annotated[
    int | None, typer.Option("--limit", min=1, help="How many groups, or sessions, to show.", show_default=False)
]
Record = Annotated[
    Path | None, typer.Option("--record", help="Append every snapshot to this file.", show_default=False)
]
Replay = Annotated[
    Path | None, typer.Option("--replay", help="Judge a recording instead of a server.", show_default=False)
]
Terminate = Annotated[
    list[str] | None,
    typer.Option(
        "--terminate", metavar="ID", help="End this session, unless nothing is wrong with it.", show_default=False
    ),
]
TerminateLeaks = Annotated[bool, typer.Option("--terminate-leaks", help="End every session that is a leak.")]
Trace = Annotated[
    Path | None,
    typer.Option(
        "--trace",
        metavar="DIR|FILE",
        help="Where the recorder's files are. Default: where `dbdoctor run` writes them, of processes on this host.",
        show_default=False,
    ),
]
Yes = Annotated[bool, typer.Option("--yes", help="Do not ask before sessions are ended.")]


def leaks(
    target: options.OneTarget = None,
    seconds: For = None,
    interval: Interval = None,
    watch: Watch = False,
    group_by: GroupBy = None,
    idle: Idle = None,
    idle_in_transaction: IdleInTransaction = None,
    queries: Queries = False,
    sessions: Sessions = False,
    limit: Limit = None,
    record: Record = None,
    replay: Replay = None,
    trace: Trace = None,
    terminate: Terminate = None,
    terminate_leaks: TerminateLeaks = False,
    yes: Yes = False,
    login_timeout: options.LoginTimeout = None,
    fail_on: options.FailOnOption = None,
    output: Annotated[str | None, format_option("leaks")] = None,
    json_wanted: options.Json = False,
    config: options.Config = None,
    no_config: options.NoConfig = False,
    trust: options.Trust = False,
    no_color: options.NoColor = False,
    debug: options.Debug = False,
) -> int:
    """Find out who holds sessions that nobody uses, since when, at what cost, and how fast they grow.

    Watches for a short while and judges each group of sessions: ok, suspect, leak, or unknown where the server hides it.
    """
    del debug
    options.hide_arguments([target] if target else [])
    from dbdoctor.cli.leaks_options import read_leaks_options

    asked = read_leaks_options(
        target=target,
        seconds=seconds,
        interval=interval,
        watch=watch,
        group_by=group_by,
        idle=idle,
        idle_in_transaction=idle_in_transaction,
        queries=queries,
        sessions=sessions,
        limit=limit,
        record=record,
        replay=replay,
        trace=trace,
        terminate=terminate,
        terminate_leaks=terminate_leaks,
        yes=yes,
    )
    timeout = options.read_duration("--login-timeout", login_timeout, least=0.05, most=_LONGEST_LOGIN_TIMEOUT)
    from dbdoctor.cli.leaks_answer import Manner
    from dbdoctor.cli.leaks_run import leaks_of_recording, leaks_of_target

    wanted = "json" if json_wanted else read_format(output, "leaks")
    manner = Manner.of(wanted, no_color, fail_on).checked(watches=watch, terminates=asked.terminates)
    if asked.replay:
        return leaks_of_recording(asked.replay, asked, manner)
    from dbdoctor.targets.select import select_targets

    selection = select_targets([target] if target else [], config=config, use_config=not no_config, trust=trust)
    return leaks_of_target(selection, asked, manner, timeout)
