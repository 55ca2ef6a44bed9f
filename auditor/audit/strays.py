"""Strays: beginnings of values that lie in no row, made into fragments, which are judged as any other."""

import json
from collections.abc import Iterator, Sequence

import numpy as np

from auditor.arrays.buffer import Buffer
from auditor.arrays.dtypes import Ints
from auditor.evidence.batch import UNKNOWN
from auditor.evidence.headless import CarvedRecord, without_record
from auditor.evidence.ledger import Intervals
from auditor.evidence.signatures import KEYS, NEAR, Form, Mark, Writing
from auditor.evidence.sweep import Hits
from auditor.model.vocabulary import State

LONGEST = 1 << 22
"""Bytes from a signature on that are taken for its value where nothing says how long it is."""
ENCLOSING = 1 << 16
"""Bytes before the `kind` of a JSON object in which its brace is looked for."""
_GROWTH = (1 << 12, 1 << 16, 1 << 19, LONGEST)
"""Bytes of an object that are decoded at first, and if it does not end in them: most are small."""
HEADS = (Form.PROTOBUF, Form.ENCRYPTED)


def fragments(
    buffer: Buffer, hits: Hits, rows: Ints, held_by: Intervals, marks: Sequence[Mark], *, text: bool
) -> Iterator[CarvedRecord]:
    """The values that begin at hits of plain writing, apart from each other.

    Args:
        buffer: The medium.
        hits: What the sweep met in it.
        rows: The hits that no row of a reader explains, ascending.
        held_by: What the rows of the readers hold, by where they begin: no value reaches beyond the ends of a row.
        marks: What the signatures are.
        text: Whether the medium is a text, in which whole JSON may speak of an object, and be none.
    """
    held: CarvedRecord | None = None
    done, plain = 0, np.array([mark.writing is Writing.PLAIN for mark in marks], np.bool_)
    for row in rows[plain[hits.signature[rows]]].tolist():
        mark, end = marks[int(hits.signature[row])], int(hits.end[row])
        if end <= done or (held is not None and mark.form in HEADS and end <= held.end):
            continue
        if mark.form is Form.CBOR and not any(name in buffer.slice(end, NEAR) for name in KEYS):
            continue
        low = max(end - mark.signature.longest, 0)
        begin = low + max(buffer.slice(low, end - low).rfind(mark.signature.opening), 0)
        stop = bound(held_by, end, buffer.size)
        record = value_at(buffer, mark.form, begin, end, done, min(stop, begin + LONGEST))
        if text and mark.form is Form.JSON and _is_reference(buffer, record):
            done = max(record.end, end)
            continue
        if held is not None:
            yield _before(held, record.start)
        held, done = (record, end) if is_open(record, mark.form) else (None, max(record.end, end))
        if held is None:
            yield record
    if held is not None:
        yield held


def bound(rows: Intervals, at: int, size: int) -> int:
    """Where a value ends at the latest whose beginning ends at `at`: with the row around it, else before the next one.

    Args:
        rows: What rows hold, by where they begin.
        at: A position.
        size: Bytes of the medium.
    """
    following = int(np.searchsorted(rows.start, at, "left"))
    stop = int(rows.start[following]) if following < rows.start.size else size
    around = int(rows.end[following - 1]) if following else 0
    return min(stop, around) if at <= around else stop


def is_open(record: CarvedRecord, form: Form) -> bool:
    """Whether nothing says where a value ends: it owns no byte behind the beginning of the next one."""
    return form in HEADS and bool(record.state & State.TAIL_LOST)


def _before(record: CarvedRecord, stop: int) -> CarvedRecord:
    """What of a value lies before a position."""
    length = min(record.end, stop) - record.start
    return record._replace(end=record.start + length, value_len=length) if length < record.value_len else record


def value_at(buffer: Buffer, form: Form, begin: int, end: int, floor: int, stop: int) -> CarvedRecord:
    """The value of one beginning.

    Args:
        buffer: The medium.
        form: What begins.
        begin: Where; of JSON, where the word `kind` stands.
        end: The position behind the beginning.
        floor: Where the value begins at the earliest.
        stop: Where it ends at the latest.
    """
    if form is Form.JSON:
        return _json(buffer, max(begin - 1, 0), floor, stop)
    if form in HEADS:
        return without_record(buffer, begin, begin, stop)
    near = buffer.slice(begin, stop - begin).rstrip(b"\0")
    return bare(begin, max(begin + len(near), end), State.HEAD_LOST | State.TAIL_LOST)


def _json(buffer: Buffer, at: int, floor: int, stop: int) -> CarvedRecord:
    """The JSON object whose `kind` stands at `at`, to its last brace; what is near where it is not whole."""
    low = max(floor, at - ENCLOSING)
    before = buffer.slice(low, at - low)
    depth, place = 0, len(before)
    while (place := max(before.rfind(b"{", 0, place), before.rfind(b"}", 0, place))) >= 0:
        depth += 1 if before[place : place + 1] == b"}" else -1
        if depth < 0:
            break
    if place >= 0 and (length := _object_length(buffer, low + place, stop)):
        return bare(low + place, low + place + length)
    begin = low + place if place >= 0 else at
    stop = next(buffer.occurrences(b"\0", at, stop), stop)  # no text has a zero byte
    return bare(begin, max(stop, at + 1), State.HEAD_LOST | State.TAIL_LOST)


def _is_reference(buffer: Buffer, record: CarvedRecord) -> bool:
    """Whether a whole object in JSON names a kind and is none of it: it has no metadata, data or items of its own."""
    if record.state:
        return False
    tree = json.loads(buffer.slice(record.start, record.end - record.start).decode("utf-8", "surrogateescape"))
    return isinstance(tree, dict) and not any("data" in name.lower() or name == "items" for name in tree)


def _object_length(buffer: Buffer, at: int, stop: int) -> int:
    """Bytes of the JSON object that begins at `at`; 0 where none ends before `stop`."""
    for size in _GROWTH:
        raw = buffer.slice(at, min(size, stop - at))
        decoded = raw.decode("utf-8", "surrogateescape")
        try:
            _, length = json.JSONDecoder().raw_decode(decoded)
        except (ValueError, RecursionError):
            if len(raw) < size or b"\0" in raw:
                return 0
        else:
            return len(decoded[:length].encode("utf-8", "surrogateescape"))
    return 0


def bare(begin: int, end: int, state: State = State(0)) -> CarvedRecord:  # noqa: B008 - an immutable flag
    """A value of which nothing but its bytes is known."""
    unknown = UNKNOWN
    return CarvedRecord(begin, end, unknown, 0, begin, end - begin, unknown, unknown, unknown, unknown, state)
