"""What is told of a trial holds no secret, whatever the driver says."""

from __future__ import annotations

import pytest

from dbdoctor.model.secret import Secret
from dbdoctor.model.trial import PoolPlan
from dbdoctor.trials.orders import TrialOrder
from tests.trials.simulating import simulate

pytestmark = pytest.mark.timeout(180)


def test_a_secret_in_the_drivers_words_is_masked(postgres):
    Secret("hunter2hunter2")
    # libpq quotes what it cannot use.
    pool = PoolPlan("wrong", "", connect_args={"sslmode": "hunter2hunter2"})
    found = simulate(postgres.dsn(), [TrialOrder(0, "closed", 1.0, pool, 3.0)])
    (record,) = found.records.values()
    assert record.broken is not None
    assert record.broken.startswith("the application's pool could not be filled: ")
    assert "sslmode" in record.broken
    assert "hunter2" not in str(record)
    assert record.requests == ()
