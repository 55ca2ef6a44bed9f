"""Values in another writing where no reader decodes anything: in an etcd key, and in what claims to be encrypted.

No ciphertext holds a text of any length: whatever text stands there in a medium that is none is decoded (base64, hex,
escapes, lists of numbers, YAML, one in another); elsewhere the ledger tells what is no value.
"""

import re
from collections.abc import Iterator
from functools import cache

import numpy as np

from auditor.arrays.buffer import Buffer
from auditor.arrays.dtypes import Bools, Ints
from auditor.arrays.parallel import chunks
from auditor.evidence import beginnings
from auditor.evidence.gaps import listed
from auditor.evidence.ledger import Intervals
from auditor.kubernetes.prefixes import LONGEST_KEK_ID
from auditor.model.evidence import Gap

STEP = 16
"""Bytes between the words of a medium that are looked at: a text of 39 letters holds two that follow each other."""
BOTH = STEP + 8
"""Bytes from the begin of such a word to the end of the next one."""
AT_ONCE = 1 << 17
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
        payload: Which claim to be encrypted, or are of no known kind.
    """
    rows = np.union1d(_keys(buffer, spans, np.flatnonzero(key)), _payloads(buffer, spans, np.flatnonzero(payload)))

    def one(row: int) -> Gap:
        at, size = int(spans.start[row]), int(spans.end[row] - spans.start[row])
        what = f"the key or encrypted value at offset {at:,} holds the beginning of a readable one"
        return Gap(source, at, size, f"{source}: {what}")

    def others(more: Ints) -> Gap:
        reason = f"{source}: {more.size:,} more keys or encrypted values hold the beginning of a readable one"
        return Gap(source, int(spans.start[more[0]]), 0, reason)

    yield from listed(rows, one, others)


def _keys(buffer: Buffer, spans: Intervals, rows: Ints) -> Ints:
    """Those of these keys that hold a beginning."""
    start, size = spans.start[rows], (spans.end - spans.start)[rows]
    some = np.flatnonzero(beginnings.likely(buffer, start, size))
    texts = buffer.slices(start[some], size[some])
    return rows[some[np.array(list(map(_is_readable, texts)), np.bool_)]]


def _payloads(buffer: Buffer, spans: Intervals, rows: Ints) -> Ints:
    """Those of these payloads that hold a text in which a value begins."""
    holding, readable = list[int](), cache(_is_readable)
    for row, begin, end in _texts(buffer, Intervals(spans.start[rows], spans.end[rows])):
        for place, region in zip(row.tolist(), buffer.slices(begin, end - begin), strict=True):
            for text in _TEXT.findall(region):
                # ids of KEKs are in every value
                if readable(text) if len(text) <= LONGEST_KEK_ID else _is_readable(text):
                    holding.append(place)
    return rows[np.unique(np.array(holding, np.int64))]


def _is_readable(text: bytes) -> bool:
    return beginnings.in_text(text.replace(b"\0", b""), 1, readable=True)


def _texts(buffer: Buffer, payloads: Intervals) -> Iterator[tuple[Ints, Ints, Ints]]:
    """Row, begin and end of what may be texts in payloads: of the words of ciphertext one in 256 has no high byte."""
    start, end = payloads
    reach = np.maximum.accumulate(end)
    # of payloads inside each other, the one that reaches farthest
    widest = np.maximum.accumulate(np.where(end == reach, np.arange(end.size), 0))
    words = buffer.strided_words(STEP)
    for part in chunks(words.size, AT_ONCE):
        first, last = STEP * part.start, STEP * part.stop + beginnings.OVERLAP
        before = int(np.searchsorted(start, last))
        if not before or reach[before - 1] <= first:
            continue
        low = (words[part.start : last // STEP] & _HIGH) == 0
        at = first + STEP * np.flatnonzero(low[:-1] & low[1:])
        row = widest[np.searchsorted(start, at, "right") - 1]
        inside = (at >= start[row]) & (at + BOTH <= end[row])
        at, row = at[inside], row[inside]
        new = np.append(True, (row[1:] != row[:-1]) | (at[1:] - at[:-1] > 2 * STEP))[: row.size]
        begins = np.flatnonzero(new)
        ends = np.append(begins[1:], row.size)[: begins.size] - 1
        row, begin, behind = row[begins], at[begins] - 2 * STEP, at[ends] + 4 * STEP
        yield row, np.maximum(begin, start[row]), np.minimum(behind, end[row])
