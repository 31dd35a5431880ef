"""What fails between TLS and certificates on SQL Server, in its own words."""

from __future__ import annotations

from dbdoctor.probe.failures.entry import Entry
from dbdoctor.probe.failures.words_sqlserver.hyt00 import HYT00

ENTRIES = (
    Entry(
        "tls-not-offered",
        "{written} requires TLS, and {where} does not offer it",
        "the server answered that it cannot encrypt: it is not quite SQL Server, or a gateway in between took TLS away. "
        "Every SQL "
        "Server since 2005 can",
        "Microsoft's driver 18 encrypts by default, 17 did not; its words: `Encryption not supported on SQL Server`.",
        "see what stands in between; only on a network that you trust, do without",
        "Encrypt=no",
    ),
    Entry(
        "certificate-untrusted",
        "the certificate of {where} is not signed by an authority that {root} trusts",
        "with {written} the driver checks the certificate: the server shows a self-signed one (which every SQL Server makes "
        "for "
        "itself when it is given none), or one of an authority that this machine does not know",
        "Driver 18 encrypts and checks by default, 17 did not: the same connection string worked before the upgrade. Also with "
        "Encrypt=no the certificate is checked when the server forces encryption.",
        "have the authority's certificate installed on this machine, or give the server a certificate of one that is; "
        "TrustServerCertificate=yes encrypts without knowing for whom",
        "cp ca.pem /usr/local/share/ca-certificates/ca.crt && update-ca-certificates\n"
        "# or, on a network that you trust: TrustServerCertificate=yes",
    ),
    Entry(
        "certificate-expired",
        "the certificate of {where} has expired",
        "the certificate's end date is past ({not_after}); the server has to be given a new one. Should only this client say "
        "so, check this machine's clock",
        "Microsoft's driver says `certificate verify failed:certificate has expired`; with TrustServerCertificate=yes "
        "nobody notices.",
        "give the server a new certificate and restart it",
        "openssl x509 -in <new certificate> -noout -subject -dates",
    ),
    Entry(
        "certificate-wrong-name",
        "the certificate of {where} is for {names}, not for {wanted_name}",
        "the authority is trusted, but {wanted_name} is not among the certificate's names; an address never is, for this "
        "driver",
        "Its words: `subject name does not match host name`. Typical behind an alias, an address, a listener or a tunnel.",
        "connect by a name that the certificate has, or say which one to expect",
        "HostNameInCertificate={first_name}",
    ),
    Entry(
        "certificate-revoked",
        "the certificate of {where} has been revoked",
        "its authority has taken it back",
        "Microsoft's driver says `certificate verify failed`.",
        "give the server a new certificate",
    ),
    Entry(
        "root-certificate-unreadable",
        "the certificate file {root} of ServerCertificate cannot be used",
        "it cannot be read by this user, or holds no certificate in PEM or DER form",
        "ServerCertificate counts with Encrypt=strict only.",
        "check the file",
        "openssl x509 -in {root} -noout -subject -dates",
    ),
    Entry(
        "client-certificate-required",
        "{where} ended the TLS handshake, as servers do that want a client certificate",
        "something in front of the server (a proxy, a service mesh) demands a client certificate, or shares no cipher with "
        "this "
        "client",
        "SQL Server itself asks for none.",
        "look at what stands in between",
    ),
    Entry(
        "client-certificate-refused",
        "{where} ended the TLS handshake over a certificate",
        "the other side sent an alert about a certificate, though none was sent: a device in between inspects TLS",
        "SQL Server itself asks for no client certificate.",
        "look at what stands in between",
    ),
    Entry(
        "tls-version-refused",
        "{where} and this client have no TLS version in common",
        "this machine's OpenSSL asks for at least {minimum}; the server offers only older versions: SQL Server before 2016 "
        "without its TLS 1.2 update",
        "Microsoft's driver says `unsupported protocol`; it came with the operating system's upgrade.",
        "bring the server up to date",
        "openssl version; grep -i minprotocol /etc/ssl/openssl.cnf",
    ),
    Entry(
        "tls-handshake-stalled",
        "{where} agreed to TLS and then did not go on with the handshake for {seconds}",
        "the connection is there and small packets pass, larger ones seem not to (a path whose MTU is too small), or a proxy "
        "in between holds the handshake",
        f"{HYT00}. A classic behind VPNs and tunnels: the certificate is the first thing that fills a whole packet.",
        "try with a smaller MTU on the way, and look at what sits between",
        "ping -M do -s 1372 {host}",
    ),
    Entry(
        "tls-handshake-failed",
        "the TLS handshake with {where} failed",
        "the two sides could not agree: ciphers, key sizes (a certificate of 1024 bits, SHA-1), or a device in between that "
        "alters "
        "the handshake",
        "The words of OpenSSL are in the evidence; Microsoft's driver says `SSL Provider: [error:...]`.",
        "compare what both sides offer; the server's error log and Windows' Schannel events have its side",
    ),
    Entry(
        "tls-direct-refused",
        "{where} does not take TLS at the first byte (Encrypt=strict)",
        "the connection ended as soon as TLS began: strict is TDS 8, which needs SQL Server 2022 with a certificate of its "
        "own, or "
        "Azure SQL",
        "Microsoft's driver says `wrong version number` or `TCP Provider: Error code 0x2746`.",
        "encrypt as all versions understand",
        "Encrypt=yes",
    ),
)
