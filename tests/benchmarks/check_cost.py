"""What a healthy `check` costs beside a bare Typer command that imports psycopg2 and runs one query.

Run by hand: python -m tests.benchmarks.check_cost [DSN] [RUNS]. Without a DSN an embedded server is started.
Both commands run in turn, A B A B ..., on the same server; figures are user + system CPU of the whole process as the
kernel accounts it (wait4), and the ratio is taken pair by pair. Nothing is asserted.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

BARE = """
import psycopg2, typer
app = typer.Typer(rich_markup_mode=None, pretty_exceptions_enable=False)
@app.command()
def check(dsn: str) -> None:
    connection = psycopg2.connect(dsn)
    cursor = connection.cursor()
    cursor.execute("select version(), now()")
    print(cursor.fetchone())
app()
"""


def cpu_seconds(argv: list[str]) -> float:
    process = subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        raise SystemExit(f"{argv[0]} exited {process.returncode}")
    return usage.ru_utime + usage.ru_stime


def compare(dsn: str, runs: int) -> None:
    with tempfile.TemporaryDirectory() as directory:
        bare = Path(directory, "bare.py")
        bare.write_text(BARE)
        console_script = Path(sys.executable).parent / "dbdoctor"
        ours = [str(console_script), "check", "--no-config", dsn]
        once = [*ours, "--samples", "1"]
        peer = [sys.executable, str(bare), dsn]
        nothing = [sys.executable, "-c", "pass"]
        for argv in (ours, once, peer, nothing):
            cpu_seconds(argv)
        rows = [[cpu_seconds(argv) for argv in (peer, ours, once, nothing)] for _ in range(runs)]
    for name, column in (
        ("bare Typer command + psycopg2, one query", 0),
        ("dbdoctor check", 1),
        ("dbdoctor check --samples 1", 2),
        ("python -c pass", 3),
    ):
        figures = [row[column] * 1000 for row in rows]
        ratio = statistics.median(row[column] / row[0] for row in rows)
        print(f"{name:<42} {statistics.median(figures):6.0f} ms CPU (min {min(figures):.0f})   ratio {ratio:.2f}")


def main() -> None:
    runs = int(sys.argv[2]) if len(sys.argv) > 2 else 15
    if len(sys.argv) > 1 and sys.argv[1] != "demo":
        compare(sys.argv[1], runs)
        return
    from dbdoctor.demo.embedded import embedded_postgresql

    with embedded_postgresql() as target:
        endpoint = next(endpoint for endpoint in target.endpoints if not endpoint.is_socket)
        password = target.password.reveal() if target.password else ""
        compare(f"postgresql://{target.user}:{password}@{endpoint.shown}/{target.database}", runs)


if __name__ == "__main__":
    main()
