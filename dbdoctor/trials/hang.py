"""How long a request that hung would have hung, and how long the server keeps what was left behind; pure.

Three things end a silent connection, and which one rules depends on what is outstanding. Data that nobody acknowledges is
sent again, each time after twice the time, until net.ipv4.tcp_retries2 (or tcp_user_timeout) ends it; keepalive is off
meanwhile. Where nothing is outstanding, as while waiting for an answer, keepalive finds the loss. Where a proxy
acknowledges everything and says nothing, nobody does.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping

from dbdoctor.model.duration import format_duration
from dbdoctor.model.trial import Bound, FaultFacts, Host, PoolPlan, Scenario
from dbdoctor.trials.scaling import Keepalive

# Linux's first and longest retransmission timeout: TCP_RTO_MIN and TCP_RTO_MAX of include/net/tcp.h (seconds).
_FIRST_RTO = 0.2
_LONGEST_RTO = 120.0
# tcp(7): "the default value of 15 corresponds to 13 to 30 minutes, depending on the retransmission timeout".
_BY_DEFAULT = (780.0, 1800.0)
# net.ipv4.tcp_keepalive_time, _intvl, _probes by default (tcp(7)); Windows has 2 h as well, and probes for 10 s (KeepAliveTime).
_LINUX = Keepalive(7200, 75, 9)
_WINDOWS_UNANSWERED = 7210.0
# A query timeout of the ODBC drivers waits for the server's word on its cancellation: twice (FreeTDS), three times (Microsoft).
_QUERY_TIMEOUTS = (2.0, 3.0)


def hypothetical_timeout(retries: int) -> float:
    """How long data is sent again until it is given up, in seconds: 924.6 for 15 (ip-sysctl.rst, tcp_retries2)."""
    return sum(min(_FIRST_RTO * 2.0**attempt, _LONGEST_RTO) for attempt in range(max(0, retries) + 1))


def retransmission(host: Host) -> Bound:
    """How long unacknowledged data keeps a request waiting on this host.

    The connection is given up at the first retransmission after the hypothetical timeout; the next is due twice the time
    after the last, and 120 s after it at most.
    """
    if host.retries is None:
        return Bound(*_BY_DEFAULT, "13 to 30 minutes by Linux's default of net.ipv4.tcp_retries2 (not readable here)")
    least = hypothetical_timeout(host.retries)
    return Bound(least, least + min(least, _LONGEST_RTO), f"net.ipv4.tcp_retries2 = {host.retries} on this host")


def hang_bound(plan: PoolPlan, fault: FaultFacts, host: Host) -> Bound:
    """How long a request of this pool would have hung in this fault on this host, with the values of the trial.

    `most` is None where nothing would have ended it.
    """
    if plan.query_timeout is not None and not plan.pool_pre_ping:
        least, most = (factor * plan.query_timeout for factor in _QUERY_TIMEOUTS)
        return Bound(least, most, f"the query timeout of {format_duration(plan.query_timeout)}, two or three times")
    if fault.stalls_login:
        return _login(plan)
    if fault.acknowledges:
        return Bound(0.0, None, "what is in between acknowledges everything: no setting of TCP ends it")
    if fault.scenario is Scenario.QUERY:
        return _waiting(plan, fault, host)
    limit = _user_timeout(plan)
    if limit:
        return Bound(limit, 2 * limit, f"tcp_user_timeout = {limit * 1000:.0f} ms")
    return retransmission(host)


def client_keepalive(plan: PoolPlan, host: Host) -> Keepalive | None:
    """The keepalive of the pool's connections: the plan's, and the host's where it says nothing; None when it is off."""
    arguments = {name.lower(): value for name, value in plan.connect_args.items()}
    if str(arguments.get("keepalives", "1")) == "0":
        return None
    base = Keepalive(*host.keepalive) if host.keepalive else _LINUX
    own = [arguments.get(f"keepalives_{name}") for name in base._fields]
    own[0] = own[0] if own[0] is not None else arguments.get("keepalive")
    own[1] = own[1] if own[1] is not None else arguments.get("keepaliveinterval")
    return Keepalive(
        *(int(value) or kept if value is not None else kept for value, kept in zip(own, base, strict=True))
    )


def ghost_bound(plan: PoolPlan, fault: FaultFacts, host: Host) -> Bound:
    """How long the server keeps a session that nobody is behind any more, by its keepalive, or by what it last sent."""
    if fault.scenario is Scenario.QUERY:
        return Bound(
            *_BY_DEFAULT, "the server sent an answer that nobody acknowledged: its own tcp_retries2, if it is Linux"
        )
    own = _server_options(plan.connect_args)
    known = host.server_keepalive or (0, 0, 0)
    values = [own.get(name, value) for name, value in zip(Keepalive._fields, known, strict=True)]
    if values[0]:
        found = Keepalive(*(value or default for value, default in zip(values, _LINUX, strict=True)))
        words = f"shortened for the trial: {_words(found)}" if own else _words(found)
        return Bound(float(found.unanswered), float(found.unanswered), words)
    why = "the server's operating system decides" if host.server_keepalive else "the server's keepalive is not known"
    return Bound(
        _WINDOWS_UNANSWERED, float(_LINUX.unanswered), f"{why}: about 2 h by the defaults of Linux and Windows"
    )


def _login(plan: PoolPlan) -> Bound:
    """A login that is accepted and not answered: libpq waits for connect_timeout for each address, or for ever."""
    limit = float(plan.connect_args.get("connect_timeout", 0))
    if limit:
        return Bound(limit, 2 * limit, f"connect_timeout = {limit:.0f} s for each address")
    return Bound(0.0, None, "without connect_timeout nothing ends a login that is accepted and not answered")


def _waiting(plan: PoolPlan, fault: FaultFacts, host: Host) -> Bound:
    """Nothing is outstanding, and the answer was lost."""
    found = client_keepalive(plan, host)
    if found is None:
        return Bound(0.0, None, "keepalives are off, and nothing else looks after a connection that only waits")
    if fault.code.endswith("-reset"):
        return Bound(
            float(found.idle), float(found.unanswered), f"the first probe is answered by a reset: {_words(found)}"
        )
    limit = _user_timeout(plan)
    if limit:
        probes = max(1, math.ceil((limit - found.idle) / found.interval))
        end = float(found.idle + found.interval * probes)
        return Bound(end, end, f"keepalive after {format_duration(found.idle)} and tcp_user_timeout")
    why = _words(found)
    if host.keepalive is None and not plan.connect_args:
        why += " (by Linux's defaults: this host's are not readable)"
    return Bound(float(found.unanswered), float(found.unanswered), why)


def _words(found: Keepalive) -> str:
    return (
        f"keepalive after {format_duration(found.idle)}, {found.count} probes {format_duration(found.interval)} apart"
    )


def _user_timeout(plan: PoolPlan) -> float:
    return int(plan.connect_args.get("tcp_user_timeout", 0)) / 1000


def _server_options(arguments: Mapping[str, str | int]) -> dict[str, int]:
    """`-c tcp_keepalives_idle=60` and its like in libpq's `options`."""
    found = re.findall(r"tcp_keepalives_(idle|interval|count)\s*=\s*(\d+)", str(arguments.get("options", "")))
    return {name: int(value) for name, value in found}
