"""Which server it pretends to be: versions, editions, what each has and what one needs to look."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from tests.servers.tds import views

VIEW_SERVER_STATE = "VIEW SERVER STATE"
VIEW_SERVER_PERFORMANCE_STATE = "VIEW SERVER PERFORMANCE STATE"
VIEW_DATABASE_STATE = "VIEW DATABASE STATE"
ALTER_ANY_CONNECTION = "ALTER ANY CONNECTION"
KILL_DATABASE_CONNECTION = "KILL DATABASE CONNECTION"
SERVER_STATE_READER = "##MS_ServerStateReader##"
EVERY_RIGHT = frozenset(
    {
        VIEW_SERVER_STATE,
        VIEW_SERVER_PERFORMANCE_STATE,
        VIEW_DATABASE_STATE,
        ALTER_ANY_CONNECTION,
        KILL_DATABASE_CONNECTION,
        SERVER_STATE_READER,
    }
)
# What every one of them has.
CATALOGUE = {"all_objects", "all_columns", "objects", "tables", "schemas"}
BOX = views.ALL - views.AZURE_ONLY


@dataclass(frozen=True)
class Profile:
    """One kind of server."""

    name: str
    # Of SERVERPROPERTY('ProductVersion'); `major` decides which columns there are (Azure says 12 and has the newest).
    version: str
    major: int
    edition: str
    engine_edition: int
    # @@VERSION, whose first line the drivers and SQLAlchemy read.
    banner: str
    level: str = "RTM"
    views: frozenset[str] = BOX
    # Azure SQL Database: only sessions of one's own database are shown, and rights are the database's.
    is_database: bool = False
    # Service tiers where most views want more than VIEW DATABASE STATE.
    wants_state_reader: bool = False
    # Readers do not wait for writers.
    row_versions: bool = False
    max_workers: int = 512
    user_connections: int = 0
    cpu_count: int = 4
    # Azure's limits, as dm_user_db_resource_governance has them.
    limits: dict[str, object] = field(default_factory=dict)
    extra_properties: dict[str, object] = field(default_factory=dict)

    @property
    def version_numbers(self) -> tuple[int, int, int]:
        """As the wire has it."""
        major, minor, build = (int(part) for part in self.version.split(".")[:3])
        return major, minor, build

    @property
    def state_right(self) -> str:
        """What one needs to see other sessions."""
        if self.is_database:
            return VIEW_DATABASE_STATE
        return VIEW_SERVER_PERFORMANCE_STATE if self.major >= 16 else VIEW_SERVER_STATE

    def knows_right(self, right: str) -> bool:
        """Whether HAS_PERMS_BY_NAME knows that right in this version."""
        return right != VIEW_SERVER_PERFORMANCE_STATE or self.major >= 16

    def may_look(self, view: str, rights: Iterable[str]) -> bool:
        """Whether a login with these rights may look at all of `view`."""
        held = set(rights)
        if view in views.EVERYBODYS:
            return True
        if self.wants_state_reader and view not in views.OWN_ROWS_ONLY:
            return SERVER_STATE_READER in held
        return self.state_right in held or (not self.is_database and VIEW_SERVER_STATE in held)


def _box(year: int, version: str, update: str) -> Profile:
    major = int(version.split(".", maxsplit=1)[0])
    banner = (
        f"Microsoft SQL Server {year} ({update}) - {version} (X64) \n\tNov 21 2025 12:00:00 \n"
        "\tCopyright (C) Microsoft Corporation\n\tDeveloper Edition (64-bit) on Linux (Debian GNU/Linux 12) <X64>"
    )
    return Profile(
        name=str(year),
        version=version,
        major=major,
        edition="Developer Edition (64-bit)",
        engine_edition=3,
        banner=banner,
    )


AZURE_BANNER = (
    "Microsoft SQL Azure (RTM) - 12.0.2000.8 \n\tNov 10 2025 01:02:03 \n\tCopyright (C) 2025 Microsoft Corporation\n"
)


def _azure(tier: str, objective: str, *, sessions: int, workers: int, dtu: int | None, cpu: int | None) -> Profile:
    limits: dict[str, object] = {
        "slo_name": objective,
        "dtu_limit": dtu,
        "cpu_limit": cpu,
        "max_sessions": sessions,
        "primary_group_max_workers": workers,
        "primary_pool_max_workers": workers,
        "instance_max_worker_threads": workers * 2,
        "max_dop": 1 if dtu else 8,
    }
    return Profile(
        name=f"azure-sql-db-{tier}",
        version="12.0.2000.8",
        major=17,
        edition="SQL Azure",
        engine_edition=5,
        banner=AZURE_BANNER,
        views=views.ALL,
        is_database=True,
        wants_state_reader=objective in {"Basic", "S0", "S1"},
        row_versions=True,
        max_workers=workers * 2,
        cpu_count=32,
        limits=limits,
    )


_MANAGED = Profile(
    name="managed-instance",
    version="12.0.2000.8",
    major=17,
    edition="SQL Azure",
    engine_edition=8,
    banner=AZURE_BANNER,
    views=BOX | {"dm_db_resource_stats"},
    row_versions=False,
    max_workers=1200,
)
_BABELFISH = Profile(
    name="babelfish-like",
    version="12.0.2000.8",
    major=12,
    edition="Standard",
    engine_edition=2,
    banner="Babelfish for PostgreSQL with SQL Server Compatibility - 12.0.2000.8\nNov 10 2025 01:02:03\n"
    "Copyright (c) Amazon Web Services\nPostgreSQL 17.5 (Babelfish 5.2.0) on x86_64-pc-linux-gnu",
    views=frozenset({"dm_exec_sessions", "dm_exec_connections", "databases", "configurations"} | CATALOGUE),
    extra_properties={"BabelfishVersion": "5.2.0"},
)
_SYNAPSE = replace(
    _BABELFISH,
    name="synapse-like",
    version="10.0.10887.0",
    major=10,
    edition="SQL Azure",
    engine_edition=6,
    banner="Microsoft Azure SQL Data Warehouse - 10.0.10887.0 Nov 10 2025 01:02:03 Copyright (c) Microsoft Corporation",
    views=frozenset({"databases", "system_views"} | CATALOGUE),
    extra_properties={},
)
_FABRIC = replace(
    _azure("fabric", "FABRIC", sessions=30000, workers=800, dtu=None, cpu=8),
    name="fabric-like",
    engine_edition=12,
    views=views.ALL - {"dm_user_db_resource_governance", "dm_os_sys_info", "configurations"},
)

PROFILES = {
    profile.name: profile
    for profile in (
        _box(2016, "13.0.6300.2", "SP3"),
        _box(2019, "15.0.4430.1", "RTM-CU32"),
        _box(2022, "16.0.4175.1", "RTM-CU16"),
        _box(2025, "17.0.1000.7", "RTM"),
        _MANAGED,
        _azure("basic", "Basic", sessions=300, workers=30, dtu=5, cpu=None),
        _azure("standard", "S3", sessions=2400, workers=200, dtu=100, cpu=None),
        _azure("general-purpose", "SQLDB_GP_GEN5_4_SQLDB", sessions=30000, workers=420, dtu=None, cpu=4),
        _BABELFISH,
        _SYNAPSE,
        _FABRIC,
    )
}
