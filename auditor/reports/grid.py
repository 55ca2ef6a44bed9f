"""A table for a terminal of any width: no number and no name is broken over two lines.

Where the columns do not fit, texts wrap between words and paths lose their middle; where that is not enough either, a
row becomes a record of a line a cell.
"""

import re
from collections.abc import Iterator, Sequence

from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderResult
from rich.table import Table
from rich.text import Text

from auditor.text import shorten

GAP = 2
"""Blanks between two columns."""
SHORTEST_PATH = 24
"""Characters of a path that stay, at least."""
_PATH = re.compile(r"\S*/\S*")


class Grid:
    """Header and rows, laid out when they are printed."""

    def __init__(self, header: Sequence[str], rows: Sequence[Sequence[str]], *, numbers: bool = True) -> None:
        """A table.

        Args:
            header: The names of the columns.
            rows: The cells.
            numbers: Whether all columns but the first are aligned to the right.
        """
        self._header = header
        self._rows = rows
        self._numbers = numbers

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        columns = [[name, *(row[number] for row in self._rows)] for number, name in enumerate(self._header)]
        natural = [max(map(cell_len, cells)) for cells in columns]
        least = [max(map(_least, cells)) for cells in columns]
        room = options.max_width - GAP * (len(columns) - 1)
        if sum(natural) <= room:
            yield self._table(natural)
        elif sum(least) <= room:
            yield self._table(_widths(natural, least, room))
        else:
            yield from self._records(options.max_width)

    def _table(self, widths: Sequence[int]) -> Table:
        table = Table(box=None, pad_edge=False, padding=(0, GAP, 0, 0), header_style="bold")
        for number, (name, width) in enumerate(zip(self._header, widths, strict=True)):
            right = bool(number) and self._numbers
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


def _widths(natural: Sequence[int], least: Sequence[int], room: int) -> list[int]:
    """The widths of columns that need `least` and would fill `natural`: what is left is given from the first one on."""
    left = room - sum(least)
    widths = []
    for want, need in zip(natural, least, strict=True):
        more = min(want - need, left)
        left -= more
        widths.append(need + more)
    return widths


def _fitted(cell: str, width: int) -> str:
    """The cell with paths shortened that are wider than its column."""
    if cell_len(cell) <= width:
        return cell
    return _PATH.sub(lambda match: shorten(match[0], width), cell)
