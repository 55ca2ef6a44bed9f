"""Dictionary-encoded columns: few distinct values, and a code for each row."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Generic, TypeVar, overload

import numpy as np
from numpy.typing import NDArray

T = TypeVar("T")

SMALL = 1 << 16
"""Codes below this are counted instead of sorted."""
SAMPLE = 1000
"""Leading cells that decide whether a column is worth encoding."""
FEW = 4
"""Cells that must share one value, on average, for the encoded column to be smaller."""


class Dictionary(Sequence[T], Generic[T]):
    """n cells, `values[codes[row]]` each: a list to most readers, two columns to those that know it."""

    __slots__ = ("codes", "values")
    values: Sequence[T]
    """The cells that may occur, all distinct."""
    codes: NDArray[np.intp]
    """Row by row, the index into `values`; shape (n,)."""

    def __init__(self, values: Sequence[T], codes: NDArray[np.intp]) -> None:
        self.values = values
        self.codes = codes

    def __len__(self) -> int:
        return self.codes.size

    @overload
    def __getitem__(self, row: int) -> T: ...
    @overload
    def __getitem__(self, row: slice) -> "Dictionary[T]": ...
    def __getitem__(self, row: int | slice) -> "T | Dictionary[T]":
        return Dictionary(self.values, self.codes[row]) if isinstance(row, slice) else self.values[self.codes[row]]

    def __iter__(self) -> Iterator[T]:
        return map(self.values.__getitem__, self.codes.tolist())

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sequence) and list(self) == list(other)

    __hash__ = None  # type: ignore[assignment]

    def map(self, meanings: Sequence[Any]) -> list[Any]:
        """The meaning of every row; `meanings` has one for each of `values`."""
        return list(map(meanings.__getitem__, self.codes.tolist()))

    def value_counts(self) -> list[tuple[T, int]]:
        """The values that occur, in the order of `values`, and how often."""
        sizes = np.bincount(self.codes, minlength=len(self.values)).tolist()
        return [(value, size) for value, size in zip(self.values, sizes, strict=True) if size]


def from_codes(codes: NDArray[Any], meaning: Callable[[int], T]) -> Dictionary[T]:
    """The meaning of each code (not negative), computed once for each that occurs."""
    if int(codes.max(initial=0)) >= SMALL:
        distinct, rows = np.unique(codes, return_inverse=True)
    else:  # counting takes a tenth of the time of sorting
        distinct = np.flatnonzero(np.bincount(codes, minlength=1))
        number = np.zeros(SMALL, np.intp)
        number[distinct] = np.arange(distinct.size)
        rows = number[codes]
    return from_table([meaning(code) for code in distinct.tolist()], rows)


def from_columns(columns: Sequence[NDArray[Any]], sizes: Sequence[int], meaning: Callable[..., T]) -> Dictionary[T]:
    """The meaning of each combination of codes that occurs.

    Args:
        columns: Codes (not negative), each of shape (n,).
        sizes: For each column, a bound that its codes are below.
        meaning: The cell of one combination.
    """
    combinations = np.zeros(len(columns[0]), np.int64)
    for column, size in zip(columns, sizes, strict=True):
        combinations *= size
        combinations += column
    return from_codes(combinations, lambda code: meaning(*map(int, np.unravel_index(code, sizes))))


def constant(cell: T, count: int) -> Dictionary[T]:
    """A column of `count` equal cells."""
    return Dictionary([cell], np.zeros(count, np.intp))


def from_table(values: Sequence[T], codes: NDArray[np.intp]) -> Dictionary[T]:
    """A column over `values` that need not be distinct."""
    table = encode(values)
    return Dictionary(table.values, table.codes[codes])


def from_table_if_smaller(values: Sequence[T], codes: NDArray[np.intp]) -> Sequence[T]:
    """from_table() where few cells differ, else a list."""
    table = encode_if_smaller(values)
    if isinstance(table, Dictionary):
        return Dictionary(table.values, table.codes[codes])
    if len(values) * FEW <= codes.size + FEW:
        return from_table(values, codes)
    return list(map(values.__getitem__, codes.tolist()))


def encode(column: Sequence[T]) -> Dictionary[T]:
    """Any column, encoded."""
    if isinstance(column, Dictionary):
        return column
    code_of = {cell: code for code, cell in enumerate(dict.fromkeys(column))}
    return Dictionary(list(code_of), np.fromiter(map(code_of.__getitem__, column), np.intp, len(column)))


def encode_if_smaller(column: Sequence[T]) -> Sequence[T]:
    """The column encoded where few cells differ, judging by the first SAMPLE."""
    if isinstance(column, Dictionary) or len(set(column[:SAMPLE])) * 2 > SAMPLE:
        return column
    dictionary = encode(column)
    return dictionary if len(dictionary.values) * FEW <= len(column) + FEW else column


def with_cells(column: Dictionary[T], cells: Mapping[int, T]) -> Dictionary[T]:
    """The column with these cells in their rows instead."""
    if not cells:
        return column
    code_of = {cell: code for code, cell in enumerate(column.values)}
    codes = column.codes.copy()
    codes[list(cells)] = [code_of.setdefault(cell, len(code_of)) for cell in cells.values()]
    return Dictionary(list(code_of), codes)
