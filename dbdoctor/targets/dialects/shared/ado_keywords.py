"""The keywords of ADO.NET strings, without case, blanks and underscores.

Sources: Npgsql's documentation of its connection string parameters (10), and the synonyms of dotnet/SqlClient's
DbConnectionStringSynonyms.
"""

from __future__ import annotations

from dbdoctor.targets.dialects.shared import convert
from dbdoctor.targets.dialects.shared.collect import Driver
from dbdoctor.targets.dialects.shared.convert import words
from dbdoctor.targets.libpq.parameters import SESSION_ATTRIBUTES, SSL_MODES


def plain(name: str) -> str:
    """A keyword in the form of the tables here: `SSL Mode` is `sslmode`."""
    return name.strip().lower().replace(" ", "").replace("_", "")


_YES_NO = words({"true": "yes", "yes": "yes", "1": "yes", "false": "no", "no": "no", "0": "no"})
_TRUSTED = words({"true": "yes", "yes": "yes", "sspi": "yes", "false": "no", "no": "no"})
_ENCRYPT = words(
    {
        "true": "yes",
        "yes": "yes",
        "mandatory": "mandatory",
        "false": "no",
        "no": "no",
        "optional": "optional",
        "strict": "strict",
    }
)
# Npgsql writes them as words of its enumerations: VerifyFull, PreferStandby.
_SSL_MODE = words({mode.replace("-", ""): mode for mode in SSL_MODES} | {mode: mode for mode in SSL_MODES})
_SESSION = words(
    {word.replace("-", ""): word for word in SESSION_ATTRIBUTES} | {word: word for word in SESSION_ATTRIBUTES}
)

_NPGSQL_ACCEPTED = """
    pooling minimumpoolsize minpoolsize maximumpoolsize maxpoolsize connectionidlelifetime connectionpruninginterval
    connectionlifetime loadbalancetimeout commandtimeout internalcommandtimeout cancellationtimeout keepalive
    tcpkeepalivetime tcpkeepaliveinterval maxautoprepare autoprepareminusages useperfcounters readbuffersize
    writebuffersize socketreceivebuffersize socketsendbuffersize noresetonclose hostrecheckseconds enlist encoding
    eftemplatedatabase efadmindatabase loadtablecomposites arraynullabilitymode servercompatibilitymode includeerrordetail
    includeerrordetails includefailedbatchedcommand logparameters persistsecurityinfo integratedsecurity includerealm
    checkcertificaterevocation trustservercertificate multiplexing writecoalescingbufferthresholdbytes replicationmode
    convertinfinitydatetime gssencryptionmode requireauth sslnegotiation
"""
NPGSQL = Driver(
    "Npgsql",
    own={
        **dict.fromkeys(("host", "server", "datasource"), ("host", convert.same)),
        **dict.fromkeys(("username", "userid", "user", "uid"), ("user", convert.same)),
        **dict.fromkeys(("password", "psw", "pwd"), ("password", convert.same)),
        **dict.fromkeys(("database", "db", "initialcatalog"), ("dbname", convert.same)),
        **dict.fromkeys(("timeout", "connectiontimeout"), ("connect_timeout", convert.positive_seconds)),
        "port": ("port", convert.same),
        "passfile": ("passfile", convert.same),
        "sslmode": ("sslmode", _SSL_MODE),
        "sslcertificate": ("sslcert", convert.same),
        "sslkey": ("sslkey", convert.same),
        "sslpassword": ("sslpassword", convert.same),
        "rootcertificate": ("sslrootcert", convert.same),
        "kerberosservicename": ("krbsrvname", convert.same),
        "channelbinding": ("channel_binding", words({"disable": "disable", "prefer": "prefer", "require": "require"})),
        "applicationname": ("application_name", convert.same),
        "options": ("options", convert.same),
        "searchpath": ("options", convert.search_path),
        "timezone": ("options", convert.time_zone),
        "clientencoding": ("client_encoding", convert.same),
        "targetsessionattributes": ("target_session_attrs", _SESSION),
        "loadbalancehosts": ("load_balance_hosts", convert.when_true("random", "disable")),
        "tcpkeepalive": ("keepalives", convert.flag),
    },
    accepted=frozenset(_NPGSQL_ACCEPTED.split()),
    key=plain,
    right_name=lambda _: None,
)
"""Npgsql's keywords, and libpq's for them."""

_SQLCLIENT_ACCEPTED = """
    pooling minpoolsize maxpoolsize loadbalancetimeout connectionlifetime connectionreset connectionidletimeout
    commandtimeout enlist persistsecurityinfo typesystemversion transactionbinding replication userinstance
    contextconnection networklibrary network net poolblockingperiod enclaveattestationurl attestationprotocol
    asynchronousprocessing asynch
"""
SQLCLIENT = Driver(
    "SqlClient",
    own={
        **dict.fromkeys(("datasource", "server", "addr", "address", "networkaddress"), ("Server", convert.same)),
        **dict.fromkeys(("userid", "uid", "user"), ("UID", convert.same)),
        **dict.fromkeys(("password", "pwd"), ("PWD", convert.same)),
        **dict.fromkeys(("initialcatalog", "database"), ("Database", convert.same)),
        **dict.fromkeys(
            ("connecttimeout", "connectiontimeout", "timeout"), ("connect_timeout", convert.positive_seconds)
        ),
        **dict.fromkeys(("integratedsecurity", "trustedconnection"), ("Trusted_Connection", _TRUSTED)),
        **dict.fromkeys(("applicationname", "app"), ("APP", convert.same)),
        **dict.fromkeys(("workstationid", "wsid"), ("WSID", convert.same)),
        **dict.fromkeys(("currentlanguage", "language"), ("Language", convert.same)),
        **dict.fromkeys(
            ("attachdbfilename", "extendedproperties", "initialfilename"), ("AttachDBFileName", convert.same)
        ),
        "encrypt": ("Encrypt", _ENCRYPT),
        "trustservercertificate": ("TrustServerCertificate", _YES_NO),
        "multipleactiveresultsets": ("MARS_Connection", _YES_NO),
        "multisubnetfailover": ("MultiSubnetFailover", _YES_NO),
        "applicationintent": ("ApplicationIntent", convert.same),
        "connectretrycount": ("ConnectRetryCount", convert.same),
        "connectretryinterval": ("ConnectRetryInterval", convert.same),
        "packetsize": ("PacketSize", convert.same),
        "failoverpartner": ("Failover_Partner", convert.same),
        "authentication": ("Authentication", lambda _, value: value.replace(" ", "")),
        "hostnameincertificate": ("HostnameInCertificate", convert.same),
        "servercertificate": ("ServerCertificate", convert.same),
        "serverspn": ("ServerSPN", convert.same),
        "failoverpartnerspn": ("FailoverPartnerSPN", convert.same),
        "ipaddresspreference": ("IpAddressPreference", convert.same),
        "columnencryptionsetting": ("ColumnEncryption", convert.same),
    },
    accepted=frozenset(_SQLCLIENT_ACCEPTED.split()),
    key=plain,
    right_name=lambda _: None,
)
"""SqlClient's keywords, and ODBC's for them."""
