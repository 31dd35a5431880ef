"""The config that is in force, as values; a module of its own because most runs have no config and need no more of it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from dbdoctor.targets.config_files import ConfigFile


class Value(NamedTuple):
    """One value and the file it came from."""

    value: Any
    file: ConfigFile

    def __repr__(self) -> str:
        return f"Value(file={self.file!r})"  # the value may be a password


Keys = tuple[str, ...]


class Config(NamedTuple):
    """What the files say together. `profiles` are in the order written; a profile's keys are paths below its table.

    `distrusted` says of each file that is not trusted why not.
    """

    files: tuple[ConfigFile, ...] = ()
    top: Mapping[Keys, Value] = MappingProxyType({})
    profiles: Mapping[str, Mapping[Keys, Value]] = MappingProxyType({})
    distrusted: Mapping[Path, str] = MappingProxyType({})

    def trusts(self, file: ConfigFile) -> bool:
        """Whether the file may run something and draw on the user's secrets."""
        return file.path not in self.distrusted
