"""Failures on the client's own side, before or instead of a server's answer."""

from __future__ import annotations

from dbdoctor.probe.failures.entry import Entry

ENTRIES = (
    Entry(
        "unknown-driver-option",
        "the driver does not know the option {option}, and so refuses every connection",
        "the option is in the DSN or in the engine's connect_args; psycopg2 hands it to libpq, which knows no such name",
        "psycopg2 says `invalid dsn: invalid connection option`. People write `timeout` for psycopg2's `connect_timeout`; "
        "other drivers have other names (asyncpg: `timeout`, `command_timeout`, `ssl`).",
        "correct the option: {advice}",
        "connect_args={{'{right_option}': ...}}",
    ),
    Entry(
        "password-file-ignored",
        "the password file {path} can be read by others, and libpq ignores it",
        "libpq takes a password file only when group and others have no access (mode 0600); the password in it is not used",
        "The application then fails with `no password supplied` or `password authentication failed`.",
        "take the permissions away",
        "chmod 600 {path}",
    ),
    Entry(
        "channel-binding-unmet",
        "the client requires channel binding, and {where} does not offer it",
        "channel_binding=require needs TLS and SCRAM-SHA-256-PLUS on both sides; a pooler or proxy that ends TLS cannot have it",
        "libpq says `channel binding is required, but ...`.",
        "connect to the server itself over TLS, or ask for it only where it can be had",
        "channel_binding=prefer",
    ),
    Entry(
        "authentication-method-refused",
        "the client refuses the way in which {where} wants it to log in",
        "the DSN's `require_auth` admits other methods than the server asks for, or the client does not know the method",
        "libpq says `authentication method requirement ... failed`, or `authentication method ... not supported`.",
        "let both agree: the method in pg_hba.conf, and `require_auth` in the DSN",
        "require_auth=scram-sha-256",
    ),
    Entry(
        "gssapi-failed",
        "the client could not get a Kerberos ticket for {where}",
        "the server or `gssencmode=require` wants GSSAPI, and this client has no valid ticket or no GSSAPI support",
        "Without a ticket an application started by hand works where the same one started by a service does not.",
        "get a ticket, or do without GSSAPI encryption",
        "kinit; klist   # or: gssencmode=disable",
    ),
    Entry(
        "client-refused",
        "the driver refused to connect to {where}",
        "libpq stopped before or beside the server's answer; its words are in the evidence",
        "A setting of the client's own that cannot be met.",
        "change the setting that the words name",
    ),
    Entry(
        "driver-hung",
        "the driver did not come back within {seconds}",
        "the probe's own checks went through, and then the driver hung in a call that cannot be interrupted: GSSAPI asking a "
        "silent Kerberos server, or a password file on a dead network disk",
        "An application hangs there in the same way, and no timeout of the DSN helps it.",
        "try without GSSAPI",
        "gssencmode=disable",
    ),
    Entry(
        "driver-missing",
        "the driver for {product} cannot be imported",
        "the Python package is missing or broken on this machine",
        "Its words are in the evidence.",
        "install it",
        "pip install {package}",
    ),
    Entry(
        "product-not-supported-yet",
        "{product} targets can be read, but not yet checked",
        "the DSN was understood; the probe for this product is not part of this version",
        "PostgreSQL targets are checked in full.",
        "check a PostgreSQL target, or wait for the version that has it",
    ),
    Entry(
        "internal-error",
        "dbdoctor itself failed ({kind}); this is a fault of dbdoctor, not of your database",
        "a part of dbdoctor ended where it must not; what it says of this target is not to be relied on",
        "Of the database it tells nothing, good or bad. Other targets of the same run are not affected.",
        "run it again with `--debug` and report what it prints; passwords are masked in it",
    ),
)
