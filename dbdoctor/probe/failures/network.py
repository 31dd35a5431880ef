"""Failures before anything of the database answered: names, addresses, routes, sockets."""

from __future__ import annotations

from dbdoctor.probe.failures.entry import Entry

ENTRIES = (
    Entry(
        "name-not-found",
        "the name {host} does not exist",
        "the resolver answered, and it knows no address for {host}: a typing error, a name of another network, or a service "
        "that is gone",
        "libpq says `could not translate host name`, ODBC only `HYT00 Login timeout expired` after the whole login timeout. "
        "Inside containers the short name of a service resolves only on the same network or in the same namespace.",
        "check the spelling, and that this machine uses the name server that knows the name",
        "getent ahosts {host}",
    ),
    Entry(
        "resolver-silent",
        "no name server answered for {host} within {seconds}",
        "the question for the address of {host} is still waiting: the name servers in /etc/resolv.conf are unreachable from "
        "here; nothing is known of the database yet",
        "libpq's connect_timeout does not cover name resolution: an application hangs for the resolver's own limit "
        "(5 s times 2 attempts for each name server and search domain), at each new connection.",
        "check the name servers of this machine; to get in meanwhile, use the address (`hostaddr=` keeps certificate checks)",
        "grep nameserver /etc/resolv.conf; getent ahosts {host}",
    ),
    Entry(
        "resolver-failed",
        "the name server could not answer for {host} right now",
        "the resolver gave up with a temporary error: there is no name server, it cannot be reached, or it failed itself; "
        "whether {host} exists is not known",
        "libpq says `Temporary failure in name resolution`. A common cause in containers is a start before the network is up.",
        "check the name servers of this machine and try again",
        "cat /etc/resolv.conf; getent ahosts {host}",
    ),
    Entry(
        "connection-refused",
        "nothing listens on {where}: the connection was refused",
        "the machine {address} is up and answered at once that nobody listens on port {port}: the server is stopped, "
        "listens on another port or only on other addresses (`listen_addresses`), or a firewall refuses",
        "pg_isready says only `no response` for it, as it does for a wrong name or a firewall that drops.",
        "on that machine, check that the server runs and on which addresses and port it listens",
        "ss -ltnp | grep {port}",
    ),
    Entry(
        "host-unreachable",
        "there is no route to {where}",
        "a router or this machine itself says that {address} cannot be reached: a missing route, a VPN that is down, or a "
        "firewall that rejects with an ICMP message; the server never saw the attempt",
        "Applications show `No route to host` or `Network is unreachable`.",
        "check the route and the VPN from this machine to {address}",
        "ip route get {address}",
    ),
    Entry(
        "no-answer",
        "{where} did not answer a connection attempt within {seconds}",
        "the packets to {address} vanish: a firewall or security group drops them, the machine is off, or its accept queue "
        "is full; a running machine with a closed port would have refused at once",
        "Without connect_timeout libpq waits about 2 minutes and 15 seconds here (Linux, tcp_syn_retries=6), for each address.",
        "allow this client in the firewall or security group in front of {address}, port {port}; and give the application a "
        "login timeout",
        "connect_args={{'connect_timeout': 5}}",
    ),
    Entry(
        "connection-reset",
        "{where} cut the connection as soon as it was made",
        "something accepted the connection and reset it at once: a load balancer without a healthy server behind it, a TCP "
        "proxy, a service mesh that refuses this client, or a server that is shutting down",
        "libpq says `server closed the connection unexpectedly` or `Connection reset by peer`.",
        "look at the load balancer's or proxy's view of its servers",
    ),
    Entry(
        "socket-missing",
        "there is no server socket at {address}",
        "no PostgreSQL of this machine has its unix socket there: the server is stopped, its port or "
        "`unix_socket_directories` differ, or it runs in a container of its own",
        "A DSN without a host means the unix socket; many expected `localhost`.",
        "start the server, or name the right directory (`host=/run/postgresql`) or a host (`host=localhost`)",
        "ls -la /var/run/postgresql /tmp | grep PGSQL",
    ),
    Entry(
        "socket-stale",
        "the socket {address} is there but no server listens behind it",
        "a server died without removing its socket, or is only starting",
        "libpq says `Connection refused` and asks whether the server is running locally.",
        "start the server; it replaces the socket",
        "pg_ctl status -D <data directory>",
    ),
    Entry(
        "socket-not-allowed",
        "this user may not use the socket {address}",
        "the file permissions of the socket or of its directory keep this operating-system user out",
        "`unix_socket_permissions` and `unix_socket_group` of the server decide who may connect.",
        "run as a user of the socket's group, or connect over TCP",
        "ls -la {address}; id",
    ),
    Entry(
        "cannot-connect",
        "no connection to {where} could be made: {reason}",
        "this machine's own network stack refused the attempt to {address}",
        "For instance no free local port is left (EADDRNOTAVAIL) after a storm of short connections, or too many open files.",
        "look at this machine's limits: open files, local ports in TIME-WAIT",
        "ss -s; ulimit -n",
    ),
)
