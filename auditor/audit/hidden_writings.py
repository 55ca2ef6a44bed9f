"""Values in another writing where no reader decodes anything: in an etcd key, and in what claims to be encrypted.

No ciphertext holds a text of any length: whatever text stands there in a medium that is none is decoded (base64, hex,
escapes, lists of numbers, YAML, one in another); elsewhere the ledger tells what is no value.
"""

import re
from collections.abc import Iterator
from functools import cache
from itertools import pairwise

import numpy as np

from auditor.arrays.buffer import Buffer
from auditor.arrays.dtypes import Bools, Ints
from auditor.arrays.parallel import ranges
from auditor.evidence import beginnings
from auditor.evidence.gaps import listed
from auditor.evidence.ledger import Intervals
from auditor.kubernetes.prefixes import LONGEST_KEK_ID
from auditor.model.evidence import Gap

STEP = 16
"""Bytes between the words of a payload that are looked at: a text of 39 letters holds two that follow each other."""
AT_ONCE = 1 << 16
"""Words that are looked at in one step."""
_HIGH = np.uint64(0x8080808080808080)
_TEXT = re.compile(rb"[\0\t\n\r -~]{24,}")
"""A text, also in UTF-16."""


def gaps(source: str, buffer: Buffer, spans: Intervals, key: Bools, payload: Bools) -> Iterator[Gap]:
    """The keys and payloads in which a value begins.

    Args:
        source: The medium's name.
        buffer: Its bytes.
        spans: What rows account for in it, by where they begin.
        key: Which of them are etcd keys.
        payload: Which of them claim to be encrypted.
    """
    rows = np.union1d(_etcd_keys(buffer, spans, np.flatnonzero(key)), _payloads(buffer, spans, np.flatnonzero(payload)))

    def one(row: int) -> Gap:
        at, size = int(spans.start[row]), int(spans.end[row] - spans.start[row])
        what = f"the key or encrypted value at offset {at:,} holds the beginning of a readable one"
        return Gap(source, at, size, f"{source}: {what}")

    def others(more: Ints) -> Gap:
        reason = f"{source}: {more.size:,} more keys or encrypted values hold the beginning of a readable one"
        return Gap(source, int(spans.start[more[0]]), 0, reason)

    yield from listed(rows, one, others)


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
