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
)
from tests.leaks.programs.program import PARTS, PROGRAMS

__all__ = ["FIRST", "PARTS", "PROGRAMS", "SECOND"]

MODULES = (kept, connections, transactions, pools, courses, processes, special, more_leaking, more_healthy)

FIRST = tuple(name for name, program in PROGRAMS.items() if not program.more)
SECOND = tuple(name for name, program in PROGRAMS.items() if program.more)
