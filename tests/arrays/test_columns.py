"""Tables: rows are taken and put together column by column, what is no column stays."""

from dataclasses import dataclass

import numpy as np
import pytest

from auditor.arrays.columns import Columns
from auditor.arrays.dtypes import Bools, Ints


@dataclass(frozen=True, slots=True)
class Table(Columns):
    name: str
    number: Ints
    wide: Ints
    absent: Ints | None = None


def table(name: str, *numbers: int) -> Table:
    number = np.array(numbers, np.int64)
    return Table(name=name, number=number, wide=np.stack((number, -number)))


@pytest.mark.parametrize("rows", [np.array([2, 0]), np.array([True, False, True, False]), slice(1, 3)], ids=repr)
def test_rows_are_taken_from_every_column(rows: Ints | Bools | slice) -> None:
    numbers = np.arange(4)[rows].tolist()
    taken = table("a", 0, 1, 2, 3).take(rows)
    assert (taken.name, taken.absent, len(taken)) == ("a", None, len(numbers))
    assert taken.number.tolist() == numbers
    assert taken.wide.tolist() == [numbers, [-each for each in numbers]]


def test_tables_are_put_together_in_their_order() -> None:
    whole = Table.concatenate([table("a", 1, 2), table("b"), table("c", 3)])
    assert (whole.name, len(whole)) == ("a", 3)
    assert whole.wide.tolist() == [[1, 2, 3], [-1, -2, -3]]


def test_a_single_table_is_not_copied() -> None:
    alone = table("a", 1)
    assert Table.concatenate([alone]) is alone
