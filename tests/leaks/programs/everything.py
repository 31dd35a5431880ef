"""All the programs, by name."""

from __future__ import annotations

from tests.leaks.programs import connections, courses, kept, pools, processes, special, transactions
from tests.leaks.programs.program import PARTS, PROGRAMS

__all__ = ["PARTS", "PROGRAMS"]

MODULES = (kept, connections, transactions, pools, courses, processes, special)
