"""What the recorder costs a checkout and its checkin, beside what others do there.

Run by hand: python -m tests.benchmarks.recorder_cost [STACK DEPTH] [ROUNDS]. The peers are OpenTelemetry's SQLAlchemy
instrumentation (`pip install --group benchmarks`), a listener that walks the whole stack, and one that calls
`traceback.extract_stack`. Each runs in a process of its own, which first measures itself bare; so the difference is the
peer's alone. CPU of the whole process, the recorder's thread included, from the checkout to what it has written; a round is
20,000 pairs and the figure is the median of the rounds. Then: how many blocks of memory are left after the last write that
were not there before. Nothing is asserted.
"""

from __future__ import annotations

import gc
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from typing import Any

PAIRS = 20_000
PEERS = ("nothing", "dbdoctor", "walk", "extract_stack", "opentelemetry")


def deep(depth: int, work: Callable[[], float]) -> float:
    """Run the work so many frames of the application deeper."""
    return deep(depth - 1, work) if depth else work()


def made_engine() -> Any:
    from sqlalchemy import create_engine
    from sqlalchemy.pool import QueuePool

    return create_engine("sqlite://", poolclass=QueuePool, connect_args={"check_same_thread": False})


def install_dbdoctor(_engine: Any) -> Callable[[], None]:
    from dbdoctor.recorder.recorder import Settings
    from dbdoctor.recorder.start import start

    recording = start(Settings(tempfile.mkdtemp(prefix="recorder-cost-")))
    return recording.writer.flush


def install_walk(engine: Any) -> Callable[[], None]:
    from sqlalchemy import event

    @event.listens_for(engine, "checkout")
    def checkout(_connection: Any, record: Any, _fairy: Any) -> None:
        frame, lines = sys._getframe(1), []
        while frame is not None:
            lines.append((frame.f_code.co_filename, frame.f_lineno))
            frame = frame.f_back  # type: ignore[assignment] # None ends the loop
        record.info["taken"] = time.perf_counter(), lines

    return _at_checkin(engine)


def install_extract_stack(engine: Any) -> Callable[[], None]:
    import traceback

    from sqlalchemy import event

    @event.listens_for(engine, "checkout")
    def checkout(_connection: Any, record: Any, _fairy: Any) -> None:
        record.info["taken"] = time.perf_counter(), traceback.extract_stack()

    return _at_checkin(engine)


def _at_checkin(engine: Any) -> Callable[[], None]:
    from sqlalchemy import event

    @event.listens_for(engine, "checkin")
    def checkin(_connection: Any, record: Any) -> None:
        record.info.pop("taken", None)

    return lambda: None


def install_opentelemetry(engine: Any) -> Callable[[], None]:
    from opentelemetry import metrics
    from opentelemetry.instrumentation.sqlalchemy import SQLAlchemyInstrumentor
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.metrics.export import InMemoryMetricReader

    metrics.set_meter_provider(MeterProvider(metric_readers=[InMemoryMetricReader()]))
    # It does not know SQLAlchemy 2.1 yet, though it works with it.
    SQLAlchemyInstrumentor().instrument(engine=engine, skip_dep_check=True)
    return lambda: None


def one_round(engine: Any, write: Callable[[], None]) -> float:
    """Microseconds of CPU for a pair."""
    take = engine.raw_connection
    started = time.process_time()
    for _ in range(PAIRS):
        take().close()
    write()
    return (time.process_time() - started) / PAIRS * 1e6


def blocks_left(engine: Any, write: Callable[[], None]) -> float:
    """Blocks of memory for each of many pairs that are still there after everything is written."""
    for _ in range(2):  # the first fills the caches
        write()
        gc.collect()
        before = sys.getallocatedblocks()
        one_round(engine, write)
        gc.collect()
    return (sys.getallocatedblocks() - before) / PAIRS


def child(peer: str, depth: int, rounds: int) -> None:
    engine = made_engine()
    bare = [deep(depth, lambda: one_round(engine, lambda: None)) for _ in range(rounds)]
    write: Callable[[], None] = lambda: None  # noqa: E731
    if peer != "nothing":
        write = globals()[f"install_{peer}"](engine)
    loaded = [deep(depth, lambda: one_round(engine, write)) for _ in range(rounds)]
    left = deep(depth, lambda: blocks_left(engine, write))
    print(f"{statistics.median(bare):.3f} {statistics.median(loaded):.3f} {left:.5f}")


def main() -> None:
    depth, rounds = (int(given) for given in (*sys.argv[1:3], *("40", "9")[len(sys.argv) - 1 :]))
    print(
        f"{'':16}{'bare':>9}{'with it':>9}{'added':>9}   µs of CPU a pair, {depth} frames deep, median of {rounds} rounds"
    )
    added = {}
    for peer in PEERS:
        command = [sys.executable, "-m", "tests.benchmarks.recorder_cost", "--child", peer, str(depth), str(rounds)]
        out = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        bare, loaded, left = (float(number) for number in out.split())
        added[peer] = loaded - bare
        print(f"{peer:16}{bare:9.2f}{loaded:9.2f}{loaded - bare:9.2f}   {left:.5f} blocks left a pair")
    ours = added["dbdoctor"]
    print("as many times as dbdoctor: " + ", ".join(f"{peer} {added[peer] / ours:.1f}" for peer in PEERS[2:]))


if __name__ == "__main__":
    if sys.argv[1:2] == ["--child"]:
        child(sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
    else:
        main()
