"""The views' rows, made of the sessions; what a row does not name has its column's default (see views.py)."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from tests.servers.tds import views
from tests.servers.tds.clock import Clock
from tests.servers.tds.profiles import Profile
from tests.servers.tds.shown import NEVER, ShownSession, sql_handle

Row = dict[str, object]
CONNECTIONS = uuid.UUID("5e551017-0000-4000-8000-000000000000")


def _no_tables() -> Sequence[str]:
    return ()


@dataclass
class Facts:
    """What the rows are made of besides the sessions."""

    profile: Profile
    clock: Clock
    started: dt.datetime
    server_name: str
    # By name; the ids are their places, from 1 on.
    databases: list[str]
    local_address: str = "127.0.0.1"
    local_port: int = 0
    # sys.configurations: values by name.
    configuration: dict[str, int] = field(default_factory=dict)
    # The applications' tables, as they are now.
    tables: Callable[[], Sequence[str]] = _no_tables
    # What a test adds: rows by view.
    more: dict[str, list[Row]] = field(default_factory=dict)

    def database_id(self, name: str) -> int | None:
        """A database's id, whatever the case of its name."""
        names = [each.lower() for each in self.databases]
        return names.index(name.lower()) + 1 if name.lower() in names else None


def rows(view: str, facts: Facts, sessions: Sequence[ShownSession], rights: frozenset[str]) -> list[Row]:
    """All rows of a view, given the sessions to be seen and the rights of who looks."""
    make = _MAKERS.get(views.ROWS_OF.get(view, view))
    made = make(facts, sessions) if make else ()
    if view == "fn_my_permissions":
        made = _permissions(facts, rights)
    return [*made, *facts.more.get(view, [])]


def _sessions(facts: Facts, sessions: Sequence[ShownSession]) -> Iterator[Row]:
    for each in sessions:
        yield {
            "session_id": each.session_id,
            "login_time": each.login_time,
            "host_name": each.host_name,
            "program_name": each.program_name,
            "host_process_id": each.host_process_id,
            "client_version": 7,
            "client_interface_name": each.interface,
            "login_name": each.login_name,
            "original_login_name": each.login_name,
            "status": each.status,
            "cpu_time": each.cpu_milliseconds,
            "memory_usage": 4,
            "endpoint_id": 4,
            "last_request_start_time": each.last_request_start,
            "last_request_end_time": each.last_request_end,
            "reads": each.reads,
            "writes": each.writes,
            "logical_reads": each.logical_reads,
            "is_user_process": each.is_user_process,
            "text_size": 2147483647,
            "language": "us_english",
            "date_format": "mdy",
            "date_first": 7,
            "transaction_isolation_level": each.isolation_level,
            "lock_timeout": each.lock_timeout,
            "row_count": each.row_count,
            "group_id": 2,
            "database_id": each.database_id,
            "authenticating_database_id": 1,
            "open_transaction_count": each.open_transaction_count,
            **each.extra.get("dm_exec_sessions", {}),
        }


def _connections(facts: Facts, sessions: Sequence[ShownSession]) -> Iterator[Row]:
    for each in sessions:
        if each.client_address is None:
            continue
        azure = facts.profile.is_database
        parent = uuid.UUID(int=CONNECTIONS.int + each.session_id * 1000)
        row: Row = {
            "session_id": each.session_id,
            "most_recent_session_id": each.session_id,
            "connect_time": each.login_time if each.login_time != NEVER else each.last_request_start,
            "net_transport": "TCP",
            "protocol_type": "TSQL",
            "protocol_version": 1946157060,
            "endpoint_id": 4,
            "encrypt_option": "TRUE" if each.encrypted else "FALSE",
            "auth_scheme": "SQL",
            "num_reads": 4,
            "num_writes": 4,
            "last_read": each.last_request_start,
            "last_write": each.last_request_end or each.last_request_start,
            "net_packet_size": each.packet_size,
            "client_net_address": each.client_address,
            "client_tcp_port": None if azure else each.client_port,
            "local_net_address": None if azure else facts.local_address,
            "local_tcp_port": None if azure else facts.local_port,
            "connection_id": str(parent),
            "most_recent_sql_handle": None if each.last_text is None else sql_handle(each.last_text),
            **each.extra.get("dm_exec_connections", {}),
        }
        yield row
        for number in range(1, each.mars_sessions + 1):
            child = {"connection_id": str(uuid.UUID(int=parent.int + number)), "parent_connection_id": str(parent)}
            yield {**row, **child, "net_transport": "Session"}


def _requests(facts: Facts, sessions: Sequence[ShownSession]) -> Iterator[Row]:
    now = facts.clock.local()
    for each in sessions:
        if (request := each.request) is None:
            continue
        yield {
            "session_id": each.session_id,
            "request_id": request.request_id,
            "start_time": request.started,
            "status": request.status,
            "command": request.command,
            "sql_handle": None if request.text is None else sql_handle(request.text),
            "statement_start_offset": 0,
            "statement_end_offset": -1,
            "database_id": each.database_id,
            "user_id": 1,
            "connection_id": str(uuid.UUID(int=CONNECTIONS.int + each.session_id * 1000)),
            "blocking_session_id": request.blocked_by,
            "wait_type": request.wait_type,
            "wait_time": request.wait_milliseconds,
            "last_wait_type": request.wait_type or request.last_wait_type,
            "wait_resource": request.wait_resource,
            "open_transaction_count": each.open_transaction_count,
            "open_resultset_count": 1,
            "transaction_id": each.transactions[0].transaction_id if each.transactions else 0,
            "percent_complete": request.percent_complete,
            "total_elapsed_time": _milliseconds(now - request.started),
            "transaction_isolation_level": each.isolation_level,
            "lock_timeout": each.lock_timeout,
            "group_id": 2,
            **each.extra.get("dm_exec_requests", {}),
        }


def _waiting_tasks(facts: Facts, sessions: Sequence[ShownSession]) -> Iterator[Row]:
    for each in sessions:
        if each.request is not None and each.request.wait_type is not None:
            yield {
                "session_id": each.session_id,
                "exec_context_id": 0,
                "wait_duration_ms": each.request.wait_milliseconds,
                "wait_type": each.request.wait_type,
                "blocking_session_id": each.request.blocked_by or None,
                "resource_description": each.request.wait_resource or None,
            }


def _session_transactions(facts: Facts, sessions: Sequence[ShownSession]) -> Iterator[Row]:
    for each in sessions:
        for transaction in each.transactions:
            yield {
                "session_id": each.session_id,
                "transaction_id": transaction.transaction_id,
                "transaction_descriptor": transaction.transaction_id.to_bytes(8, "little"),
                "enlist_count": 0,
                "is_user_transaction": transaction.is_user_transaction,
                "is_local": True,
                "is_enlisted": False,
                "is_bound": False,
                "open_transaction_count": each.open_transaction_count,
                **each.extra.get("dm_tran_session_transactions", {}),
            }


def _active_transactions(facts: Facts, sessions: Sequence[ShownSession]) -> Iterator[Row]:
    for each in sessions:
        for transaction in each.transactions:
            yield {
                "transaction_id": transaction.transaction_id,
                "name": transaction.name,
                "transaction_begin_time": transaction.began,
                "transaction_type": 1,
                "transaction_state": transaction.state,
                "transaction_status": 0,
                "transaction_status2": 258,
                "dtc_state": 0,
                "dtc_status": 0,
                "dtc_isolation_level": -1,
                **each.extra.get("dm_tran_active_transactions", {}),
            }


def _database_transactions(facts: Facts, sessions: Sequence[ShownSession]) -> Iterator[Row]:
    for each in sessions:
        for transaction in each.transactions:
            if not transaction.touched:
                continue
            yield {
                "transaction_id": transaction.transaction_id,
                "database_id": each.database_id,
                "database_transaction_begin_time": transaction.first_record,
                "database_transaction_type": 1,
                # 3: initialised, no log record; 4: has some.
                "database_transaction_state": 4 if transaction.log_records else 3,
                "database_transaction_log_record_count": transaction.log_records,
                "database_transaction_log_bytes_used": transaction.log_bytes,
                "database_transaction_log_bytes_reserved": transaction.log_bytes * 2,
                **each.extra.get("dm_tran_database_transactions", {}),
            }


def _sql_texts(facts: Facts, sessions: Sequence[ShownSession]) -> Iterator[Row]:
    texts = {each.last_text for each in sessions} | {each.request.text for each in sessions if each.request}
    for text in texts - {None}:
        assert text is not None
        yield {"__handle": sql_handle(text), "encrypted": False, "text": text}


def _input_buffers(facts: Facts, sessions: Sequence[ShownSession]) -> Iterator[Row]:
    for each in sessions:
        text = each.request.text if each.request else each.last_text
        if text is not None:
            row: Row = {"__session_id": each.session_id, "event_type": "Language Event", "parameters": 0}
            yield {**row, "event_info": text}


def _system_information(facts: Facts, sessions: Sequence[ShownSession]) -> Iterator[Row]:
    ticks = _milliseconds(facts.clock.local() - facts.started)
    yield {
        "ms_ticks": ticks + 1_000_000,
        "cpu_count": facts.profile.cpu_count,
        "scheduler_count": facts.profile.cpu_count,
        "max_workers_count": facts.profile.max_workers,
        "sqlserver_start_time_ms_ticks": 1_000_000,
        "sqlserver_start_time": facts.started,
        "physical_memory_kb": 16 * 1024 * 1024,
        "affinity_type": 2,
        "affinity_type_desc": "AUTO",
        "virtual_machine_type_desc": "NONE",
        "socket_count": 1,
        "cores_per_socket": facts.profile.cpu_count,
        "numa_node_count": 1,
        "container_type_desc": "NONE",
    }


def _schedulers(facts: Facts, sessions: Sequence[ShownSession]) -> Iterator[Row]:
    for number in range(facts.profile.cpu_count):
        running = sum(1 for each in sessions if each.request and each.session_id % facts.profile.cpu_count == number)
        yield {
            "scheduler_id": number,
            "status": "VISIBLE ONLINE",
            "is_online": True,
            "current_tasks_count": running + 5,
            "current_workers_count": running + 8,
            "active_workers_count": running + 5,
        }


def _counters(facts: Facts, sessions: Sequence[ShownSession]) -> Iterator[Row]:
    users = sum(1 for each in sessions if each.is_user_process)
    for name, value in {"User Connections": users, "Processes blocked": 0}.items():
        yield {
            "object_name": "SQLServer:General Statistics",
            "counter_name": name,
            "instance_name": "",
            "cntr_value": value,
            "cntr_type": 65792,
        }


def _configurations(facts: Facts, sessions: Sequence[ShownSession]) -> Iterator[Row]:
    own = {
        "recovery interval (min)": (101, 0, 0, 32767),
        "user connections": (103, facts.profile.user_connections, 0, 32767),
        "max worker threads": (503, 0, 128, 65535),
        "network packet size (B)": (505, 4096, 512, 32767),
        "remote login timeout (s)": (1519, 10, 0, 2147483647),
        "remote query timeout (s)": (1520, 600, 0, 2147483647),
        "max server memory (MB)": (1544, 2147483647, 128, 2147483647),
    }
    for name, (number, value, least, most) in own.items():
        in_use = facts.configuration.get(name, value)
        yield {
            "configuration_id": number,
            "name": name,
            "value": in_use,
            "minimum": least,
            "maximum": most,
            "value_in_use": in_use,
            "description": name,
            "is_dynamic": name != "user connections",
            "is_advanced": True,
        }


def _databases(facts: Facts, sessions: Sequence[ShownSession]) -> Iterator[Row]:
    for number, name in enumerate(facts.databases, 1):
        yield {
            "name": name,
            "database_id": number,
            "create_date": facts.started,
            "compatibility_level": min(facts.profile.major * 10, 170),
            "collation_name": "SQL_Latin1_General_CP1_CI_AS",
            "user_access": 0,
            "user_access_desc": "MULTI_USER",
            "is_read_only": False,
            "state": 0,
            "state_desc": "ONLINE",
            "snapshot_isolation_state": 0,
            "snapshot_isolation_state_desc": "OFF",
            "is_read_committed_snapshot_on": facts.profile.row_versions,
            "recovery_model": 1,
            "recovery_model_desc": "FULL",
            "log_reuse_wait": 0,
            "log_reuse_wait_desc": "NOTHING",
        }


def _resource_governance(facts: Facts, sessions: Sequence[ShownSession]) -> Iterator[Row]:
    number = len(facts.databases)
    yield {
        "database_id": number,
        "server_name": facts.server_name,
        "database_name": facts.databases[-1],
        "last_updated_date_utc": facts.clock.utc(),
        **facts.profile.limits,
    }


def _resource_stats(facts: Facts, sessions: Sequence[ShownSession]) -> Iterator[Row]:
    limits = facts.profile.limits
    most = limits.get("max_sessions")
    share = 100 * len(sessions) / most if isinstance(most, int) else 0.0
    for back in range(4):
        yield {
            "end_time": facts.clock.utc() - dt.timedelta(seconds=15 * back),
            "avg_cpu_percent": 1.0,
            "max_worker_percent": 1.0,
            "max_session_percent": round(min(share, 100.0), 2),
            "dtu_limit": limits.get("dtu_limit"),
            "cpu_limit": limits.get("cpu_limit"),
            "replica_role": 0,
        }


def _service_objectives(facts: Facts, sessions: Sequence[ShownSession]) -> Iterator[Row]:
    edition = {"Basic": "Basic", "S3": "Standard"}.get(str(facts.profile.limits.get("slo_name")), "GeneralPurpose")
    objective = facts.profile.limits.get("slo_name")
    yield {"database_id": len(facts.databases), "edition": edition, "service_objective": objective}


def object_id(view: str) -> int:
    """A system view's id: negative, as theirs are."""
    return -1000 - sorted(views.ALL).index(view)


def _objects(facts: Facts, sessions: Sequence[ShownSession]) -> Iterator[Row]:
    for name in sorted(facts.profile.views):
        kind, description = ("IF", "SQL_INLINE_TABLE_VALUED_FUNCTION") if name in views.FUNCTIONS else ("V", "VIEW")
        yield {"name": name, "object_id": object_id(name), "schema_id": 4, "type": kind, "type_desc": description}


def _system_views(facts: Facts, sessions: Sequence[ShownSession]) -> Iterator[Row]:
    return (row for row in _objects(facts, sessions) if row["type"] == "V")


def _tables(facts: Facts, sessions: Sequence[ShownSession]) -> Iterator[Row]:
    for name in facts.tables():
        number = 1000 + sum(name.encode())
        row: Row = {"name": name, "object_id": number, "schema_id": 1, "type": "U", "type_desc": "USER_TABLE"}
        yield {**row, "create_date": facts.started, "modify_date": facts.started}


def _schemas(facts: Facts, sessions: Sequence[ShownSession]) -> Iterator[Row]:
    for number, name in {1: "dbo", 2: "guest", 3: "INFORMATION_SCHEMA", 4: "sys"}.items():
        yield {"name": name, "schema_id": number, "principal_id": number}


def _columns(facts: Facts, sessions: Sequence[ShownSession]) -> Iterator[Row]:
    for view in sorted(facts.profile.views):
        for number, column in enumerate(views.columns(view, facts.profile.major), 1):
            yield {"object_id": object_id(view), "name": column.name, "column_id": number}


def _permissions(facts: Facts, rights: frozenset[str]) -> Iterator[Row]:
    for right in sorted(rights):
        if facts.profile.knows_right(right) and not right.startswith("##"):
            kind = "DATABASE" if "DATABASE" in right else "SERVER"
            yield {"__class": kind, "entity_name": kind.lower(), "permission_name": right}


def _milliseconds(span: dt.timedelta) -> int:
    return max(0, int(span.total_seconds() * 1000))


_MAKERS: dict[str, Callable[[Facts, Sequence[ShownSession]], Iterator[Row]]] = {
    "dm_exec_sessions": _sessions,
    "dm_exec_connections": _connections,
    "dm_exec_requests": _requests,
    "dm_os_waiting_tasks": _waiting_tasks,
    "dm_tran_session_transactions": _session_transactions,
    "dm_tran_active_transactions": _active_transactions,
    "dm_tran_database_transactions": _database_transactions,
    "dm_exec_sql_text": _sql_texts,
    "dm_exec_input_buffer": _input_buffers,
    "dm_os_sys_info": _system_information,
    "dm_os_schedulers": _schedulers,
    "dm_os_performance_counters": _counters,
    "dm_user_db_resource_governance": _resource_governance,
    "dm_db_resource_stats": _resource_stats,
    "database_service_objectives": _service_objectives,
    "configurations": _configurations,
    "databases": _databases,
    "system_views": _system_views,
    "all_objects": _objects,
    "all_columns": _columns,
    "objects": _tables,
    "schemas": _schemas,
}
