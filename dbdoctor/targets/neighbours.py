"""The other profiles of the config that share a server with a target: their pools add up there."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from dbdoctor.errors import DbdoctorError
from dbdoctor.model.target import Product, Target
from dbdoctor.targets.config_values import Config

_DEFAULT_PORT = {Product.POSTGRESQL: 5432, Product.SQLSERVER: 1433}


class Neighbours(NamedTuple):
    """Targets of the profiles that declare a pool or a demand on the same server; `notes` name those that cannot be read."""

    targets: tuple[Target, ...] = ()
    notes: tuple[str, ...] = ()


def neighbours_of(
    target: Target,
    *,
    config: Path | None = None,
    environment: Mapping[str, str] | None = None,
    directory: Path | None = None,
) -> Neighbours:
    """The neighbours of a target that is a profile; none of any other, since a profile may be the very same service.

    Connects to nothing, runs no `password_command`, and imports no other service's engine.
    """
    environment = os.environ if environment is None else environment
    if target.profile is None:
        return Neighbours()
    read = _config(config, environment, Path.cwd() if directory is None else directory)
    found: list[Target] = []
    notes: list[str] = []
    for name, other in _others(read, target.profile, environment):
        if other is None:
            notes.append(f"the profile {name} could not be read, and is not in the budget")
        elif (other.pool is not None or other.workload is not None) and _shares(target, other):
            found.append(other)
    return Neighbours(tuple(found), tuple(notes))


def _config(config: Path | None, environment: Mapping[str, str], directory: Path) -> Config:
    from dbdoctor.targets.config import merge_files
    from dbdoctor.targets.config_files import read_explicit, read_found

    files = [read_explicit(config)] if config is not None else read_found(directory, environment)
    return merge_files(files, environment) if files else Config()


def _others(config: Config, profile: str, environment: Mapping[str, str]) -> Iterator[tuple[str, Target | None]]:
    from dbdoctor.targets.config_target import profile_target

    for name, keys in config.profiles.items():
        if name == profile:
            continue
        if ("engine",) in keys:
            yield name, None
            continue
        try:
            yield name, profile_target(config, name, environment, None).target
        except DbdoctorError:
            yield name, None


def _shares(one: Target, other: Target) -> bool:
    return one.product is other.product and bool(_places(one) & _places(other))


def _places(target: Target) -> set[tuple[str, object]]:
    port = _DEFAULT_PORT[target.product]
    return {
        ((end.address or end.host or "localhost").lower().rstrip("."), end.instance or end.port or port)
        for end in target.endpoints
    }
