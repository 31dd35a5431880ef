"""A command line is shown without any secret, and so that the program and its script are recognised."""

from __future__ import annotations

import pytest

from dbdoctor.model.secret import Secret
from dbdoctor.watch.command_line import shown_command

SECRET = "hunter2/x@y;z"

HIDING = [
    ["python", "worker.py", f"postgresql://app:{SECRET}@db:5432/shop"],
    ["python", "worker.py", f"postgresql://db/shop?user=app&password={SECRET}&sslmode=require"],
    ["python", "worker.py", f"--dsn=postgresql+psycopg2://app:{SECRET}@db/shop"],
    ["python", "worker.py", "--password", SECRET],
    ["python", "worker.py", f"--password={SECRET}"],
    ["python", "worker.py", "--db-password", SECRET, "--queue", "mail"],
    ["python", "worker.py", "-password", SECRET],
    ["python", "worker.py", f"host=db password='{SECRET} more' user=app"],
    ["python", "worker.py", f"password = {SECRET}"],
    ["python", "worker.py", "password", "=", SECRET],
    ["python", "worker.py", f"DRIVER={{ODBC Driver 18}};SERVER=db;UID=app;PWD={{{SECRET}}}"],
    ["python", "worker.py", f"mssql+pyodbc:///?odbc_connect=SERVER%3Ddb%3BPWD%3D{SECRET}"],
    ["python", "worker.py", f"mssql+pyodbc:///?odbc_connect=SERVER%253Ddb%253BPWD%253D{SECRET}"],
    ["python", "worker.py", f"Server=db;User Id=app;Password={SECRET};Encrypt=true"],
    ["java", "-jar", "app.jar", f"jdbc:postgresql://db/shop?user=app&password={SECRET}"],
    ["java", f"-Dspring.datasource.password={SECRET}", "-jar", "app.jar"],
    ["env", f"PGPASSWORD={SECRET}", "python", "worker.py"],
    ["python", "-c", f"import psycopg2; psycopg2.connect('db', 'app', '{SECRET}')"],
    ["python", f"-cconnect('{SECRET}')"],
    ["env", "A=1", "/usr/bin/python3.11", "-u", "-c", f"connect('{SECRET}')"],
    ["bash", "-lc", f"run --secretly {SECRET}"],
    ["sh", "-ec", f"PGPASSWORD={SECRET} psql"],
    ["timeout", "5", "sh", "-c", f"login app {SECRET}"],
    ["perl", "-E", f"login('{SECRET}')"],
    ["psql", "-h", "db", "-c", f"ALTER ROLE app PASSWORD '{SECRET}'"],
    ["psql", f"--command=ALTER ROLE app PASSWORD '{SECRET}'"],
    ["mysql", f"-p{SECRET}", "shop"],
    ["sqlcmd", "-S", "db", "-U", "sa", "-P", SECRET],
    ["redis-cli", "-a", SECRET],
    ["curl", "-u", f"app:{SECRET}", "https://db"],
    ["curl", "-H", f"Authorization: Bearer {SECRET}"],
    ["worker", f'{{"host": "db", "password": "{SECRET}"}}'],
    ["worker", f"{{'api_key': '{SECRET}'}}"],
    ["worker", "--api-key", SECRET],
    ["worker", f"app:{SECRET}@db/shop"],
    ["sqlplus", f"scott/{SECRET}@db"],
    ["mysqladmin", "password", SECRET],
    [f"python worker.py postgresql://app:{SECRET}@db/shop", "", ""],
    [f"gunicorn: worker --password {SECRET}"],
    ["worker", f"AccountKey={SECRET}"],
    ["worker", f"postgresql://app:hunter2$password={SECRET}@db"],
    ["worker", f"app:hunter2$password={SECRET}@db"],
]


@pytest.mark.parametrize("arguments", HIDING, ids=lambda arguments: " ".join(arguments)[:40])
def test_no_secret_is_shown(arguments: list[str]) -> None:
    shown = shown_command(arguments)
    assert shown
    for part in ("hunter2", "x@y", "y;z", "%3Bz"):
        assert part not in shown, shown
    assert shown.split()[0].rstrip(":") == arguments[0].split()[0].rstrip(":")


@pytest.mark.parametrize(
    ("arguments", "shown"),
    [
        (
            ["/usr/bin/python3.11", "/srv/shop/worker.py", "--queue", "mail"],
            "python3.11 /srv/shop/worker.py --queue mail",
        ),
        (["python", "-m", "celery", "-A", "shop", "worker", "-c", "4"], "python -m celery -A shop worker -c 4"),
        (["uvicorn", "auth_service.main:app", "--workers", "2"], "uvicorn auth_service.main:app --workers 2"),
        (["node", "/srv/node_modules/@nestjs/cli/bin/nest.js"], "node /srv/node_modules/@nestjs/cli/bin/nest.js"),
        (["gunicorn: worker [shop]", "", ""], "gunicorn: worker [shop]"),
        (["python", "-u", "worker.py"], "python -u worker.py"),
        (["python", "-Wignore", "worker.py"], "python -Wignore worker.py"),
        (["worker", "postgresql://app@db:5432/shop"], "worker postgresql://app@db:5432/shop"),
        (["psql", "-h", "db", "-U", "app", "shop"], "psql -h db -U app shop"),
        (["worker", "--password", "x", "--queue", "mail"], "worker --password *** --queue mail"),
        (["worker", "sk_live_51Hq3Zk9aPqLw8ReTyUiOpAsD"], "worker sk_live_***"),
        ([], None),
        ([""], None),
    ],
)
def test_what_names_a_process_stays(arguments: list[str], shown: str | None) -> None:
    assert shown_command(arguments) == shown


def test_it_is_cut_after_it_was_masked() -> None:
    shown = shown_command(["python", "x" * 185, f"postgresql://app:{SECRET}@db/shop"])
    assert shown is not None
    assert len(shown) == 200
    assert "hunt" not in shown


def test_a_secret_that_dbdoctor_knows_is_masked_wherever_it_stands() -> None:
    Secret("correct horse")
    assert shown_command(["worker", "run", "correct horse"]) == "worker run ***"
