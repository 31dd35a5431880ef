"""What a suspension and a standstill look like."""

from __future__ import annotations

import pytest

from dbdoctor.measure import clocks


def test_a_suspension_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    apart = 100.0
    monkeypatch.setattr(clocks, "_apart", lambda: apart)
    seen = clocks.Clocks()
    seen.will_wait(1.0)
    assert seen.disturbance() is None
    apart = 700.0
    assert seen.disturbance() == "this machine was suspended for 600 s"
    assert seen.disturbance() is None


def test_a_standstill_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 50.0
    monkeypatch.setattr("dbdoctor.measure.clocks.time.monotonic", lambda: now)
    monkeypatch.setattr(clocks, "_apart", lambda: 0.0)
    seen = clocks.Clocks()
    seen.will_wait(1.0)
    now = 51.5
    assert seen.disturbance() is None
    now = 60.0
    assert seen.disturbance() == "this process stood still for 9 s"
