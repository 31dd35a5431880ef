"""What failures that every product has are called on SQL Server: the same codes with the same meaning, in its own words."""

from __future__ import annotations

from dbdoctor.probe.failures.words_sqlserver import login, network, tls

ENTRIES = (*network.ENTRIES, *tls.ENTRIES, *login.ENTRIES)
