"""Copies: every value of every Secret, looked for in the whole evidence and inside opened plaintexts."""

from bisect import bisect
from collections.abc import Iterator, Mapping, Sequence
from itertools import accumulate
from types import MappingProxyType

import numpy as np

from auditor.arrays.buffer import Buffer
from auditor.evidence.layout import Layout
from auditor.hunt import field_path, forms
from auditor.hunt.forms import NeedleForm
from auditor.hunt.hit import NOT_KNOWN, CopyOf, Hit
from auditor.hunt.literal_search import MOST
from auditor.hunt.locate import ValueIndex
from auditor.hunt.matcher import Match, NeedleMatcher
from auditor.hunt.needles import Needle
from auditor.judgement.selection import Selection
from auditor.kubernetes.store import Store
from auditor.model.evidence import Gap
from auditor.model.vocabulary import Place, Provider
from auditor.text import printable

TOGETHER = 1 << 25
"""Bytes of plaintext that are copied into one buffer and searched at once."""


def hunt(
    needles: Sequence[Needle],
    store: Store,
    opened: Sequence[Selection],
    layout: Layout,
    unread: Mapping[str, Buffer] = MappingProxyType({}),
) -> tuple[list[Hit], list[Gap]]:
    """Every copy outside the owners' own stored values, and gaps for values with too many copies.

    Args:
        needles: the values and keys to look for.
        store: all stored values of the evidence.
        opened: selections whose opened plaintexts are searched too.
        layout: the parts of the evidence outside every stored value.
        unread: files that no record points into, by name; they are searched too.
    """
    if not needles:
        return [], []
    matcher = NeedleMatcher(needles)
    buffers: dict[tuple[str, int], tuple[Buffer, bool]] = {}
    for batch in store.batches:
        buffers.setdefault((batch.source, id(batch.data)), (batch.data, batch.mapped))
    buffers |= {(name, id(buffer)): (buffer, True) for name, buffer in unread.items()}
    hits: list[Hit] = []
    for (source, _), (buffer, mapped) in sorted(buffers.items(), key=lambda item: item[0][0]):
        if matches := list(matcher.matches(buffer)):
            hits += _in_source(matches, source, buffer, ValueIndex(store, source, buffer), layout, mapped=mapped)
    for values in opened:
        hits += _in_opened(matcher, values)
    gaps = [
        Gap("", 0, 0, f"value #{number} was found more than {MOST:,} times: the rest is not listed")
        for number in sorted(matcher.overflowing())
    ]
    return _distinct(hits), gaps


def _in_source(
    matches: Sequence[Match], source: str, buffer: Buffer, holders: ValueIndex, layout: Layout, *, mapped: bool
) -> Iterator[Hit]:
    """Hits in one buffer. The extents of a reassembled value belong to the buffer of reassembled values."""
    which, inside = holders.around(np.array([start for _, start, _ in matches], np.int64))
    for (form, start, size), number, within in zip(matches, which.tolist(), inside.tolist(), strict=True):
        needle = form.needle
        if not within and not mapped:
            continue
        if not within:
            yield _outside(form, source, buffer, start, size, layout)
            continue
        holder = holders.holder(number)
        batch, row = holder.batch, holder.row
        if batch.data is not buffer:
            continue
        key = batch.key(row) if batch.key_at[row] >= 0 else b""
        if key in needle.keys:
            continue
        value = batch.value(row)
        begin = start - int(batch.value_at[row])
        offset, length = batch.part(row, begin, size)
        yield Hit(
            finding=needle.finding,
            source=source,
            offset=offset,
            size=length,
            place=Place(int(batch.place[row])),
            copy=_copy_of(form),
            form=form.kind,
            resource=holder.resource.name or NOT_KNOWN,
            key=printable(key) if key else NOT_KNOWN,
            path_size=len(holder.resource.path) + 1 if holder.resource.path else 0,
            provider=Provider.IDENTITY,
            mod_revision=int(batch.mod_revision[row]),
            page=layout.page(source, start) if mapped else int(batch.page[row]),
            path=field_path.locate(value, begin, size),
            buffer=buffer,
            at=start,
        )


def _outside(form: NeedleForm, source: str, buffer: Buffer, start: int, size: int, layout: Layout) -> Hit:
    """A hit outside every stored value."""
    return Hit(
        finding=form.needle.finding,
        source=source,
        offset=start,
        size=size,
        place=layout.place(source, start),
        copy=_copy_of(form),
        form=form.kind,
        resource=NOT_KNOWN,
        key=NOT_KNOWN,
        provider=Provider.UNKNOWN,
        page=layout.page(source, start),
        unheld=True,
        buffer=buffer,
        at=start,
    )


def _in_opened(matcher: NeedleMatcher, values: Selection) -> Iterator[Hit]:
    """Hits inside the decrypted values of other objects; each has the row of the encrypted value."""
    for rows in _portions(values.plaintexts):
        starts = [0, *accumulate(len(values.plaintexts[row]) + 1 for row in rows)]
        buffer = Buffer(b"\0".join([*(values.plaintexts[row] for row in rows), b""]))
        for form, begin in matcher.candidates(buffer):
            number = bisect(starts, begin) - 1
            row = rows[number]
            key = values.key(row)  # of one that lost its etcd key that of its object
            if key in form.needle.keys or (extent := forms.extent(form, buffer, begin)) is None:
                continue
            start, size = extent
            resource = values.resources[values.resource[row]]
            yield Hit(
                finding=form.needle.finding,
                source=values.batch.source,
                offset=int(values.batch.offset[row]),
                size=int(values.batch.size[row]),
                place=Place(int(values.batch.place[row])),
                copy=_copy_of(form),
                form=form.kind,
                resource=resource.name,
                key=printable(key),
                path_size=len(resource.path) + 1 if resource.path else 0,
                provider=Provider(int(values.prefixes.provider[row])),
                mod_revision=int(values.batch.mod_revision[row]),
                page=int(values.batch.page[row]),
                opened=True,
                path=field_path.locate(values.plaintexts[row], start - starts[number], size),
            )


def _portions(plaintexts: Mapping[int, bytes]) -> Iterator[list[int]]:
    """Groups of rows whose plaintexts have about TOGETHER bytes."""
    rows, size = [], 0
    for row, text in plaintexts.items():
        rows.append(row)
        size += len(text)
        if size >= TOGETHER:
            yield rows
            rows, size = [], 0
    if rows:
        yield rows


def _copy_of(form: NeedleForm) -> CopyOf:
    (key, name), *others = form.needle.owners
    return CopyOf(owner=printable(key), field=printable(name), more_owners=len(others), number=form.needle.number)


def _distinct(hits: list[Hit]) -> list[Hit]:
    """One hit for each value at each offset: two forms of one value may match the same bytes."""
    first: dict[tuple[object, ...], Hit] = {}
    for hit in sorted(hits, key=lambda hit: (hit.source, hit.offset, -hit.size)):
        identity = hit.copy, hit.form, hit.unheld, hit.opened, hit.path
        first.setdefault((hit.source, hit.offset, hit.finding, identity), hit)
    return list(first.values())
