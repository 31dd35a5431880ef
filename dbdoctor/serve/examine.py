"""One staged login in the calling thread: the probe of `check`, with a single sample."""

from __future__ import annotations

from dbdoctor.model.examination import Examination
from dbdoctor.model.target import Product, Target
from dbdoctor.probe.deadline import Deadline


def examine(target: Target, deadline: Deadline) -> Examination:
    """Examine the target within the deadline; failures are findings, and so is a driver that is not there."""
    if target.product is Product.SQLSERVER:
        from dbdoctor.probe import sqlserver

        return sqlserver.examine(target, deadline, 1, lambda _event: None)
    from dbdoctor.probe import postgresql

    return postgresql.examine(target, deadline, 1, lambda _event: None)
