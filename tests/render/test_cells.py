"""Cells are exactly as wide as they are said to be, whatever they hold."""

from __future__ import annotations

import pytest
from rich.cells import cell_len

from dbdoctor.render.cells import fitted, plain, shorten, spark, width
from dbdoctor.render.columns import Column, lay_out
from tests.render.hostile import HOSTILE, harmful


def test_a_name_of_letters_is_left_as_it_is() -> None:
    for name in ("checkout-api", "größe", "数据库", "Ελλάδα", "ไทย", "😀 ok"):
        assert plain(name) == name


def test_every_letter_is_as_wide_as_a_terminal_library_says() -> None:
    different = []
    for number in [*range(0x20000), *range(0x20000, 0x110000, 97)]:
        shown = plain(f"a{chr(number)}b")
        if width(shown) != cell_len(shown) or harmful(shown):
            different.append(hex(number))
    assert different == []


@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.parametrize("unicode", [True, False])
@pytest.mark.parametrize("columns", [1, 2, 3, 9, 16, 200])
def test_a_cell_has_its_width(name: str, columns: int, unicode: bool) -> None:
    cell = fitted(plain(HOSTILE[name], unicode=unicode), columns, unicode=unicode)
    assert width(cell) == cell_len(cell) == columns
    assert harmful(cell) == ""
    cell.encode("utf-8" if unicode else "ascii")


def test_what_is_cut_says_so() -> None:
    assert shorten("checkout-api", 12) == "checkout-api"
    assert shorten("checkout-api", 8) == "checkou…"
    assert shorten("checkout-api", 8, unicode=False) == "checkou~"
    assert shorten("数据库", 4) == "数…"
    assert shorten("checkout-api", 0) == ""


def test_accents_do_not_pile_up() -> None:
    assert plain("a" + "\u0301" * 40) == "á\u0301\u0301"
    assert plain("\u0301\u0302") == ""


@pytest.mark.parametrize(
    ("counts", "expected", "ascii_only"),
    [
        ((5, 5, 5, 5), "▁▁▁▁", "...."),
        ((0, 0), "▁▁", ".."),
        ((2, 4, 8, 14), "▁▂▄▇", "..:|"),
        ((14, 2), "▇▁", "|."),
        ((100, 101), "▁▁", ".."),
        ((1, None, 7), "▁·▇", ".?|"),
        ((None, None), "··", "??"),
        ((), "", ""),
    ],
)
def test_a_history(counts: tuple[int | None, ...], expected: str, ascii_only: str) -> None:
    assert spark(counts, 10) == expected
    assert spark(counts, 10, unicode=False) == ascii_only


def test_a_long_history_keeps_its_peaks_and_its_gaps() -> None:
    assert spark([0, 9, 0, 0, None, 0, 0, 0], 4) == "▇▁·▁"
    assert len(spark(range(60), 16)) == 16


COLUMNS = (
    Column("name", "name", good=8, least=4),
    Column("count", "count", right=True),
    Column("extra", "extra", luxury=12),
    Column("more", "more", luxury=1),
    Column("none", "none"),
)
ROWS = [["a-long-name-indeed", "7", "some extra", "more", ""], ["b", "12", "", "m", ""]]


@pytest.mark.parametrize(
    ("room", "expected"),
    [
        (80, ["name                count  extra       more", "a-long-name-indeed      7  some extra  more"]),
        (40, ["name             count  extra       more", "a-long-name-in…      7  some extra  more"]),
        (25, ["name          count  more", "a-long-name…      7  more"]),
        (17, ["name  count  more", "a-l…      7  more"]),
        (11, ["name  count", "a-l…      7"]),
    ],
)
def test_columns_fit_the_room(room: int, expected: list[str]) -> None:
    table = lay_out(COLUMNS, ROWS, room)
    lines = ["".join(table.line(cells)).rstrip() for cells in ([column.title for column in COLUMNS], ROWS[0])]
    assert lines == expected
