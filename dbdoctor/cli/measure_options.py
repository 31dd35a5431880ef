"""The options of `measure-timeout`, read."""

from __future__ import annotations

import re

from dbdoctor.cli.options import read_duration
from dbdoctor.errors import UsageError
from dbdoctor.model.measured import MeasureOptions

_SHORTEST, _LONGEST = 2.0, 7 * 86400.0
_FINEST, _COARSEST = 0.005, 0.2
_DEFAULTS = MeasureOptions()


def read_measure_options(
    up_to: str | None, resolution: str | None, connections: int | None, *, keepalive: bool
) -> MeasureOptions:
    """The options as they were typed, read. Raises UsageError."""
    longest = read_duration("--up-to", up_to, least=_SHORTEST, most=_LONGEST)
    return MeasureOptions(
        up_to=_DEFAULTS.up_to if longest is None else longest,
        resolution=_DEFAULTS.resolution if resolution is None else _read_share(resolution),
        connections=connections or _DEFAULTS.connections,
        keepalive=keepalive,
    )


def _read_share(text: str) -> float:
    match = re.fullmatch(r"\s*(\d{1,3}(?:\.\d{1,6})?)\s*%\s*", text, re.ASCII)
    example = "for example `--resolution 2%`"
    if match is None:
        raise UsageError("`--resolution` is a percentage", help=example)
    share = float(match[1]) / 100
    if not _FINEST <= share <= _COARSEST:
        raise UsageError(f"`--resolution` must lie between {_FINEST:.1%} and {_COARSEST:.0%}", help=example)
    return share
