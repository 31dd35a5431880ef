"""ODBC data source names: what odbc.ini says of the one that a target names, so that the target has its endpoint."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from dbdoctor.errors import UsageError
from dbdoctor.model.target import Product, Target, TargetWarning
from dbdoctor.targets.dialects.odbc import SQLSERVER
from dbdoctor.targets.dialects.shared.collect import Collector
from dbdoctor.targets.dialects.shared.odbc_meaning import as_meant, is_freetds
from dbdoctor.targets.dialects.shared.server_name import no_server
from dbdoctor.targets.dialects.shared.sqlserver import ODBC_KEYWORDS, to_target
from dbdoctor.targets.odbc_ini import Section, data_source, read_sections, registered, source_files

_PLAIN_NAME = r"[A-Za-z_-]{1,40}"
_FREETDS_CONF = ("/etc/freetds/freetds.conf", "/etc/freetds.conf", "/usr/local/etc/freetds.conf")


def complete_source(target: Target, environment: Mapping[str, str]) -> Target:
    """The target with what its data source says under what itself says; as it is when it names none.

    A SQLAlchemy URL without a database names one too, if there is one of that name; else its host was meant.
    Raises UsageError when the data source is not there.
    """
    name = target.parameters.get("DSN")
    if not name and "FILEDSN" in target.parameters and not target.endpoints:
        raise no_server(": `FILEDSN` names a file, which is not read")
    if not name:
        return target
    section = data_source(name, environment)
    by_url = bool(target.endpoints)
    if section is None and by_url:
        parameters = {key: value for key, value in target.parameters.items() if key != "DSN"}
        warning = TargetWarning("url-names-data-source", "database", "master", fatal=True)
        return replace(target, parameters=parameters, warnings=(*target.warnings, warning))
    if section is None:
        raise _not_there(name, environment)
    return _under(target, _read(section, target, environment), section)


def _under(target: Target, source: Target, section: Section) -> Target:
    """Both together; a URL's host was the source's name, so the source's own endpoint counts."""
    port_dropped = target.endpoints and target.endpoints[0].port not in (None, 1433)
    note = f"{section.path} says where the data source is; SQLAlchemy drops the URL's port" if port_dropped else ""
    return replace(
        target,
        endpoints=source.endpoints or target.endpoints,
        user=target.user or source.user,
        password=target.password or source.password,
        database=target.database or source.database,
        parameters={**source.parameters, **target.parameters},
        secret_parameters={**source.secret_parameters, **target.secret_parameters},
        notes=(*target.notes, *([note] if note else [])),
        warnings=(*target.warnings, *source.warnings),
    )


def _read(section: Section, target: Target, environment: Mapping[str, str]) -> Target:
    """The section as a target of its own."""
    driver = section.values.get("driver", "")
    freetds = is_freetds(driver) or is_freetds(_file_of(driver, environment))
    values = dict(section.values)
    if freetds and "servername" in values:
        values |= _freetds_server(values["servername"], environment)
    # The file's names were read in lower case: they are shown as ODBC has them.
    pairs = [(ODBC_KEYWORDS.get(name, name), value) for name, value in values.items()]
    meant = as_meant(pairs, freetds=freetds)
    collector = Collector(SQLSERVER)
    for name, value in meant.pairs:
        collector.take(name, value)
    base = Target(Product.SQLSERVER, (), dialect=target.dialect, warnings=meant.warnings)
    return to_target(collector.options, base)


def _file_of(driver: str, environment: Mapping[str, str]) -> str:
    return next(
        (one.values.get("driver", "") for one in registered(environment) if one.name.lower() == driver.lower()), ""
    )


def _freetds_server(name: str, environment: Mapping[str, str]) -> dict[str, str]:
    """What freetds.conf says of a server: `Servername` names a section there, not a host."""
    own = environment.get("FREETDSCONF") or environment.get("FREETDS")
    home = environment.get("HOME")
    places = [own, f"{home}/.freetds.conf" if home else None, *_FREETDS_CONF]
    for place in places:
        for section in read_sections(Path(place)) if place else ():
            if section.name.lower() == name.lower() and "host" in section.values:
                instance = section.values.get("instance")
                host = section.values["host"] + (f"\\{instance}" if instance else "")
                return {"server": host, "port": section.values.get("port", "")}
    return {"server": name}


def _not_there(name: str, environment: Mapping[str, str]) -> UsageError:
    shown = f"`{name}` " if re.fullmatch(_PLAIN_NAME, name) else ""
    looked = ", ".join(str(path) for path in source_files(environment))
    return UsageError(
        f"the ODBC data source {shown}is in none of the files that the driver manager reads",
        help=f"add a section of its name to one of them ({looked}), or name another file in `ODBCINI`",
    )
