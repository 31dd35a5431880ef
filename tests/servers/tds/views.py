"""The system views' columns, by version, and what may see them. From Microsoft's documentation of each view."""

from __future__ import annotations

import functools
from dataclasses import dataclass

# A line is: name, type, and either the first version (by its major number) that has the column, or nothing.
# A type with "!" is never NULL; what a row does not give is then 0, an empty text, false.
_SETTINGS = """
quoted_identifier bit!
arithabort bit!
ansi_null_dflt_on bit!
ansi_defaults bit!
ansi_warnings bit!
ansi_padding bit!
ansi_nulls bit!
concat_null_yields_null bit!
transaction_isolation_level smallint!
lock_timeout int!
deadlock_priority int!
row_count bigint!
prev_error int!
"""
_TEXTS = {
    "dm_exec_sessions": f"""
session_id smallint!
login_time datetime!
host_name nvarchar(128)
program_name nvarchar(128)
host_process_id int
client_version int
client_interface_name nvarchar(32)
security_id varbinary(85)!
login_name nvarchar(128)!
nt_domain nvarchar(128)
nt_user_name nvarchar(128)
status nvarchar(30)!
context_info varbinary(128)
cpu_time int!
memory_usage int!
total_scheduled_time int!
total_elapsed_time int!
endpoint_id int!
last_request_start_time datetime!
last_request_end_time datetime
reads bigint!
writes bigint!
logical_reads bigint!
is_user_process bit!
text_size int!
language nvarchar(128)
date_format nvarchar(3)
date_first smallint!
{_SETTINGS}
original_security_id varbinary(85)!
original_login_name nvarchar(128)!
last_successful_logon datetime
last_unsuccessful_logon datetime
unsuccessful_logons bigint
group_id int!
database_id smallint!
authenticating_database_id int
open_transaction_count int!
page_server_reads bigint! 15
contained_availability_group_id uniqueidentifier 17
""",
    "dm_exec_connections": """
session_id int
most_recent_session_id int
connect_time datetime!
net_transport nvarchar(40)!
protocol_type nvarchar(40)
protocol_version int
endpoint_id int
encrypt_option nvarchar(40)!
auth_scheme nvarchar(40)!
node_affinity smallint!
num_reads int
num_writes int
last_read datetime
last_write datetime
net_packet_size int
client_net_address varchar(48)
client_tcp_port int
local_net_address varchar(48)
local_tcp_port int
connection_id uniqueidentifier!
parent_connection_id uniqueidentifier
most_recent_sql_handle varbinary(64)
""",
    "dm_exec_requests": f"""
session_id smallint!
request_id int!
start_time datetime!
status nvarchar(30)!
command nvarchar(32)!
sql_handle varbinary(64)
statement_start_offset int
statement_end_offset int
plan_handle varbinary(64)
database_id smallint!
user_id int!
connection_id uniqueidentifier
blocking_session_id smallint
wait_type nvarchar(60)
wait_time int!
last_wait_type nvarchar(60)!
wait_resource nvarchar(256)!
open_transaction_count int!
open_resultset_count int!
transaction_id bigint!
context_info varbinary(128)
percent_complete real!
estimated_completion_time bigint!
cpu_time int!
total_elapsed_time int!
scheduler_id int
task_address varbinary(8)
reads bigint!
writes bigint!
logical_reads bigint!
text_size int!
language nvarchar(128)
date_format nvarchar(3)
date_first smallint!
{_SETTINGS}
nest_level int!
granted_query_memory int!
executing_managed_code bit!
group_id int!
query_hash varbinary(8)
query_plan_hash varbinary(8)
statement_sql_handle varbinary(64)
statement_context_id bigint
dop int! 13
parallel_worker_count int 13
external_script_request_id uniqueidentifier 13
is_resumable bit! 14
page_resource varbinary(8) 15
page_server_reads bigint! 15
dist_statement_id uniqueidentifier 16
""",
    "dm_tran_session_transactions": """
session_id int
transaction_id bigint
transaction_descriptor varbinary(8)
enlist_count int
is_user_transaction bit
is_local bit
is_enlisted bit
is_bound bit
open_transaction_count int
""",
    "dm_tran_active_transactions": """
transaction_id bigint
name nvarchar(32)
transaction_begin_time datetime
transaction_type int
transaction_uow uniqueidentifier
transaction_state int
transaction_status int
transaction_status2 int
dtc_state int
dtc_status int
dtc_isolation_level int
filestream_transaction_id varbinary(128)
""",
    "dm_tran_database_transactions": """
transaction_id bigint
database_id int
database_transaction_begin_time datetime
database_transaction_type int
database_transaction_state int
database_transaction_status int
database_transaction_status2 int
database_transaction_log_record_count bigint
database_transaction_replicate_record_count int
database_transaction_log_bytes_used bigint
database_transaction_log_bytes_reserved bigint
database_transaction_log_bytes_used_system int
database_transaction_log_bytes_reserved_system int
database_transaction_begin_lsn decimal(25,0)
database_transaction_last_lsn decimal(25,0)
database_transaction_most_recent_savepoint_lsn decimal(25,0)
database_transaction_commit_lsn decimal(25,0)
database_transaction_last_rollback_lsn decimal(25,0)
database_transaction_next_undo_lsn decimal(25,0)
""",
    "dm_os_waiting_tasks": """
waiting_task_address varbinary(8)!
session_id smallint
exec_context_id int
wait_duration_ms bigint
wait_type nvarchar(60)
resource_address varbinary(8)
blocking_task_address varbinary(8)
blocking_session_id smallint
blocking_exec_context_id int
resource_description nvarchar(3072)
""",
    "dm_os_sys_info": """
cpu_ticks bigint!
ms_ticks bigint!
cpu_count int!
hyperthread_ratio int!
physical_memory_kb bigint!
virtual_memory_kb bigint!
committed_kb bigint!
committed_target_kb bigint!
stack_size_in_bytes int!
os_quantum bigint!
os_error_mode int!
os_priority_class int
max_workers_count int!
scheduler_count int!
scheduler_total_count int!
deadlock_monitor_serial_number int!
sqlserver_start_time_ms_ticks bigint!
sqlserver_start_time datetime!
affinity_type int!
affinity_type_desc nvarchar(60)!
virtual_machine_type int!
virtual_machine_type_desc nvarchar(60)!
softnuma_configuration int! 13
softnuma_configuration_desc nvarchar(60)! 13
process_physical_affinity nvarchar(3072)! 14
sql_memory_model int! 13
sql_memory_model_desc nvarchar(120)! 13
socket_count int! 13
cores_per_socket int! 13
numa_node_count int! 13
container_type int! 15
container_type_desc nvarchar(60)! 15
""",
    "dm_os_schedulers": """
scheduler_id int!
status nvarchar(60)!
is_online bit!
current_tasks_count int!
runnable_tasks_count int!
current_workers_count int!
active_workers_count int!
work_queue_count bigint!
""",
    "dm_os_performance_counters": """
object_name nvarchar(128)!
counter_name nvarchar(128)!
instance_name nvarchar(128)
cntr_value bigint!
cntr_type int!
""",
    "dm_user_db_resource_governance": """
database_id int!
logical_database_guid uniqueidentifier!
physical_database_guid uniqueidentifier!
server_name nvarchar(128)!
database_name nvarchar(128)!
slo_name nvarchar(128)!
dtu_limit int
cpu_limit int
min_cores decimal(5,2)
max_dop smallint!
max_sessions int!
primary_group_max_workers int!
primary_pool_max_workers int!
instance_max_worker_threads int!
replica_role tinyint!
last_updated_date_utc datetime!
""",
    "dm_db_resource_stats": """
end_time datetime
avg_cpu_percent decimal(5,2)
avg_data_io_percent decimal(5,2)
avg_log_write_percent decimal(5,2)
avg_memory_usage_percent decimal(5,2)
xtp_storage_percent decimal(5,2)
max_worker_percent decimal(5,2)
max_session_percent decimal(5,2)
dtu_limit int
cpu_limit decimal(5,2)
replica_role int
""",
    "configurations": """
configuration_id int!
name nvarchar(35)!
value sql_variant
minimum sql_variant
maximum sql_variant
value_in_use sql_variant
description nvarchar(255)!
is_dynamic bit!
is_advanced bit!
""",
    "databases": """
name nvarchar(128)!
database_id int!
source_database_id int
owner_sid varbinary(85)
create_date datetime!
compatibility_level tinyint!
collation_name nvarchar(128)
user_access tinyint
user_access_desc nvarchar(60)
is_read_only bit
is_auto_close_on bit!
state tinyint
state_desc nvarchar(60)
snapshot_isolation_state tinyint
snapshot_isolation_state_desc nvarchar(60)
is_read_committed_snapshot_on bit
recovery_model tinyint
recovery_model_desc nvarchar(60)
service_broker_guid uniqueidentifier!
log_reuse_wait tinyint
log_reuse_wait_desc nvarchar(60)
""",
    "database_service_objectives": """
database_id int!
edition nvarchar(128)
service_objective nvarchar(128)
elastic_pool_name nvarchar(128)
""",
    "system_views": """
name nvarchar(128)!
object_id int!
schema_id int!
type varchar(2)
type_desc nvarchar(60)
""",
    "all_objects": """
name nvarchar(128)!
object_id int!
schema_id int!
type varchar(2)
type_desc nvarchar(60)
""",
    "objects": """
name nvarchar(128)!
object_id int!
schema_id int!
parent_object_id int!
type varchar(2)
type_desc nvarchar(60)
create_date datetime!
modify_date datetime!
is_ms_shipped bit!
""",
    "schemas": """
name nvarchar(128)!
schema_id int!
principal_id int
""",
    "all_columns": """
object_id int!
name nvarchar(128)
column_id int!
""",
}
# Functions that give rows, as the tables that they are made of; the arguments pick by the columns named first.
_TEXTS |= {
    "dm_exec_sql_text": """
__handle varbinary(64)
dbid smallint
objectid int
number smallint
encrypted bit
text nvarchar(max)
""",
    "dm_exec_input_buffer": """
__session_id int
event_type nvarchar(256)
parameters smallint
event_info nvarchar(max)
""",
    "fn_my_permissions": """
__class nvarchar(60)
entity_name nvarchar(128)!
subentity_name nvarchar(128)!
permission_name nvarchar(60)!
""",
}
# The same rows under other names.
ROWS_OF = {"system_columns": "all_columns", "system_objects": "all_objects", "tables": "objects"}
_TEXTS |= {name: _TEXTS[same] for name, same in ROWS_OF.items()}
FUNCTIONS = {"dm_exec_sql_text": "__handle", "dm_exec_input_buffer": "__session_id", "fn_my_permissions": "__class"}

# Who may not look sees only the own session here, and an error everywhere else among the dm_ views.
OWN_ROWS_ONLY = {"dm_exec_sessions", "dm_exec_requests"}
AZURE_ONLY = {"dm_user_db_resource_governance", "dm_db_resource_stats", "database_service_objectives"}
EVERYBODYS = {name for name in _TEXTS if not name.startswith("dm_")} | {"dm_db_resource_stats"}

_TYPES = {
    "tinyint": "UTINYINT",
    "smallint": "SMALLINT",
    "int": "INTEGER",
    "bigint": "BIGINT",
    "bit": "BOOLEAN",
    "real": "FLOAT",
    "float": "DOUBLE",
    "datetime": "TIMESTAMP_MS",
    "uniqueidentifier": "UUID",
    "sql_variant": "JSON",
}


@dataclass(frozen=True)
class ViewColumn:
    """A column: its T-SQL type, and what stands in it when a row does not say."""

    name: str
    type: str
    never_null: bool

    @property
    def stored(self) -> str:
        """DuckDB's type, chosen so that a result's type leads back to T-SQL's."""
        base = self.type.partition("(")[0]
        if base == "decimal":
            return self.type
        return _TYPES.get(base, "BLOB" if base == "varbinary" else "VARCHAR")

    @property
    def default(self) -> object:
        """NULL, or the type's nothing."""
        if not self.never_null:
            return None
        match self.stored:
            case "VARCHAR":
                return ""
            case "BLOB":
                return b"\x01"
            case "BOOLEAN":
                return False
            case "TIMESTAMP_MS":
                return "1900-01-01"
            case "UUID":
                return "00000000-0000-0000-0000-000000000000"
        return 0


@functools.cache
def columns(view: str, major: int) -> tuple[ViewColumn, ...]:
    """What a view has in that version, in its order."""
    found = []
    for line in _TEXTS[view].split("\n"):
        name, type_, since = [*line.split(), "0"][:3] if line.strip() else ("", "", "99")
        if int(since) <= major:
            found.append(ViewColumn(name, type_.rstrip("!"), type_.endswith("!")))
    return tuple(found)


ALL = frozenset(_TEXTS)
