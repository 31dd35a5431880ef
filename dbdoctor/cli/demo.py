"""`dbdoctor demo`: the tour. A flawed shop on an embedded server, diagnosed by every command."""

from __future__ import annotations

from typing import Annotated

import typer

from dbdoctor.cli import options

Fast = Annotated[bool, typer.Option("--fast", help="Watch for a shorter time and skip the simulation: under 30 s.")]
Shell = Annotated[
    bool, typer.Option("--shell", help="No tour: leave the flawed shop running to play with, until Ctrl-C.")
]
NoPause = Annotated[
    bool, typer.Option("--no-pause", help="Do not wait for Enter between the steps, as off a terminal.")
]


def demo(
    fast: Fast = False,
    shell: Shell = False,
    no_pause: NoPause = False,
    no_color: options.NoColor = False,
    debug: options.Debug = False,
) -> int:
    """The tour: start a PostgreSQL and a small, deliberately flawed shop, and diagnose it with every command, for real.

    Takes about a minute, opens nothing to the network, and leaves nothing behind.
    """
    del debug
    from dbdoctor.cli.demo_shell import leave_running
    from dbdoctor.cli.demo_tour import Tour

    if shell:
        return leave_running(no_color=no_color)
    return Tour(fast=fast, pauses=not no_pause, no_color=no_color).run()
