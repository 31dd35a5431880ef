"""What the parts of a string for SQL Server do to each other, and ways to a server that lead nowhere from here."""

from __future__ import annotations

from dbdoctor.probe.failures.entry import Entry

ENTRIES = (
    Entry(
        "server-not-over-tcp",
        "`{option}` is a way to the server that exists only on Windows",
        "named pipes and shared memory are Windows' own; the same server was probed over TCP here",
        "Microsoft's ODBC driver on Linux and macOS asks nobody then, and says `Login timeout expired` when the time is over; "
        "FreeTDS says `Unable to connect to data source` at once.",
        "name the server's TCP port or its instance: {advice}",
        "{right_option}",
    ),
    Entry(
        "credentials-ignored",
        "{option} in the target are ignored: the integrated login wins",
        "with Trusted_Connection=yes (Integrated Security) the drivers log in with the Kerberos ticket of whoever runs the "
        "application, and send no user and no password at all",
        "So it works for one user of the machine and fails for a service; without a ticket Microsoft's driver says `SSPI "
        "Provider: No Kerberos credentials available`, FreeTDS `Unable to connect to data source`.",
        "decide for one: leave Trusted_Connection out to log in with the user, or take the user and the password away",
    ),
    Entry(
        "driver-unable",
        "the ODBC driver cannot do what the target asks for: {reason}",
        "the driver is there and was not asked to connect, since it would say nothing of the reason",
        "FreeTDS has no login through Microsoft Entra (Authentication=), cannot be given a value with `}};` in it, and knows "
        "Encrypt=strict in newer versions only; what it says is `Unable to connect to data source`.",
        "have another driver do it: {remedy}",
    ),
    Entry(
        "login-without-user",
        "the target names no user and no other way to log in",
        "there is neither a user nor Trusted_Connection or Authentication: Microsoft's driver then logs in with an empty name, "
        "which every server refuses; FreeTDS and pymssql try a Kerberos ticket",
        "The application gets `Login failed for user ''` (18456). An application that hands its driver an access token "
        "(attrs_before) needs no user in its string; dbdoctor has no such token.",
        "name the user and the password, or Trusted_Connection=yes for a Kerberos login",
        "UID=...;PWD=...",
    ),
    Entry(
        "certificate-option-ignored",
        "`{option}` does nothing",
        "with Encrypt=strict the certificate is always verified and TrustServerCertificate is passed over; ServerCertificate, "
        "the file of the one certificate that is believed, counts with Encrypt=strict only",
        "Microsoft's driver says nothing about either. A pinned certificate must be the server's own, not its authority's; its "
        "names and its chain are not looked at then.",
        "write what counts: {right_option}",
    ),
    Entry(
        "certificate-not-pinned-one",
        "the certificate of {where} is not the one in {root} (ServerCertificate)",
        "Encrypt=strict with ServerCertificate compares the server's own certificate with the file, byte by byte: an authority's "
        "certificate or the one before the last renewal does not do. The server's names {names}, until {not_after}",
        "Microsoft's driver says `Provided certificate doesn't match with server/peer certificate`.",
        "put the server's present certificate into the file, or leave ServerCertificate out and have its authority trusted",
        "openssl x509 -in {root} -noout -subject -dates -fingerprint",
    ),
)
