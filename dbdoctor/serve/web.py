"""The exporter's HTTP server: three pages, from memory, to a bounded number of clients that have a bounded time."""

from __future__ import annotations

import contextlib
import html
import socket
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler
from socketserver import BaseRequestHandler, TCPServer, ThreadingMixIn
from typing import Any, NamedTuple

from dbdoctor.serve.fleet import Fleet
from dbdoctor.serve.page import CONTENT_TYPE
from dbdoctor.serve.state import State

# A whole request, from the first byte to the last of its answer, may take so long (seconds), and one silence so long.
_LONGEST, _SILENCE = 20.0, 5.0
# More clients at the same time than this are turned away.
_MOST_CLIENTS = 32
_POLL = 0.1
_TEXT = "text/plain; charset=utf-8"
_STYLE = "body{font:1rem/1.5 sans-serif;margin:2rem}td,th{padding:.1rem 1.5rem .1rem 0;text-align:left}"


class Web:
    """Serves a fleet's pages at an address (`host`, numeric; `port`, 0 for any free one) from `start` until `stop`.

    Raises OSError when it cannot listen there.
    """

    def __init__(self, fleet: Fleet, host: str, port: int) -> None:
        server = _Server6 if ":" in host else _Server
        self._server = server((host, port), type("Handler", (_Handler,), {"fleet": fleet}))
        self._thread = threading.Thread(target=self._server.serve_forever, args=(_POLL,), name="web", daemon=True)

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self._server.server_address[1])

    def start(self) -> None:
        """Begin to answer."""
        self._thread.start()

    def stop(self) -> None:
        """Close the port."""
        if self._thread.ident is not None:
            self._server.shutdown()
        self._server.server_close()


class _Server(ThreadingMixIn, TCPServer):
    """No HTTPServer, which asks the resolver for our own name before it listens."""

    allow_reuse_address = True
    daemon_threads = True
    block_on_close = False
    request_queue_size = 64

    def __init__(self, address: tuple[str, int], handler: type[BaseRequestHandler]) -> None:
        self._since: dict[object, float] = {}
        super().__init__(address, handler)

    def verify_request(self, request: Any, client_address: Any) -> bool:
        """Whether there is room for one more client."""
        del client_address
        if len(self._since) >= _MOST_CLIENTS:
            return False
        self._since[request] = time.monotonic()
        return True

    def shutdown_request(self, request: Any) -> None:
        """A client is gone."""
        self._since.pop(request, None)
        super().shutdown_request(request)

    def service_actions(self) -> None:
        """Every moment: whoever takes too long is hung up on, which ends its thread."""
        now = time.monotonic()
        for request, since in list(self._since.items()):
            if now - since > _LONGEST and isinstance(request, socket.socket):
                with contextlib.suppress(OSError):
                    request.shutdown(socket.SHUT_RDWR)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away in the middle is nobody's error."""


class _Server6(_Server):
    address_family = socket.AF_INET6


class _Answer(NamedTuple):
    status: int
    kind: str
    body: bytes


class _Handler(BaseHTTPRequestHandler):
    """One request; HTTP/1.0, one a connection."""

    fleet: Fleet
    timeout = _SILENCE
    server_version = "dbdoctor"
    sys_version = ""

    def do_GET(self) -> None:
        """A page."""
        self._send(self._answer())

    def do_HEAD(self) -> None:
        """Its head."""
        self._send(self._answer())

    def _answer(self) -> _Answer:
        pages: dict[str, Callable[[Fleet], _Answer]] = {"/metrics": _metrics, "/healthz": _health, "/": _index}
        page = pages.get(self.path.partition("?")[0])
        if page is None:
            return _Answer(404, _TEXT, b"not here: see /\n")
        try:
            return page(self.fleet)
        except Exception as error:  # noqa: BLE001 - told as our own fault, and the next request is answered
            self.fleet.on_fault(error)
            return _Answer(500, _TEXT, b"a fault of dbdoctor: run it with --debug\n")

    def _send(self, answer: _Answer) -> None:
        self.send_response(answer.status)
        self.send_header("Content-Type", answer.kind)
        self.send_header("Content-Length", str(len(answer.body)))
        self.send_header("X-Content-Type-Options", "nosniff")
        self.send_header("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(answer.body)

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing: a line for every scrape tells nobody anything."""


def _metrics(fleet: Fleet) -> _Answer:
    return _Answer(200, CONTENT_TYPE, fleet.text())


def _health(fleet: Fleet) -> _Answer:
    """Whether the exporter itself works: 503 when every target's thread hangs, whatever the databases do."""
    import json

    states = fleet.states()
    hanging = fleet.hanging
    counts = {
        "targets": len(states),
        "judged": sum(state.up is not None for state in states),
        "up": sum(bool(state.up) for state in states),
        "hanging": hanging,
    }
    ok = hanging < len(states)
    body = json.dumps({"status": "ok" if ok else "hanging", **counts}).encode() + b"\n"
    return _Answer(200 if ok else 503, "application/json", body)


def _index(fleet: Fleet) -> _Answer:
    rows = "\n".join(_row(state) for state in fleet.states())
    text = f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>dbdoctor serve</title><style>{_STYLE}</style></head><body>
<h1>dbdoctor serve</h1>
<p><a href="metrics">metrics</a> for Prometheus, <a href="healthz">healthz</a> for whoever keeps this running.</p>
<table><tr><th>target</th><th>state</th><th>sessions</th><th>free slots</th><th>findings</th></tr>
{rows}
</table></body></html>
"""
    return _Answer(200, "text/html; charset=utf-8", text.encode())


def _row(state: State) -> str:
    return "<tr>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in _cells(state)) + "</tr>"


def _cells(state: State) -> Iterator[str]:
    yield state.name
    if state.failed:
        yield f"fails at {state.failed.stage}: {state.failed.code}"
    else:
        yield "not looked at yet" if state.up is None else "answers"
    yield str(sum(state.seen.counts)) if state.seen else ""
    yield str(state.seen.slots.free) if state.seen and state.seen.slots else ""
    yield ", ".join(code for code, severity in state.findings if severity != "info")
