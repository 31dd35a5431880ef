"""One file per output format; every text from outside passes through `clean` here."""
