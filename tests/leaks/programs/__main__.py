"""`python -m tests.leaks.programs [NAME [PART]]`: runs one; without a name, lists them all."""

from __future__ import annotations

import os
import sys

from tests.leaks.programs.everything import PARTS, PROGRAMS
from tests.leaks.programs.program import Host


def main(words: list[str]) -> None:
    if not words:
        for program in PROGRAMS.values():
            print(f"{program.name:<44} {program.label:<8} {program.why}")
        return
    _record()
    host = Host(words[0])
    (PARTS[words[1]] if len(words) > 1 else PROGRAMS[words[0]].run)(host)
    # Whatever a program keeps, it keeps until it is told to end.
    host.rest()


def _record() -> None:
    """With the recorder in it, when that is asked for."""
    if place := os.environ.get("PROGRAM_RECORD"):
        from dbdoctor.recorder.start import attach_all

        attach_all(out=place, leak_after=float(os.environ["PROGRAM_LEAK_AFTER"]))


main(sys.argv[1:])
