"""`recommend --server list` and `--idle-timeout list`: the names that can be given, and what each stands for."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence

from dbdoctor.cli.recommend_options import SERVERS
from dbdoctor.errors import ExitCode
from dbdoctor.model.device import devices
from dbdoctor.model.duration import format_duration
from dbdoctor.render.clean import fill
from dbdoctor.render.style import Style


def print_lists(wanted: Sequence[str]) -> int:
    """What was asked for, on stdout."""
    style = Style.of(sys.stdout)
    for line in [
        *(_servers(style) if "--server" in wanted else ()),
        *(_devices(style) if len(wanted) > 1 or "--server" not in wanted else ()),
    ]:
        print(line)
    return ExitCode.OK


def _servers(style: Style) -> Iterator[str]:
    yield "Application servers, with their own defaults:"
    for name, server in SERVERS.items():
        threads = "any number at once" if server.threads is None else f"{server.threads} at once"
        yield fill(f"  {name}: {threads}; {server.why}", style.width, "      ", "")


def _devices(style: Style) -> Iterator[str]:
    yield "Devices and their default idle timeouts:"
    for device in devices():
        keepalive = {True: "keepalives reset it", False: "keepalives do not reset it", None: "keepalives: not known"}
        text = (
            f"{device.slug}: {device.name}, {format_duration(device.seconds)}; {keepalive[device.keepalive_resets_it]}"
        )
        yield fill(f"  {text} ({device.mark}, {device.date})", style.width, "      ", "")
