"""What `recommend --verify` was asked for: its options read and their ranges checked, before anything is opened."""

from __future__ import annotations

from typing import NamedTuple

from dbdoctor.cli.options import read_duration
from dbdoctor.errors import UsageError

_FOR, _LONGEST = 30.0, 3600.0


class VerifyOptions(NamedTuple):
    """`seconds` of the demand are run each time; `statement` in place of a sleep; `yes`: nobody is asked."""

    seconds: float
    statement: str | None
    yes: bool


def read_verify_options(
    verify: bool, seconds: str | None, statement: str | None, yes: bool, *, connects: bool
) -> VerifyOptions | None:
    """None where it was not asked for. Raises UsageError."""
    if not verify:
        said = (("--verify-for", seconds is not None), ("--statement", statement is not None), ("--yes", yes))
        for name, there in said:
            if there:
                raise UsageError(f"`{name}` belongs to `--verify`", help=f"add `--verify`, or leave `{name}` away")
        return None
    if not connects:
        raise UsageError(
            "`--verify` opens sessions, and needs a server to open them on",
            help="name a target, without `--offline`; `demo` is a server to try it on",
        )
    if statement is not None and not statement.strip():
        raise UsageError("`--statement` is empty", help='for example `--statement "SELECT 1"`')
    return VerifyOptions(read_duration("--verify-for", seconds, least=1.0, most=_LONGEST) or _FOR, statement, yes)


def check_demand(*, there: bool) -> None:
    """Raises UsageError where no demand was given, on the command line or in the profile, whose arrivals are known."""
    if not there:
        raise UsageError(
            "`--verify` runs a demand, and needs one whose arrivals are known",
            help="add `--trace FILE`, or `--rate R --use-time T`",
        )
