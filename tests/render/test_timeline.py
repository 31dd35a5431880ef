"""Sessions over time in a bounded number of moments: nothing that was high is lost, and a gap stays a gap."""

from __future__ import annotations

import itertools

import pytest

from dbdoctor.history import History
from dbdoctor.history.timeline import Timeline, merged
from dbdoctor.model.leaks import GroupKey
from dbdoctor.model.report import Moment, Span
from dbdoctor.model.server import Slots
from dbdoctor.model.session import Session
from dbdoctor.model.snapshot import Gap, Snapshot

WEB = GroupKey("web", "app", "shop", "10.0.0.1", None)


def session(number: int) -> Session:
    return Session(
        number, 1.0, "app", "shop", "web", "10.0.0.1", 5000 + number, "idle", 1.0, None, 1.0, None, False, None
    )


def watched(counts: list[int | None]) -> Timeline:
    history, timeline = History(), Timeline()
    for at, count in enumerate(counts):
        if count is None:
            history.gap(Gap(float(at), at + 1.0, "asleep"))
            timeline.gap()
            continue
        snapshot = Snapshot(float(at), tuple(session(n) for n in range(count)), Slots(100, 3, count))
        history.add(snapshot)
        timeline.add(snapshot, history)
    return timeline


def test_each_sample_is_a_moment_while_there_is_room():
    moments = watched([1, 2, 3]).moments
    assert [moment.groups[WEB] for moment in moments if moment] == [Span(1, 1), Span(2, 2), Span(3, 3)]
    assert [moment.slots for moment in moments if moment] == [Span(1, 1), Span(2, 2), Span(3, 3)]


@pytest.mark.parametrize("samples", [239, 240, 241, 500, 1000, 1921])
def test_a_long_watch_keeps_few_moments_and_every_peak(samples: int):
    counts: list[int | None] = [2] * samples
    counts[samples // 3] = 40
    moments = [moment for moment in watched(counts).moments if moment]
    assert 100 <= len(moments) <= 241
    assert max(moment.groups[WEB].most for moment in moments) == 40
    assert min(moment.groups[WEB].least for moment in moments) == 2
    assert moments[0].since == 0
    assert moments[-1].until == samples - 1
    assert all(first.until < second.since for first, second in itertools.pairwise(moments))


def test_a_gap_is_no_drop_and_stays_when_moments_are_put_together():
    timeline = watched([2] * 100 + [None, None] + [3] * 400)
    assert timeline.moments.count(None) == 1
    before = timeline.moments[: timeline.moments.index(None)]
    assert {moment.groups[WEB] for moment in before if moment} == {Span(2, 2)}


def test_a_group_that_ends_was_there():
    moment = merged(Moment(0, 1, {WEB: Span(3, 4)}), Moment(2, 3, {}))
    assert moment == Moment(0, 3, {WEB: Span(0, 4)})
