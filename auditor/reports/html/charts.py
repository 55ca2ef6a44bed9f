"""The counts behind a page's charts: bins of pages and of revisions, shares, usage of keys."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from auditor.arrays.dictionary import encode
from auditor.arrays.dtypes import Ints
from auditor.model.audit import Audit
from auditor.model.findings import Cell, Rows
from auditor.model.table import Table, value_rows
from auditor.model.vocabulary import FindingKind, PageKind, Place, Provider
from auditor.reports import key_table
from auditor.reports.words import label

MOST_CELLS = 4000
"""Cells of a page map: more would be indistinguishable. 8 GB are 2 million pages, 500 a cell."""
MOST_BINS = 60
MOST_SERIES = 12
MOST_KEYS = 20
OTHERS = "others"
READABLE = {finding.label for finding in (FindingKind.PLAINTEXT, FindingKind.COPIED_VALUE, FindingKind.KEY_PRESENT)}
"""Findings of readable bytes on a page."""
CLASSES = (
    "readable in freed pages",
    "readable in pages in use",
    "in use",
    "meta and freelist",
    "freed",
    "older root only",
    "past the high-water mark",
)
"""Classes of a cell of the page map: the earlier of the first two that any of its pages has, else that of most."""
_CLASS = np.full(256, 2, np.uint8)
_CLASS[[PageKind.META, PageKind.FREELIST]] = 3
_CLASS[PageKind.FREED], _CLASS[PageKind.PREVIOUS_ROOT], _CLASS[PageKind.PAST_HIGH_WATER] = 4, 5, 6


@dataclass(frozen=True, slots=True)
class Spot:
    """The positions of n findings in one source."""

    begin: Ints
    """First byte."""
    end: Ints
    """Last byte."""
    readable: NDArray[np.bool_]
    freed: NDArray[np.bool_]
    """Whether in freed pages."""


@dataclass(frozen=True, slots=True)
class ChartData:
    """The data that is known before the evidence is hashed."""

    spots: dict[str, Spot]
    """By source."""
    timeline: dict[str, Any]


def prepare(table: Table, rows: Rows) -> ChartData:
    """The data that needs no hash of the evidence."""
    return ChartData(_spots(table), timeline(rows))


def document(audit: Audit, prepared: ChartData) -> dict[str, Any]:
    """The counts of all charts, of plain values only."""
    return {
        "pages": page_map(audit, prepared.spots.get(audit.pages.source)),
        "timeline": prepared.timeline,
        "shares": _shares(audit),
        "keys": usage(audit),
    }


def _spots(table: Table) -> dict[str, Spot]:
    columns = table.columns
    located = _number_rows(columns["page"])
    if not located:
        return {}
    complete = len(located) == len(table)

    def cells(name: str) -> Sequence[Cell]:
        return columns[name] if complete else [columns[name][row] for row in located]

    begin = np.array(cells("offset"), np.int64)
    end = begin + np.maximum(np.array(cells("size"), np.int64), 1) - 1
    finding, place, source = (encode(cells(name)) for name in ("finding", "place", "source"))
    readable = np.array([cell in READABLE for cell in finding.values], np.bool_)[finding.codes]
    freed = np.array([cell == Place.FREED.label for cell in place.values], np.bool_)[place.codes]
    return {
        str(name): Spot(begin[rows], end[rows], readable[rows], freed[rows])
        for code, name in enumerate(source.values)
        for rows in (source.codes == code,)
    }


def _number_rows(cells: Sequence[Cell]) -> Sequence[int]:
    """The rows whose cells are numbers."""
    if set(map(type, cells)) == {int}:
        return range(len(cells))
    return [row for row, cell in enumerate(cells) if type(cell) is int]


def page_map(audit: Audit, spot: Spot | None) -> dict[str, Any]:
    """The database's pages in order, `each` of them a cell, and the class of every cell.

    readable: (cell, pages with readable bytes) pairs; findings: (cell, findings that begin there) pairs.
    """
    kinds = np.frombuffer(audit.pages.kinds, np.uint8)
    pages_per_cell = -(-kinds.size // MOST_CELLS) or 1
    count = -(-kinds.size // pages_per_cell)
    head: dict[str, Any] = {
        "source": audit.pages.source,
        "size": audit.pages.page_size,
        "pages": kinds.size,
        "each": pages_per_cell,
        "classes": CLASSES,
    }
    if not count:
        return {**head, "cells": [], "readable": [], "findings": []}
    classes = _CLASS[kinds]
    padded = np.full(count * pages_per_cell, len(CLASSES), np.uint8)
    padded[: kinds.size] = classes
    cells = padded.reshape(count, pages_per_cell)
    # pages by class (rows) and cell (columns)
    totals = np.stack([(cells == code).sum(axis=1) for code in range(len(CLASSES))])
    major = totals.argmax(axis=0)
    if spot is None:
        return {**head, "cells": major.tolist(), "readable": [], "findings": []}
    size = audit.pages.page_size
    freed = _covered_pages(spot, spot.readable & spot.freed, size, kinds.size)
    used = _covered_pages(spot, spot.readable & ~spot.freed, size, kinds.size)
    major[np.bincount(np.flatnonzero(used) // pages_per_cell, minlength=count) > 0] = 1
    major[np.bincount(np.flatnonzero(freed) // pages_per_cell, minlength=count) > 0] = 0
    readable = np.bincount(np.flatnonzero(freed | used) // pages_per_cell, minlength=count)
    first = np.minimum(spot.begin // size, kinds.size - 1)
    findings = np.bincount(first // pages_per_cell, minlength=count)
    return {**head, "cells": major.tolist(), "readable": _pairs(readable), "findings": _pairs(findings)}


def _covered_pages(spot: Spot, selection: NDArray[np.bool_], size: int, pages: int) -> NDArray[np.bool_]:
    """The pages with a byte of the selected findings; a value may extend over several."""
    # +1 at the first page of a value, -1 behind its last one: the running sum counts the values on a page
    steps = np.zeros(pages + 1, np.int32)
    np.add.at(steps, np.minimum(spot.begin[selection] // size, pages - 1), 1)
    np.add.at(steps, np.minimum(spot.end[selection] // size + 1, pages), -1)
    return np.cumsum(steps[:-1], dtype=np.int32) > 0


def _pairs(counts: Ints) -> list[list[int]]:
    at = np.flatnonzero(counts)
    return np.stack([at, counts[at]], axis=1).tolist() if at.size else []


def timeline(rows: Rows) -> dict[str, Any]:
    """Stored values by mod revision: bins of `each` revisions from `start` on, one list of counts a series."""
    columns = rows.columns
    values = value_rows(rows)
    with_revision = _number_rows(columns.get("mod_revision", ()))
    if len(with_revision) < len(rows):
        values = sorted(set(values) & set(with_revision))
    if not values:
        return {"start": 0, "each": 1, "series": []}
    complete = len(values) == len(rows)

    def cells(name: str) -> Sequence[Cell]:
        return columns[name] if complete else [columns[name][row] for row in values]

    revisions = np.array(cells("mod_revision"), np.int64)
    start, last = int(revisions.min()), int(revisions.max())
    width = (last - start) // MOST_BINS + 1
    bins = (last - start) // width + 1
    provider, key = encode(cells("provider")), encode(cells("key_name"))
    pairs = encode((provider.codes * len(key.values) + key.codes).tolist())
    codes = {
        (provider.values[pair // len(key.values)], key.values[pair % len(key.values)]): code
        for code, pair in enumerate(pairs.values)
    }
    counts = np.bincount(pairs.codes * bins + (revisions - start) // width, minlength=len(codes) * bins).reshape(
        -1, bins
    )
    ranked = sorted(codes.items(), key=lambda item: -int(counts[item[1]].sum()))
    series = [_series(str(provider), str(name), counts[code]) for (provider, name), code in ranked[:MOST_SERIES]]
    if others := ranked[MOST_SERIES:]:
        series.append({"provider": OTHERS, "name": OTHERS, "counts": sum(counts[code] for _, code in others).tolist()})
    return {"start": start, "each": width, "series": series}


def _series(provider: str, name: str, counts: Ints) -> dict[str, Any]:
    return {"provider": provider, "name": f"{provider}/{name}" if name else provider, "counts": counts.tolist()}


def _shares(audit: Audit) -> dict[str, Any]:
    """Values of the selected resources by place, a series for each provider and key."""
    places = list(dict.fromkeys(place for place, *_ in audit.tally.places))
    counts: dict[tuple[Provider, str], list[int]] = {}
    for place, provider, name, count, _ in audit.tally.places:
        counts.setdefault((provider, name), [0] * len(places))[places.index(place)] += count
    ranked = sorted(counts.items(), key=lambda item: -sum(item[1]))
    series = [
        {"provider": provider.label, "name": label(provider, name), "counts": numbers}
        for (provider, name), numbers in ranked[:MOST_SERIES]
    ]
    if others := ranked[MOST_SERIES:]:
        rest = [sum(column) for column in zip(*(numbers for _, numbers in others), strict=True)]
        series.append({"provider": OTHERS, "name": OTHERS, "counts": rest})
    return {"rows": [place.label for place in places], "series": series}


def usage(audit: Audit) -> dict[str, Any]:
    """Values by key and KEK, a series for each place: the keys with most values, and the number of others."""
    keys = sorted((use for use in audit.keys if use.provider is not Provider.IDENTITY), key=lambda use: -use.values)
    places = list(dict.fromkeys(sorted(place for use in keys for place, _ in use.places)))
    listed = keys[:MOST_KEYS]
    return {
        "rows": [
            label(use.provider, use.key_name or "?")
            + (f" of {use.origin}" if use.origin else "")
            + (f" (KEK {kek})" if (kek := key_table.kek(use)) else "")
            for use in listed
        ],
        "series": [
            {"name": place.label, "counts": [dict(use.places).get(place, 0) for use in listed]} for place in places
        ],
        "left": len(keys) - len(listed),
    }
