"""Whether values are such as libpq takes; its own checks in pqConnectOptions2, told before anything is connected.

No error here quotes a value: what stands in the wrong place may be a password.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from dbdoctor.errors import UsageError
from dbdoctor.targets.libpq.parameters import KNOWN_PARAMETERS, SSL_MODES

# pqParseIntParam: strtol with white space around, within a C int.
_INTEGER = r"(?a)\s*[+-]?[0-9]{1,10}\s*"
_PORT = r"(?a)\s*[0-9]{1,5}\s*"
_CONTROL = r"[\x00-\x1f\x7f-\x9f]"
_AUTH_METHODS = ("password", "md5", "gss", "sspi", "scram-sha-256", "none", "oauth")
_WORDS_IN_ANY_CASE = ("ssl_min_protocol_version", "ssl_max_protocol_version")


def check_options(options: Mapping[str, str], sources: Mapping[str, str]) -> None:
    """Raise UsageError for the first value that libpq would refuse. `sources` names where a value not in the DSN is from."""
    for name, value in options.items():
        _check_one(name, value, sources.get(name))
    mode = options.get("sslmode")
    if options.get("sslrootcert") == "system" and mode and mode != "verify-full":
        raise UsageError(
            "`sslrootcert=system` needs `sslmode=verify-full`",
            cause="with the system's many certificate authorities a weaker mode would prove nothing, so libpq refuses it",
            help="write `sslmode=verify-full`, or leave `sslmode` out",
        )
    if options.get("sslnegotiation") == "direct" and SSL_MODES.index(mode or "prefer") < SSL_MODES.index("require"):
        raise UsageError(
            "`sslnegotiation=direct` needs `sslmode=require` or stronger",
            help="write `sslmode=require`, `verify-ca` or `verify-full`",
        )


def _check_one(name: str, value: str, source: str | None) -> None:
    parameter = KNOWN_PARAMETERS.get(name)
    where = f" in {source}" if source else ""
    if parameter is None:
        return
    if not parameter.secret and _has_control(value):
        raise UsageError(f"the value of `{name}`{where} has a control character in it")
    if not value:
        return
    if parameter.integer and not _is_integer(value):
        raise UsageError(
            f"`{name}`{where} must be a whole number",
            help=f"write for example `{name}=10`" + (" (seconds)" if name == "connect_timeout" else ""),
        )
    if parameter.choices:
        known = [c.lower() for c in parameter.choices] if name in _WORDS_IN_ANY_CASE else parameter.choices
        if (value.lower() if name in _WORDS_IN_ANY_CASE else value) not in known:
            raise UsageError(f"`{name}`{where} must be one of {', '.join(parameter.choices)}")
    if name == "require_auth":
        _check_require_auth(value, where)
    if name == "hostaddr" and not all(_is_address(part) for part in value.split(",")):
        raise UsageError(
            f"`hostaddr`{where} must be a numeric address, and libpq looks no name up for it",
            help="write `host=` for a name, `hostaddr=` for an address such as 10.0.0.5 or ::1",
        )


def _has_control(text: str) -> bool:
    return not text.isprintable() and re.search(_CONTROL, text) is not None


def _is_address(text: str) -> bool:
    if not text:
        return True
    import ipaddress

    try:
        ipaddress.ip_address(text.strip())
    except ValueError:
        return False
    return True


def _is_integer(value: str) -> bool:
    return re.fullmatch(_INTEGER, value) is not None and -(2**31) <= int(value) < 2**31


def _check_require_auth(value: str, where: str) -> None:
    methods = [method.strip() for method in value.split(",")]
    negated = [method.startswith("!") for method in methods]
    if any(method.removeprefix("!") not in _AUTH_METHODS for method in methods):
        raise UsageError(f"`require_auth`{where} takes the methods {', '.join(_AUTH_METHODS)}, each or none with a `!`")
    if any(negated) and not all(negated):
        raise UsageError(f"`require_auth`{where} cannot mix methods with and without a `!`")


def port_number(text: str) -> int | None:
    """The port that this text names, None for an empty one. Raises UsageError, which does not quote the text."""
    if not text.strip():
        return None
    if not re.fullmatch(_PORT, text) or not 1 <= int(text) <= 65535:
        raise UsageError(
            "the port is not a number from 1 to 65535",
            help="write the port after the host: `db1:5432`; if it was meant as a password, write `user:password@host`, "
            "with `@ : / ? # %` in it percent-encoded",
        )
    return int(text)


def check_host(host: str) -> None:
    """Raise UsageError when this cannot be a host name, an address, or a socket directory (`/` or `@` first)."""
    if _has_control(host):
        raise UsageError("the host has a control character in it")
    if host[:1] in ("/", "@"):
        if "://" in host or "@" in host[1:] or len(host) > 1024:
            raise UsageError(
                "the host is a socket's directory with a URL or an `@` in it, which is more likely a slip",
                help="write the URL alone, or the socket's directory alone: `host=/run/postgresql`",
            )
        return
    if any(not (letter.isalnum() or letter in "._-~:%") for letter in host) or len(host) > 255:
        raise UsageError(
            "the host has a character in it that host names cannot have",
            help="if a password stands before it, write its `@` as `%40`, `:` as `%3A`, `/` as `%2F`, `?` as `%3F`, `#` as `%23`",
        )
