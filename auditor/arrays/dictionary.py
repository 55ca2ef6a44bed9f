"""A column of a table of which few cells differ, kept as what occurs and where."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Generic, TypeVar, overload

import numpy as np
from numpy.typing import NDArray

T = TypeVar("T")

SMALL = 1 << 16
SAMPLE = 1000
FEW = 4
"""Cells that must share one entry, on an average, for its table to be worth its making."""


class Dictionary(Sequence[T], Generic[T]):
    """n cells: `of[at[row]]` each. To be read as a list is, and by who knows it column by column.

    of: what may occur; no two are the same. at: intp, shape (n,).
    """

    __slots__ = ("codes", "values")

    def __init__(self, of: Sequence[T], at: NDArray[np.intp]) -> None:
        self.values = of
        self.codes = at

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
        """For every row the one of `meanings`, of which there is one for each of `of`."""
        return list(map(meanings.__getitem__, self.codes.tolist()))

    def value_counts(self) -> list[tuple[T, int]]:
        """What occurs, in the order of the table, and how often."""
        sizes = np.bincount(self.codes, minlength=len(self.values)).tolist()
        return [(value, size) for value, size in zip(self.values, sizes, strict=True) if size]


def from_codes(codes: NDArray[Any], meaning: Callable[[int], T]) -> Dictionary[T]:
    """The meaning of each code (not negative), worked out once for each that occurs."""
    if int(codes.max(initial=0)) >= SMALL:
        occurs, at = np.unique(codes, return_inverse=True)
    else:  # counting takes a tenth of the time of sorting
        occurs = np.flatnonzero(np.bincount(codes, minlength=1))
        number = np.zeros(SMALL, np.intp)
        number[occurs] = np.arange(occurs.size)
        at = number[codes]
    return from_table([meaning(code) for code in occurs.tolist()], at)


def from_columns(columns: Sequence[NDArray[Any]], sizes: Sequence[int], meaning: Callable[..., T]) -> Dictionary[T]:
    """The meaning of each combination of codes that occurs. sizes: of each column, what all its codes are below."""
    combined = np.zeros(len(columns[0]), np.int64)
    for column, size in zip(columns, sizes, strict=True):
        combined *= size
        combined += column
    return from_codes(combined, lambda code: meaning(*map(int, np.unravel_index(code, sizes))))


def constant(cell: T, count: int) -> Dictionary[T]:
    """A column of one and the same cell."""
    return Dictionary([cell], np.zeros(count, np.intp))


def from_table(of: Sequence[T], at: NDArray[np.intp]) -> Dictionary[T]:
    """Coded of a table in which the same may stand twice."""
    table = encode(of)
    return Dictionary(table.values, table.codes[at])


def from_table_if_smaller(of: Sequence[T], at: NDArray[np.intp]) -> Sequence[T]:
    """merged() where few cells differ, else a list."""
    table = encode_if_smaller(of)
    if isinstance(table, Dictionary):
        return Dictionary(table.values, table.codes[at])
    if len(of) * FEW <= at.size + FEW:
        return from_table(of, at)
    return list(map(of.__getitem__, at.tolist()))


def encode(column: Sequence[T]) -> Dictionary[T]:
    """Any column, coded."""
    if isinstance(column, Dictionary):
        return column
    places = {cell: code for code, cell in enumerate(dict.fromkeys(column))}
    return Dictionary(list(places), np.fromiter(map(places.__getitem__, column), np.intp, len(column)))


def encode_if_smaller(column: Sequence[T]) -> Sequence[T]:
    """The column coded where few cells differ, to judge by its first ones."""
    if isinstance(column, Dictionary) or len(set(column[:SAMPLE])) * 2 > SAMPLE:
        return column
    made = encode(column)
    return made if len(made.values) * FEW <= len(column) + FEW else column


def with_cells(column: Dictionary[T], cells: Mapping[int, T]) -> Dictionary[T]:
    """The column with other cells in some rows."""
    if not cells:
        return column
    places = {cell: code for code, cell in enumerate(column.values)}
    at = column.codes.copy()
    at[list(cells)] = [places.setdefault(cell, len(places)) for cell in cells.values()]
    return Dictionary(list(places), at)
