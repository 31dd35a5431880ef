"""Runs the tour: each command for real, as a process of its own, with its own output."""

from __future__ import annotations

import json
import shlex
import sys
import textwrap
import time
from contextlib import ExitStack

from dbdoctor.cli.demo_steps import FAST, FULL, Step, diagnosis, path, proof, recommendation
from dbdoctor.cli.progress import Progress
from dbdoctor.cli.streams import reader_is_gone
from dbdoctor.demo.embedded import embedded_postgresql
from dbdoctor.demo.fixes import FIXES
from dbdoctor.demo.shop_owner import Shop, open_shop
from dbdoctor.errors import ExitCode
from dbdoctor.render.style import Style

_INTRODUCTION = """\
This is a small shop on a PostgreSQL of its own, both started for this tour. Five services: `catalogue` is healthy; \
`orders`, `invoices` and `payments` each have a flaw in their code; `mail` sits behind a firewall that forgets idle \
connections. Every command below is run for real, and what you see is its own output.\
"""


_LEAK_AFTER = "2s"


class _NobodyReadsError(Exception):
    """Stdout's reader (`| head`) has what it wanted."""


def _run_command(recordings: str) -> str:
    return f"dbdoctor run --quiet --out {recordings} --leak-after {_LEAK_AFTER} -- python -m shop"


class Tour:
    """The tour, at one of two paces; `pauses` waits for Enter between steps, if stdin and stdout are a terminal."""

    def __init__(self, *, fast: bool, pauses: bool, no_color: bool) -> None:
        self._pace = FAST if fast else FULL
        self._pauses = pauses and sys.stdin.isatty() and sys.stdout.isatty()
        self._no_color = no_color
        self._style = Style.of(sys.stdout, no_color=no_color)
        self._number = 0
        self._failed = False

    def run(self) -> int:
        """Take the tour; gives the exit code. Whatever was started is stopped, however it ends."""
        try:
            self._take()
        except _NobodyReadsError:
            return ExitCode.OK
        return ExitCode.INTERNAL if self._failed else ExitCode.OK

    # --- what happens

    def _take(self) -> None:
        started = time.monotonic()
        with ExitStack() as stack:
            shop = self._open(stack)
            self._say(_INTRODUCTION)
            self._paragraph(f"Its code is in {shop.directory}/shop, for as long as this runs.")
            self._paragraph("It was started under the recorder, without a change to its code:")
            self._line()
            self._command(_run_command("recordings"))
            self._show(shop, diagnosis(self._pace))
            self._mend(shop)
            self._show(shop, path(self._pace))
            self._show(shop, recommendation(self._pace))
            self._settle(shop)
            self._show(shop, proof(self._pace))
            took = time.monotonic() - started
        self._say(f"That was dbdoctor, in {took:.0f} s. Everything that was started is stopped and removed.")
        self._paragraph(
            "Now yours: `dbdoctor check DSN`, then `dbdoctor leaks DSN`. `dbdoctor demo --shell` leaves the flawed shop "
            "running for you to play with."
        )

    def _open(self, stack: ExitStack) -> Shop:
        progress = Progress()
        try:
            target = stack.enter_context(embedded_postgresql(on_progress=progress.note))
            progress.note("opening the shop")
            shop = stack.enter_context(open_shop(target, idle_timeout=self._pace.firewall))
            self._start(shop, "recordings")
        finally:
            progress.clear()
        return shop

    def _start(self, shop: Shop, recordings: str) -> None:
        """Start the services, and give them time to do what they do: a leak is something that grows."""
        shop.start(leak_after=_LEAK_AFTER, recordings=shop.directory / recordings)
        shop.wait_until_open(recordings)
        time.sleep(self._pace.warm_up)

    def _show(self, shop: Shop, steps: tuple[Step, ...]) -> None:
        for step in steps:
            self._title(step.title)
            self._command(f"dbdoctor {step.command}")
            self._run(shop, shlex.split(step.command))
            self._notice(step.notice)
            self._pause(shop)

    def _mend(self, shop: Shop) -> None:
        self._title("The code is mended")
        for fix in FIXES:
            self._paragraph(f"shop/{fix.name}: {fix.mends}")
            self._difference(fix.old, fix.new)
        self._command(_run_command("recordings-mended"))
        shop.stop()
        shop.apply()
        self._start(shop, "recordings-mended")
        self._pause(shop)

    def _settle(self, shop: Shop) -> None:
        arguments = shlex.split(recommendation(self._pace)[0].command)
        self._title("The settings are applied")
        self._command(f"dbdoctor {shlex.join(arguments)} --json > recommended.json")
        file = shop.directory / "recommended.json"
        with file.open("wb") as written:
            self._run(shop, [*arguments, "--json"], output=written.fileno())
        self._command("jq .settings recommended.json")
        for line in json.dumps(json.loads(file.read_text())["settings"], indent=2).splitlines():
            self._line(line)
        self._command(_run_command("recordings-after"))
        self._paragraph("Its engines take these settings now.")
        shop.stop()
        self._start(shop, "recordings-after")
        self._pause(shop)

    def _run(self, shop: Shop, arguments: list[str], output: int | None = None) -> None:
        import subprocess

        sys.stdout.flush()
        environment = shop.environment() | ({"NO_COLOR": "1"} if self._no_color else {})
        result = subprocess.run(  # noqa: S603 - ourselves
            [sys.executable, "-m", "dbdoctor", *arguments],
            cwd=shop.directory,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            check=False,
        )
        self._failed |= result.returncode not in (ExitCode.OK, ExitCode.FINDINGS)

    # --- what is said

    def _title(self, text: str) -> None:
        """Raises _NobodyReadsError when stdout's reader has gone: each step takes seconds and a server."""
        sys.stdout.flush()
        if reader_is_gone():
            raise _NobodyReadsError
        self._number += 1
        self._line()
        self._line(self._style.paint(f"── {self._number}. {text} ".ljust(min(self._style.width, 80), "─"), bold=True))
        self._line()

    def _command(self, text: str) -> None:
        self._line(self._style.paint("$ ", "green", bold=True) + self._style.paint(text, bold=True))

    def _notice(self, text: str) -> None:
        self._line()
        for line in textwrap.wrap(f"Notice: {text}", min(self._style.width, 80) - 2, break_on_hyphens=False):
            self._line(self._style.paint(f"▌ {line}", "cyan"))

    def _difference(self, old: str, new: str) -> None:
        import difflib

        colours = {"-": "red", "+": "green"}
        for line in difflib.ndiff(old.splitlines(), new.splitlines()):
            if not line.startswith("?"):
                self._line("    " + self._style.paint(line.rstrip(), colours.get(line[0])))
        self._line()

    def _say(self, text: str) -> None:
        self._line()
        self._paragraph(text)

    def _paragraph(self, text: str) -> None:
        for line in textwrap.wrap(text, min(self._style.width, 80), break_on_hyphens=False, break_long_words=False):
            self._line(line)

    def _line(self, text: str = "") -> None:
        if not self._style.unicode:
            text = text.replace("─", "-").replace("▌", "|")
        print(text)

    def _pause(self, shop: Shop) -> None:
        """Wait for Enter; the shop is closed meanwhile, or its leaks would have filled the server."""
        if not self._pauses:
            return
        shop.close()
        sys.stdout.flush()
        sys.stderr.write("\nEnter goes on, Ctrl-C ends the tour ")
        sys.stderr.flush()
        if not sys.stdin.readline():
            self._pauses = False
        shop.open()
