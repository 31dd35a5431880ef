"""A headless Chromium that is spoken to over a pipe, in the words of the DevTools protocol: no port, no further package.

What a page says on its console, what it asks for over the network, and what goes wrong in it is kept as it happens.
"""

from __future__ import annotations

import base64
import contextlib
import fcntl
import json
import os
import select
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from tests.servers.workspace import CACHE, MissingServerError, workspace

TREE = CACHE / "chromium"
PATIENCE = 60.0
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    "--disable-extensions",
    "--hide-scrollbars",
    "--remote-debugging-pipe",
)
# Chromium hears on 3 and speaks on 4.
_BEGIN = "import os, sys; a, b, *c = sys.argv[1:]; os.dup2(int(a), 3); os.dup2(int(b), 4); os.execv(c[0], c)"
_FONTS = """<?xml version="1.0"?><!DOCTYPE fontconfig SYSTEM "urn:fontconfig:fonts.dtd">
<fontconfig><dir>/usr/share/fonts</dir><dir>{tree}/usr/share/fonts</dir><cachedir>{cache}</cachedir></fontconfig>
"""


def program() -> Path:
    """Where Chromium is: the machine's, or the one that tests/run.py fetched."""
    found = shutil.which("chromium")
    if found:
        return Path(found)
    fetched = TREE / "usr/lib/chromium/chromium"
    if fetched.exists():
        return fetched
    raise MissingServerError("chromium is not installed: run `python3 tests/run.py` once, it installs it")


class Browser:
    """One running Chromium. `messages` are the page's console, exceptions and what it logged; `requests` its URLs."""

    def __init__(self, send: int, receive: int) -> None:
        self._send = send
        self._receive = receive
        self._buffer = b""
        self._last = 0
        self._session: str | None = None
        self._target: str | None = None
        self.messages: list[str] = []
        self.requests: list[str] = []
        self.loaded = False

    def open(
        self,
        page: Path,
        *,
        width: int = 1280,
        height: int = 900,
        dark: bool = False,
        script: bool = True,
        media: str = "",
    ) -> None:
        """Load a file in a new page of that size, and wait until it is there."""
        before, self._target = self._target, self.call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.call("Target.attachToTarget", targetId=self._target, flatten=True)["sessionId"]
        if before:
            self.call("Target.closeTarget", targetId=before)
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")
        self.messages, self.requests, self.loaded = [], [], False
        mobile = width < 600
        self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=2 if mobile else 1,
            mobile=mobile,
        )
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.call("Emulation.setEmulatedMedia", media=media, features=[scheme])
        if not script:
            self.call("Emulation.setScriptExecutionDisabled", value=True)
        self.call("Page.navigate", url=page.as_uri())
        deadline = time.monotonic() + PATIENCE
        while not self.loaded:
            self._hear(deadline)

    def value(self, expression: str) -> Any:
        """What an expression is on the page."""
        found = self.call(
            "Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True, userGesture=True
        )
        assert "exceptionDetails" not in found, found
        return found["result"].get("value")

    def screenshot(self, place: Path, part: str = "html") -> Path:
        """The page as a PNG, or the part of it that a selector names."""
        box = self.value(
            f"(() => {{ const box = document.querySelector({json.dumps(part)}).getBoundingClientRect();"
            " return {x: 0, y: box.top + scrollY, width: innerWidth, height: box.height, scale: 1} })()"
        )
        found = self.call("Page.captureScreenshot", format="png", captureBeyondViewport=True, clip=box)
        place.write_bytes(base64.b64decode(found["data"]))
        return place

    def pdf(self, place: Path) -> Path:
        """The page as it would be printed."""
        place.write_bytes(base64.b64decode(self.call("Page.printToPDF", printBackground=False)["data"]))
        return place

    def call(self, method: str, **parameters: Any) -> Mapping[str, Any]:
        """A command of the protocol; its result."""
        self._last += 1
        message: dict[str, Any] = {"id": self._last, "method": method, "params": parameters}
        if self._session and not method.startswith(("Target.", "Browser.")):
            message["sessionId"] = self._session
        rest = json.dumps(message).encode() + b"\0"
        while rest:
            rest = rest[os.write(self._send, rest) :]
        deadline = time.monotonic() + PATIENCE
        while True:
            answer = self._hear(deadline)
            if answer.get("id") == self._last:
                assert "error" not in answer, (method, answer["error"])
                result: Mapping[str, Any] = answer["result"]
                return result

    def _hear(self, deadline: float) -> dict[str, Any]:
        """The next message; an event is kept."""
        while b"\0" not in self._buffer:
            ready, _, _ = select.select([self._receive], [], [], max(0.0, deadline - time.monotonic()))
            assert ready, f"Chromium did not answer within {PATIENCE:g} s"
            more = os.read(self._receive, 1 << 20)
            assert more, "Chromium has gone"
            self._buffer += more
        text, _, self._buffer = self._buffer.partition(b"\0")
        message: dict[str, Any] = json.loads(text)
        if message.get("sessionId") == self._session:
            self._keep(message.get("method", ""), message.get("params", {}))
        return message

    def _keep(self, method: str, told: Mapping[str, Any]) -> None:
        if method == "Page.loadEventFired":
            self.loaded = True
        elif method == "Network.requestWillBeSent":
            self.requests.append(told["request"]["url"])
        elif method == "Runtime.consoleAPICalled":
            self.messages.append(f"console.{told['type']}: {told['args']}")
        elif method == "Runtime.exceptionThrown":
            self.messages.append(f"exception: {told['exceptionDetails']}")
        elif method == "Log.entryAdded":
            self.messages.append(f"{told['entry']['level']}: {told['entry']['text']}")


def _pipe() -> tuple[int, int]:
    """Its ends lie above 9, so that neither is one of those that they become in Chromium."""
    ends = os.pipe()
    moved = [fcntl.fcntl(end, fcntl.F_DUPFD_CLOEXEC, 10) for end in ends]
    for end in ends:
        os.close(end)
    return moved[0], moved[1]


@contextlib.contextmanager
def browser() -> Iterator[Browser]:
    """A Chromium with a profile of its own, which ends with the block and leaves nothing behind."""
    with tempfile.TemporaryDirectory(prefix="dbdoctor-chromium-", ignore_cleanup_errors=True) as place:
        fonts = Path(place) / "fonts.conf"
        fonts.write_text(_FONTS.format(tree=TREE, cache=Path(place) / "fonts"))
        hears, sends = _pipe()
        receives, says = _pipe()
        environment = {**workspace().environment(), "HOME": place, "FONTCONFIG_FILE": str(fonts), "TMPDIR": place}
        process = subprocess.Popen(
            [
                sys.executable,
                "-I",
                "-c",
                _BEGIN,
                str(hears),
                str(says),
                program(),
                *FLAGS,
                f"--user-data-dir={place}/profile",
            ],
            env=environment,
            pass_fds=(hears, says),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        workspace().watch(process.pid, "chromium")
        os.close(hears)
        os.close(says)
        found = Browser(sends, receives)
        try:
            yield found
            found.call("Browser.close")
        finally:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(10)
            workspace().stop(process)
            os.close(sends)
            os.close(receives)
