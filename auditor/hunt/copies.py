"""The hunt: every value of every Secret, looked for through the whole evidence and inside what keys opened."""

from collections.abc import Iterator, Sequence
from itertools import islice

import numpy as np

from auditor.batch import Batch
from auditor.columns import Buffer
from auditor.hunt import fields, forms
from auditor.hunt.engine import MOST, PART, Searcher
from auditor.hunt.forms import Form
from auditor.hunt.hit import NOT_KNOWN, Hit
from auditor.hunt.holders import Holders, place_of
from auditor.hunt.needles import Needle
from auditor.model import Finding, Gap, PageMap, Place, Provider
from auditor.selection import Selection
from auditor.storage.keys import Keys
from auditor.text import KEY, marked, printable


def hunt(
    needles: Sequence[Needle],
    batches: Sequence[Batch],
    found: Keys,
    opened: Sequence[Selection],
    pages: PageMap,
) -> tuple[list[Hit], list[Gap]]:
    """Every copy outside the owners' own stored values, and gaps where there were too many of one value.

    opened: selections whose opened plaintexts are searched too.
    """
    sought = Sought(needles)
    if not needles:
        return [], []
    buffers: dict[str, Buffer] = {}
    for batch in batches:
        buffers.setdefault(batch.source, batch.data)
    hits: list[Hit] = []
    for source, buffer in sorted(buffers.items()):
        hits += _in_source(sought, source, buffer, Holders(batches, found, source), pages)
    for each in opened:
        hits += _in_opened(sought, each)
    gaps = [
        Gap("", 0, 0, f"value #{number} was found more than {MOST:,} times: the rest is not listed")
        for number in sorted(sought.overflowing())
    ]
    return _distinct(hits), gaps


class Sought:
    """The forms of the needles, and the patterns that betray them: several forms may share one."""

    def __init__(self, needles: Sequence[Needle]) -> None:
        self.forms = forms.forms(needles)
        self._searcher = Searcher()
        known: dict[bytes, int] = {}
        fresh: list[bytes] = []
        pattern, form, begins = [], [], []
        for texts, numbers, at in forms.windows(self.forms):
            before = len(known)
            pattern.append([known.setdefault(text, len(known)) for text in texts])
            form.append(numbers)
            begins.append(at)
            fresh += list(islice(known, before, None))
            if len(fresh) >= PART:  # compiled while the next ones are chosen
                self._searcher.add(fresh)
                fresh = []
        self._searcher.add(fresh)
        numbers = np.concatenate([np.array(each, np.int64) for each in pattern] or [np.zeros(0, np.int64)])
        order = np.argsort(numbers, kind="stable")
        self._pattern = numbers[order]
        self._form = np.concatenate(form)[order] if form else numbers
        self._at = np.concatenate(begins)[order] if begins else numbers

    def matches(self, buffer: Buffer) -> Iterator[tuple[Form, int, int]]:
        """Form, start and length of everything that stands there whole."""
        numbers, ends = self._searcher.search(buffer)
        first, last = np.searchsorted(self._pattern, numbers), np.searchsorted(self._pattern, numbers, "right")
        for low, high, end in zip(first.tolist(), last.tolist(), ends.tolist(), strict=True):
            for meaning in range(low, high):
                form = self.forms[self._form[meaning]]
                size = min(len(form.beginning), forms.WINDOW)
                if (extent := forms.extent(form, buffer, end - size - int(self._at[meaning]))) is not None:
                    yield form, *extent

    def overflowing(self) -> set[int]:
        """Numbers of the needles that were found too often."""
        rows = np.isin(self._pattern, np.array(sorted(self._searcher.overflowing), np.int64))
        return {self.forms[number].needle.number for number in self._form[rows].tolist()}


def _in_source(sought: Sought, source: str, buffer: Buffer, holders: Holders, pages: PageMap) -> Iterator[Hit]:
    found = list(sought.matches(buffer))
    which, inside = holders.around(np.array([start for _, start, _ in found], np.int64))
    for (form, start, size), number, within in zip(found, which.tolist(), inside.tolist(), strict=True):
        needle = form.needle
        page = start // pages.page_size if source == pages.source and pages.page_size else -1
        if not within:
            place = place_of(pages, source, start)
            said = f"{_said(form)}; outside every stored value"
            yield Hit(
                needle.finding, source, start, size, place, NOT_KNOWN, NOT_KNOWN, 0, Provider.UNKNOWN, -1, page, said
            )
            continue
        held = holders.holder(number)
        batch, row = held.batch, held.row
        key = batch.key(row) if batch.key_at[row] >= 0 else b""
        if key in needle.keys:
            continue
        value = batch.value(row)
        path = fields.locate(value, start - int(batch.value_at[row]), size)
        yield Hit(
            needle.finding,
            source,
            start,
            size,
            Place(int(batch.place[row])),
            held.resource.name or NOT_KNOWN,
            printable(key) if key else NOT_KNOWN,
            len(held.resource.path) + 1 if held.resource.path else 0,
            Provider.IDENTITY,
            int(batch.main[row]),
            page,
            f"{_said(form)}{f' in={path}' if path else ''}",
        )


def _in_opened(sought: Sought, each: Selection) -> Iterator[Hit]:
    """Inside the opened values of other objects: the row is that of the encrypted value."""
    rows = list(each.plaintexts)
    starts = np.cumsum([0, *(len(each.plaintexts[row]) + 1 for row in rows)])
    buffer = Buffer(b"\0".join(each.plaintexts[row] for row in rows) + b"\0")
    for form, start, size in sought.matches(buffer) if rows else ():
        number = int(np.searchsorted(starts, start, "right")) - 1
        row = rows[number]
        key = each.batch.key(row)
        if key in form.needle.keys:
            continue
        path = fields.locate(each.plaintexts[row], start - int(starts[number]), size)
        resource = each.resource[each.of[row]]
        yield Hit(
            form.needle.finding,
            each.batch.source,
            int(each.batch.value_at[row]),
            int(each.batch.value_len[row]),
            Place(int(each.batch.place[row])),
            resource.name,
            printable(key),
            len(resource.path) + 1,
            Provider(int(each.values.provider[row])),
            int(each.batch.main[row]),
            int(each.batch.page[row]),
            f"{_said(form)} inside the opened value{f' in={path}' if path else ''}",
        )


def _said(form: Form) -> str:
    needle = form.needle
    (key, name), *others = needle.owners
    more = f" and {len(others):,} more" if others else ""
    key = marked(key, KEY) if needle.finding is Finding.COPIED_VALUE else key
    return f"of={key} field={name}{more} value=#{needle.number} as={form.kind}"


def _distinct(hits: list[Hit]) -> list[Hit]:
    """One hit for each value at each place: two forms of one value may meet in the same bytes."""
    kept: dict[tuple[str, int, Finding, str], Hit] = {}
    for hit in sorted(hits, key=lambda each: (each.source, each.offset, -each.size)):
        kept.setdefault((hit.source, hit.offset, hit.finding, hit.detail), hit)
    return list(kept.values())
