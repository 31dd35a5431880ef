"""Whose sessions are not judged like an application's: people, administrators of the cloud, poolers, replication.

Being spared is not being healthy for ever: a person's transaction that blocks others is still found to block. It only says
that "nobody uses this" cannot be told from outside.
"""

from __future__ import annotations

from dbdoctor.model.session import REPLICATION, ClientProcess, Session

# What these programs call themselves (application_name, program_name), lower case; a version or a tab's name may follow.
_INTERACTIVE = (
    "psql", "pgcli", "pgadmin 4", "dbeaver", "datagrip", "tableplus", "navicat", "postico", "heidisql", "beekeeper studio",
    "usql", "sqltools", "azdata", "azure data studio", "microsoft sql server management studio", "sqlcmd", "dbvisualizer",
    "intellij idea", "pycharm", "squirrel sql", "dbforge", "adminer", "phppgadmin", "mssql-cli", "vscode-mssql", "vscode-pgsql",
)  # fmt: skip
_COMMANDS = ("psql", "pgcli", "pgadmin4", "dbeaver", "usql", "sqlcmd", "tsql", "isql", "iusql", "mssql-cli")
_EXPORTERS = (
    "postgres_exporter", "pg_exporter", "pgwatch", "telegraf", "datadog-agent", "datadog agent", "pganalyze_collector",
    "newrelic", "zabbix", "check_postgres", "check_pgactivity", "pg_activity", "pghero", "sql_exporter", "pgmetrics", "pgcenter",
    "temboard", "powa",
)  # fmt: skip
# SQL Server's own companions, which log in as users do.
_SERVICES = ("sqlagent", "sqlserverceip", "report server", "sql server log shipping", "dqservices")
# Roles of the providers' own agents: Amazon RDS, Azure, Google Cloud SQL and AlloyDB, Supabase, Neon, Crunchy Bridge.
_ADMINISTRATORS = frozenset(
    {
        "rdsadmin", "rdsrepladmin", "azuresu", "azure_superuser", "azure_pg_admin", "cloudsqladmin", "cloudsqlagent",
        "cloudsqlreplica", "alloydbadmin", "alloydbmetadata", "supabase_admin", "cloud_admin", "ccp_monitoring",
    }
)  # fmt: skip


def why_spared(session: Session, process: ClientProcess | None) -> str | None:
    """A short phrase that says why this session is not judged by its silence; None when it is."""
    if session.kind == REPLICATION:
        return "replication"
    if session.user in _ADMINISTRATORS:
        return "the provider's own agent"
    if process is not None and process.pooler:
        return f"{process.pooler}'s own session"
    name = (session.application or "").lower()
    if _is_one_of(name, _INTERACTIVE):
        return "a person at work"
    if _is_one_of(name, _EXPORTERS):
        return "monitoring"
    if _is_one_of(name, _SERVICES):
        return "the server's own service"
    return "a person at work" if process is not None and _is_shell(process.command) else None


def _is_shell(command: str | None) -> bool:
    words = (command or "").split(maxsplit=1)
    return bool(words) and words[0].rpartition("/")[2] in _COMMANDS


def _is_one_of(name: str, words: tuple[str, ...]) -> bool:
    """`DBeaver 24.1 - Main` is DBeaver; `psql-sync` is somebody's application."""
    return name.startswith(words) and any(name == word or name.startswith(f"{word} ") for word in words)
