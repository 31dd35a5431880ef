"""Packets are lost for real, by whoever runs it; where nobody lets us, what needs it is not tried, and says so."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from dbdoctor.model.trial import PoolPlan
from dbdoctor.trials.orders import TrialOrder
from tests.servers.workspace import is_root
from tests.trials.simulating import simulate

pytestmark = pytest.mark.timeout(180)

POOL = PoolPlan("user-timeout", "", connect_args={"tcp_user_timeout": 1000})
TRIALS = [TrialOrder(number, fault, 1.0, POOL, 4.0) for number, fault in enumerate(("silent-drop", "closed"))]

# Without any capability root may not drop packets, nor be root in a namespace of its own.
WITHOUT = """
import json, sys
from tests.trials.test_silence import TRIALS
from tests.trials.simulating import simulate
found = simulate(sys.argv[1], TRIALS)
told = [(one.fault, one.broken, [request.error and request.error.message for request in one.requests])
        for one in found.records.values()]
print(json.dumps([found.silence, told]))
"""


def test_packets_are_lost_in_a_network_of_its_own(postgres):
    found = simulate(postgres.dsn(), TRIALS, private=True)
    assert found.silence
    silent = found.records["silent-drop", POOL.name]
    (first, second) = silent.requests
    assert first.error is not None
    assert first.error.message == "could not receive data from server: Connection timed out"
    assert first.seconds is not None
    assert first.seconds > 0.9
    assert second.error is None
    assert silent.ghosts is not None
    assert len(silent.ghosts) == 1
    assert found.records["closed", POOL.name].requests[0].error is not None


def test_without_the_right_to_drop_packets_only_what_needs_it_is_not_tried(postgres):
    # An ordinary user has no such right to give up, so it is root of a namespace that it gives it up in.
    inside = [] if is_root() else ["unshare", "--user", "--map-root-user"]
    without = [*inside, "setpriv", "--bounding-set=-all", "--inh-caps=-all"]
    done = subprocess.run(
        [*without, sys.executable, "-c", WITHOUT, postgres.dsn()], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    silence, told = json.loads(done.stdout)
    assert silence is False
    by_fault = {fault: (broken, errors) for fault, broken, errors in told}
    broken, errors = by_fault["silent-drop"]
    assert broken.startswith("not testable here, because this user may not drop packets")
    assert "run with `sudo`" in broken
    assert errors == []
    assert by_fault["closed"] == (None, ["server closed the connection unexpectedly", None])
