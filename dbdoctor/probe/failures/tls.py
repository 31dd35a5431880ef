"""Failures of encryption and certificates, on either side."""

from __future__ import annotations

from dbdoctor.probe.failures.entry import Entry

ENTRIES = (
    Entry(
        "tls-not-offered",
        "sslmode={sslmode} requires TLS, and {where} does not offer it",
        "the server answered that it has TLS switched off (`ssl = off`, or built without it), or a pooler in between has",
        "libpq says `server does not support SSL, but SSL was required`.",
        "switch TLS on in the server (in the pooler: `client_tls_sslmode`); only on a network that you trust, allow plain text",
        "sslmode=prefer",
    ),
    Entry(
        "tls-required-by-server",
        "{where} lets {user} in only with TLS, and sslmode={sslmode} does not use it",
        "pg_hba.conf has a `hostssl` line for this client and no line for a connection without TLS",
        "The server's words are `no pg_hba.conf entry for host ..., no encryption`, which reads like a missing permission.",
        "let the client use TLS",
        "sslmode=require",
    ),
    Entry(
        "certificate-untrusted",
        "the certificate of {where} is not signed by an authority that {root} holds",
        "the server's certificate chain does not end in a certificate of the client's `sslrootcert`: the wrong root, a "
        "missing intermediate certificate, or a self-signed one",
        "libpq says `certificate verify failed`. sslmode=require would not look, and so would not notice an impostor.",
        "get the authority's certificate from whoever runs the server and name it",
        "sslrootcert=/path/to/ca.pem",
    ),
    Entry(
        "certificate-expired",
        "the certificate of {where} has expired",
        "the certificate's end date is past ({not_after}); the server has to be given a new one. Should only this client say "
        "so, check this machine's clock",
        "libpq says `certificate verify failed`; applications that use sslmode=require or prefer go on unaware.",
        "renew the server's certificate and reload the server",
        "SELECT pg_reload_conf();",
    ),
    Entry(
        "certificate-not-yet-valid",
        "the certificate of {where} is not valid yet",
        "its start date lies in the future ({not_before}): the certificate was made too recently or a clock is wrong",
        "Mostly the clock of the client, or of the machine that made the certificate.",
        "compare the clocks",
        "date -u",
    ),
    Entry(
        "certificate-revoked",
        "the certificate of {where} has been revoked",
        "the client's revocation list (`sslcrl`) names it",
        "libpq says `certificate verify failed`.",
        "give the server a new certificate",
    ),
    Entry(
        "certificate-wrong-name",
        "the certificate of {where} is for {names}, not for {host}",
        "the chain is trusted, but sslmode=verify-full also asks for the name, and {host} is not among the certificate's",
        'libpq says `server certificate for "..." does not match host name`. Typical behind an alias, an address instead of a '
        "name, or a tunnel.",
        "connect by a name that the certificate has (`host=` that name, `hostaddr=` the address), or have the name added",
        "host={first_name} hostaddr={address} sslmode=verify-full",
    ),
    Entry(
        "client-certificate-missing",
        "{where} asks {user} for a client certificate, and none was sent",
        "pg_hba.conf demands a certificate of the client (`cert`, or `clientcert=verify-ca` or `verify-full`)",
        "The server's words are `connection requires a valid client certificate`. libpq ignores a `sslcert` file that does "
        "not exist without a word.",
        "name the client's certificate and its private key",
        "sslcert=/path/to/client.crt sslkey=/path/to/client.key",
    ),
    Entry(
        "client-certificate-required",
        "{where} ended the TLS handshake because no client certificate that it accepts was sent",
        "something in front of the server (a proxy, a service mesh) demands a client certificate during the handshake",
        "libpq says `tlsv13 alert certificate required` or `handshake failure`.",
        "name the client's certificate and its private key",
        "sslcert=/path/to/client.crt sslkey=/path/to/client.key",
    ),
    Entry(
        "client-certificate-refused",
        "{where} does not accept the client's certificate",
        "the certificate of the client ({certificate}) is expired, revoked, or not signed by an authority that the server trusts "
        "(`ssl_ca_file`)",
        "libpq says `tlsv1 alert unknown ca` and the like; the server's log has the reason.",
        "compare the certificate's issuer and dates with what the server trusts",
        "openssl x509 -in {certificate} -noout -subject -issuer -dates",
    ),
    Entry(
        "tls-version-refused",
        "{where} and this client have no TLS version in common",
        "libpq asks for at least {minimum}; the server offers only older versions, or newer ones than the client knows",
        "libpq says `unsupported protocol` or `tlsv1 alert protocol version`.",
        "raise the server's `ssl_min_protocol_version`, or lower the client's as long as needed",
        "ssl_min_protocol_version=TLSv1.2",
    ),
    Entry(
        "tls-handshake-stalled",
        "{where} agreed to TLS and then did not go on with the handshake for {seconds}",
        "the connection is there and small packets pass, larger ones seem not to (a path whose MTU is too small), or a proxy "
        "in between holds the handshake",
        "A classic behind VPNs and tunnels: the certificate is the first thing that fills a whole packet.",
        "try with a smaller MTU on the way, and look at what sits between",
        "ping -M do -s 1372 {host}",
    ),
    Entry(
        "tls-handshake-failed",
        "the TLS handshake with {where} failed",
        "the two sides could not agree: ciphers, curves, or a device in between that alters the handshake",
        "The words of OpenSSL are in the evidence.",
        "compare what both sides offer",
        "openssl s_client -starttls postgres -connect {host}:{port}",
    ),
    Entry(
        "tls-given-up",
        "TLS with {where} failed, and the driver logged in without it",
        "sslmode=prefer (the default) falls back to plain text without a word: password hash and data cross the network "
        "readable, and the files named for TLS have no effect",
        "It looks like a healthy connection; only the server's pg_stat_ssl tells.",
        "mend what the finding beside this one names, and then ask for TLS so that it cannot be lost unnoticed",
        "sslmode=verify-full",
    ),
    Entry(
        "tls-direct-refused",
        "{where} does not take TLS at the first byte (sslnegotiation=direct)",
        "the connection ended as soon as TLS began: direct TLS needs PostgreSQL 17 or later, and poolers mostly lack it",
        "libpq says `server closed the connection unexpectedly`, or a plain SSL error.",
        "let libpq ask first, as all versions understand",
        "sslnegotiation=postgres",
    ),
    Entry(
        "verify-full-needs-name",
        "sslmode=verify-full needs a host name, and the DSN has only an address",
        "with `hostaddr` alone there is no name to compare with the certificate, and libpq refuses",
        "libpq says `host name must be specified for a verified SSL connection`.",
        "add the name that the certificate has",
        "host=<name in the certificate> hostaddr={address} sslmode=verify-full",
    ),
    Entry(
        "root-certificate-missing",
        "sslmode={sslmode} needs a root certificate, and {root} does not exist",
        "without the authority's certificate the client cannot verify anybody, and libpq refuses to start",
        'libpq says `root certificate file "..." does not exist`. Containers often lack the file that a laptop has.',
        "name the authority's certificate, or `system` to trust what the operating system trusts (libpq 16 and later)",
        "sslrootcert=/path/to/ca.pem",
    ),
    Entry(
        "root-certificate-unreadable",
        "the root certificate file {root} cannot be used",
        "it cannot be read by this user, or holds no certificate in PEM form",
        "libpq says `could not read root certificate file`.",
        "check the file",
        "openssl x509 -in {root} -noout -subject -dates",
    ),
    Entry(
        "client-key-too-open",
        "the private key {key} can be read by others, and libpq refuses to use it",
        "libpq takes a key only with permissions 0600 or less (0640 or less when root owns it)",
        "libpq says `private key file ... has group or world access`. Kubernetes secrets are mounted 0644 by default "
        "(`defaultMode: 0400` mends it).",
        "take the permissions away",
        "chmod 600 {key}",
    ),
    Entry(
        "client-key-unreadable",
        "the private key for the client certificate cannot be used ({key})",
        "it is missing, not readable by this user, needs a pass phrase (`sslpassword`), or does not belong to the certificate",
        "libpq says `could not load private key file`.",
        "check that certificate and key belong together",
        "openssl pkey -in {key} -pubout | openssl sha256; openssl x509 -in {certificate} -pubkey -noout | openssl sha256",
    ),
)
