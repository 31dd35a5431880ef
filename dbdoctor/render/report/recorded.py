"""What the recorder saw inside the application, by line of code."""

from __future__ import annotations

from dbdoctor.model.report import WholeReport
from dbdoctor.render.report.html import Markup
from dbdoctor.render.report.pieces import absent, section


def recorded(report: WholeReport) -> Markup:
    """The section."""
    return section("code", "Where connections are taken", absent(report.absent.get("trace")))
