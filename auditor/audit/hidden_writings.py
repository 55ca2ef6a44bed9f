"""Values in another writing where no reader decodes anything: in an etcd key, and in what claims to be encrypted.

No ciphertext holds a text of any length: whatever text stands there is decoded (base64, hex, escapes, lists of numbers,
YAML, one in another). Keys and values are searched as their reader decodes them, in every store; elsewhere the ledger
tells what is no value.
"""

import re
from collections.abc import Iterator, Sequence
from functools import cache
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from auditor.arrays.buffer import Buffer
from auditor.arrays.dtypes import Ints
from auditor.arrays.parallel import ranges
from auditor.evidence import beginnings
from auditor.evidence.beginnings import TAG, TAGGED
from auditor.evidence.gaps import listed
from auditor.evidence.ledger import Intervals
from auditor.kubernetes.prefixes import LONGEST_KEK_ID
from auditor.kubernetes.store import Classified
from auditor.model.evidence import Gap
from auditor.model.vocabulary import Provider

STEP = 16
"""Bytes between the words of a payload that are looked at: a text of 39 letters holds two that follow each other."""
AT_ONCE = 1 << 16
"""Words that are looked at in one step."""
_HIGH = np.uint64(0x8080808080808080)
_TEXT = re.compile(rb"[\0\t\n\r -~]{24,}")
"""A text, also in UTF-16."""


class _Holders(NamedTuple):
    """Where in a source the keys and payloads lie that hold a beginning: columns of shape (holders,)."""

    at: Ints
    size: Ints


def gaps(source: str, parts: Sequence[Classified]) -> Iterator[Gap]:
    """The keys and payloads in which a value begins, as their readers decoded them.

    Args:
        source: Name of the file.
        parts: The records, of it and of others.
    """
    every = [holders for part in parts if part.batch.source == source and len(part) for holders in _holders(part)]
    if not every:
        return
    at, size = np.unique(np.concatenate([np.stack(holders) for holders in every], axis=1), axis=1)

    def one(row: int) -> Gap:
        what = f"the key or encrypted value at offset {at[row]:,} holds the beginning of a readable one"
        return Gap(source, int(at[row]), int(size[row]), f"{source}: {what}")

    def others(more: Ints) -> Gap:
        reason = f"{source}: {more.size:,} more keys or encrypted values hold the beginning of a readable one"
        return Gap(source, int(at[more[0]]), 0, reason)

    yield from listed(np.arange(at.size), one, others)


def _holders(part: Classified) -> Iterator[_Holders]:
    """The keys, then the payloads, of some records."""
    batch, prefixes = part.batch, part.prefixes
    keyed = np.flatnonzero(batch.key_at >= 0)
    rows = _etcd_keys(batch.data, Intervals(batch.key_at, batch.key_at + batch.key_size), keyed)
    # where a source writes keys and values in its own way a record is where its value is
    at, size = (batch.key_at, batch.key_size) if batch.mapped else (batch.offset, batch.size)
    yield _Holders(at[rows], size[rows])
    readable = (prefixes.provider == Provider.IDENTITY) & ~prefixes.malformed
    payloads = np.flatnonzero(~readable & (prefixes.provider != Provider.UNKNOWN))
    values = Intervals(batch.value_at, batch.value_at + batch.value_size)
    rows = _payloads(batch.data, values, payloads)
    if not batch.mapped:  # else the sweep meets it
        rows = np.union1d(rows, _tagged(batch.data, values, payloads))
    yield _Holders(batch.offset[rows], batch.size[rows])


def _tagged(buffer: Buffer, spans: Intervals, rows: Ints) -> Ints:
    """Those of these payloads that hold the tag of an object in CBOR."""
    views = buffer.views(spans.start[rows], (spans.end - spans.start)[rows])
    tagged = [TAG in raw and TAGGED.search(raw) is not None for raw in map(bytes, views)]
    return rows[np.array(tagged, np.bool_)]


def _etcd_keys(buffer: Buffer, spans: Intervals, rows: Ints) -> Ints:
    """Those of these keys that hold a beginning."""
    start, size = spans.start[rows], (spans.end - spans.start)[rows]
    some = np.flatnonzero(beginnings.likely(buffer, start, size))
    texts = buffer.slices(start[some], size[some])
    return rows[some[np.array(list(map(_is_readable, texts)), np.bool_)]]


def _payloads(buffer: Buffer, spans: Intervals, rows: Ints) -> Ints:
    """Those of these payloads that hold a text in which a value begins."""
    holding, readable = list[int](), cache(_is_readable)
    start, stop = spans.start[rows], spans.end[rows]
    count = np.maximum((stop - start - 8) // STEP + 1, 0)
    edges = np.searchsorted(np.cumsum(count), np.arange(0, int(count.sum()) + 1, AT_ONCE), "right")
    for first, last in pairwise(np.unique(np.append(edges, rows.size)).tolist()):
        row, low, high = _texts(buffer, start[first:last], stop[first:last], count[first:last])
        for place, region in zip((row + first).tolist(), buffer.slices(low, high - low), strict=True):
            for text in _TEXT.findall(region):
                # ids of KEKs are in every value
                if readable(text) if len(text) <= LONGEST_KEK_ID else _is_readable(text):
                    holding.append(place)
    return rows[np.unique(np.array(holding, np.int64))]


def _is_readable(text: bytes) -> bool:
    return beginnings.in_text(text.replace(b"\0", b""), 1, readable=True)


def _texts(buffer: Buffer, start: Ints, stop: Ints, count: Ints) -> tuple[Ints, Ints, Ints]:
    """Row, begin and end of what may be texts in payloads: of the words of ciphertext one in 256 has no high byte.

    Args:
        buffer: The medium's bytes.
        start: Where payloads begin.
        stop: Where they end.
        count: Words that are looked at in each, STEP bytes apart.
    """
    at, row = ranges(start, count, STEP), np.repeat(np.arange(start.size), count)
    low = (buffer.words(at) & _HIGH) == 0
    pairs = np.flatnonzero(low[:-1] & low[1:] & (row[:-1] == row[1:]))
    at, row = at[pairs], row[pairs]
    new = np.append(True, (row[1:] != row[:-1]) | (at[1:] - at[:-1] > 2 * STEP))[: row.size]
    first = np.flatnonzero(new)
    last = np.append(first[1:], row.size)[: first.size] - 1
    row, begin, end = row[first], at[first] - 2 * STEP, at[last] + 4 * STEP
    return row, np.maximum(begin, start[row]), np.minimum(end, stop[row])
