"""What the pictures of a page are drawn from, already counted: bins of pages and of revisions, shares, use of keys."""

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
from auditor.reports.words import label

MOST_CELLS = 4000
"""Of a page map: more could not be told apart. 8 GB are 2 million pages, 500 a cell."""
MOST_BINS = 60
MOST_SERIES = 12
MOST_KEYS = 20
OTHERS = "others"
READABLE = {finding.label for finding in (FindingKind.PLAINTEXT, FindingKind.COPIED_VALUE, FindingKind.KEY_PRESENT)}
"""Findings that put something readable on a page."""
CLASSES = (
    "readable in freed pages",
    "readable in pages in use",
    "in use",
    "meta and freelist",
    "freed",
    "older root only",
    "past the high-water mark",
)
"""What a cell of the page map is; the earlier of the first two wins, else what most of its pages are."""
_CLASS = np.full(256, 2, np.uint8)
_CLASS[[PageKind.META, PageKind.FREELIST]] = 3
_CLASS[PageKind.FREED], _CLASS[PageKind.PREVIOUS_ROOT], _CLASS[PageKind.PAST_HIGH_WATER] = 4, 5, 6


@dataclass(frozen=True, slots=True)
class Spot:
    """Where findings lie, n of them: first and last byte, whether readable, whether in freed pages."""

    begin: Ints
    end: Ints
    readable: NDArray[np.bool_]
    freed: NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Drawn:
    """What is known before the evidence is hashed. spots: by source."""

    spots: dict[str, Spot]
    timeline: dict[str, Any]


def draw(table: Table, rows: Rows) -> Drawn:
    return Drawn(_spots(table), timeline(rows))


def document(audit: Audit, drawn: Drawn) -> dict[str, Any]:
    return {
        "pages": page_map(audit, drawn.spots.get(audit.pages.source)),
        "timeline": drawn.timeline,
        "shares": _shares(audit),
        "keys": _keys(audit),
    }


def _spots(table: Table) -> dict[str, Spot]:
    columns = table.columns
    known = _numbered(columns["page"])
    if not known:
        return {}
    every = len(known) == len(table)

    def chosen(name: str) -> Sequence[Cell]:
        return columns[name] if every else [columns[name][row] for row in known]

    begin = np.array(chosen("offset"), np.int64)
    end = begin + np.maximum(np.array(chosen("size"), np.int64), 1) - 1
    finding, place, source = (encode(chosen(name)) for name in ("finding", "place", "source"))
    readable = np.array([cell in READABLE for cell in finding.values], np.bool_)[finding.codes]
    freed = np.array([cell == Place.FREED.label for cell in place.values], np.bool_)[place.codes]
    return {
        str(name): Spot(begin[mine], end[mine], readable[mine], freed[mine])
        for code, name in enumerate(source.values)
        for mine in (source.codes == code,)
    }


def _numbered(cells: Sequence[Cell]) -> Sequence[int]:
    """The rows whose cells are numbers."""
    if set(map(type, cells)) == {int}:
        return range(len(cells))
    return [row for row, cell in enumerate(cells) if type(cell) is int]


def page_map(audit: Audit, spot: Spot | None) -> dict[str, Any]:
    """The database's pages in order, `each` of them a cell; of every cell its class.

    readable: (cell, pages that hold something readable) pairs; findings: (cell, findings that begin there).
    """
    kinds = np.frombuffer(audit.pages.kinds, np.uint8)
    each = -(-kinds.size // MOST_CELLS) or 1
    count = -(-kinds.size // each)
    said: dict[str, Any] = {
        "source": audit.pages.source,
        "size": audit.pages.page_size,
        "pages": kinds.size,
        "each": each,
        "classes": CLASSES,
    }
    if not count:
        return {**said, "cells": [], "readable": [], "findings": []}
    classes = _CLASS[kinds]
    padded = np.full(count * each, len(CLASSES), np.uint8)
    padded[: kinds.size] = classes
    cells = padded.reshape(count, each)
    totals = np.stack([(cells == code).sum(axis=1) for code in range(len(CLASSES))])
    major = totals.argmax(axis=0)
    if spot is None:
        return {**said, "cells": major.tolist(), "readable": [], "findings": []}
    size = audit.pages.page_size
    freed = _covered(spot, spot.readable & spot.freed, size, kinds.size)
    used = _covered(spot, spot.readable & ~spot.freed, size, kinds.size)
    major[np.bincount(np.flatnonzero(used) // each, minlength=count) > 0] = 1
    major[np.bincount(np.flatnonzero(freed) // each, minlength=count) > 0] = 0
    readable = np.bincount(np.flatnonzero(freed | used) // each, minlength=count)
    first = np.minimum(spot.begin // size, kinds.size - 1)
    findings = np.bincount(first // each, minlength=count)
    return {**said, "cells": major.tolist(), "readable": _pairs(readable), "findings": _pairs(findings)}


def _covered(spot: Spot, chosen: NDArray[np.bool_], size: int, pages: int) -> NDArray[np.bool_]:
    """Which pages hold a byte of the chosen findings; a value may go on through several."""
    steps = np.zeros(pages + 1, np.int32)
    np.add.at(steps, np.minimum(spot.begin[chosen] // size, pages - 1), 1)
    np.add.at(steps, np.minimum(spot.end[chosen] // size + 1, pages), -1)
    return np.cumsum(steps[:-1], dtype=np.int32) > 0


def _pairs(counts: Ints) -> list[list[int]]:
    at = np.flatnonzero(counts)
    return np.stack([at, counts[at]], axis=1).tolist() if at.size else []


def timeline(rows: Rows) -> dict[str, Any]:
    """Stored values by mod revision: bins of `each` revisions from `start` on, one list of counts a series."""
    columns = rows.columns
    written = columns.get("mod_revision", ())
    kept = value_rows(rows)
    numbered = _numbered(written)
    if len(numbered) < len(rows):
        kept = sorted(set(kept) & set(numbered))
    if not kept:
        return {"start": 0, "each": 1, "series": []}
    every = len(kept) == len(rows)

    def chosen(name: str) -> Sequence[Cell]:
        return columns[name] if every else [columns[name][row] for row in kept]

    revisions = np.array(chosen("mod_revision"), np.int64)
    start, last = int(revisions.min()), int(revisions.max())
    each = (last - start) // MOST_BINS + 1
    bins = (last - start) // each + 1
    provider, key = encode(chosen("provider")), encode(chosen("key_name"))
    pairs = encode((provider.codes * len(key.values) + key.codes).tolist())
    codes = {
        (provider.values[pair // len(key.values)], key.values[pair % len(key.values)]): code
        for code, pair in enumerate(pairs.values)
    }
    of = pairs.codes
    counts = np.bincount(of * bins + (revisions - start) // each, minlength=len(codes) * bins).reshape(-1, bins)
    ranked = sorted(codes.items(), key=lambda item: -int(counts[item[1]].sum()))
    series = [_series(str(provider), str(name), counts[code]) for (provider, name), code in ranked[:MOST_SERIES]]
    if left := ranked[MOST_SERIES:]:
        series.append({"provider": OTHERS, "name": OTHERS, "counts": sum(counts[code] for _, code in left).tolist()})
    return {"start": start, "each": each, "series": series}


def _series(provider: str, name: str, counts: Ints) -> dict[str, Any]:
    return {"provider": provider, "name": f"{provider}/{name}" if name else provider, "counts": counts.tolist()}


def _shares(audit: Audit) -> dict[str, Any]:
    """Values of the selected resources: for each provider and key, how many in each place."""
    places = list(dict.fromkeys(place for place, *_ in audit.tally.places))
    counts: dict[tuple[Provider, str], list[int]] = {}
    for place, provider, name, count, _ in audit.tally.places:
        counts.setdefault((provider, name), [0] * len(places))[places.index(place)] += count
    ranked = sorted(counts.items(), key=lambda item: -sum(item[1]))
    series = [
        {"provider": provider.label, "name": label(provider, name), "counts": mine}
        for (provider, name), mine in ranked[:MOST_SERIES]
    ]
    if left := ranked[MOST_SERIES:]:
        rest = [sum(numbers) for numbers in zip(*(mine for _, mine in left), strict=True)]
        series.append({"provider": OTHERS, "name": OTHERS, "counts": rest})
    return {"rows": [place.label for place in places], "series": series}


def _keys(audit: Audit) -> dict[str, Any]:
    """Values by key and KEK: how many in each place. Those of most values, and how many keys are left out."""
    used = sorted((use for use in audit.keys if use.provider is not Provider.IDENTITY), key=lambda use: -use.values)
    places = list(dict.fromkeys(sorted(place for use in used for place, _ in use.places)))
    shown = used[:MOST_KEYS]
    return {
        "rows": [
            label(use.provider, use.key_name or "?") + (f" (KEK {use.kek_id})" if use.kek_id else "") for use in shown
        ],
        "series": [
            {"name": place.label, "counts": [dict(use.places).get(place, 0) for use in shown]} for place in places
        ],
        "left": len(used) - len(shown),
    }
