"""Findings by object, for terminals, paper and browsers without scripts: most severe first, up to a bound."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from heapq import nsmallest
from typing import TypeAlias

import numpy as np

from auditor.arrays.dictionary import encode
from auditor.model.findings import Cell
from auditor.model.table import Table
from auditor.model.vocabulary import Severity
from auditor.text import plural

MOST = 300
"""Objects in print: about ten sheets."""
HEADER = (
    *("severity", "object", "finding", "place", "same as latest", "valid until", "used by", "rows", "resource"),
    "first at",
)
MOST_USERS = 2
"""Users of a Secret that a line names."""
_Key: TypeAlias = tuple[Cell, ...]
"""Resource, namespace and name of an object; of rows without one the finding behind them."""
_RANK: dict[Cell, int] = {severity.label: int(severity) for severity in Severity}
_LABEL = {rank: str(label) for label, rank in _RANK.items()}
_SAME: dict[Cell, int] = {"": 0, "no": 1, "unknown": 2, "elsewhere": 3, "part": 4, "yes": 5}
_SAME_LABELS = tuple(map(str, _SAME))
_HELD = 3
"""Rank from which on something is current: these ranks are told apart in the cell, and not in the order."""


@dataclass(frozen=True, slots=True)
class ObjectGroups:
    """The objects with findings."""

    lines: list[tuple[str, ...]]
    """Cells in the order of HEADER, of the first objects."""
    ids: list[str]
    """Id of the first row of each of them."""
    objects: int
    """The number of objects in all."""
    findings: int
    """The number of findings in all."""


def group(table: Table, most: int = MOST) -> ObjectGroups:
    """The objects of a table, in the order and the words of print.js for a filtered view.

    Args:
        table: The findings.
        most: Number of objects with a line, at most.
    """
    columns = table.columns
    numbers: dict[_Key, int] = {}
    names = zip(*(columns[name] for name in ("resource", "namespace", "name", "finding")), strict=True)
    keys = ((*key, "" if key[1] or key[2] else finding) for *key, finding in names)
    object_codes = np.array([numbers.setdefault(key, len(numbers)) for key in keys], np.int64)
    level, current = encode(columns["severity"]), encode(columns["same_as_latest"])
    # of each row its severity and whether it is the same as latest, in one number; of each object the highest
    rank = np.array([_RANK[cell] for cell in level.values], np.int64)[level.codes] * len(_SAME)
    rank += np.array([_SAME[cell] for cell in current.values], np.int64)[current.codes]
    severity, same = (np.zeros(len(numbers), np.int64) for _ in range(2))
    np.maximum.at(severity, object_codes, rank // len(_SAME))
    np.maximum.at(same, object_codes, rank % len(_SAME))
    objects = list(numbers)
    first: list[int] = []
    ranks = severity * len(_SAME) + np.minimum(same, _HELD)
    for code in np.flatnonzero(np.bincount(ranks))[::-1].tolist():
        equals = np.flatnonzero(ranks == code).tolist()
        first += nsmallest(most - len(first), equals, key=objects.__getitem__)
        if len(first) == most:
            break
    order = np.argsort(object_codes, kind="stable")
    starts = np.searchsorted(object_codes[order], first)
    ends = np.searchsorted(object_codes[order], first, side="right")
    own = [order[start:end].tolist() for start, end in zip(starts.tolist(), ends.tolist(), strict=True)]
    return ObjectGroups(
        lines=[
            _line(columns, objects[number], rows, int(severity[number]), int(same[number]))
            for number, rows in zip(first, own, strict=True)
        ],
        ids=[str(columns["id"][rows[0]]) for rows in own],
        objects=len(numbers),
        findings=len(table),
    )


def _line(
    columns: Mapping[str, Sequence[Cell]], key: _Key, rows: list[int], severity: int, same: int
) -> tuple[str, ...]:
    resource, namespace, name, _ = map(str, key)
    return (
        _LABEL[severity],
        f"{namespace}/{name}" if namespace else name or _of_none(columns["detail"], rows),
        ", ".join(_distinct(columns["finding"], rows)),
        ", ".join(_distinct(columns["place"], rows)),
        _SAME_LABELS[same],
        ", ".join(_distinct(columns["valid_until"], rows)),
        _users(columns["used_by"], rows),
        f"{len(rows):,}",
        resource,
        _first_at(columns, rows),
    )


def _of_none(column: Sequence[Cell], rows: list[int]) -> str:
    """What stands in place of an object of rows that are of none: the first of their details, and how many others."""
    details = _distinct(column, rows)
    return "".join(details[:1]) + (f" and {len(details) - 1:,} more" if len(details) > 1 else "")


def _distinct(column: Sequence[Cell], rows: list[int]) -> list[str]:
    return list(filter(None, dict.fromkeys(str(column[row]) for row in rows)))


def _users(column: Sequence[Cell], rows: list[int]) -> str:
    """The first of those who use the Secret, and whether there are more."""
    users = list(dict.fromkeys(user for cell in _distinct(column, rows) for user in cell.split(";")))
    more = " and more" if len(users) > MOST_USERS else ""
    return ", ".join(users[:MOST_USERS]) + more


def _first_at(columns: Mapping[str, Sequence[Cell]], rows: list[int]) -> str:
    """Where the first of the rows is, and the number of other files with rows."""
    others = len(_distinct(columns["source"], rows)) - 1
    more = f" and in {plural(others, 'more file')}" if others > 0 else ""
    return f"{columns['source'][rows[0]]} {columns['offset'][rows[0]]}".strip() + more
