"""Tables: dataclasses whose arrays have one row in common."""

from collections.abc import Sequence
from dataclasses import Field, replace
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from auditor.arrays.dtypes import Bools, Ints


class Columns:
    """Mixin of a dataclass: its arrays are the columns; any other field (a buffer, a name) belongs to all rows.

    The last axis of every array is the rows'. An absent column is None in its field.
    """

    __slots__ = ()
    __dataclass_fields__: ClassVar[dict[str, Field[Any]]]

    def __len__(self) -> int:
        cells = (getattr(self, name) for name in self.__dataclass_fields__)
        return int(next(cell.shape[-1] for cell in cells if isinstance(cell, np.ndarray)))

    def columns(self) -> dict[str, NDArray[Any]]:
        """The arrays by field, in the order of the fields."""
        cells = ((name, getattr(self, name)) for name in self.__dataclass_fields__)
        return {name: cell for name, cell in cells if isinstance(cell, np.ndarray)}

    def take(self, rows: Ints | Bools | slice) -> Self:
        """The same table with only these rows."""
        return replace(self, **{name: _take(column, rows) for name, column in self.columns().items()})

    @classmethod
    def concatenate(cls, parts: Sequence[Self]) -> Self:
        """Tables of the same columns as one, with the buffer and names of the first. A single table is not copied."""
        first = parts[0]
        if len(parts) == 1:
            return first
        tables = [part.columns() for part in parts]
        names = tables[0]
        return replace(first, **{name: np.concatenate([table[name] for table in tables], axis=-1) for name in names})


def _take(column: NDArray[Any], rows: Ints | Bools | slice) -> NDArray[Any]:
    cells: NDArray[Any] = column[rows] if column.ndim == 1 else column[..., rows]
    return cells
