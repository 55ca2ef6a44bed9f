"""A table for a terminal of any width: no number and no name is broken over two lines.

Where the columns do not fit, paths lose their middle and columns are dropped that other reports have; then texts wrap
between words; then another table of the same takes its place, or a row becomes a record of a line a cell.
"""

import re
from collections.abc import Collection, Iterator, Sequence

from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderResult
from rich.table import Table
from rich.text import Text

from auditor.text import shorten

GAP = 2
"""Blanks between two columns."""
SHORTEST_PATH = 24
"""Characters of a path that stay, at least."""
LEGIBLE_PATH = 40
"""Characters that tell most paths from others."""
_PATH = re.compile(r"\S*/\S*")


class Grid:
    """Header and rows, laid out when they are printed."""

    def __init__(
        self,
        header: Sequence[str],
        rows: Sequence[Sequence[str]],
        *,
        texts: Collection[str] | None = None,
        optional: Sequence[str] = (),
        instead: "Grid | None" = None,
    ) -> None:
        """A table.

        Args:
            header: The names of the columns.
            rows: The cells.
            texts: Columns behind the first one that are no numbers, and so not aligned to the right; None for all.
            optional: Columns that are dropped where the table does not fit, the first one first.
            instead: What is printed where it does not fit even so, in place of records.
        """
        self._header = header
        self._rows = rows
        self._texts = header if texts is None else texts
        self._optional = optional
        self._instead = instead

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        columns = [[name, *(row[number] for row in self._rows)] for number, name in enumerate(self._header)]
        natural = [max(map(cell_len, cells)) for cells in columns]
        least = [max(map(_least, cells)) for cells in columns]
        room = options.max_width - GAP * (len(columns) - 1)
        legible = [
            min(width, LEGIBLE_PATH) if any(map(_is_path, cells)) else width
            for width, cells in zip(natural, columns, strict=True)
        ]
        if sum(natural) <= room:
            yield self._table(natural)
        elif self._optional and sum(legible) > room:
            yield self.without(self._optional[:1])
        elif sum(least) <= room:
            yield self._table(_widths(least, room, legible, natural))
        elif self._instead is not None:
            yield self._instead
        else:
            yield from self._records(options.max_width)

    def without(self, names: Sequence[str]) -> "Grid":
        """The table without some of its columns."""
        kept = [number for number, name in enumerate(self._header) if name not in names]
        return Grid(
            [self._header[number] for number in kept],
            [[row[number] for number in kept] for row in self._rows],
            texts=self._texts,
            optional=[name for name in self._optional if name not in names],
            instead=self._instead,
        )

    def _table(self, widths: Sequence[int]) -> Table:
        table = Table(box=None, pad_edge=False, padding=(0, GAP, 0, 0), header_style="bold")
        for number, (name, width) in enumerate(zip(self._header, widths, strict=True)):
            right = bool(number) and name not in self._texts
            # the gap behind the last column is none of the line's
            table.add_column(Text(name), justify="right" if right else "left", overflow="fold", width=width)
        for row in self._rows:
            table.add_row(*(Text(_fitted(cell, width)) for cell, width in zip(row, widths, strict=True)))
        return table

    def _records(self, width: int) -> Iterator[Text]:
        """A line a cell that is not empty, its column's name before it; a blank line between two rows."""
        label = max(map(cell_len, self._header))
        for number, row in enumerate(self._rows):
            if number:
                yield Text()
            for name, cell in zip(self._header, row, strict=True):
                if cell:
                    room = max(width - label - GAP, SHORTEST_PATH)
                    yield Text(f"{name}{' ' * (label - cell_len(name) + GAP)}{_fitted(cell, room)}")


def _least(cell: str) -> int:
    """The width that a cell needs: that of its longest word, of a path less."""
    widths = (min(cell_len(word), SHORTEST_PATH) if _PATH.fullmatch(word) else cell_len(word) for word in cell.split())
    return max(widths, default=0)


def _is_path(cell: str) -> bool:
    return _PATH.fullmatch(cell) is not None


def _widths(least: Sequence[int], room: int, *wanted: Sequence[int]) -> list[int]:
    """The widths of columns that need `least`: what is left is given from the first column on, up to each `wanted`."""
    left = room - sum(least)
    widths = list(least)
    for wants in wanted:
        for number, want in enumerate(wants):
            more = max(min(want - widths[number], left), 0)
            left -= more
            widths[number] += more
    return widths


def _fitted(cell: str, width: int) -> str:
    """The cell with paths shortened that are wider than its column."""
    if cell_len(cell) <= width:
        return cell
    return _PATH.sub(lambda match: shorten(match[0], width), cell)
