"""What an application's own string does not do although it says so: ODBC drivers pass over or misread it, mostly in silence."""

from __future__ import annotations

from dbdoctor.probe.failures.entry import Entry

ENTRIES = (
    Entry(
        "odbc-keyword-ignored",
        "`{option}` in the application's connection string does nothing",
        "ODBC drivers pass over keywords they do not know without a word; this one belongs to another driver or dialect",
        "Microsoft's driver has no `Initial Catalog` (the login's default database is used), no `User ID`, no `Port`, no "
        "`Application Name`; FreeTDS has no `Encrypt` and no `TrustServerCertificate`. What was probed is "
        "what was meant, not what the application does.",
        "correct the connection string: {advice}",
    ),
    Entry(
        "odbc-login-timeout-ignored",
        "`{option}` sets no login timeout: the application waits as long as its driver likes",
        "an ODBC connection string has no keyword for the login timeout; it is an attribute of the connection, and "
        "pyodbc takes it as an argument",
        "With Microsoft's driver the default is 15 s. SQLAlchemy puts `?timeout=` of a URL into the connection "
        "string, where it is passed over.",
        "give it to pyodbc itself, as `timeout` in connect_args",
        "create_engine(url, connect_args={{'timeout': 5}})",
    ),
    Entry(
        "odbc-value-refused",
        "Microsoft's ODBC driver refuses `{option}`, and with it every connection",
        "ADO.NET and JDBC write true and false where ODBC wants yes and no",
        "The driver says `Invalid value specified for connection string attribute` (08001) before it asks the network anything.",
        "correct the connection string: {advice}",
    ),
    Entry(
        "odbc-server-misread",
        "the ODBC driver does not read `{option}` as a host and a port",
        "SQL Server's ODBC drivers want a comma before the port and no brackets around an IPv6 address; what they do not "
        "understand they take for a host's name",
        "Microsoft's driver then says `Login timeout expired`, FreeTDS `Unable to connect to data source`; neither says that "
        "it looked for a host of that name.",
        "correct the connection string: {advice}",
    ),
    Entry(
        "url-names-data-source",
        "the URL has no database, so SQLAlchemy takes its host for the name of an ODBC data source",
        "without a database `mssql+pyodbc://user:password@name` becomes `dsn=name`, its port is dropped, and no data "
        "source of that name is on this machine; the host was probed",
        "The application gets IM002 `Data source name not found and no default driver specified`.",
        "write the database into the URL, or add the data source to odbc.ini",
        "mssql+pyodbc://user:password@host:1433/database?driver=ODBC+Driver+18+for+SQL+Server",
    ),
    Entry(
        "odbc-driver-not-named",
        "the URL names no ODBC driver, and pyodbc has none by default",
        "SQLAlchemy sends a connection string without `Driver=`; the driver manager then looks for a data source",
        "The application gets IM002 `Data source name not found and no default driver specified`.",
        "name the driver in the URL",
        "?driver=ODBC+Driver+18+for+SQL+Server",
    ),
    Entry(
        "odbc-driver-not-registered",
        "the ODBC driver {option} is not registered on this machine",
        "the application's string names it; here {right_option} was used instead",
        "An application on this machine gets `Can't open lib '...' : file not found` (01000) or IM002.",
        "install it, or name one that is registered; where the application runs on another machine this says nothing of it",
        "dbdoctor drivers",
    ),
    Entry(
        "odbc-pooling-on",
        "the driver manager keeps sessions open that the application has closed",
        "`Pooling` is on under [ODBC] in {option}: unixODBC then has a pool of its own beneath SQLAlchemy's",
        "It defeats pool_recycle and pool_pre_ping: a connection that SQLAlchemy closes and opens again is the same old session, "
        "broken or not, with what was left in it. pyodbc.pooling = False does not switch it off.",
        "switch it off, and leave pooling to SQLAlchemy",
        "[ODBC]\nPooling=No",
    ),
)
