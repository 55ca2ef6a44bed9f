"""Strays in texts: beginnings of values that stand there as base64, as hex or with escapes, decoded into fragments."""

import re
from binascii import Error, a2b_base64, unhexlify
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from auditor.arrays.buffer import Buffer
from auditor.arrays.dtypes import Bools, Ints
from auditor.audit import strays
from auditor.evidence.batch import UNKNOWN, RecordBatch
from auditor.evidence.headless import CarvedRecord
from auditor.evidence.ledger import Intervals
from auditor.evidence.signatures import Form, Mark, Writing, lead
from auditor.evidence.sweep import Hits
from auditor.model.evidence import Gap
from auditor.model.vocabulary import Place, State

_GROWTH = (1 << 13, 1 << 17, 1 << 21)
"""Bytes of text that are decoded at first, and if the value does not end in them; etcd's requests hold 1.5 MB."""
MOST_DECODED = 8
"""Bytes that are decoded for each byte of a text, at most; beside LEAST_DECODED."""
LEAST_DECODED = 1 << 26
GROUP = 48
"""Bytes before a beginning that may belong to its group of letters, and to the value before it: four and blanks."""
LONGEST_KEY = 45_000
"""Letters of base64 of a key, at most: etcd's keys of Kubernetes have at most 32 KiB."""
_KEY = re.compile(rb'"key"\s{0,8}:\s{0,8}"$')
_BASE64 = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/-_"
_HEX = b"0123456789abcdefABCDEF"
_BLANKS = b" \t\r\n"
_URL_SAFE = bytes.maketrans(b"-_", b"+/")
_ESCAPE = re.compile(rb"\\{1,4}(u00[0-9a-fA-F]{2}|x[0-9a-fA-F]{2}|[0-7]{1,3}|[abfnrtvZ'\"/]|\\)")
_NAMED = dict(zip(b"abfnrtvZ", b"\a\b\f\n\r\t\v\x1a", strict=True))
_END = re.compile(rb"(?<!\\)['\"]|[\0\r\n]")
"""Where a quoted text ends, at the latest."""


class _Text(NamedTuple):
    """Decoded bytes of a part of a text."""

    content: bytes
    begin: Ints
    """Where in the text the first letter of each of its bytes stands that is not of the byte before too."""
    end: Ints
    """Where each of them ends."""
    value: int
    """Where in `content` the beginning stands."""


class Decoded(NamedTuple):
    """The values of a text."""

    records: RecordBatch | None
    """None where there is none."""
    gaps: tuple[Gap, ...]


def fragments(
    buffer: Buffer, source: str, hits: Hits, rows: Ints, held_by: Intervals, marks: Sequence[Mark]
) -> Decoded:
    """The values that begin at hits of any writing but the plain one, apart from each other.

    Args:
        buffer: The text.
        source: Its name.
        hits: What the sweep met in it.
        rows: The hits that no row of a reader explains, ascending.
        held_by: What the rows of the readers hold, by where they begin.
        marks: What the signatures are.
    """
    written = np.array([mark.writing is not Writing.PLAIN for mark in marks], np.bool_)
    values: list[bytes] = []
    spans: list[tuple[int, int, int]] = []
    gaps: list[Gap] = []
    held: tuple[_Text, CarvedRecord] | None = None
    done, left = 0, LEAST_DECODED + MOST_DECODED * buffer.size
    for row in rows[written[hits.signature[rows]]].tolist():
        mark, end = marks[int(hits.signature[row])], int(hits.end[row])
        if end <= done or (held is not None and mark.form in strays.HEADS and end <= _extent(*held)[1]):
            continue
        if held_by.start.size and _in_key(buffer, end):
            continue
        if left <= 0:
            reason = f"{source}: more values stand here in other writing than are decoded"
            gaps.append(Gap(source, end, buffer.size - end, reason))
            break
        stop = strays.bound(held_by, end, buffer.size)
        text, record, cost = _value(buffer, mark, end, done, stop)
        left -= cost
        if text is None or record is None:
            continue
        begin, after = _extent(text, record)
        if held is not None:
            values[-1], spans[-1] = _before(*held, begin)
        value, span = _before(text, record, after)
        values.append(value)
        spans.append(span)
        held = (text, record) if strays.is_open(record, mark.form) else None
        done = max(after, end) if held is None else end
    return Decoded(_batch(source, values, spans) if values else None, tuple(gaps))


def _extent(text: _Text, record: CarvedRecord) -> tuple[int, int]:
    """Where in the text the letters of a value begin, and the position behind them."""
    return int(text.begin[record.value_at]), int(text.end[record.end - 1])


def _before(text: _Text, record: CarvedRecord, stop: int) -> tuple[bytes, tuple[int, int, int]]:
    """The bytes of a value whose letters end before a position of the text; offset and size of those; its state."""
    begin, _ = _extent(text, record)
    end = max(int(np.searchsorted(text.end[: record.end], stop, "right")), record.value_at + 1)
    size = int(text.end[end - 1]) - begin
    return text.content[record.value_at : end], (begin, size, record.state | State.ENCODED)


def _batch(source: str, values: list[bytes], spans: list[tuple[int, int, int]]) -> RecordBatch:
    lengths = np.array([len(value) for value in values], np.int64)
    stored_at, stored_len, state = np.array(spans, np.int64).reshape(-1, 3).T
    return RecordBatch.of(
        source,
        Buffer(b"".join(values)),
        mapped=False,
        place=Place.UNPLACED,
        key_at=np.full(lengths.size, UNKNOWN, np.int64),
        key_len=np.zeros(lengths.size, np.uint32),
        value_at=np.cumsum(lengths) - lengths,
        value_len=lengths,
        state=state.astype(np.uint8),
        stored_at=stored_at.copy(),
        stored_len=stored_len.copy(),
    )


def _value(
    buffer: Buffer, mark: Mark, end: int, floor: int, stop: int
) -> tuple[_Text | None, CarvedRecord | None, int]:
    """The value of a hit in decoded text, and the bytes that were decoded for it; None where it is none after all."""
    cost = 0
    for size in _GROWTH:
        high = min(stop, end + size)
        text = _DECODERS[mark.writing](buffer, mark, end, floor, high)
        if text is None or not _begins(text, mark):
            return None, None, cost + size
        cost += len(text.content)
        whole = len(text.content)
        begin = text.value + (mark.form is Form.JSON)
        record = strays.value_at(Buffer(text.content), mark.form, begin, begin + 1, 0, whole)
        # what does not end in the part that is decoded may end in a longer one
        if high < end + size or record.end < whole:
            break
    return text, record, cost


def _in_key(buffer: Buffer, end: int) -> bool:
    """Whether a position lies in the key of a record, in JSON as etcdctl and Gardener's backups write it."""
    low = max(end - LONGEST_KEY, 0)
    before = buffer.slice(low, end - low)
    return _KEY.search(before, 0, before.rfind(b'"') + 1) is not None


def _begins(text: _Text, mark: Mark) -> bool:
    """Whether a value begins there: a letter of base64 may be of other bytes than those that were searched for."""
    return re.compile(mark.whole, re.DOTALL).match(text.content, text.value) is not None


def _letters(buffer: Buffer, end: int, low: int, high: int, which: Bools) -> tuple[Ints, int, int]:
    """Where in the part from low to high letters stand, which of them is the one before `end`, and where they cease.

    which: whether each of the 256 bytes is a letter.
    """
    raw = np.frombuffer(buffer.slice(low, high - low), np.uint8)
    others = np.flatnonzero(~(which | _IS_BLANK)[raw])
    last = end - low - 1
    place = int(np.searchsorted(others, last))
    first = int(others[place - 1]) + 1 if place else 0
    cease = int(others[place]) if place < others.size else raw.size
    at = np.flatnonzero(which[raw[first:cease]]) + first
    return at + low, int(np.searchsorted(at, last)), cease + low


def _base64(buffer: Buffer, mark: Mark, end: int, floor: int, high: int) -> _Text | None:
    low = max(
        floor - GROUP, end - mark.signature.longest - (2 * strays.ENCLOSING if mark.form is Form.JSON else GROUP), 0
    )
    at, last, cease = _letters(buffer, end, low, high, _IS_BASE64)
    group = last + 1 - mark.letters - lead(mark.before)
    if group < 0:
        return None
    first = group % 4 if mark.form is Form.JSON else group
    count = (at.size - first) // 4 * 4 + (0, 0, 2, 3)[(at.size - first) % 4]
    at = at[first : first + count]
    raw = buffer.slice(low, cease - low)
    letters = bytes(np.frombuffer(raw, np.uint8)[at - low]).translate(_URL_SAFE)
    try:
        content = a2b_base64(letters + b"=" * (-count % 4))
    except Error:
        return None
    bits = np.arange(len(content)) * 8
    return _Text(content, at[(bits + 5) // 6], at[(bits + 7) // 6] + 1, (group - first) // 4 * 3 + mark.before)


def _hex(buffer: Buffer, mark: Mark, end: int, floor: int, high: int) -> _Text | None:
    low = max(floor - GROUP, end - mark.signature.longest - (2 * strays.ENCLOSING if mark.form is Form.JSON else 0), 0)
    at, last, cease = _letters(buffer, end, low, high, _IS_HEX)
    begin = last + 1 - mark.letters
    if begin < 0:
        return None
    first = begin % 2 if mark.form is Form.JSON else begin
    at = at[first : first + (at.size - first) // 2 * 2]
    raw = buffer.slice(low, cease - low)
    content = unhexlify(bytes(np.frombuffer(raw, np.uint8)[at - low]))
    return _Text(content, at[::2], at[1::2] + 1, (begin - first) // 2)


def _escaped(buffer: Buffer, mark: Mark, end: int, floor: int, high: int) -> _Text | None:
    """The bytes that escapes stand for, up to the quotation mark behind them; what is no escape stands for itself."""
    low = max(floor, end - mark.signature.longest)
    low += max(buffer.slice(low, end - low).rfind(mark.signature.opening), 0)
    raw = buffer.slice(low, high - low)
    closing = _END.search(raw, end - low)
    raw = raw[: closing.start()] if closing is not None else raw
    parts: list[bytes] = []
    begins: list[int] = []
    done = 0
    for match in _ESCAPE.finditer(raw):
        parts += [raw[done : match.start()], _escape(match[1])]
        begins += [*range(done, match.start()), match.start()]
        done = match.end()
    parts.append(raw[done:])
    begins += [*range(done, len(raw) + 1)]
    places = np.array(begins, np.int64) + low
    return _Text(b"".join(parts), places[:-1], places[1:], 0)


def _escape(text: bytes) -> bytes:
    """The byte that the text behind a backslash stands for."""
    if text[:1] in (b"u", b"x"):
        return bytes([int(text[1:], 16)])
    if text[:1].isdigit():
        return bytes([int(text, 8) & 0xFF])
    return bytes([_NAMED.get(text[0], text[0])])


def _table(octets: bytes) -> Bools:
    table = np.zeros(256, np.bool_)
    table[list(octets)] = True
    return table


_IS_BASE64, _IS_HEX, _IS_BLANK = _table(_BASE64), _table(_HEX), _table(_BLANKS)
_DECODERS: dict[Writing, Callable[[Buffer, Mark, int, int, int], _Text | None]] = {
    Writing.BASE64: _base64,
    Writing.HEX: _hex,
    Writing.ESCAPED: _escaped,
}
