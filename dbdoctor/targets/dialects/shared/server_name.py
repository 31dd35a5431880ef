r"""What stands after `Server=`: `tcp:host,port`, `host\instance`, `np:...`, `(localdb)\...`; where that leads over TCP.

Facts: Microsoft's ODBC driver 18.6 on Linux was tried with each form. With named pipes, shared memory and LocalDB it asks
nobody and says `Login timeout expired` when the time is over; `admin:` it knows.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from dbdoctor.errors import UsageError
from dbdoctor.model.target import Endpoint, TargetWarning
from dbdoctor.targets.libpq.check import check_host, port_number

DEFAULT_PORT = 1433
"""SQL Server's, for a server that is named without port and instance."""
NOT_TCP = "server-not-over-tcp"

_WINDOWS_ONLY = {"np": "named pipe", "lpc": "shared memory"}
_PIPE = re.compile(r"\\\\([^\\]+)\\pipe\\(?:MSSQL\$([^\\]+)\\)?.*", re.IGNORECASE)
_PREFIX = re.compile(r"\A\s*(tcp|np|lpc|admin)\s*:\s*", re.IGNORECASE)


class ServerName(NamedTuple):
    """Where a server is over TCP, and what is to be said when the text asks for another way."""

    endpoint: Endpoint
    warning: TargetWarning | None = None


def read_server(text: str, port: str | None = None) -> ServerName:
    """The server that the text means. Raises UsageError for what has no TCP port, and for what is malformed."""
    text, way = _without_prefix(text.strip())
    pipe = _PIPE.fullmatch(text)
    if pipe:
        text, way = f"{pipe[1]}\\{pipe[2]}" if pipe[2] else pipe[1], way or "np"
    if text.lower().startswith("(localdb)"):
        raise UsageError(
            "the server is a LocalDB, which has no network port and exists only on a developer's own Windows",
            help="name a SQL Server that listens on TCP: `Server=db1,1433`",
        )
    if way == "admin":
        raise UsageError(
            "`admin:` asks for the dedicated administrator connection, of which a server has only one",
            cause="dbdoctor does not take it away from whoever needs it to mend the server",
            help="leave `admin:` out; where no other login gets in, use `sqlcmd -A`",
        )
    endpoint = parse_server(text, port)
    kind = _WINDOWS_ONLY.get(way)
    if kind is None:
        return ServerName(endpoint)
    host = endpoint.host or "localhost"
    right = f"{host}\\{endpoint.instance}" if endpoint.instance else f"{host},{endpoint.port}"
    said = f"Server={way}:..." if way == "lpc" or not pipe else f"Server=\\\\{host}\\pipe\\..."
    return ServerName(endpoint, TargetWarning(NOT_TCP, f"{said} ({kind})", f"Server={right}", fatal=True))


def _without_prefix(text: str) -> tuple[str, str]:
    """The text without the protocol before it, and the protocol."""
    prefix = _PREFIX.match(text)
    return (text[prefix.end() :], prefix[1].lower()) if prefix else (text, "")


def parse_server(text: str, port: str | None = None) -> Endpoint:
    r"""`host,port`, `host\instance`, `(local)`, `.`, `[::1],1433`. Raises UsageError."""
    text, _, written_port = text.partition(",")
    host, _, instance = text.strip().partition("\\")
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
    elif host.count(":") == 1:  # in a config's `host`, or after `np:`; in a connection string it was understood
        raise UsageError(
            "the server has a `:` in it", help="SQL Server's drivers want a comma before the port: `Server=db1,1433`"
        )
    number = _port(written_port) or _port(port or "")
    if host.lower() in ("", ".", "(local)"):
        host = "localhost"
    check_host(host)
    check_host(instance)
    if number is None and not instance:
        number = DEFAULT_PORT
    return Endpoint(host, number, instance=instance or None)


def _port(text: str) -> int | None:
    try:
        return port_number(text)
    except UsageError as error:
        raise UsageError(error.what, help="write the port after the host and a comma: `Server=db1,1433`") from None


def no_server(why: str = "") -> UsageError:
    """What is said of a target without a server."""
    return UsageError(
        f"the target names no server{why}",
        help="name it: `Server=db1,1433` in a connection string, `mssql+pyodbc://user:password@db1:1433/database?...` in a URL",
    )
