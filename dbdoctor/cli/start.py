"""From what the user named to targets that can be looked at: the demo server started, the login's deadline chosen."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from dbdoctor.errors import UsageError
from dbdoctor.model.target import Target

if TYPE_CHECKING:
    from dbdoctor.targets.select import Selection


def choose_login_timeout(given: float | None, selection: Selection) -> float | None:
    """The option wins over a profile's own, which wins over the config's general one."""
    if given is not None:
        return given
    general = selection.settings.get("login_timeout")
    return (
        float(general)
        if general and all(getattr(t, "login_timeout", None) is None for t in selection.targets)
        else None
    )


def start_targets(selection: Selection, stack: contextlib.ExitStack) -> list[Target]:
    """The targets, with the demo server started where `demo` was asked for; it stops when the stack is left."""
    chosen: list[Target] = []
    demo: Target | None = None
    for target in selection.targets:
        if isinstance(target, Target):
            chosen.append(target)
            continue
        if demo is None:
            from dbdoctor.cli.progress import Progress
            from dbdoctor.demo.embedded import embedded_postgresql

            progress = Progress()
            try:
                demo = stack.enter_context(embedded_postgresql(on_progress=progress.note))
            finally:
                progress.clear()
        chosen.append(demo)
    if not chosen:
        raise UsageError("there is nothing to check", help="`dbdoctor check demo` needs no database")
    return chosen
