"""What Microsoft's driver says to almost everything."""

HYT00 = "Microsoft's ODBC driver says only `HYT00 Login timeout expired` for it, after the whole login timeout"
