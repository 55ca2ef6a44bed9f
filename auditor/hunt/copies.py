"""The hunt: every value of every Secret, looked for through the whole evidence and inside what keys opened."""

from bisect import bisect
from collections.abc import Iterator, Mapping, Sequence
from itertools import accumulate

import numpy as np

from auditor.arrays.buffer import Buffer
from auditor.hunt import field_path, forms
from auditor.hunt.forms import NeedleForm
from auditor.hunt.hit import NOT_KNOWN, Hit
from auditor.hunt.literal_search import MOST
from auditor.hunt.locate import ValueIndex, place_of
from auditor.hunt.matcher import Match, NeedleMatcher
from auditor.hunt.needles import Needle
from auditor.judgement.selection import Selection
from auditor.kubernetes.store import Store
from auditor.model.evidence import Gap, PageMap
from auditor.model.vocabulary import FindingKind, Place, Provider
from auditor.text import KEY, marked, printable

TOGETHER = 1 << 25
"""Bytes of plaintext that are copied to be searched at once."""


def hunt(
    needles: Sequence[Needle],
    store: Store,
    opened: Sequence[Selection],
    pages: PageMap,
) -> tuple[list[Hit], list[Gap]]:
    """Every copy outside the owners' own stored values, and gaps where there were too many of one value.

    opened: selections whose opened plaintexts are searched too.
    """
    if not needles:
        return [], []
    sought = NeedleMatcher(needles)
    buffers: dict[tuple[str, int], tuple[Buffer, bool]] = {}
    for batch in store.batches:
        buffers.setdefault((batch.source, id(batch.data)), (batch.data, batch.mapped))
    hits: list[Hit] = []
    for (source, _), (buffer, mapped) in sorted(buffers.items(), key=lambda each: each[0][0]):
        if matches := list(sought.matches(buffer)):
            hits += _in_source(matches, source, buffer, ValueIndex(store, source, buffer), pages, mapped=mapped)
    for each in opened:
        hits += _in_opened(sought, each)
    gaps = [
        Gap("", 0, 0, f"value #{number} was found more than {MOST:,} times: the rest is not listed")
        for number in sorted(sought.overflowing())
    ]
    return _distinct(hits), gaps


def _in_source(
    matches: Sequence[Match], source: str, buffer: Buffer, holders: ValueIndex, pages: PageMap, *, mapped: bool
) -> Iterator[Hit]:
    """Hits in one buffer. What is a part of a value that was put together is left to the buffer of those."""
    which, inside = holders.around(np.array([start for _, start, _ in matches], np.int64))
    for (form, start, size), number, within in zip(matches, which.tolist(), inside.tolist(), strict=True):
        needle = form.needle
        page = start // pages.page_size + pages.first if source == pages.source and pages.page_size else -1
        if not within and not mapped:
            continue
        if not within:
            place = place_of(pages, source, start)
            said = f"{_said(form)}; outside every stored value"
            yield Hit(
                needle.finding, source, start, size, place, NOT_KNOWN, NOT_KNOWN, 0, Provider.UNKNOWN, -1, page, said,
                buffer, start,
            )  # fmt: skip
            continue
        held = holders.holder(number)
        batch, row = held.batch, held.row
        if batch.data is not buffer:
            continue
        key = batch.key(row) if batch.key_at[row] >= 0 else b""
        if key in needle.keys:
            continue
        value = batch.value(row)
        begin = start - int(batch.value_at[row])
        path = field_path.locate(value, begin, size)
        offset, length = batch.part(row, begin, size)
        if not mapped:
            page = int(batch.page[row])
        yield Hit(
            needle.finding,
            source,
            offset,
            length,
            Place(int(batch.place[row])),
            held.resource.name or NOT_KNOWN,
            printable(key) if key else NOT_KNOWN,
            len(held.resource.path) + 1 if held.resource.path else 0,
            Provider.IDENTITY,
            int(batch.mod_revision[row]),
            page,
            f"{_said(form)}{f' in={path}' if path else ''}",
            buffer,
            start,
        )


def _in_opened(sought: NeedleMatcher, each: Selection) -> Iterator[Hit]:
    """Inside the opened values of other objects: the row is that of the encrypted value."""
    for rows in _portions(each.plaintexts):
        starts = [0, *accumulate(len(each.plaintexts[row]) + 1 for row in rows)]
        buffer = Buffer(b"\0".join([*(each.plaintexts[row] for row in rows), b""]))
        for form, begin in sought.candidates(buffer):
            number = bisect(starts, begin) - 1
            row = rows[number]
            key = each.batch.key(row)
            if key in form.needle.keys or (extent := forms.extent(form, buffer, begin)) is None:
                continue
            start, size = extent
            path = field_path.locate(each.plaintexts[row], start - starts[number], size)
            resource = each.resources[each.resource[row]]
            yield Hit(
                form.needle.finding,
                each.batch.source,
                int(each.batch.offset[row]),
                int(each.batch.size[row]),
                Place(int(each.batch.place[row])),
                resource.name,
                printable(key),
                len(resource.path) + 1,
                Provider(int(each.prefixes.provider[row])),
                int(each.batch.mod_revision[row]),
                int(each.batch.page[row]),
                f"{_said(form)} inside the opened value{f' in={path}' if path else ''}",
            )


def _portions(plaintexts: Mapping[int, bytes]) -> Iterator[list[int]]:
    """Rows whose plaintexts come to about TOGETHER bytes."""
    rows, size = [], 0
    for row, text in plaintexts.items():
        rows.append(row)
        size += len(text)
        if size >= TOGETHER:
            yield rows
            rows, size = [], 0
    if rows:
        yield rows


def _said(form: NeedleForm) -> str:
    needle = form.needle
    (key, name), *others = needle.owners
    more = f" and {len(others):,} more" if others else ""
    said = marked(printable(key), KEY) if needle.finding is FindingKind.COPIED_VALUE else printable(key)
    return f"of={said} field={printable(name)}{more} value=#{needle.number} as={form.kind}"


def _distinct(hits: list[Hit]) -> list[Hit]:
    """One hit for each value at each place: two forms of one value may meet in the same bytes."""
    kept: dict[tuple[str, int, FindingKind, str], Hit] = {}
    for hit in sorted(hits, key=lambda each: (each.source, each.offset, -each.size)):
        kept.setdefault((hit.source, hit.offset, hit.finding, hit.detail), hit)
    return list(kept.values())
