"""Tables and plain values inside a page, as JSON in which no name is markup.

A column is the list of its cells or, where few differ, a dictionary: `of` holds its values and `at` the code of each
cell (absent where all are the same). 50,000 findings take a few bytes a cell, and no time to read.
"""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from itertools import repeat
from operator import length_hint
from typing import Any

from auditor.arrays.dictionary import Dictionary, encode_if_smaller
from auditor.model.findings import Cell
from auditor.model.table import NUMBERS

EXACT = (1 << 53) - 1
"""The largest integer that JavaScript keeps exactly; larger ones are written as text."""
FINDINGS = re.compile(rb'<script type="application/json" id="findings">(.*?)</script>', re.DOTALL)


def text(value: Any) -> str:
    """Compact JSON in ASCII, without `<`: inside a script element nothing in it is markup."""
    return json.dumps(value, separators=(",", ":"), ensure_ascii=True).replace("<", "\\u003c")


def script(name: str, value: Any) -> str:
    """A script element that holds a plain value."""
    return f'<script type="application/json" id="{name}">{text(value)}</script>\n'


def column(name: str, cells: Sequence[Cell], numbers: frozenset[str] = NUMBERS) -> str:
    """A column as JSON. numbers: the columns of numbers."""
    dictionary = encode_if_smaller(cells)
    if isinstance(dictionary, Dictionary) and (name not in numbers or all(map(_exact, dictionary.values))):
        if len(dictionary.values) < 2 or not len(dictionary):
            return text({"of": list(dictionary.values)[: len(dictionary)], "count": len(dictionary)})
        codes = ",".join(dictionary.map(list(map(str, range(len(dictionary.values))))))
        return f'{{"of":{text(list(dictionary.values))},"at":[{codes}]}}'
    if name not in numbers:
        return text(list(cells))
    if set(map(type, cells)) == {int} and _exact(max(cells, key=int)):
        return f"[{_join(cells)}]"
    return text([cell if _exact(cell) else str(cell) for cell in cells])


def _exact(cell: Cell) -> bool:
    """Whether JavaScript keeps the cell exactly."""
    return isinstance(cell, str) or cell <= EXACT


def _join(numbers: Iterable[Cell]) -> str:
    """Numbers as by json.dumps(), in half of its time."""
    return ",".join(map(str, numbers))


def findings(columns: Mapping[str, str]) -> str:
    """One line a column() each, in their order."""
    parts = ['<script type="application/json" id="findings">{']
    for name, cells in columns.items():  # joined once: they may be tens of megabytes
        parts += ["\n" if len(parts) == 1 else ",\n", text(name), ":", cells]
    return "".join([*parts, "\n}</script>\n"])


def rows(raw: bytes) -> list[dict[str, Cell]] | None:
    """The findings of a page; None where it has none that can be read."""
    element = FINDINGS.search(raw)
    if element is None:
        return None
    try:
        columns = json.loads(element[1].decode("ascii"))
        cells = [_cells(column) for column in columns.values()]
        if all(isinstance(each, repeat) and length_hint(each) > 1 for each in cells):
            return None  # no two findings are the same: a forged count would have no end
        return [dict(zip(columns, row, strict=True)) for row in zip(*cells, strict=True)]
    except (ValueError, KeyError, IndexError, TypeError, AttributeError, RecursionError):
        return None


def _cells(column: Any) -> Iterable[Cell]:
    if isinstance(column, list):
        return column
    values = column["of"]
    if "at" not in column:
        count = column["count"]
        # an iterator, not a list: the count may be forged
        return repeat(values[0], count) if len(values) == 1 and type(count) is int and 0 <= count < 1 << 31 else []
    if not all(type(code) is int and code >= 0 for code in column["at"]):
        raise ValueError
    return [values[code] for code in column["at"]]
