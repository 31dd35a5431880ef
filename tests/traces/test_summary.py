import os
import random
import time

import pytest

from dbdoctor.model.holding import Frame
from dbdoctor.model.recorded_summary import SiteSummary, Summary, site_names
from dbdoctor.traces.spread import Spread
from dbdoctor.traces.summary import summarise
from tests.traces.files import BEGAN, Recording, frames, of_this_process, shop


def site(summary: Summary, function: str) -> SiteSummary:
    (found,) = [site for site in summary.sites if site.frame and site.frame.function == function]
    return found


def test_everything_that_befell_a_pool_is_told_by_line_of_code(tmp_path):
    summary = summarise([shop().write(tmp_path)])
    order, report = site(summary, "take_order"), site(summary, "report")
    assert [found.frame.function for found in summary.sites if found.frame][:2] == ["take_order", "sloppy"]
    assert (order.checkouts, order.out, order.out_overdue, order.use.count) == (2, 2, 2, 0)
    assert order.longest == order.longest_out == pytest.approx(98.99999)
    assert [(still.process, still.session, still.thread, still.at_least) for still in order.examples] == [
        (4711, 5001, "MainThread", False),
        (4711, 5002, "MainThread", False),
    ]
    assert (report.overdue, report.longest_overdue, report.out) == (1, 92.0, 0)
    assert report.returned_at == (Frame("/srv/app/shop.py", 50, "look"),)
    assert (site(summary, "sloppy").collected, site(summary, "sloppy").overdue) == (1, 0)
    look = site(summary, "look")
    assert (look.checkouts, look.timeouts, look.failures) == (200, 1, 1)
    assert look.use.mean == pytest.approx(0.02)
    assert look.use.p95 == pytest.approx(0.02, rel=0.01)
    assert look.wait.longest == 0.0001
    assert summary.checkouts == 204
    assert summary.began == BEGAN
    assert summary.until == pytest.approx(BEGAN + 100)


def test_a_timeout_tells_who_held_what(tmp_path):
    (group,) = summarise([shop().write(tmp_path)]).timeouts
    assert (group.count, group.held, group.wait) == (1, 3, 30.0)
    assert [(holder.frames[0].function, holder.most, holder.held) for holder in group.holders] == [
        ("take_order", 2, 90.0),
        ("report", 1, 3.0),
    ]
    assert [(where[0].function, times) for where, times in group.waiting] == [("look", 1)]


def test_timeouts_are_grouped_by_their_holders(tmp_path):
    recording = Recording().site(1, frames("a")).site(2, frames("b")).site(3, frames("c")).pool()
    for number in range(10):
        holders = [[1, 10 + number, 1, 9], [2 if number < 7 else 1, 5, 2, 9]]
        recording.say(timeout=number, pool=1, site=3, wait=7, thread=9, holders=holders, more=4)
    most, rest = summarise([recording.write(tmp_path)]).timeouts
    assert (most.count, len(most.holders), most.held) == (7, 2, 6)
    assert (rest.count, [(holder.most, holder.held) for holder in rest.holders]) == (3, [(2, 1.9e-05)])


def test_pools_and_what_befell_them(tmp_path):
    paths = [shop(process, began=BEGAN + process).write(tmp_path) for process in (1, 2)]
    (pool,) = summarise(paths).pools
    assert (pool.server, pool.processes, pool.pools, pool.opened, pool.overflow) == ("db1:5432/shop", 2, 2, 6, 2)
    assert (pool.settings.limit, pool.timeouts, pool.invalidated, pool.connect.mean) == (15, 2, 2, 0.02)
    assert pool.failures == pool.errors == (("OperationalError", 2),)


def test_the_same_site_of_several_processes_is_one_though_its_number_differs(tmp_path):
    one = Recording(1).site(1, frames("a")).site(2, frames("b")).row(0, 0, 5, 1).row(0, 0, 5, 2).end(9)
    other = Recording(2).site(7, frames("b")).row(0, 0, 11, 7).end(9)
    summary = summarise([one.write(tmp_path), other.write(tmp_path)])
    assert {found.frames[0].function: (found.checkouts, found.processes) for found in summary.sites} == {
        "a": (1, 1),
        "b": (2, 2),
    }


def test_a_site_that_was_never_defined_is_a_line_that_is_not_known(tmp_path):
    (found,) = summarise([Recording().row(0, 0, 5, 0).row(0, 0, 5, 77).write(tmp_path)]).sites
    assert (found.frames, found.frame, found.checkouts) == ((), None, 2)


def test_an_applications_own_line_is_shown_and_not_a_packages(tmp_path):
    deep = [["/venv/lib/python3.11/site-packages/sa_helper/x.py", 3, "q"], *frames("take_order")]
    (found,) = summarise([Recording().site(1, deep).row(0, 0, 5, 1).write(tmp_path)]).sites
    assert found.frame == Frame("/srv/app/shop.py", 12, "take_order")


def test_lines_shared_by_several_callers_are_told_apart():
    helper = Frame("/srv/db.py", 10, "get")
    one, other = (helper, Frame("/srv/shop.py", 1, "a")), (helper, Frame("/srv/shop.py", 2, "b"))
    names = site_names([one, other, (helper,), ()])
    assert names[one] == "srv/shop.py:1 a via get"
    assert names[other] == "srv/shop.py:2 b via get"
    assert names[helper,] == "srv/db.py:10 get"
    assert names[()] == "a line that is not known"


# --- what is still out


def test_what_a_killed_process_had_in_ordinary_use_is_no_leak(tmp_path):
    recording = Recording().site(1, frames("a")).open(1, 1_000_000, 1).open(2, 1_000_000, 1).row(61_500_000, 0, 5, 1)
    (found,) = summarise([recording.write(tmp_path)]).sites
    assert (found.out, found.in_use) == (2, 0)  # longer than leak_after
    recording = Recording().site(1, frames("a")).open(1, 60_000_000, 1).row(61_500_000, 0, 5, 1)
    summary = summarise([recording.write(tmp_path)])
    assert (summary.sites[0].out, summary.sites[0].in_use) == (0, 1)
    assert summary.processes[0].is_killed
    assert any("no orderly end is recorded" in note and "4711" in note for note in summary.notes)


def test_what_is_out_at_an_orderly_end_was_never_returned(tmp_path):
    (found,) = summarise([Recording().site(1, frames("a")).open(1, 10, 1).end(2_000_010).write(tmp_path)]).sites
    assert (found.out, found.out_overdue, found.in_use) == (1, 0, 0)
    assert found.longest_out == pytest.approx(1.99999)


def test_what_passed_leak_after_in_a_killed_process_is_told_with_at_least(tmp_path):
    recording = Recording(leak_after_seconds=600.0).site(1, frames("a")).open(1, 10, 1).say(held=1, at=0)
    (found,) = summarise([recording.write(tmp_path)]).sites
    assert found.examples[0].at_least
    assert found.longest_out == 600.0


def test_a_process_that_is_alive_holds_until_now(tmp_path):
    recording = of_this_process(began=time.time() - 100).site(1, frames("a")).open(1, 0, 1).open(2, 99_000_000, 1)
    path = recording.write(tmp_path)
    summary = summarise([path])
    (found,) = summary.sites
    assert (found.out, found.in_use) == (1, 1)
    assert found.longest_out >= 99
    assert not found.examples[0].at_least
    assert any("still running" in note for note in summary.notes)
    os.utime(path, (time.time() - 60, time.time() - 60))  # the recorder in it has stopped: nothing newer is known
    assert summarise([path]).sites[0].examples[0].at_least


# --- files


def test_parts_of_one_process_are_one_recording(tmp_path):
    first = Recording(part=1).site(1, frames("a")).pool().connection(1).open(1, 0, 1).open(2, 0, 1).row(0, 0, 5, 1)
    first.write(tmp_path, "4711-1.1.jsonl")
    second = Recording(part=2).site(1, frames("a")).pool().connection(1).open(1, 0, 1).say(held=1, at=0)
    second.say(closed=2, use=7, how="returned", site=None).row(9, 0, 5, 1).end(61_000_000)
    second.write(tmp_path, "4711-1.jsonl")
    summary = summarise([tmp_path])
    (found,) = summary.sites
    assert (found.checkouts, found.out, found.use.count) == (4, 1, 3)
    assert (summary.pools[0].opened, len(summary.processes), summary.unassigned) == (1, 1, 0)
    assert not any("overwritten" in note for note in summary.notes)


def test_what_was_overwritten_is_said(tmp_path):
    recording = Recording(part=3).site(1, frames("a")).say(closed=9, use=5, how="returned", site=None).row(0, 0, 5, 1)
    summary = summarise([recording.write(tmp_path)])
    assert summary.unassigned == 1
    assert any("the beginning was overwritten" in note for note in summary.notes)
    assert any("of 1 checkouts only the end is recorded" in note for note in summary.notes)


def test_an_open_checkout_that_a_later_part_does_not_tell_again_is_no_leak(tmp_path):
    Recording(part=1).site(1, frames("a")).open(1, 0, 1).write(tmp_path, "4711-1.1.jsonl")
    Recording(part=3).site(1, frames("a")).row(0, 0, 5, 1).end(99_000_000).write(tmp_path, "4711-1.jsonl")
    assert summarise([tmp_path]).sites[0].out == 0


def test_a_recording_named_twice_is_counted_once(tmp_path):
    path = shop().write(tmp_path)
    joined = shop().write(tmp_path, "joined.jsonl")
    summary = summarise([path, tmp_path, joined])
    assert (summary.checkouts, len(summary.processes)) == (204, 1)
    assert any("named twice" in note for note in summary.notes)


def test_what_is_missing_is_said(tmp_path):
    recording = Recording(sample=0.1).row(0, 0, 5, 0).say(lost=120, at=5).say(disabled="TypeError in hooks.py:40", at=6)
    recording.raw("{\n").row(0, 0, 5, 0).raw("[12,")
    notes = "\n".join(summarise([recording.write(tmp_path)]).notes)
    for words in (
        "only 10% of the checkouts were recorded",
        "120 finished checkouts were not written",
        "stopped itself (TypeError in hooks.py:40)",
        "1 line could not be read (4711-1763730000123456.jsonl line 5: not JSON)",
        "a file ends in the middle of a line",
    ):
        assert words in notes


def test_nothing_is_never_a_failure(tmp_path):
    assert summarise([]) == Summary()
    summary = summarise([tmp_path, tmp_path / "nowhere"])
    assert summary.processes == ()
    assert len(summary.notes) == 2


@pytest.mark.parametrize("seed", range(3))
def test_quantiles_are_within_one_per_cent(seed):
    draw = random.Random(seed)
    values = sorted(int(draw.paretovariate(1.1) * 50) for _ in range(5000))
    spread = Spread()
    for value in values:
        spread.add(value)
    for share in (0.5, 0.95, 0.99, 1.0):
        assert spread.quantile(share) == pytest.approx(values[max(0, round(share * 5000) - 1)], rel=0.012)
    assert (spread.count, spread.total, spread.longest) == (5000, sum(values), values[-1])


def test_memory_does_not_grow_with_checkouts(tmp_path):
    import tracemalloc

    def peak(rows: int) -> int:
        recording = Recording().site(1, frames("a"))
        path = recording.write(tmp_path, f"{rows}.jsonl")
        draw = random.Random(1)
        with path.open("a") as file:
            file.writelines(f"[{n},{draw.randrange(1 << 20)},{draw.randrange(1 << 24)},1,1,9]\n" for n in range(rows))
        tracemalloc.start()
        try:
            assert summarise([path]).checkouts == rows
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    assert peak(60_000) < 1.3 * peak(20_000) + 300_000


def test_lines_that_the_recorder_did_not_tell_apart_are_said_to_be(tmp_path):
    ordinary = Recording().site(1, frames("look")).pool().connection(1).row(1, 1, 1, 1).end(9)
    summary = summarise([ordinary.row(2, 1, 1, 0).write(tmp_path)])
    assert any("more lines of code than can be told apart" in note for note in summary.notes)
    assert not any("told apart" in note for note in summarise([shop(1).write(tmp_path)]).notes)
