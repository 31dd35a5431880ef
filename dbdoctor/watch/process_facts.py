"""What there is to say of a client process: its command line without secrets, its user, and whether it only stands in between."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from dbdoctor.model.session import ClientProcess

if TYPE_CHECKING:
    import psutil

# Their idle server sessions are their own, lent to one client after another.
_POOLERS = {
    "odyssey": "Odyssey",
    "pgagroal": "pgagroal",
    "pgbouncer": "PgBouncer",
    "pgcat": "PgCat",
    "pgdog": "PgDog",
    "pgpool": "Pgpool-II",
}
# They pass each connection on, one to one: an idle session behind them is some client's.
_FORWARDERS = {
    "alloydb-auth-proxy": "AlloyDB Auth Proxy",
    "cloud-sql-proxy": "Cloud SQL Auth Proxy",
    "cloud_sql_proxy": "Cloud SQL Auth Proxy",
    "docker-proxy": "Docker's port forwarding",
    "envoy": "Envoy",
    "haproxy": "HAProxy",
    "kubectl": "kubectl port-forward",
    "nginx": "nginx",
    "pasta": "pasta",
    "pasta.avx2": "pasta",
    "rootlessport": "rootlessport",
    "slirp4netns": "slirp4netns",
    "socat": "socat",
    "ssh": "an SSH tunnel",
    "sshd": "an SSH tunnel",
    "sshd-session": "an SSH tunnel",
    "stunnel": "stunnel",
    "stunnel4": "stunnel",
}
_MOST_KNOWN = 4096


class ProcessFacts:
    """Asks each process once; an id that was given out again is another process."""

    def __init__(self) -> None:
        self._known: dict[tuple[int, float], ClientProcess] = {}

    def of(self, pid: int) -> ClientProcess | None:
        """The process, None when it has ended; what its owner does not let us see stays None in it."""
        import psutil

        try:
            process = psutil.Process(pid)
            key = pid, process.create_time()
        except (psutil.Error, OSError):
            return None
        if key not in self._known:
            if len(self._known) >= _MOST_KNOWN:
                self._known.clear()
            self._known[key] = _describe(process, key[1])
        return self._known[key]


def _describe(process: psutil.Process, started_at: float) -> ClientProcess:
    import psutil

    from dbdoctor.watch.command_line import shown_command

    name = command = user = None
    with contextlib.suppress(psutil.Error, OSError, ValueError):
        name = process.name()
        command = shown_command(process.cmdline()) or name
    with contextlib.suppress(psutil.Error, OSError, KeyError):
        user = process.username()
    carrier = (name or "").lower().removesuffix(".exe")
    return ClientProcess(process.pid, command, user, _POOLERS.get(carrier), started_at, _FORWARDERS.get(carrier))
