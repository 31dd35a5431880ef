"""All the programs, by name."""

from __future__ import annotations

from tests.leaks.programs import (
    connections,
    courses,
    kept,
    more_healthy,
    more_leaking,
    pools,
    processes,
    special,
    transactions,
    unseen,
)
from tests.leaks.programs.program import PARTS, PROGRAMS

__all__ = ["FIRST", "PARTS", "PROGRAMS", "SECOND", "UNSEEN"]

MODULES = (kept, connections, transactions, pools, courses, processes, special, more_leaking, more_healthy, unseen)

FIRST = tuple(name for name, program in PROGRAMS.items() if not program.more and not program.unseen)
SECOND = tuple(name for name, program in PROGRAMS.items() if program.more)
UNSEEN = tuple(name for name, program in PROGRAMS.items() if program.unseen)
