"""What was measured, in words: how connections end, where that sits, what it looks like."""

from __future__ import annotations

from dbdoctor.model.duration import format_duration
from dbdoctor.model.measured import Drop, Measured, Where

HOW = {
    Drop.SILENT: "silent: nothing is sent to either side, and what is sent afterwards vanishes",
    Drop.RESET: "a reset (RST) at the timeout",
    Drop.RESET_ON_USE: "a reset (RST), but only when the connection is used again; until then nothing tells",
    Drop.CLOSED: "an orderly close (FIN) at the timeout, without a word",
    Drop.SERVER_ERROR: "the server's message, and an orderly close",
    Drop.NONE: "not at all",
}
_WHERE = {
    Where.SERVER: "the server itself",
    Where.POOLER: "a pooler before the server",
    Where.PROXY: "a proxy or a gateway before the server (HAProxy is one), which closes without a word",
    Where.NETWORK: "the network between: a firewall, a NAT gateway or a load balancer",
    Where.NOWHERE: "nowhere",
    Where.UNKNOWN: "unknown",
}


def where_words(measured: Measured) -> str:
    """Where the timeout sits, with the setting's name where the server has one that fits."""
    words = _WHERE[measured.where]
    setting = measured.facts.settings.get("idle_session_timeout", 0.0) if measured.facts else 0.0
    if measured.where is Where.SERVER and setting:
        return f"{words}: idle_session_timeout is {format_duration(setting)}"
    return words


def how_words(measured: Measured) -> str:
    """How connections end, with what was said."""
    said = f"“{measured.said}”" if measured.said else ""
    return f"{said}, and an orderly close" if said else HOW[measured.drop]


def likely_words(measured: Measured) -> str | None:
    """What it is likely to be, in one phrase; None when there is nothing to guess."""
    if measured.seconds is None:
        return None
    if measured.likely:
        names = [device.name for device in measured.likely]
        return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} or {names[-1]}"
    return where_words(measured)


def bracket_words(measured: Measured) -> str:
    """`between 237.7 s and 242.3 s`, or what is known so far."""
    low, high = measured.bracket
    if high is None:
        return f"at least {_short(low)}"
    return f"between {_short(low)} and {_short(high)}"


def _short(seconds: float) -> str:
    return f"{seconds:.2f} s" if seconds < 10 else f"{seconds:.1f} s"
