"""The page's one style sheet, its one small script, and the policy that allows these two and nothing else."""

from __future__ import annotations

import base64
import functools
import hashlib
from pathlib import Path


@functools.cache
def style() -> str:
    """The style sheet."""
    return Path(__file__).with_name("page.css").read_text(encoding="utf-8")


@functools.cache
def script() -> str:
    """The script."""
    return Path(__file__).with_name("page.js").read_text(encoding="utf-8")


def policy() -> str:
    """What the page may do: be styled by its own sheet, run its own script, and nothing else."""
    return (
        f"default-src 'none'; style-src {_hash(style())}; script-src {_hash(script())}; img-src data:; "
        "base-uri 'none'; form-action 'none'"
    )


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
