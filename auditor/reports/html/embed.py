"""Tables and plain values inside a page, as JSON that no name in them can end or start anything from.

A column is written as the list of its cells, or, where few differ, as `of` (what occurs) and `at` (which of them each
cell is; left out where all are the same): 50,000 findings take a few bytes a cell, and no time to read.
"""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from itertools import repeat
from operator import length_hint
from typing import Any

from auditor.arrays.dictionary import Dictionary, encode_if_smaller
from auditor.model.findings import Cell
from auditor.model.table import COLUMNS, NUMBERS

EXACT = (1 << 53) - 1
"""Up to here JavaScript keeps every digit of a number; larger ones are written as text."""
FINDINGS = re.compile(rb'<script type="application/json" id="findings">(.*?)</script>', re.DOTALL)


def text(value: Any) -> str:
    """Compact JSON in ASCII, without `<`: inside a script element nothing in it is markup."""
    return json.dumps(value, separators=(",", ":"), ensure_ascii=True).replace("<", "\\u003c")


def script(name: str, value: Any) -> str:
    return f'<script type="application/json" id="{name}">{text(value)}</script>\n'


def column(name: str, cells: Sequence[Cell]) -> str:
    tabled = encode_if_smaller(cells)
    if isinstance(tabled, Dictionary) and (name not in NUMBERS or all(map(_exact, tabled.values))):
        if len(tabled.values) < 2 or not len(tabled):
            return text({"of": list(tabled.values)[: len(tabled)], "count": len(tabled)})
        codes = ",".join(tabled.map(list(map(str, range(len(tabled.values))))))
        return f'{{"of":{text(list(tabled.values))},"at":[{codes}]}}'
    if name not in NUMBERS:
        return text(list(cells))
    if set(map(type, cells)) == {int} and _exact(max(cells, key=int)):
        return f"[{_joined(cells)}]"
    return text([cell if _exact(cell) else str(cell) for cell in cells])


def _exact(cell: Cell) -> bool:
    """Whether JavaScript keeps it as it is."""
    return isinstance(cell, str) or cell <= EXACT


def _joined(numbers: Iterable[Cell]) -> str:
    """What json.dumps() makes of numbers, in half of its time."""
    return ",".join(map(str, numbers))


def findings(columns: Mapping[str, str]) -> str:
    """One line a column, each as column() made it, in the order of the table's columns."""
    parts = ['<script type="application/json" id="findings">{']
    for name in COLUMNS:  # joined once: they may be tens of megabytes
        parts += ["\n" if len(parts) == 1 else ",\n", text(name), ":", columns[name]]
    return "".join([*parts, "\n}</script>\n"])


def rows(raw: bytes) -> list[dict[str, Cell]] | None:
    """The findings that a page holds; None where it holds none that can be read."""
    found = FINDINGS.search(raw)
    if found is None:
        return None
    try:
        columns = json.loads(found[1].decode("ascii"))
        cells = [_cells(columns[name]) for name in COLUMNS]
        if all(isinstance(each, repeat) and length_hint(each) > 1 for each in cells):
            return None  # no two findings are the same: whatever the counts say, there is no end of them
        return [dict(zip(COLUMNS, row, strict=True)) for row in zip(*cells, strict=True)]
    except (ValueError, KeyError, IndexError, TypeError, RecursionError):
        return None


def _cells(column: Any) -> Iterable[Cell]:
    if isinstance(column, list):
        return column
    of = column["of"]
    if "at" not in column:
        count = column["count"]
        # counted, not multiplied: nobody vouches for the number
        return repeat(of[0], count) if len(of) == 1 and type(count) is int and 0 <= count < 1 << 31 else []
    if not all(type(code) is int and code >= 0 for code in column["at"]):
        raise ValueError
    return [of[code] for code in column["at"]]
