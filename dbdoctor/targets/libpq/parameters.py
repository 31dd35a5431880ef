"""Every parameter that libpq knows: its environment variable, its default, and which values it takes.

Source: PQconninfoOptions of libpq 17 and 18 (fe-connect.c), compared by a test with what the installed libpq says.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple


class Parameter(NamedTuple):
    """One connection parameter. `since` is the libpq major version that brought it, 0 for "before 13".

    `choices` are the words it takes; `integer` says that it takes a 32-bit whole number; `secret` that it never prints.
    """

    environment: str | None = None
    default: str | None = None
    choices: tuple[str, ...] = ()
    integer: bool = False
    secret: bool = False
    since: int = 0


_TLS_VERSIONS = ("TLSv1", "TLSv1.1", "TLSv1.2", "TLSv1.3")
_PROTOCOLS = ("3.0", "3.2", "latest")
SSL_MODES = ("disable", "allow", "prefer", "require", "verify-ca", "verify-full")
"""`sslmode`'s words, from the least to the most demanding."""
SESSION_ATTRIBUTES = ("any", "read-write", "read-only", "primary", "standby", "prefer-standby")
"""`target_session_attrs`' words."""

KNOWN_PARAMETERS: Mapping[str, Parameter] = {
    "service": Parameter("PGSERVICE"),
    "servicefile": Parameter("PGSERVICEFILE", since=18),
    "user": Parameter("PGUSER"),
    "password": Parameter("PGPASSWORD", secret=True),
    "passfile": Parameter("PGPASSFILE"),
    "channel_binding": Parameter("PGCHANNELBINDING", "prefer", ("disable", "prefer", "require"), since=13),
    "connect_timeout": Parameter("PGCONNECT_TIMEOUT", integer=True),
    "dbname": Parameter("PGDATABASE"),
    "host": Parameter("PGHOST"),
    "hostaddr": Parameter("PGHOSTADDR"),
    "port": Parameter("PGPORT", "5432"),
    "client_encoding": Parameter("PGCLIENTENCODING"),
    "options": Parameter("PGOPTIONS", ""),
    "application_name": Parameter("PGAPPNAME"),
    "fallback_application_name": Parameter(),
    "keepalives": Parameter(integer=True),
    "keepalives_idle": Parameter(integer=True),
    "keepalives_interval": Parameter(integer=True),
    "keepalives_count": Parameter(integer=True),
    "tcp_user_timeout": Parameter(integer=True),
    "sslmode": Parameter("PGSSLMODE", "prefer", SSL_MODES),
    "sslnegotiation": Parameter("PGSSLNEGOTIATION", "postgres", ("postgres", "direct"), since=17),
    "sslcompression": Parameter("PGSSLCOMPRESSION", "0"),
    "sslcert": Parameter("PGSSLCERT"),
    "sslkey": Parameter("PGSSLKEY"),
    "sslcertmode": Parameter("PGSSLCERTMODE", None, ("disable", "allow", "require"), since=16),
    "sslpassword": Parameter(secret=True, since=13),
    "sslrootcert": Parameter("PGSSLROOTCERT"),
    "sslcrl": Parameter("PGSSLCRL"),
    "sslcrldir": Parameter("PGSSLCRLDIR", since=14),
    "sslsni": Parameter("PGSSLSNI", "1", since=14),
    "requirepeer": Parameter("PGREQUIREPEER"),
    "require_auth": Parameter("PGREQUIREAUTH", since=16),
    "ssl_min_protocol_version": Parameter("PGSSLMINPROTOCOLVERSION", "TLSv1.2", _TLS_VERSIONS, since=13),
    "ssl_max_protocol_version": Parameter("PGSSLMAXPROTOCOLVERSION", None, _TLS_VERSIONS, since=13),
    "min_protocol_version": Parameter("PGMINPROTOCOLVERSION", None, _PROTOCOLS, since=18),
    "max_protocol_version": Parameter("PGMAXPROTOCOLVERSION", None, _PROTOCOLS, since=18),
    "gssencmode": Parameter("PGGSSENCMODE", "prefer", ("disable", "prefer", "require")),
    "krbsrvname": Parameter("PGKRBSRVNAME", "postgres"),
    "gsslib": Parameter("PGGSSLIB"),
    "gssdelegation": Parameter("PGGSSDELEGATION", "0", since=17),
    "replication": Parameter(),
    "target_session_attrs": Parameter("PGTARGETSESSIONATTRS", "any", SESSION_ATTRIBUTES),
    "load_balance_hosts": Parameter("PGLOADBALANCEHOSTS", "disable", ("disable", "random"), since=16),
    "scram_client_key": Parameter(secret=True, since=18),
    "scram_server_key": Parameter(secret=True, since=18),
    "oauth_issuer": Parameter(since=18),
    "oauth_client_id": Parameter(since=18),
    "oauth_client_secret": Parameter(secret=True, since=18),
    "oauth_scope": Parameter(since=18),
    "sslkeylogfile": Parameter(since=18),
}
"""libpq's keywords, each with its environment variable and default."""
