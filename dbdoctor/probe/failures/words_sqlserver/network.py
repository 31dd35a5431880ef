"""What keeps from reaching a SQL Server, or shows that it is none, in its own words."""

from __future__ import annotations

from dbdoctor.probe.failures.entry import Entry
from dbdoctor.probe.failures.words_sqlserver.hyt00 import HYT00

ENTRIES = (
    Entry(
        "name-not-found",
        "the name {host} does not exist",
        "the resolver answered, and it knows no address for {host}: a typing error, a name of another network, or a service "
        "that is gone",
        f"{HYT00}; FreeTDS says `Unable to connect to data source`.",
        "check the spelling, and that this machine uses the name server that knows the name",
        "getent ahosts {host}",
    ),
    Entry(
        "resolver-silent",
        "no name server answered for {host} within {seconds}",
        "the question for the address of {host} is still waiting: the name servers in /etc/resolv.conf are unreachable from "
        "here; nothing is known of the database yet",
        f"{HYT00}.",
        "check the name servers of this machine; to get in meanwhile, use the address (with HostNameInCertificate=<name>)",
        "grep nameserver /etc/resolv.conf; getent ahosts {host}",
    ),
    Entry(
        "connection-refused",
        "nothing listens on {where}: the connection was refused",
        "the machine {address} is up and answered at once that nobody listens on port {port}: the server is stopped, TCP/IP is "
        "switched off in its protocols, it listens on another port (a named instance does), or a firewall refuses",
        f"{HYT00}: it tries again and again until then. FreeTDS says `Unable to connect: Adaptive Server is unavailable`.",
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
        f"{HYT00}. A login timeout in the connection string has no effect with ODBC.",
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
        f"{HYT00}. FreeTDS waits for ever, unless its protocol version is set (`TDS_Version=7.4`).",
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
)
