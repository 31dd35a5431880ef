"""Between libpq's own form, a flat table of keywords, and a Target."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from dbdoctor.errors import UsageError
from dbdoctor.model.secret import Secret
from dbdoctor.model.target import Endpoint, Product, Target
from dbdoctor.targets.libpq.check import check_host, port_number
from dbdoctor.targets.libpq.parameters import KNOWN_PARAMETERS

_FIELDS = frozenset({"host", "hostaddr", "port", "user", "password", "dbname"})


def to_target(options: Mapping[str, str], base: Target | None = None) -> Target:
    """A Target of these libpq options (only known ones), the rest of it as in `base`. Nothing is defaulted yet.

    An endpoint with no host and no address, or an empty one, stands for libpq's default host. Raises UsageError.
    """
    extra = {name: value for name, value in options.items() if name not in _FIELDS}
    password = options.get("password")
    return replace(
        base or Target(Product.POSTGRESQL, ()),
        endpoints=endpoints_of(options),
        user=options.get("user") or None,
        password=Secret(password) if password else None,
        database=options.get("dbname") or None,
        parameters={name: value for name, value in extra.items() if not KNOWN_PARAMETERS[name].secret},
        secret_parameters={name: Secret(value) for name, value in extra.items() if KNOWN_PARAMETERS[name].secret},
    )


def to_options(target: Target) -> dict[str, str]:
    """The libpq options that this Target says, the reverse of `to_target`. Holds secrets in clear: never shown."""
    options = {name: value for name, value in target.parameters.items() if name in KNOWN_PARAMETERS}
    options.update({name: secret.reveal() for name, secret in target.secret_parameters.items()})
    ends = target.endpoints
    if any(end.host is not None for end in ends):
        options["host"] = ",".join(end.host or "" for end in ends)
    if any(end.address for end in ends):
        options["hostaddr"] = ",".join(end.address or "" for end in ends)
    if any(end.port is not None for end in ends):
        options["port"] = ",".join("" if end.port is None else str(end.port) for end in ends)
    options.update({name: value for name, value in (("user", target.user), ("dbname", target.database)) if value})
    if target.password:
        options["password"] = target.password.reveal()
    return options


def endpoints_of(options: Mapping[str, str]) -> tuple[Endpoint, ...]:
    """The hosts of `host`, `hostaddr` and `port`, matched up as libpq does it. Raises UsageError when they do not match."""
    hosts, addresses, ports = (_items(options.get(name)) for name in ("host", "hostaddr", "port"))
    for host in (*hosts, *addresses):
        check_host(host)
    numbers = [port_number(port) for port in ports]
    if hosts and addresses and len(hosts) != len(addresses):
        raise UsageError(f"{len(hosts)} host names cannot be matched to {len(addresses)} `hostaddr` values")
    count = len(addresses) or len(hosts)
    if len(numbers) > 1 and len(numbers) != max(count, 1):
        raise UsageError(
            f"{len(numbers)} ports cannot be matched to {_counted(count)}",
            help="write one port for all hosts, or one for each",
        )
    if not count and "host" not in options and not any(numbers):
        return ()
    numbers = numbers or [None]
    numbers = numbers * max(count, 1) if len(numbers) == 1 else numbers
    default = "" if "host" in options else None
    return tuple(
        Endpoint(hosts[i] if hosts else default, port, (addresses[i] or None) if addresses else None)
        for i, port in enumerate(numbers)
    )


def _items(text: str | None) -> list[str]:
    return text.split(",") if text else []


def _counted(count: int) -> str:
    return f"{count} hosts" if count > 1 else "one host"
