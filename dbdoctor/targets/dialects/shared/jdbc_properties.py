"""The properties of JDBC URLs.

Sources: pgjdbc's documentation ("Initializing the driver", 42.7), and mssql-jdbc's SQLServerDriver.java.
"""

from __future__ import annotations

from dbdoctor.targets.dialects.shared import convert
from dbdoctor.targets.dialects.shared.collect import Driver
from dbdoctor.targets.dialects.shared.convert import words

_TARGET_TYPES = words(
    {
        "any": "any",
        "primary": "primary",
        "master": "primary",
        "secondary": "standby",
        "slave": "standby",
        "preferSecondary": "prefer-standby",
        "preferSlave": "prefer-standby",
        "preferPrimary": "any",
    }
)
# pgjdbc's `allow` waits for the server to ask, which libpq never does.
_GSS = words({"disable": "disable", "allow": "disable", "prefer": "prefer", "require": "require"})
_PGJDBC_ACCEPTED = """
    sslfactory sslfactoryarg sslhostnameverifier sslpasswordcallback sslResponseTimeout protocolVersion loggerLevel
    loggerFile allowEncodingChanges logUnclosedConnections autosave cleanupSavepoints binaryTransfer binaryTransferEnable
    binaryTransferDisable databaseMetadataCacheFields databaseMetadataCacheFieldsMiB prepareThreshold
    preparedStatementCacheQueries preparedStatementCacheSizeMiB preferQueryMode defaultRowFetchSize cancelSignalTimeout
    tcpNoDelay unknownLength stringtype jaasApplicationName jaasLogin gsslib gssResponseTimeout sspiServiceClass useSpnego
    sendBufferSize maxSendBufferSize receiveBufferSize readOnly readOnlyMode disableColumnSanitiser assumeMinServerVersion
    hostRecheckSeconds socketFactory socketFactoryArg reWriteBatchedInserts replication escapeSyntaxCallMode
    maxResultBuffer adaptiveFetch adaptiveFetchMinimum adaptiveFetchMaximum logServerErrorDetail quoteReturningIdentifiers
    authenticationPluginClassName hideUnprivilegedObjects groupStartupParameters xmlFactoryFactory localSocketAddress
    queryTimeout gssUseDefaultCreds socketTimeout
"""
PGJDBC = Driver(
    "pgjdbc",
    own={
        "user": ("user", convert.same),
        "password": ("password", convert.same),
        "PGHOST": ("host", convert.same),
        "PGPORT": ("port", convert.same),
        "PGDBNAME": ("dbname", convert.same),
        "service": ("service", convert.same),
        # Since 42.2.5 `ssl=true` alone checks the certificate and the host's name.
        "ssl": ("sslmode", convert.when_true("verify-full")),
        "sslmode": ("sslmode", convert.same),
        "sslNegotiation": ("sslnegotiation", convert.same),
        "sslcert": ("sslcert", convert.same),
        "sslkey": ("sslkey", convert.same),
        "sslrootcert": ("sslrootcert", convert.same),
        "sslpassword": ("sslpassword", convert.same),
        "channelBinding": ("channel_binding", convert.same),
        "requireAuth": ("require_auth", convert.same),
        "gssEncMode": ("gssencmode", _GSS),
        "kerberosServerName": ("krbsrvname", convert.same),
        "loginTimeout": ("connect_timeout", convert.positive_seconds),
        "connectTimeout": ("connect_timeout", convert.positive_seconds),
        "tcpKeepAlive": ("keepalives", convert.flag),
        "ApplicationName": ("application_name", convert.same),
        "options": ("options", convert.same),
        "currentSchema": ("options", convert.search_path),
        "targetServerType": ("target_session_attrs", _TARGET_TYPES),
        "loadBalanceHosts": ("load_balance_hosts", convert.when_true("random", "disable")),
    },
    accepted=frozenset(_PGJDBC_ACCEPTED.split()),
    strict=False,
)
"""pgjdbc's properties, and libpq's names for them."""

_YES_NO = words({"true": "yes", "yes": "yes", "false": "no", "no": "no"})
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
_MSSQL_ACCEPTED = """
    sockettimeout querytimeout locktimeout cancelquerytimeout selectmethod responsebuffering sendstringparametersasunicode
    sendtimeasdatetime statementpoolingcachesize disablestatementpooling enableprepareonfirstpreparedstatementcall
    serverpreparedstatementdiscardthreshold authenticationscheme integratedsecurityscheme truststore truststoretype
    keystoreauthentication keystorelocation columnencryptionsetting fips fipsprovider jaasconfigurationname realm
    xopenstates usebulkcopyforbatchinsert delayloadlobs sslprotocol transparentnetworkipresolution gsscredential
    maxresultbuffer prepareMethod ipaddresspreference socketfactoryclass socketfactoryconstructorarg
    datetimeparametertype calcbigdecimalprecision usefmtonly clientcertificate
""".lower()
MSSQL_JDBC = Driver(
    "mssql-jdbc",
    own={
        **dict.fromkeys(("servername", "server"), ("Server", convert.same)),
        **dict.fromkeys(("portnumber", "port"), ("Port", convert.same)),
        **dict.fromkeys(("databasename", "database"), ("Database", convert.same)),
        **dict.fromkeys(("user", "username", "uid"), ("UID", convert.same)),
        "password": ("PWD", convert.same),
        "instancename": ("instance", convert.same),
        **dict.fromkeys(("applicationname", "app"), ("APP", convert.same)),
        "workstationid": ("WSID", convert.same),
        **dict.fromkeys(("logintimeout", "connecttimeout"), ("connect_timeout", convert.positive_seconds)),
        "encrypt": ("Encrypt", _ENCRYPT),
        "trustservercertificate": ("TrustServerCertificate", _YES_NO),
        **dict.fromkeys(("integratedsecurity", "trusted_connection"), ("Trusted_Connection", _YES_NO)),
        "authentication": ("Authentication", convert.same),
        "connectretrycount": ("ConnectRetryCount", convert.same),
        "connectretryinterval": ("ConnectRetryInterval", convert.same),
        "packetsize": ("PacketSize", convert.same),
        "hostnameincertificate": ("HostnameInCertificate", convert.same),
        "servercertificate": ("ServerCertificate", convert.same),
        "multisubnetfailover": ("MultiSubnetFailover", _YES_NO),
        "applicationintent": ("ApplicationIntent", convert.same),
        "failoverpartner": ("Failover_Partner", convert.same),
        "serverspn": ("ServerSPN", convert.same),
        **dict.fromkeys(("keystoresecret", "keystorepassword", "truststorepassword"), ("KeystoreSecret", convert.same)),
        **dict.fromkeys(
            ("accesstoken", "aadsecureprincipalsecret", "clientkeypassword"), ("KeystoreSecret", convert.same)
        ),
    },
    accepted=frozenset(_MSSQL_ACCEPTED.split()),
    strict=False,
    key=str.lower,
)
"""mssql-jdbc's properties, and ODBC's names for them."""
