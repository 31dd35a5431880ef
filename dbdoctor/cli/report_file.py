"""Where a report goes: a file that was not there, unless `--force` says otherwise, or stdout."""

from __future__ import annotations

import contextlib
import os
import re
import sys
import time
from pathlib import Path

from dbdoctor.errors import UsageError
from dbdoctor.model.secret import redact
from dbdoctor.model.target import Target

_LONGEST_NAME = 60
_STDOUT = "-"


def default_name(target: Target, made_at: float) -> str:
    """`dbdoctor-report-db1-shop-20261121-140311Z.html`: of letters that every file system and mail takes."""
    where = target.endpoints[0].host if target.endpoints else ""
    named = target.profile or "-".join(part for part in (where, target.database) if part) or target.product.value
    slug = re.sub(r"[^a-z0-9.]+", "-", redact(named).lower()).strip("-.")[:_LONGEST_NAME] or target.product.value
    return f"dbdoctor-report-{slug}-{time.strftime('%Y%m%d-%H%M%SZ', time.gmtime(made_at))}.html"


def check_place(html: str | None, *, force: bool) -> None:
    """Before anything is looked at: can it be written at the end? Raises UsageError."""
    if html == _STDOUT:
        if sys.stdout.isatty():
            raise UsageError(
                "the report would be written to the terminal", help="send it somewhere: `--html - > report.html`"
            )
        return
    path = Path(html) if html else Path()
    directory = path if path.is_dir() else path.parent
    if not path.is_dir() and not force:
        _refuse_if_there(path)
    if not directory.is_dir():
        raise UsageError("the directory for the report is not there", help=f"`mkdir -p {directory}`")
    if not os.access(directory, os.W_OK | os.X_OK):
        raise UsageError("the report's directory cannot be written to", help="say where with `--html FILE`")


def write_report(page: str, html: str | None, name: str, *, force: bool) -> Path | None:
    """Write the page whole or not at all; gives the file, or None for stdout. Raises UsageError."""
    if html == _STDOUT:
        sys.stdout.write(page)
        return None
    path = Path(html) if html else Path()
    path = path / name if path.is_dir() else path
    text = page.encode("utf-8", "backslashreplace")
    try:
        if force and path.exists():
            _replace(path, text)
        else:
            _create(path, text)
    except FileExistsError:
        _refuse_if_there(path)
    except OSError as error:
        raise UsageError(
            "the report could not be written", cause=error.strerror, help="say where with `--html FILE`"
        ) from None
    return path


def _create(path: Path, text: bytes) -> None:
    with path.open("xb") as file:
        try:
            file.write(text)
            file.flush()
        except BaseException:
            with contextlib.suppress(OSError):
                path.unlink()
            raise


def _replace(path: Path, text: bytes) -> None:
    """A regular file is replaced whole; anything else (a device, a pipe) is written into."""
    if not path.is_file() or path.is_symlink():
        path.write_bytes(text)
        return
    new = path.with_name(f".{path.name}.{os.getpid()}")
    _create(new, text)
    new.replace(path)


def _refuse_if_there(path: Path) -> None:
    if path.exists() or path.is_symlink():
        raise UsageError("the report's file is there already", help="add `--force` to overwrite it, or name another")
