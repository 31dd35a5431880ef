"""`dbdoctor demo --shell`: the flawed shop, left running until Ctrl-C."""

from __future__ import annotations

import shlex
import sys
import threading
from contextlib import ExitStack

from dbdoctor.cli.progress import Progress
from dbdoctor.cli.signals import end_on_signal
from dbdoctor.demo.embedded import embedded_postgresql
from dbdoctor.demo.shop_owner import Shop, open_shop
from dbdoctor.errors import ExitCode
from dbdoctor.render.style import Style

_IDLE_TIMEOUT = 20.0  # of the firewall (seconds): long enough to type a command, short enough to see it at work


def leave_running(*, no_color: bool) -> int:
    """Start the shop, say how to get at it, and wait for Ctrl-C or SIGTERM; everything is stopped and removed then."""
    ended = threading.Event()
    progress = Progress()
    with ExitStack() as stack:
        try:
            target = stack.enter_context(embedded_postgresql(on_progress=progress.note))
            progress.note("opening the shop")
            shop = stack.enter_context(open_shop(target, idle_timeout=_IDLE_TIMEOUT))
            shop.start(leak_after="10s", recordings=shop.recordings)
            shop.wait_until_open("recordings")
        finally:
            progress.clear()
        stack.enter_context(end_on_signal(ended.set))
        _explain(shop, Style.of(sys.stdout, no_color=no_color))
        ended.wait()
    print("stopped and removed", file=sys.stderr)
    return ExitCode.OK


def _explain(shop: Shop, style: Style) -> None:
    print("The flawed shop runs, until Ctrl-C. In another terminal:\n")
    for line in (
        f"cd {shlex.quote(str(shop.directory))}",
        f"export DBDOCTOR_DSN={shlex.quote(shop.dsn)}",
        "",
        "dbdoctor check",
        f"dbdoctor leaks --watch --idle-in-transaction 5s --trace {shop.recordings.name}",
        f"dbdoctor trace {shop.recordings.name}",
        f"dbdoctor measure-timeout through-firewall --up-to {2 * _IDLE_TIMEOUT:g}s",
        "dbdoctor simulate-timeout",
        f"dbdoctor recommend --trace {shop.recordings.name}",
    ):
        print(f"  {style.paint(line, bold=True)}" if line else "")
    print("\nIts code is in ./shop; `dbdoctor.toml` there names the server directly (`shop`) and `through-firewall`.")
    print("Its leaks fill the server within a minute or so: that is what the last login of all looks like, too.")
    sys.stdout.flush()
