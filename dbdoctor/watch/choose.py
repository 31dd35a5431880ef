"""What takes the snapshots of a target, by its product."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dbdoctor.model.target import Product, Target

if TYPE_CHECKING:
    from dbdoctor.watch.postgresql_source import PostgresqlSource
    from dbdoctor.watch.sqlserver_source import SqlServerSource


def source_of(target: Target) -> PostgresqlSource | SqlServerSource:
    """A source that has not connected yet; to be closed by whoever asked for it."""
    if target.product is Product.SQLSERVER:
        from dbdoctor.watch.sqlserver_source import SqlServerSource

        return SqlServerSource(target)
    from dbdoctor.watch.postgresql_source import PostgresqlSource

    return PostgresqlSource(target)
