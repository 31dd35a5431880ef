"""Which product speaks T-SQL here: SQL Server of one's own, one of Azure's, or a relative; pure."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, NamedTuple

from dbdoctor.databases.sqlserver_text import number, one_line

AZURE_DATABASE, SYNAPSE, MANAGED_INSTANCE, SERVERLESS, FABRIC = 5, 6, 8, 11, 12
_PRODUCTS = {
    AZURE_DATABASE: "Azure SQL Database",
    SYNAPSE: "Azure Synapse Analytics",
    MANAGED_INSTANCE: "Azure SQL Managed Instance",
    9: "Azure SQL Edge",
    SERVERLESS: "Azure Synapse serverless or Fabric Warehouse",
    FABRIC: "SQL database in Fabric",
}
_YEARS = {11: "2012", 12: "2014", 13: "2016", 14: "2017", 15: "2019", 16: "2022", 17: "2025"}


class Edition(NamedTuple):
    """The product by its own word. `major` is that of the version it claims, 0 for none; Azure claims 12 for ever.

    `version` is for people (`2022 CU16 (16.0.4175.1)`), `build` as the server has it; `name` is its edition.
    """

    product: str
    version: str
    build: str
    major: int
    engine: int | None
    name: str | None
    banner: str

    @property
    def is_box(self) -> bool:
        """Whether it is SQL Server as one installs it, whose versions have years and ends of support."""
        return self.product == "SQL Server"

    @property
    def is_azure_database(self) -> bool:
        """Whether service tiers limit it."""
        return self.engine == AZURE_DATABASE

    @property
    def is_database(self) -> bool:
        """Whether we see one database of many on a server that is nobody's: rights and limits are the database's."""
        return self.engine in (AZURE_DATABASE, FABRIC)

    @property
    def has_replicas(self) -> bool:
        """Whether secondaries that can be read belong to it, without anybody having set them up."""
        return self.engine in (AZURE_DATABASE, MANAGED_INSTANCE, FABRIC)

    @property
    def has_performance_state(self) -> bool:
        """Whether the server knows VIEW SERVER PERFORMANCE STATE; naming it is an error before 2022."""
        return self.is_box and self.major >= 16


def read_edition(answer: Sequence[Any]) -> Edition:
    """From the answer to EDITION, in which each value may be missing."""
    engine, version, name, update, babelfish, said = answer
    banner = str(said or "")
    build = str(version or "") or _build(banner)
    major = number(build.partition(".")[0]) or 0
    if babelfish or "babelfish" in banner.lower():
        own = str(babelfish or "") or (re.search(r"Babelfish ([\d.]+)", banner) or ["", ""])[1]
        return Edition("Babelfish for PostgreSQL", own or build or "unknown", build, major, None, name, banner)
    engine = number(engine)
    product = _PRODUCTS.get(engine or 0)
    if product is None and engine is None and "azure" in banner.lower():
        product = "Azure SQL"
    if product is not None:
        return Edition(product, build or "unknown", build, major, engine, name, banner)
    if not build:
        title = one_line(banner, 60)
        return Edition("an unknown server", title or "unknown", "", 0, engine, name, banner)
    return Edition("SQL Server", _shown(build, major, update, banner), build, major, engine, name, banner)


def _shown(build: str, major: int, update: Any, banner: str) -> str:
    year = _YEARS.get(major) or (re.search(r"SQL Server (\d{4})", banner) or ["", ""])[1]
    if not year:
        return build
    level = str(update or "") or (re.search(r"\((?:RTM-)?((?:SP|CU)[\w-]+)\)", banner) or ["", ""])[1]
    return f"{year} {level} ({build})" if level else f"{year} ({build})"


def _build(banner: str) -> str:
    found = re.search(r"\b(\d{1,2}\.\d+\.\d+(?:\.\d+)?)\b", banner)
    return found[1] if found else ""
