"""What failures that every product has are called on SQL Server: the same codes with the same meaning, in its own words."""

from __future__ import annotations

from dbdoctor.probe.failures.entry import Entry

_HYT00 = "Microsoft's ODBC driver says only `HYT00 Login timeout expired` for it, after the whole login timeout"

ENTRIES = (
    Entry(
        "name-not-found",
        "the name {host} does not exist",
        "the resolver answered, and it knows no address for {host}: a typing error, a name of another network, or a service "
        "that is gone",
        f"{_HYT00}; FreeTDS says `Unable to connect to data source`.",
        "check the spelling, and that this machine uses the name server that knows the name",
        "getent ahosts {host}",
    ),
    Entry(
        "resolver-silent",
        "no name server answered for {host} within {seconds}",
        "the question for the address of {host} is still waiting: the name servers in /etc/resolv.conf are unreachable from "
        "here; nothing is known of the database yet",
        f"{_HYT00}.",
        "check the name servers of this machine; to get in meanwhile, use the address (with HostNameInCertificate=<name>)",
        "grep nameserver /etc/resolv.conf; getent ahosts {host}",
    ),
    Entry(
        "connection-refused",
        "nothing listens on {where}: the connection was refused",
        "the machine {address} is up and answered at once that nobody listens on port {port}: the server is stopped, TCP/IP is "
        "switched off in its protocols, it listens on another port (a named instance does), or a firewall refuses",
        f"{_HYT00}: it tries again and again until then. FreeTDS says `Unable to connect: Adaptive Server is unavailable`.",
        "on that machine, check that the server runs and on which port it listens (its error log says `Server is listening "
        "on`)",
        "ss -ltnp | grep {port}",
    ),
    Entry(
        "no-answer",
        "{where} did not answer a connection attempt within {seconds}",
        "the packets to {address} vanish: a firewall, a network security group or a missing private endpoint drops them, or "
        "the "
        "machine is off; a running machine with a closed port would have refused at once",
        f"{_HYT00}. A login timeout in the connection string has no effect with ODBC.",
        "allow this client in the firewall in front of {address}, port {port}; and give the application a login timeout",
        "connect_args={{'timeout': 5}}",
    ),
    Entry(
        "connection-reset",
        "{where} cut the connection as soon as it was made",
        "something accepted the connection and reset it at once: a load balancer without a healthy server behind it, a TCP "
        "proxy, a service mesh that refuses this client, or a server that is shutting down",
        "Microsoft's driver says `TCP Provider: Error code 0x2746` or `0x68`.",
        "look at the load balancer's or proxy's view of its servers",
    ),
    Entry(
        "wrong-service",
        "{service} answers on {where}, not SQL Server",
        "the port is open, but what answers there speaks another protocol",
        "Microsoft's driver says `Client unable to establish connection due to prelogin failure`, or waits for its timeout.",
        "check the port (SQL Server's default is 1433; named instances have others) and, behind a proxy, which service the "
        "route "
        "leads to",
        "ss -ltnp | grep {port}",
    ),
    Entry(
        "accepted-then-silent",
        "{where} accepted the connection and then said nothing for {seconds}",
        "the operating system or a proxy accepted, but no server took up the connection: it is stopped or frozen, has no "
        "worker "
        "free for a login, or a load balancer has no server behind it",
        f"{_HYT00}. FreeTDS waits for ever, unless its protocol version is set (`TDS_Version=7.4`).",
        "look at the server and at the proxy in between; if only this client is affected, at the network path. An "
        "administrator "
        "still gets in by the dedicated connection",
        "sqlcmd -S admin:{host}",
    ),
    Entry(
        "closed-during-negotiation",
        "{where} closed the connection before the login",
        "the connection was accepted and ended {how} in the middle of PRELOGIN or TLS: a load balancer or proxy without a "
        "healthy "
        "server, a server that is going down or has no memory for one more session, or a TLS version or certificate that it "
        "cannot use itself",
        "Microsoft's driver says `Client unable to establish connection due to prelogin failure`, with `0x2746` or `0x68`.",
        "look at the server's error log at this moment (17830, 17832, 26011), and at the proxy's",
    ),
    Entry(
        "tls-not-offered",
        "{written} requires TLS, and {where} does not offer it",
        "the server answered that it cannot encrypt: it is not quite SQL Server, or a gateway in between took TLS away. "
        "Every SQL "
        "Server since 2005 can",
        "Microsoft's driver 18 encrypts by default, 17 did not; its words: `Encryption not supported on SQL Server`.",
        "see what stands in between; only on a network that you trust, do without",
        "Encrypt=no",
    ),
    Entry(
        "certificate-untrusted",
        "the certificate of {where} is not signed by an authority that {root} trusts",
        "with {written} the driver checks the certificate: the server shows a self-signed one (which every SQL Server makes "
        "for "
        "itself when it is given none), or one of an authority that this machine does not know",
        "Driver 18 encrypts and checks by default, 17 did not: the same connection string worked before the upgrade. Also with "
        "Encrypt=no the certificate is checked when the server forces encryption.",
        "have the authority's certificate installed on this machine, or give the server a certificate of one that is; "
        "TrustServerCertificate=yes encrypts without knowing for whom",
        "cp ca.pem /usr/local/share/ca-certificates/ca.crt && update-ca-certificates\n"
        "# or, on a network that you trust: TrustServerCertificate=yes",
    ),
    Entry(
        "certificate-expired",
        "the certificate of {where} has expired",
        "the certificate's end date is past ({not_after}); the server has to be given a new one. Should only this client say "
        "so, check this machine's clock",
        "Microsoft's driver says `certificate verify failed:certificate has expired`; with TrustServerCertificate=yes "
        "nobody notices.",
        "give the server a new certificate and restart it",
        "openssl x509 -in <new certificate> -noout -subject -dates",
    ),
    Entry(
        "certificate-wrong-name",
        "the certificate of {where} is for {names}, not for {wanted_name}",
        "the authority is trusted, but {wanted_name} is not among the certificate's names; an address never is, for this "
        "driver",
        "Its words: `subject name does not match host name`. Typical behind an alias, an address, a listener or a tunnel.",
        "connect by a name that the certificate has, or say which one to expect",
        "HostNameInCertificate={first_name}",
    ),
    Entry(
        "certificate-revoked",
        "the certificate of {where} has been revoked",
        "its authority has taken it back",
        "Microsoft's driver says `certificate verify failed`.",
        "give the server a new certificate",
    ),
    Entry(
        "root-certificate-unreadable",
        "the certificate file {root} of ServerCertificate cannot be used",
        "it cannot be read by this user, or holds no certificate in PEM form",
        "ServerCertificate counts with Encrypt=strict only.",
        "check the file",
        "openssl x509 -in {root} -noout -subject -dates",
    ),
    Entry(
        "client-certificate-required",
        "{where} ended the TLS handshake, as servers do that want a client certificate",
        "something in front of the server (a proxy, a service mesh) demands a client certificate, or shares no cipher with "
        "this "
        "client",
        "SQL Server itself asks for none.",
        "look at what stands in between",
    ),
    Entry(
        "client-certificate-refused",
        "{where} ended the TLS handshake over a certificate",
        "the other side sent an alert about a certificate, though none was sent: a device in between inspects TLS",
        "SQL Server itself asks for no client certificate.",
        "look at what stands in between",
    ),
    Entry(
        "tls-version-refused",
        "{where} and this client have no TLS version in common",
        "this machine's OpenSSL asks for at least {minimum}; the server offers only older versions: SQL Server before 2016 "
        "without its TLS 1.2 update",
        "Microsoft's driver says `unsupported protocol`; it came with the operating system's upgrade.",
        "bring the server up to date",
        "openssl version; grep -i minprotocol /etc/ssl/openssl.cnf",
    ),
    Entry(
        "tls-handshake-stalled",
        "{where} agreed to TLS and then did not go on with the handshake for {seconds}",
        "the connection is there and small packets pass, larger ones seem not to (a path whose MTU is too small), or a proxy "
        "in between holds the handshake",
        f"{_HYT00}. A classic behind VPNs and tunnels: the certificate is the first thing that fills a whole packet.",
        "try with a smaller MTU on the way, and look at what sits between",
        "ping -M do -s 1372 {host}",
    ),
    Entry(
        "tls-handshake-failed",
        "the TLS handshake with {where} failed",
        "the two sides could not agree: ciphers, key sizes (a certificate of 1024 bits, SHA-1), or a device in between that "
        "alters "
        "the handshake",
        "The words of OpenSSL are in the evidence; Microsoft's driver says `SSL Provider: [error:...]`.",
        "compare what both sides offer; the server's error log and Windows' Schannel events have its side",
    ),
    Entry(
        "tls-direct-refused",
        "{where} does not take TLS at the first byte (Encrypt=strict)",
        "the connection ended as soon as TLS began: strict is TDS 8, which needs SQL Server 2022 with a certificate of its "
        "own, or "
        "Azure SQL",
        "Microsoft's driver says `wrong version number` or `TCP Provider: Error code 0x2746`.",
        "encrypt as all versions understand",
        "Encrypt=yes",
    ),
    Entry(
        "too-many-clients",
        "{where} has no free session left: all user connections are taken",
        "the server's `user connections` are in use (17809); nobody can log in until a session ends, but an administrator "
        "by the "
        "dedicated connection",
        "The limit is 32,767 unless somebody set `user connections` lower. Mostly pools times processes exceed it, or "
        "sessions leak.",
        "find who holds the sessions and end the idle ones; raising the limit needs a restart",
        "SELECT program_name, login_name, status, COUNT(*) FROM sys.dm_exec_sessions\n"
        "  WHERE is_user_process = 1 GROUP BY program_name, login_name, status ORDER BY 4 DESC;",
    ),
    Entry(
        "database-connection-limit",
        "the database {database} already has as many sessions as it may have ({limit})",
        "the tier of the Azure database admits that many sessions, and they are there, idle ones included (10928, resource "
        "ID 2)",
        "Each pool of each process counts, also its idle connections.",
        "find the database's idle sessions; a larger tier has more",
        "SELECT program_name, login_name, status, COUNT(*) FROM sys.dm_exec_sessions\n"
        "  WHERE is_user_process = 1 GROUP BY program_name, login_name, status ORDER BY 4 DESC;",
    ),
    Entry(
        "server-out-of-memory",
        "{where} could not start a session: it is out of memory or threads",
        "the server has no memory or no thread for one more login (701, 17189)",
        "`max server memory` too high for the machine does this, or thousands of sessions.",
        "lower the number of sessions, or give the machine more",
    ),
    Entry(
        "database-not-found",
        "there is no database {database} on {where}",
        "the login was accepted and the database is not there (911)",
        "Whether names differ by case is up to the server's collation.",
        "name the right database, or create it",
        "SELECT name FROM sys.databases;",
    ),
    Entry(
        "no-connect-privilege",
        "{user} may not use the database {database}",
        "the login is valid and has no user in this database (916)",
        "A restored database keeps users of the old server, which belong to no login here.",
        "let an administrator make it a user, or join the orphaned one to its login",
        "CREATE USER [{user}] FOR LOGIN [{user}];  -- or: ALTER USER [{user}] WITH LOGIN = [{user}];",
    ),
    Entry(
        "database-not-accepting",
        "the database {database} does not accept connections",
        "it is offline, being restored, suspect, or in single-user mode with somebody in it (924, 927, 942, 945)",
        "A restore or a deployment that did not end leaves it so.",
        "see its state, and end what holds it",
        "SELECT name, state_desc, user_access_desc FROM sys.databases WHERE name = N'{database}';",
    ),
    Entry(
        "server-starting",
        "{where} is starting up",
        "the server runs and is not ready yet: it has just been started, recovers its databases, or upgrades its own after an "
        "update (17187, 18401)",
        "Clients should try again for a while; a pool that gives up at the first refusal makes an outage of it.",
        "wait and try again; after an update the upgrade of the system databases can take minutes",
    ),
    Entry(
        "server-shutting-down",
        "{where} is shutting down",
        "a stop or restart is under way and new sessions are refused (6005, 18451)",
        "Warm pools see their sessions end a moment later.",
        "wait for the restart",
    ),
    Entry(
        "login-stalled",
        "the login on {where} did not end within {seconds}",
        "the server answered before the login and then said nothing more: it has no worker free (blocked requests hold them "
        "all), "
        "waits for a domain controller, runs a logon trigger that waits, or a gateway sends the client on to where it "
        "cannot get",
        f"{_HYT00}. In Azure a serverless database that was paused takes up to a minute.",
        "look at the server by the dedicated administrator connection; for serverless allow a login timeout of 60 s",
        "SELECT session_id, status, command, wait_type, blocking_session_id FROM sys.dm_exec_requests WHERE session_id > 50;",
    ),
    Entry(
        "closed-during-login",
        "{where} closed the connection during the login without saying why",
        "it ended after the login was sent: the server is at a limit or going down, a proxy cut the connection, or the "
        "login took "
        "another protocol's way (233: no process on the other end of the pipe)",
        "Microsoft's driver says `TCP Provider: Error code 0x2746` or `Communication link failure`; FreeTDS next to nothing.",
        "look at the server's error log at this moment",
    ),
    Entry(
        "login-refused",
        "{where} refused the login of {user}",
        "the server's own words are in the evidence; this tool has no page of its own for its number",
        "An unknown refusal is reported as it came, with its number.",
        "look the number up in Microsoft's `Database Engine events and errors`, and in the server's log",
    ),
    Entry(
        "query-stalled",
        "the login on {where} worked, and the first query had no answer within {seconds}",
        "the session is there but the server does not get to its query (no worker, a lock), or its answer is lost on the way",
        "A path that passes small packets and loses large ones shows itself here too.",
        "look at what this session waits for",
        "SELECT r.session_id, r.wait_type, r.blocking_session_id FROM sys.dm_exec_requests r\n"
        "  JOIN sys.dm_exec_sessions s ON s.session_id = r.session_id WHERE s.program_name = 'dbdoctor';",
    ),
    Entry(
        "statement-timeout",
        "{where} did not finish the first query in its time",
        "the driver took the query back after its timeout: a lock, or a machine at its limit, keeps even a small one from "
        "finishing",
        "An application sees `HYT00 Query timeout expired`, and SQLAlchemy throws its whole pool away for it.",
        "look for what blocks it",
        "SELECT session_id, wait_type, blocking_session_id FROM sys.dm_exec_requests WHERE blocking_session_id <> 0;",
    ),
    Entry(
        "query-failed",
        "the login on {where} worked, and the first query failed",
        "the server refuses or cannot run a plain question about itself; its words are in the evidence",
        "A relative of SQL Server may lack one of its views.",
        "report it with the server's version",
    ),
    Entry(
        "client-refused",
        "the driver refused to connect to {where}",
        "it stopped before or beside the server's answer; its words are in the evidence",
        "A setting of the connection string that it does not take, or a path that it alone cannot go.",
        "change the setting that the words name",
    ),
    Entry(
        "driver-hung",
        "the driver did not come back within {seconds}",
        "the probe's own checks went through, and then the driver hung: a Kerberos server or a domain controller that is "
        "silent, or "
        "a token service for Entra ID",
        "An application hangs there in the same way, and no timeout of the connection string helps it.",
        "try with a SQL login",
    ),
    Entry(
        "driver-missing",
        "no ODBC driver for SQL Server can be used on this machine: {reason}",
        "SQL Server is reached through ODBC, which needs the driver manager (libodbc.so.2) and a driver; one of them is not "
        "there",
        "`import pyodbc` fails with `libodbc.so.2: cannot open shared object file`, or connecting with `Can't open lib` or "
        "`Data source name not found` (IM002).",
        "install what is missing: {remedy}",
        "dbdoctor drivers",
    ),
    Entry(
        "unknown-driver-option",
        "the driver does not know the option {option}, and so refuses every connection",
        "the option is in the connection string or in the engine's connect_args, and belongs to another driver",
        "pymssql takes `login_timeout` and `timeout`, pyodbc `timeout` (for the login), mssql-python `timeout`; each refuses the "
        "others' names.",
        "correct the option: {advice}",
        "connect_args={{'{right_option}': ...}}",
    ),
)
