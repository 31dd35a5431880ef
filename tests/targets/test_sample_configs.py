from pathlib import Path

import pytest

from dbdoctor.model.pool import PoolSettings
from dbdoctor.model.target import Endpoint, Product, Target
from dbdoctor.targets.config_files import read_explicit
from dbdoctor.targets.select import select_targets

SAMPLES = Path(__file__).parents[2] / "sample_configs"
AWKWARD = "p@ss;/w}o r%d#"


def choose(name: str, *words: str, environment: dict[str, str], every: bool = False) -> list[Target]:
    selection = select_targets(words, config=SAMPLES / name, environment=environment, every_profile=every)
    return [target for target in selection.targets if isinstance(target, Target)]


def test_minimal():
    (shop,) = choose("minimal.toml", environment={"SHOP_DB_PASSWORD": AWKWARD})
    assert shop.shown == "postgresql://shop@db.example.org:5432/shop"
    assert shop.password is not None
    assert shop.password.reveal() == AWKWARD
    assert (shop.login_timeout, shop.driver, shop.profile) == (3.0, "psycopg2", "shop")


@pytest.fixture
def pass_program(tmp_path):
    program = tmp_path / "bin" / "pass"
    program.parent.mkdir()
    program.write_text('#!/bin/sh\necho "secret of $2"\n')
    program.chmod(0o755)
    return {"PATH": f"{program.parent}:/usr/bin:/bin", "JOBS_DB_PASSWORD": AWKWARD, "HOME": str(tmp_path)}


def test_fleet(pass_program):
    checkout, jobs, reports = choose("fleet.toml", environment=pass_program, every=True)
    assert [target.profile for target in (checkout, jobs, reports)] == ["checkout", "jobs", "reports"]
    assert checkout.password is not None
    assert checkout.password.reveal() == "secret of db/checkout"
    assert checkout.pool == PoolSettings(5, 5, 10.0, 1500.0, True, processes=4, replicas=6)
    assert checkout.pool.most_connections == 240
    assert checkout.path_idle_timeout == 350.0
    assert checkout.thresholds == {
        "slots_warning": 0.7,
        "slots_error": 0.85,
        "certificate_expiry_warning": 21 * 86400.0,
    }
    assert jobs.password is not None
    assert jobs.password.reveal() == AWKWARD
    assert jobs.parameters["sslmode"] == "verify-full"
    assert jobs.parameters["application_name"] == "jobs"
    assert jobs.thresholds == {**checkout.thresholds, "idle_in_transaction": 900.0}
    assert reports.endpoints == (Endpoint("replica1.example.org", 5433), Endpoint("replica2.example.org", 5433))
    assert reports.parameters["passfile"] == str(SAMPLES / "reports.pgpass")
    assert reports.login_timeout == 5.0


def test_fleet_settings():
    selection = select_targets(["reports"], config=SAMPLES / "fleet.toml", environment={})
    assert selection.settings["fail_on"] == "warning"
    assert selection.sources["targets.reports.host"].endswith("fleet.toml")


def test_sqlserver():
    environment = {f"{name}_DB_PASSWORD": AWKWARD + name for name in ("ORDERS", "BILLING", "ARCHIVE")}
    targets = choose("sqlserver.toml", environment=environment, every=True)
    assert [(target.product, target.shown, target.password and target.password.reveal()) for target in targets] == [
        (Product.SQLSERVER, f"mssql://{user}@{host}:1433/{name}", AWKWARD + name.upper())
        for name, user, host in (
            ("orders", "orders_app", "sql1.example.org"),
            ("billing", "billing", "sql1.example.org"),
            ("archive", "archive", "sql2.example.org"),
        )
    ]
    assert targets[0].parameters["Encrypt"] == "yes"
    assert targets[1].login_timeout == 15.0


def test_pgbouncer():
    app, direct, console = choose("pgbouncer.toml", environment={"APP_DB_PASSWORD": AWKWARD}, every=True)
    assert app.endpoints == (Endpoint("pgbouncer.example.org", 6432),)
    assert direct.endpoints == (Endpoint("db.example.org", 5432),)
    assert console.database == "pgbouncer"
    assert app.password == direct.password
    assert app.pool is not None
    assert app.pool.most_connections == 160


def test_every_sample_is_tested_and_loads():
    samples = {path.name for path in SAMPLES.glob("*.toml")}
    assert samples == {"minimal.toml", "fleet.toml", "sqlserver.toml", "pgbouncer.toml"}
    for name in samples:
        file = read_explicit(SAMPLES / name)
        assert file.content.startswith(b"#")
        assert file.table["targets"]
