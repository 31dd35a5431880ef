"""Before a command opens sessions of its own: is there a way in, and which? If not, the answer is what `check` says."""

from __future__ import annotations

import sys

from dbdoctor.cli.judge import judge
from dbdoctor.cli.progress import Progress
from dbdoctor.model.examination import Examination
from dbdoctor.model.target import Target
from dbdoctor.probe.run import Examining


def examine(target: Target, login_timeout: float) -> Examination:
    """The examination of `check`, judged, with its progress on stderr."""
    progress = Progress()
    try:
        found = Examining(target, login_timeout).result(progress.event, progress.tick)
    finally:
        progress.clear()
    return judge(found)


def print_examination(examination: Examination, *, no_color: bool) -> None:
    """The stages and the findings on stdout, for people."""
    from dataclasses import replace

    from dbdoctor.render.check_text import result_lines, stage_lines
    from dbdoctor.render.style import Style

    style = Style.of(sys.stdout, no_color=no_color)
    print(examination.target.shown)
    for stage in examination.stages:
        for line in stage_lines(stage, style):
            print(line)
    for line in result_lines(replace(examination, facts=None), style):
        print(line)
