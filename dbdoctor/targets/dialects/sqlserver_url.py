"""`sqlserver://user:password@host:1433?database=shop`, the URL of Go's driver and of tools made with it; SQLAlchemy has none.

Prisma writes `sqlserver://host:1433;database=shop;user=...`, which is JDBC's without `jdbc:`. Source: go-mssqldb's README.
"""

from __future__ import annotations

import re
from dataclasses import replace

from dbdoctor.model.target import Product, Target
from dbdoctor.targets.dialects.shared import convert
from dbdoctor.targets.dialects.shared.collect import Collector, Driver, probed_through
from dbdoctor.targets.dialects.shared.convert import words
from dbdoctor.targets.dialects.shared.sqlserver import to_target
from dbdoctor.targets.dialects.shared.url import Url, split_url

NAME = "sqlserver:// URL"

_SEMICOLON = re.compile(r"sqlserver://[\w.\\\[\]:-]*;\s*(\w+)\s*=", re.IGNORECASE)
_ENCRYPT = words(
    {
        **dict.fromkeys(("true", "mandatory", "yes", "1", "t"), "yes"),
        **dict.fromkeys(("false", "optional", "no", "0", "f", "disable"), "no"),
        "strict": "strict",
    }
)
_YES_NO = words({"true": "yes", "yes": "yes", "1": "yes", "t": "yes", "false": "no", "no": "no", "0": "no", "f": "no"})
_ACCEPTED = """
    connectiontimeout keepalive log certificate tlsmin protocol disableretry fedauth epaenabled guidconversion
    pipe columnencryption changepassword timezone notraceid multisubnetfailover authenticator
"""
_GO = Driver(
    "go-mssqldb",
    own={
        "userid": ("UID", convert.same),
        "password": ("PWD", convert.same),
        "database": ("Database", convert.same),
        "appname": ("APP", convert.same),
        "applicationintent": ("ApplicationIntent", convert.same),
        "workstationid": ("WSID", convert.same),
        "dialtimeout": ("connect_timeout", convert.positive_seconds),
        "encrypt": ("Encrypt", _ENCRYPT),
        "trustservercertificate": ("TrustServerCertificate", _YES_NO),
        "hostnameincertificate": ("HostnameInCertificate", convert.same),
        "servercertificate": ("ServerCertificate", convert.same),
        "packetsize": ("PacketSize", convert.same),
        "failoverpartner": ("Failover_Partner", convert.same),
        "serverspn": ("ServerSPN", convert.same),
    },
    accepted=frozenset(_ACCEPTED.split()),
    strict=False,
    key=lambda name: re.sub(r"[ _]", "", name.lower()),
)
_NOTE = (
    "`sqlserver://` is the URL of Go's driver and of other tools; SQLAlchemy wants "
    "`mssql+pyodbc://user:password@host:1433/database?driver=ODBC+Driver+18+for+SQL+Server`"
)
_DATABASE_NOTE = "what follows the port is read as the database, as most tools have it; Go's driver wants `?database=`"


def recognises(text: str) -> bool:
    """Whether the scheme is `sqlserver`."""
    return text[:12].lower() == "sqlserver://"


def read(text: str) -> Target:
    """The Target that this URL names. Raises UsageError."""
    properties = _SEMICOLON.match(text)
    if properties:
        from dbdoctor.targets.dialects.shared.jdbc_properties import MSSQL_JDBC
        from dbdoctor.targets.dialects.shared.jdbc_url import read_jdbc

        if MSSQL_JDBC.knows(properties[1]):
            target = read_jdbc(f"jdbc:{text}", NAME)
            return replace(target, notes=(_NOTE, *target.notes))
    return _read(split_url(text, _GO.knows, plus=True))


def _read(url: Url) -> Target:
    collector = Collector(_GO)
    for name, value in url.query:
        if value:
            collector.take(name, value)
    parts = {"Server": url.hosts, "Port": (url.ports or "").strip(","), "UID": url.user, "PWD": url.password}
    options = {name: value for name, value in parts.items() if value} | collector.options
    notes = [_NOTE, probed_through("go-mssqldb", "pyodbc")]
    if url.database and "Port" in options:
        options.setdefault("Database", url.database)
        notes.append(_DATABASE_NOTE)
    elif url.database:
        options["Server"] = f"{options.get('Server', 'localhost')}\\{url.database}"
    if "Encrypt" not in options:  # its own default: the login only, and any certificate
        options = {"TrustServerCertificate": "yes", **options, "Encrypt": "no"}
    base = Target(Product.SQLSERVER, (), dialect=NAME, driver="go-mssqldb", notes=tuple(notes))
    return to_target(options, base)
