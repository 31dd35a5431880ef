"""The right libpq name for a wrong one: what other drivers and habits call the same thing, then the nearest spelling."""

from __future__ import annotations

from collections.abc import Mapping

from dbdoctor.targets.libpq.parameters import KNOWN_PARAMETERS

# Keys are lower case, without `_`, `-` and spaces.
_ALIASES: Mapping[str, str] = {
    "timeout": "connect_timeout",
    "connectiontimeout": "connect_timeout",
    "connecttimeout": "connect_timeout",
    "connecttimeoutseconds": "connect_timeout",
    "logintimeout": "connect_timeout",
    "sockettimeout": "tcp_user_timeout",
    "tcpusertimeout": "tcp_user_timeout",
    "ssl": "sslmode",
    "usessl": "sslmode",
    "tls": "sslmode",
    "sslenabled": "sslmode",
    "sslrequire": "sslmode",
    "encrypt": "sslmode",
    "sslcontext": "sslmode",
    "sslca": "sslrootcert",
    "sslcacert": "sslrootcert",
    "sslrootcertificate": "sslrootcert",
    "rootcertificate": "sslrootcert",
    "cafile": "sslrootcert",
    "sslcertificate": "sslcert",
    "certfile": "sslcert",
    "keyfile": "sslkey",
    "username": "user",
    "userid": "user",
    "uid": "user",
    "login": "user",
    "database": "dbname",
    "databasename": "dbname",
    "db": "dbname",
    "pwd": "password",
    "pass": "password",
    "passwd": "password",
    "server": "host",
    "hostname": "host",
    "datasource": "host",
    "hostaddress": "hostaddr",
    "unixsock": "host",
    "unixsocket": "host",
    "socket": "host",
    "applicationname": "application_name",
    "appname": "application_name",
    "app": "application_name",
    "name": "application_name",
    "currentschema": "options",
    "schema": "options",
    "searchpath": "options",
    "commandtimeout": "options",
    "statementtimeout": "options",
    "locktimeout": "options",
    "idleintransactionsessiontimeout": "options",
    "timezone": "options",
    "serversettings": "options",
    "isolationlevel": "options",
    "keepalive": "keepalives",
    "tcpkeepalive": "keepalives",
    "tcpkeepalives": "keepalives",
    "keepaliveidle": "keepalives_idle",
    "tcpkeepalivesidle": "keepalives_idle",
    "tcpkeepalivetime": "keepalives_idle",
    "keepaliveinterval": "keepalives_interval",
    "tcpkeepalivesinterval": "keepalives_interval",
    "keepalivecount": "keepalives_count",
    "tcpkeepalivescount": "keepalives_count",
    "targetservertype": "target_session_attrs",
    "targetsessionattributes": "target_session_attrs",
    "loadbalance": "load_balance_hosts",
    "charset": "client_encoding",
    "encoding": "client_encoding",
    "passwordfile": "passfile",
    "pgbouncer": "",
}


def suggest(name: str) -> str | None:
    """The libpq keyword that someone who wrote `name` most probably means, or None when there is no such."""
    plain = name.lower().replace("_", "").replace("-", "").replace(" ", "")
    if plain in _ALIASES:
        return _ALIASES[plain] or None
    for known in KNOWN_PARAMETERS:
        if known.replace("_", "") == plain:
            return known
    from difflib import get_close_matches

    near = get_close_matches(name.lower()[:40], KNOWN_PARAMETERS, n=1, cutoff=0.78)
    return near[0] if near else None
