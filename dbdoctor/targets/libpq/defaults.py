"""What libpq adds to what the user wrote: the service file, the environment, and its defaults, in this order of precedence.

Source: conninfo_add_defaults and pqConnectOptions2 of libpq's fe-connect.c.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from dbdoctor.errors import UsageError
from dbdoctor.model.target import Endpoint, Target
from dbdoctor.targets.libpq.check import check_options
from dbdoctor.targets.libpq.home import operating_system_user
from dbdoctor.targets.libpq.options import to_options, to_target
from dbdoctor.targets.libpq.parameters import KNOWN_PARAMETERS
from dbdoctor.targets.libpq.service_file import read_service

# What libpq was built with: the wheels of psycopg2 and Debian's packages the first, PostgreSQL's own sources the second.
_SOCKET_DIRECTORIES = ("/var/run/postgresql", "/tmp")  # noqa: S108 (libpq's own)
_DEFAULT_PORT = 5432
# Read for themselves, before the rest.
_NOT_FROM_ENVIRONMENT = frozenset({"service", "servicefile"})


def complete(target: Target, environment: Mapping[str, str]) -> Target:
    """The target as libpq would see it: explicit settings, then the service, then `PG...` variables, then the defaults.

    Every endpoint has a host or an address, and a port; user and database are set where they can be known. Raises
    UsageError for a value that libpq refuses, wherever it comes from, and for a service that is not defined.
    """
    options = to_options(target)
    sources: dict[str, str] = {}
    for name, value in read_service(options, environment).items():
        if name not in options:
            options[name] = value
            sources[name] = "the service file"
    for name, parameter in KNOWN_PARAMETERS.items():
        variable = parameter.environment
        if variable and name not in options and name not in _NOT_FROM_ENVIRONMENT and variable in environment:
            options[name] = environment[variable]
            sources[name] = f"the environment variable {variable}"
    if "sslmode" not in options and environment.get("PGREQUIRESSL", "").startswith("1"):
        options["sslmode"] = "require"
    options.pop("service", None)
    options.pop("servicefile", None)
    if options.get("sslrootcert") == "system" and "sslmode" not in options:
        options["sslmode"] = "verify-full"
    check_options(options, sources)
    return _with_defaults(_assembled(options, target, sources))


def _assembled(options: Mapping[str, str], target: Target, sources: Mapping[str, str]) -> Target:
    """The options as a Target; an error about hosts and ports says where they come from, when not from the DSN."""
    try:
        return to_target(options, target)
    except UsageError as error:
        places = sorted({sources[name] for name in ("host", "hostaddr", "port") if name in sources})
        if not places:
            raise
        raise UsageError(
            f"{error.what}, with what {' and '.join(places)} adds", cause=error.cause, help=error.help
        ) from None


def _with_defaults(target: Target) -> Target:
    user = target.user or operating_system_user()
    endpoints = tuple(_endpoint(end) for end in target.endpoints or (Endpoint(),))
    return replace(target, endpoints=endpoints, user=user, database=target.database or user)


def _endpoint(end: Endpoint) -> Endpoint:
    port = end.port or _DEFAULT_PORT
    host = end.host or None
    if host is None and end.address is None:
        host = _default_host(port)
    return end._replace(host=host, port=port)


def _default_host(port: int) -> str:
    if sys.platform == "win32":
        return "localhost"
    for directory in _SOCKET_DIRECTORIES:
        if Path(f"{directory}/.s.PGSQL.{port}").exists():
            return directory
    return _SOCKET_DIRECTORIES[0]
