"""Failures on the way to SQL Server that no other product has: its browser service, its protocol, its drivers."""

from __future__ import annotations

from dbdoctor.probe.failures.entry import Entry

ENTRIES = (
    Entry(
        "browser-silent",
        "SQL Server Browser on {host} does not answer, so the port of the instance {instance} is not known",
        "a named instance has a port of its own choosing, which the browser service tells over UDP {browser_port}; nothing "
        "came "
        "within {seconds}: a firewall drops UDP, the service is stopped, or the instance is hidden. The instance itself may "
        "be well",
        "Microsoft's driver says `Login timeout expired`, or `Error Locating Server/Instance Specified`. In containers and "
        "behind most firewalls UDP 1434 does not get through.",
        "find out the instance's TCP port (its error log says `Server is listening on`) and write it instead of the name",
        "Server={host},<port>",
    ),
    Entry(
        "browser-refused",
        "no SQL Server Browser runs on {host}, so the port of the instance {instance} is not known",
        "the machine is up and says that nobody listens on UDP {browser_port}: the browser service is stopped, which is its "
        "state "
        "after installation",
        "Microsoft's driver says `Login timeout expired`, or `Error Locating Server/Instance Specified`.",
        "start the service `SQLBrowser` there, or write the instance's port instead of its name",
        "Server={host},<port>",
    ),
    Entry(
        "instance-not-found",
        "SQL Server Browser on {host} knows no instance {instance}",
        "the service answers; the instances that it knows are: {instances}. The name is misspelled, or the instance is "
        "stopped or hidden",
        "Microsoft's driver says `Error Locating Server/Instance Specified` only after the whole login timeout.",
        "use one of the names that it knows, or start the instance",
        "Server={host}\\<instance>",
    ),
    Entry(
        "instance-without-tcp",
        "the instance {instance} on {host} does not listen on TCP",
        "the browser service knows it and has no port for it: TCP/IP is off in the instance's protocols, as after the "
        "installation "
        "of Express",
        "On the machine itself it can be reached by shared memory, from elsewhere not.",
        "switch TCP/IP on in SQL Server Configuration Manager and restart the instance",
    ),
    Entry(
        "not-tds-protocol",
        "{where} answers, but not as SQL Server does",
        "the first bytes belong to no message of TDS and to no service known here",
        "Microsoft's driver says `Client unable to establish connection due to prelogin failure`, or only `Login timeout "
        "expired`.",
        "check host and port; the first bytes were: {bytes}",
    ),
    Entry(
        "multi-subnet-failover-off",
        "one of the addresses of {host} is silent, and the DSN does not say MultiSubnetFailover=yes",
        "the listener of an availability group has an address in each subnet, of which one answers; the driver tries them one "
        "after the other, and the silent one ({address}) can use up the whole login timeout",
        "Logins then fail or take seconds by chance, as the order of the addresses changes.",
        "let the driver try all addresses at once",
        "MultiSubnetFailover=yes",
    ),
    Entry(
        "driver-crashed",
        "the driver {driver} crashed while it talked to {where}",
        "its process ended by itself ({signal}); dbdoctor runs it in a process of its own, an application would have died "
        "with it",
        "An answer that the driver cannot read, from something that is not quite SQL Server, or a defect of this version.",
        "try the newest version of the driver, or the other one (`dbdoctor drivers` shows what is there)",
        "dbdoctor drivers",
    ),
)
