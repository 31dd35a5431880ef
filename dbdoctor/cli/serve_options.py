"""What `serve` was asked for: where to listen, and whether that is only for this machine."""

from __future__ import annotations

import ipaddress
import re
import socket
from typing import NamedTuple

from dbdoctor.errors import UsageError

_FORM = re.compile(r"(?:\[(?P<six>[0-9A-Fa-f:.%\w]+)\]|(?P<host>[^\[\]:]*)):(?P<port>[0-9]{1,5})")
_EXAMPLE = "for example `--listen 127.0.0.1:9797` or `--listen [::1]:9797`"


class Listen(NamedTuple):
    """A numeric address and a port; 0 is any free one."""

    host: str
    port: int

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine can connect."""
        return ipaddress.ip_address(self.host.partition("%")[0]).is_loopback

    @property
    def shown(self) -> str:
        """`127.0.0.1:9797`, `[::1]:9797`."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def read_listen(text: str, *, yes: bool) -> Listen:
    """The address of `--listen`. Raises UsageError; beyond loopback unless `yes`."""
    match = _FORM.fullmatch(text.strip())
    if match is None:
        raise UsageError("`--listen` is not an address with a port", help=_EXAMPLE)
    port = int(match["port"])
    if port > 65535:
        raise UsageError("`--listen` has a port above 65535", help=_EXAMPLE)
    listen = Listen(_numeric(match["six"] or match["host"] or "0.0.0.0"), port)  # noqa: S104 - what `:9797` means; asked below
    if not listen.is_loopback and not yes:
        raise UsageError(
            f"`--listen {listen.shown}` can be read from other machines",
            cause="there is neither a password nor encryption: whoever can connect sees the names of applications, "
            "roles, databases and hosts",
            help="listen on 127.0.0.1 and let a proxy in front of it ask who is there, or add `--yes`",
        )
    return listen


def _numeric(host: str) -> str:
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        cause = error.strerror if isinstance(error, OSError) else None
        raise UsageError("the host of `--listen` is not known", cause=cause, help=_EXAMPLE) from None
    return str(found[0][4][0])
