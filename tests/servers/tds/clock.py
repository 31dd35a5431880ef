"""The server's clock: its local time, which may be off from ours and jump, and UTC."""

from __future__ import annotations

import datetime as dt


class Clock:
    """Times as the server has them; `offset` is its time zone's (tests change it), `skew` how wrong it goes."""

    def __init__(self, offset: dt.timedelta, skew: dt.timedelta) -> None:
        self.offset = offset
        self.skew = skew

    def utc(self) -> dt.datetime:
        """UTC, naive as the views have it."""
        return dt.datetime.now(dt.UTC).replace(tzinfo=None) + self.skew

    def local(self) -> dt.datetime:
        """Local time, naive as the views have it."""
        return self.utc() + self.offset

    def aware(self) -> dt.datetime:
        """Local time with its offset."""
        return self.local().replace(tzinfo=dt.timezone(self.offset))


def rounded(moment: dt.datetime) -> dt.datetime:
    """A `datetime` of SQL Server, which counts in 1/300 s and shows milliseconds ending in 0, 3 and 7."""
    ticks = round(moment.microsecond * 300 / 10**6)
    milliseconds = (ticks * 10 + 1) // 3
    return moment.replace(microsecond=0) + dt.timedelta(milliseconds=milliseconds)
