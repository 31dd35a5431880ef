"""Which other profiles of the config share a server with a target."""

from __future__ import annotations

from pathlib import Path

from dbdoctor.model.target import Target
from dbdoctor.targets.neighbours import Neighbours, neighbours_of
from dbdoctor.targets.select import select_targets

CONFIG = """
[targets.shop]
dsn = "postgresql://shop@db1.example.org/shop"
pool_size = 5
[targets.jobs]
dsn = "postgresql://jobs:${JOBS_PASSWORD}@DB1.example.org.:5432/other"
pool_size = 2
processes = 3
[targets.looking]
dsn = "postgresql://dba@db1.example.org/shop"
[targets.elsewhere]
dsn = "postgresql://shop@db2.example.org/shop"
pool_size = 9
[targets.port]
dsn = "postgresql://shop@db1.example.org:5433/shop"
pool_size = 9
[targets.product]
dsn = "mssql+pyodbc://shop@db1.example.org:5432/shop?driver=ODBC+Driver+18+for+SQL+Server"
pool_size = 9
[targets.engine]
engine = "does_not_exist:engine"
pool_size = 9
"""


def found(place: Path, word: str, environment: dict[str, str]) -> Neighbours:
    path = place / "dbdoctor.toml"
    path.write_text(CONFIG)
    target = select_targets([word], config=path, environment=environment, directory=place).targets[0]
    assert isinstance(target, Target)
    return neighbours_of(target, config=path, environment=environment, directory=place)


def test_profiles_with_a_pool_on_the_same_server_are_neighbours(tmp_path):
    read = found(tmp_path, "shop", {"JOBS_PASSWORD": "hunter-secret-2"})
    assert [target.profile for target in read.targets] == ["jobs"]
    pool = read.targets[0].pool
    assert pool is not None
    assert pool.processes == 3
    assert read.notes == ("the profile engine could not be read, and is not in the budget",)


def test_what_cannot_be_read_is_named(tmp_path):
    read = found(tmp_path, "shop", {})
    assert not read.targets
    assert len(read.notes) == 2
    assert any("jobs" in note for note in read.notes)


def test_a_target_that_is_no_profile_has_none(tmp_path):
    assert found(tmp_path, "postgresql://shop@db1.example.org/shop", {"JOBS_PASSWORD": "x"}) == ((), ())
