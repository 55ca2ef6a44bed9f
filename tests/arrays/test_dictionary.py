"""Dictionary-encoded columns: what several columns of codes mean together, and how often each occurs."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from auditor.arrays.dictionary import from_columns
from auditor.arrays.parallel import split_by

CODES = st.lists(st.tuples(st.integers(0, 8191), st.integers(0, 8), st.booleans()), max_size=40)


@given(CODES)
@settings(deadline=None, max_examples=80)
def test_several_columns_of_codes_mean_what_their_rows_say(rows: list[tuple[int, int, bool]]) -> None:
    columns = (
        np.array([first for first, _, _ in rows], np.uint16),
        np.array([second for _, second, _ in rows], np.uint8),
        np.array([third for _, _, third in rows], np.bool_),
    )
    cells = from_columns(columns, (8192, 9, 2), lambda *codes: codes)
    assert list(cells) == [tuple(map(int, row)) for row in rows]
    assert dict(cells.value_counts()) == {cell: list(cells).count(cell) for cell in cells}


@given(st.lists(st.integers(0, 5), max_size=40))
@settings(deadline=None, max_examples=80)
def test_rows_are_split_by_their_codes(codes: list[int]) -> None:
    split = [(code, rows.tolist()) for code, rows in split_by(np.array(codes, np.int64))]
    expected = [(code, [row for row, own in enumerate(codes) if own == code]) for code in sorted(set(codes))]
    assert split == expected
