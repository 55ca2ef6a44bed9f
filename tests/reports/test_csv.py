"""CSV in spreadsheets: no cell is a formula, whichever mark the file is split at; no id is a number."""

import csv
import io
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from auditor.audit.ids import tag, with_letter
from auditor.reports.csv import FORMULA, lines

TEXTS = st.lists(st.text("a;,|\t\n\r\"'=+-@1\uff1d\uff20", max_size=12), min_size=1, max_size=4)


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
@given(TEXTS)
def test_no_cell_is_a_formula_at_any_mark(delimiter: str, texts: list[str]) -> None:
    text = "".join(lines({"id": ["x"] * len(texts), "a": texts, "b": texts[::-1]}, frozenset()))
    for row in csv.reader(io.StringIO(text, newline=""), delimiter=delimiter):
        for cell in row:
            bare = cell.lstrip('"')
            assert not bare.startswith(tuple(set(FORMULA) - {"'"}))


@pytest.mark.parametrize("text", ["a;=1+1", "a|=1+1", "a\t=1+1", ";=1;+2;-3;@4", 'a;"=1"', "=1", "a;\uff1d1"])
def test_names_that_hide_a_formula(text: str) -> None:
    (_, line) = lines({"a": [text]}, frozenset())
    assert not re.search(r"""(^|[,;|\t])"*[=+\-@\uff1d]""", line)


def test_what_is_inert_is_as_it_was() -> None:
    """Sums of reports that were made before still hold."""
    assert list(lines({"a": ["user;password", "a|b", "b, c", "x=1"]}, frozenset())) == [
        "a\n", "user;password\n", "a|b\n", '"b, c"\n', "x=1\n",
    ]  # fmt: skip


@given(st.text(max_size=20))
def test_no_id_looks_like_a_number(name: str) -> None:
    assert tag(name)[0] in "abcdfghijklmnpqr"
    assert with_letter(tag(name)) == tag(name)


@pytest.mark.parametrize(("old", "new"), [("142162", "h42162"), ("cec7ea", "cec7ea"), ("e12345", "r12345")])
def test_ids_of_reports_made_before(old: str, new: str) -> None:
    assert with_letter(old) == new
