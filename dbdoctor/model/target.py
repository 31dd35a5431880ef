"""What the user pointed at: one database, in whatever dialect it was written."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import NamedTuple

from dbdoctor.model.pool import PoolSettings
from dbdoctor.model.secret import Secret


class Product(str, Enum):
    """A database product. The value is what stands before `://` in a shown target."""

    POSTGRESQL = "postgresql"
    SQLSERVER = "mssql"


class Endpoint(NamedTuple):
    """One host of a target. `host` starting with `/` or `@` is a unix socket's directory, as libpq has it.

    `address` is libpq's `hostaddr`: where to connect without asking the resolver; `host` then only names the certificate.
    `instance` is SQL Server's named instance; `port` is then None until the browser service told it.
    """

    host: str | None = None
    port: int | None = None
    address: str | None = None
    instance: str | None = None

    @property
    def is_socket(self) -> bool:
        """Whether this is a unix socket."""
        return self.address is None and self.host is not None and self.host[:1] in ("/", "@")

    @property
    def shown(self) -> str:
        r"""`db1:5432`, `[::1]:5432`, `db1\sales`, or the socket's path, for people."""
        host = self.host or self.address or "localhost"
        if self.is_socket:
            return f"{host}/.s.PGSQL.{self.port}" if self.port else host
        if ":" in host:
            host = f"[{host}]"
        if self.instance:
            host = f"{host}\\{self.instance}"
        return f"{host}:{self.port}" if self.port is not None else host


@dataclass(frozen=True, slots=True)
class Target:
    """A database to look at, whatever the dialect: what is here is already decoded, defaulted and checked.

    `parameters` are the driver's own settings beyond the fields here, under the driver's names (libpq keywords for
    PostgreSQL, ODBC keywords for SQL Server), never secret; secret ones (`sslpassword`) are in `secret_parameters`.
    `dialect` says how it was written ("SQLAlchemy URL"), `driver` what the application uses ("asyncpg").
    `notes` are for the user, each said once. Durations are seconds.
    """

    product: Product
    endpoints: tuple[Endpoint, ...]
    user: str | None = None
    password: Secret | None = None
    database: str | None = None
    parameters: Mapping[str, str] = field(default_factory=dict)
    secret_parameters: Mapping[str, Secret] = field(default_factory=dict)
    dialect: str = ""
    driver: str | None = None
    profile: str | None = None
    notes: tuple[str, ...] = ()
    login_timeout: float | None = None
    path_idle_timeout: float | None = None
    pool: PoolSettings | None = None
    thresholds: Mapping[str, float] = field(default_factory=dict)
    warnings: tuple[TargetWarning, ...] = ()
    workload: Workload | None = None

    @property
    def shown(self) -> str:
        """`postgresql://app@db:5432/shop`: who, where, which database, and no secret."""
        user = f"{self.user}@" if self.user else ""
        hosts = ",".join(endpoint.shown for endpoint in self.endpoints)
        database = f"/{self.database}" if self.database else ""
        return f"{self.product.value}://{user}{hosts}{database}"


class Workload(NamedTuple):
    """What a profile says of the demand of its application, and of a pooler before its server; None is not said.

    `rate` are checkouts a second of all processes together, `use_time` is in seconds, `burst` the busiest second's rate as
    a multiple, `trace` a file of recorded checkouts. `surge` are replicas more that a rollout starts. `pooler_clients` and
    `pooler_pool_size` are PgBouncer's max_client_conn and default_pool_size.
    """

    rate: float | None = None
    use_time: float | None = None
    burst: float | None = None
    trace: Path | None = None
    surge: int | None = None
    pooler_clients: int | None = None
    pooler_pool_size: int | None = None


class TargetWarning(NamedTuple):
    """Something in what the user wrote does not do what it says; becomes a finding of this code.

    `subject` is the word it is about (`timeout`), `remedy` what to write instead (`connect_timeout`).
    `fatal` says that the driver refuses it, so that no connection can come of it.
    """

    code: str
    subject: str
    remedy: str | None = None
    fatal: bool = False
