"""What this host's kernel does with a silent connection, read from its settings."""

from __future__ import annotations

from pathlib import Path

from dbdoctor.model.target import Product
from dbdoctor.model.trial import Host
from dbdoctor.trials.measures_odbc import DRIVER_KEEPALIVE, FREETDS_KEEPALIVE

_SETTINGS = Path("/proc/sys/net/ipv4")
# SQL Server by default: a probe after 30 s, then five a second apart (Microsoft, SQL Protocols blog, March 2006).
_SQLSERVER = (30, 1, 5)


def read_host(
    product: Product,
    server_keepalive: tuple[int, int, int] | None = None,
    *,
    freetds: bool = False,
    settings: Path = _SETTINGS,
) -> Host:
    """Retransmissions and keepalive as a connection of the product's driver has them here; None for what is not readable.

    libpq takes the kernel's keepalive. The ODBC drivers set idle and interval themselves, and take the kernel's count.
    `server_keepalive` is PostgreSQL's tcp_keepalives_idle, _interval and _count; SQL Server's is its default.
    """
    retries = _number(settings / "tcp_retries2")
    values = [_number(settings / f"tcp_keepalive_{name}") for name in ("time", "intvl", "probes")]
    idle, interval, probes = values
    if product is Product.SQLSERVER:
        own = FREETDS_KEEPALIVE if freetds else DRIVER_KEEPALIVE
        idle, interval, probes = own.idle, own.interval, own.count if probes is None else probes
        server_keepalive = server_keepalive or _SQLSERVER
    keepalive = None if idle is None or interval is None or probes is None else (idle, interval, probes)
    return Host(retries, keepalive, server_keepalive)


def _number(file: Path) -> int | None:
    try:
        return int(file.read_text())
    except (OSError, ValueError):
        return None
