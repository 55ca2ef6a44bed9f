"""Tables for a terminal of any width."""

import io

from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from auditor.reports.grid import Grid

HEADER = ["evidence", "values", "needed"]
ROWS = [["backups/2026/cluster-a/member-1/snapshot-000123.db", "1,234,567", "needed by 12 values, leftovers only"]]


def printed(width: int, header: list[str], rows: list[list[str]]) -> list[str]:
    return shown(width, Grid(header, rows))


def test_a_wide_one_has_a_line_a_row() -> None:
    assert printed(120, HEADER, ROWS)[1].split() == " ".join(ROWS[0]).split()


def test_a_narrower_one_shortens_paths_and_wraps_texts() -> None:
    lines = printed(60, HEADER, ROWS)
    assert lines[1].startswith("backups/2026/")
    assert "\u2026" in lines[1]
    assert "snapshot-000123.db" in lines[1]
    assert "1,234,567" in lines[1]
    assert len(lines) > 2


def test_a_narrow_one_has_a_line_a_cell() -> None:
    lines = printed(40, HEADER, ROWS)
    assert lines[0].startswith("evidence  backups/")
    assert lines[1] == "values    1,234,567"
    assert lines[2].startswith("needed    needed by 12")


@given(
    st.integers(20, 140),
    st.lists(st.lists(st.integers(0, 10**9).map("{:,}".format), min_size=3, max_size=3), min_size=1, max_size=4),
)
def test_no_number_is_broken_at_any_width(width: int, rows: list[list[str]]) -> None:
    words = " ".join(printed(width, ["a", "b", "c"], rows)).split()
    for row in rows:
        assert set(row) <= set(words)


def test_a_narrower_one_does_without_optional_columns_before_texts_wrap() -> None:
    grid = Grid(HEADER, ROWS, optional=("needed", "values"))
    assert shown(60, grid)[0].split() == ["evidence", "values"]
    assert shown(40, grid)[0].split() == ["evidence"]
    assert shown(120, grid)[0].split() == HEADER


def test_another_table_takes_the_place_of_one_that_does_not_fit() -> None:
    wide = [str(number) * 9 for number in range(9)]
    assert shown(60, Grid(wide, [wide], instead=Grid(["brief"], [["all of it"]]))) == ["brief", "all of it"]


def shown(width: int, grid: Grid) -> list[str]:
    out = io.StringIO()
    Console(file=out, width=width, highlight=False).print(grid)
    return [line.rstrip() for line in out.getvalue().splitlines()]
