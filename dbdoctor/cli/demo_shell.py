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

SLOWNESS = 10.0  # of the tour's pace: a minute and more from an empty server to a full one, and not ten seconds
MOST_SESSIONS = 26  # sessions of the shop, of the server's 37: what is left is for the commands
_LOOK_EVERY = 3.0  # seconds
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
            _start(shop)
            shop.wait_until_open("recordings")
        finally:
            progress.clear()
        stack.enter_context(end_on_signal(ended.set))
        _explain(shop, Style.of(sys.stdout, no_color=no_color))
        while not ended.wait(_LOOK_EVERY):
            keep_room(shop)
    print("stopped and removed", file=sys.stderr)
    return ExitCode.OK


def _start(shop: Shop) -> None:
    shop.start(leak_after="10s", recordings=shop.recordings, slowness=SLOWNESS)


def keep_room(shop: Shop) -> None:
    """Restart the shop before it fills the server: else no command but the first could log in."""
    sessions = shop.sessions()
    if sessions is None or sessions >= MOST_SESSIONS:
        shop.stop()
        _start(shop)
        has = "no session was left" if sessions is None else f"the shop had {sessions} of the 37 sessions"
        print(f"{has}: restarted it, as somebody on call would", file=sys.stderr)


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
    print(
        "Its leaks would fill the server within two minutes; shortly before, the shop is restarted, as on call at night."
    )
    sys.stdout.flush()
