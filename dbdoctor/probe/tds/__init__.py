"""TDS, the protocol of SQL Server, as far as a probe needs it: PRELOGIN, TLS inside TDS, LOGIN7, and the browser service."""
