"""Findings by object, for paper and for browsers without scripts: the gravest first, up to a bound."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from heapq import nsmallest

from auditor.model import Cell, Severity
from auditor.reports.columns import Table

MOST = 300
"""Objects that are printed: about ten sheets."""
HEADER = ("severity", "resource", "object", "findings", "places", "rows", "same as latest", "first at")
_RANK = {severity.label: int(severity) for severity in Severity}
_LABEL = {rank: label for label, rank in _RANK.items()}
_SAME = {"": 0, "no": 1, "unknown": 2, "yes": 3}
_SAID = ("", "no", "unknown", "yes")


@dataclass(frozen=True, slots=True)
class Grouped:
    """lines: cells in the order of HEADER, at most MOST. objects and findings: how many there are in all."""

    lines: list[tuple[str, ...]]
    objects: int
    findings: int


@dataclass(slots=True)
class _Group:
    rows: list[int]
    severity: int
    same: int


def group(table: Table) -> Grouped:
    """In the order and the words in which print.js groups a filtered view."""
    columns = table.columns
    groups: dict[tuple[Cell, Cell, Cell], _Group] = {}
    keys = zip(columns["resource"], columns["namespace"], columns["name"], strict=True)
    facts = zip(keys, columns["severity"], columns["same_as_latest"], strict=True)
    for row, (key, severity, held) in enumerate(facts):
        rank, same = _RANK[str(severity)], _SAME[str(held)]
        found = groups.get(key)
        if found is None:
            groups[key] = _Group([row], rank, same)
            continue
        found.rows.append(row)
        found.severity = max(found.severity, rank)
        found.same = max(found.same, same)
    first = nsmallest(MOST, groups.items(), key=lambda item: (-item[1].severity, -item[1].same, *map(str, item[0])))
    return Grouped([_line(columns, *item) for item in first], len(groups), len(table))


def _line(columns: Mapping[str, Sequence[Cell]], key: tuple[Cell, Cell, Cell], group: _Group) -> tuple[str, ...]:
    resource, namespace, name = map(str, key)
    first = group.rows[0]
    offset = columns["offset"][first]
    at = f"{columns['source'][first]} {offset}".strip()
    return (
        _LABEL[group.severity],
        resource,
        f"{namespace}/{name}" if namespace else name or str(columns["detail"][first]),
        _distinct(columns["finding"], group.rows),
        _distinct(columns["place"], group.rows),
        f"{len(group.rows):,}",
        _SAID[group.same],
        at,
    )


def _distinct(column: Sequence[Cell], rows: list[int]) -> str:
    return ", ".join(filter(None, dict.fromkeys(str(column[row]) for row in rows)))
