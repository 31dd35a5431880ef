"""The command line: `main` is the only place that catches, and the only one that knows exit codes."""

from __future__ import annotations

from dbdoctor.cli.main import main

__all__ = ["main"]
