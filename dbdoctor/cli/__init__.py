"""The command line. Importing it costs nothing: `main` imports what it needs."""

from __future__ import annotations

import gc
from typing import NoReturn

# Starting allocates tens of thousands of objects that all live on, and a look at thousands of sessions as many again;
# looking for garbage among them takes 7 % of a run. Who runs for long sets it lower (`cli/leaks_run.py`).
_COLLECT_AFTER = 400_000


def main() -> NoReturn:
    """The console script: runs the command line and exits with its code."""
    gc.set_threshold(_COLLECT_AFTER, 20, 20)
    try:
        from dbdoctor.cli.main import main as run_main
    except KeyboardInterrupt:
        raise SystemExit(130) from None
    run_main()
