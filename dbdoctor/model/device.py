"""Known devices between a client and its database that end idle connections: a table shipped as data (devices.json).

Each row says how sure it is (`mark`: measured here, documented by the vendor, reported in an issue, third party,
unverified), where it was read and when. Vendors change their values: what was measured always counts more.
"""

from __future__ import annotations

import functools
from pathlib import Path
from typing import NamedTuple

# Who has one of these as its default may have changed it, so a measured value counts as the default within this share.
_SAME = 0.02


class Device(NamedTuple):
    """One device. `slug` names it on the command line (`aws-nlb`); `seconds` is its default idle timeout.

    `least_seconds` and `most_seconds` bound what it can be set to (None: fixed, or not known). `drop` is one of silent,
    reset, reset-on-use and closed; `keepalive_resets_it` whether TCP keepalives count as traffic (None: not known).
    `mark` says how sure the row is, `source` where it was read (None: nowhere), `date` when (ISO).
    """

    slug: str
    name: str
    seconds: float
    least_seconds: float | None
    most_seconds: float | None
    drop: str
    keepalive_resets_it: bool | None
    mark: str
    source: str | None
    date: str
    note: str | None = None


@functools.cache
def devices() -> tuple[Device, ...]:
    """Every known device, in the order of the table."""
    import json

    rows = json.loads(Path(__file__).with_name("devices.json").read_text(encoding="utf-8"))
    return tuple(Device(**row) for row in rows)


def find_device(slug: str) -> Device | None:
    """The device of that name, or None."""
    return next((device for device in devices() if device.slug == slug), None)


def known_timeouts() -> tuple[float, ...]:
    """The default timeouts of all known devices in seconds, ascending, each once."""
    return tuple(sorted({device.seconds for device in devices()}))


def look_alikes(at_least: float, at_most: float, drop: str) -> tuple[Device, ...]:
    """The devices whose default lies in the bracket (seconds) and that drop in this way, the surest first.

    Silence and a reset on use go together: some devices answer what arrives after the timeout and some do not, by
    settings of their own or by who sends first.
    """
    styles = {"silent", "reset-on-use"} if drop in {"silent", "reset-on-use"} else {drop}
    low, high = at_least * (1 - _SAME), at_most * (1 + _SAME)
    found = [device for device in devices() if low <= device.seconds <= high and device.drop in styles]
    return tuple(sorted(found, key=lambda device: (device.drop != drop, _MARKS.index(device.mark))))


_MARKS = ("measured", "documented", "reported", "third party", "unverified")
