"""However a simulation ends, nothing of it is left: no process, no session, no file."""

from __future__ import annotations

import random
import signal
import time
from concurrent.futures import ThreadPoolExecutor

from tests.servers.cli import Result, start_dbdoctor

# Half a second of it is Python starting up, a second the fault waits, and the requests hang for two.
_LASTS = 5.0
_AT_ONCE = 8
_ARGUMENTS = (
    "--yes",
    "--idle",
    "1s",
    "--cap",
    "2s",
    "--workers",
    "4",
    "--drop",
    "silent-drop,closed",
    "--pool",
    "default,pre-ping",
)


def _interrupted(dsn: str, after: float, number: signal.Signals, *, group: bool) -> Result:
    with start_dbdoctor("simulate-timeout", dsn, *_ARGUMENTS) as running:
        time.sleep(after)  # the moment is the point: any will do
        running.send_signal(number, group=group)  # no matter if it has ended: nobody has waited for it yet
        return running.finish(30)


def _sessions(postgres) -> int:
    return int(postgres.execute("SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE 'dbdoctor%'")[0][0])


def _none_left(postgres, seconds: float = 10.0) -> bool:
    end = time.monotonic() + seconds
    while _sessions(postgres):
        if time.monotonic() > end:
            return False
        time.sleep(0.05)
    return True


def test_interrupted_at_any_moment_it_leaves_nothing_behind(start_postgres):
    postgres = start_postgres(settings={"max_connections": 200})
    seed = random.randrange(1 << 32)
    chance = random.Random(seed)
    moments = [chance.uniform(0, _LASTS) for _ in range(50)]
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        results = list(
            pool.map(
                lambda after: _interrupted(
                    postgres.dsn(), after, signal.SIGINT if after < _LASTS / 2 else signal.SIGTERM, group=True
                ),
                moments,
            )
        )
    for moment, result in zip(moments, results, strict=True):
        said = f"after {moment:.2f} s (seed {seed}): {result.stdout[-500:]} {result.stderr[-500:]}"
        assert result.exit_code in {130, 0, 1, -signal.SIGINT, -signal.SIGTERM}, said
        assert not result.outlived_by, said
        assert not result.left_behind, said
        # Python's own start, and its imports before main(), are not ours to interrupt well.
        assert "Traceback" not in result.stderr or ", in main\n" not in result.stderr, said
    assert any(result.exit_code == 130 for result in results)
    assert _none_left(postgres), "sessions were left on the server"
