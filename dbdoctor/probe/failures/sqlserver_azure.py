"""Failures that only Azure SQL words: its gateway, its firewall, its limits. Named by the server's error number."""

from __future__ import annotations

from dbdoctor.probe.failures.entry import Entry

_LIMITS = (
    "SELECT TOP (20) end_time, max_worker_percent, max_session_percent, avg_cpu_percent\n"
    "  FROM sys.dm_db_resource_stats ORDER BY end_time DESC;"
)

ENTRIES = (
    Entry(
        "azure-firewall",
        "the firewall of {server} does not let this client in: Azure saw it come from {client_address}",
        "the gateway was reached and knows the server; no rule of the server's firewall admits {client_address} (40615). It "
        "is the "
        "address as Azure sees it, after NAT, and may change with the network",
        "A new rule takes up to five minutes. Services inside Azure need `0.0.0.0`, or better a virtual network rule.",
        "add a rule for this address, in the portal or in the master database",
        "EXECUTE sp_set_firewall_rule N'dbdoctor-found', '{client_address}', '{client_address}';  -- in master",
    ),
    Entry(
        "azure-network-denied",
        "{where} takes no client from this network",
        "public access is switched off for the server, or the subnet that the client comes from is not in its virtual network "
        "rules (40914, 47073)",
        "With a private endpoint the name must resolve to a private address; here it did not, or the endpoint is missing.",
        "come through the private endpoint (check what the name resolves to), or have the subnet allowed",
        "getent ahosts {host}",
    ),
    Entry(
        "azure-server-unknown",
        "the gateway at {where} does not know the server that the login asks for",
        "Azure tells servers apart by the name in the TLS handshake and by `user@server`: it is misspelled, deleted, or "
        "the client comes by an address or an alias from which the server cannot be told (40532, 40531)",
        "Typical behind a tunnel or an own DNS name for the gateway.",
        "connect by the full name `<server>.database.windows.net`, or write the user as `user@server`",
        "UID={user}@<server>",
    ),
    Entry(
        "azure-database-unavailable",
        "the database {database} is not available at the moment (40613)",
        "Azure moves, resumes or reconfigures it, or it does not exist on this server; a serverless database that was paused "
        "needs up to a minute to wake, and this very attempt wakes it",
        "Applications must try again here: a few attempts over a minute. A login timeout below 60 s is too short for "
        "serverless.",
        "try again in some seconds; if it lasts, look at the database's state and the service's health in the portal",
        "dbdoctor check --login-timeout 60s ...",
    ),
    Entry(
        "azure-reconfiguration",
        "Azure is reconfiguring the database {database} (40197)",
        "a failover, an update or a change of tier is under way; sessions are cut and new ones refused for some seconds",
        "The code behind `Error code` in its words says which. It is normal a few times a year for every database.",
        "try again with growing pauses, as every application on Azure must",
    ),
    Entry(
        "azure-throttled",
        "{where} is too busy and sends clients away for a while (40501)",
        "the service has more requests than it can take: the tier's limits, or the machine's; its words name the pause to make "
        "(10 s)",
        "Trying again at once makes it worse.",
        "wait as long as it says, then look which limit is reached",
        _LIMITS,
    ),
    Entry(
        "database-worker-limit",
        "the database {database} has no worker free for a request: its limit of {limit} is reached (10928)",
        "every running request takes a worker, a login too; sessions that are blocked or slow keep theirs. Idle sessions "
        "take none",
        "Resource ID 1 is workers, 2 is sessions. A storm of retries keeps the limit reached.",
        "look for what blocks or runs long; a larger tier has more workers",
        _LIMITS,
    ),
    Entry(
        "azure-too-busy",
        "{where} is too busy to serve the database {database} beyond its guaranteed minimum (10929)",
        "the machine or the elastic pool that it shares is at its limit; the database gets only what its tier guarantees",
        "Neighbours in the pool may be the cause.",
        "try again after some seconds; look at the pool's use, and at this database's",
        _LIMITS,
    ),
    Entry(
        "elastic-pool-limit",
        "the elastic pool of the database {database} has reached its limit (10936)",
        "all databases of the pool share one number of sessions and workers, and together they use it up",
        "The database itself may be idle.",
        "see which database of the pool has the sessions; give the pool more, or the databases limits of their own",
        "SELECT DB_NAME(database_id), COUNT(*) FROM sys.dm_exec_sessions WHERE is_user_process = 1 GROUP BY database_id;",
    ),
    Entry(
        "azure-not-enough-resources",
        "Azure has no resources to process the request now (49918)",
        "the region or the cluster cannot serve it at the moment; nothing is wrong with the login",
        "It comes at logins while databases are created or scaled.",
        "try again later",
    ),
    Entry(
        "azure-too-many-operations",
        "Azure has too many operations under way for this subscription or server (49919, 49920)",
        "databases are being created, scaled or deleted at the same time, up to the service's limit",
        "A deployment that changes many databases at once does this.",
        "wait for the operations under way to end",
        "SELECT * FROM sys.dm_operation_status;  -- in master",
    ),
    Entry(
        "azure-redirect-blocked",
        "Azure's gateway sends this client on to {routed_to}, and there is no way there: {reason}",
        "the gateway at {where} was reached and took the login; under the Redirect policy the client then connects to the "
        "database's own machine, on a port from 11000 to 11999, which a firewall on this side does not let out",
        "Drivers say only `Login timeout expired`. From inside Azure Redirect is the default; the Proxy policy stays on "
        "1433, and "
        "ends sessions that are idle for 30 minutes.",
        "let this client out to the region's addresses on ports 11000 to 11999, or set the server's connection policy to Proxy",
        "az sql server conn-policy update --connection-type Proxy -g <group> -s <server>",
    ),
)
