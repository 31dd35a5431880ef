"""SQL Server through ODBC: which drivers this machine has, what to tell them, and a process of its own for the one in use."""
