"""JSON objects with etcd's KeyValue in base64, located one after the other in a mapped file, decoded into columns.

Such a text is one line of any length and never loaded as a whole. Format: etcd api/mvccpb/kv.pb.go (names of fields;
Go's encoding/json omits zeros, and writes bytes as padded base64). etcd's gateway to JSON (`/v3/kv/range`) writes
numbers of 64 bits as strings, as protobuf's mapping to JSON does.
"""

import json
import re
from array import array
from binascii import Error, a2b_base64
from dataclasses import dataclass, field
from mmap import mmap

import numpy as np

from auditor.arrays.buffer import Buffer
from auditor.arrays.dtypes import Ints
from auditor.evidence.batch import UNKNOWN, RecordBatch
from auditor.evidence.file import EvidenceFile
from auditor.evidence.gaps import LISTED, listed
from auditor.evidence.scratch import scratch_buffer
from auditor.model.evidence import Gap
from auditor.model.vocabulary import Place, State

LARGEST = (1 << 63) - 1
LONGEST_HEAD = 1 << 16
"""Bytes of an object without its value, at most: a key is at most 32 KiB of them."""
_HEAD = re.compile(
    rb'\s*(?P<event>\{\s*"etcdEvent"\s*:\s*\{\s*(?:"type"\s*:\s*(?P<type>[01])\s*,\s*)?"kv"\s*:\s*)?'
    rb'\{\s*"key"\s*:\s*"(?P<key>[A-Za-z0-9+/=]*)"\s*(?:,\s*"create_revision"\s*:\s*"?(?P<create>\d{1,19})"?\s*)?'
    rb'(?:,\s*"mod_revision"\s*:\s*"?(?P<mod>\d{1,19})"?\s*)?(?:,\s*"version"\s*:\s*"?(?P<version>\d{1,19})"?\s*)?'
    rb'(?P<value>,\s*"value"\s*:\s*")?'
)
_TAIL = re.compile(rb'\s*(?:,\s*"lease"\s*:\s*"?-?\d{1,19}"?\s*)?\}')
_EVENT_TAIL = re.compile(rb'\s*\}\s*,\s*"time"\s*:\s*"\d{4}-\d\d-\d\dT[\d:.]{8,20}(?:Z|[+-]\d\d:\d\d)"\s*\}')
_BETWEEN = re.compile(rb"\s*([,\]])")


@dataclass
class JsonRecords:
    """The objects of an array in their order."""

    spans: "array[int]" = field(default_factory=lambda: array("q"))
    """Eight numbers a row: offset and length of key and value, create, mod, version, tombstone."""
    bounds: "array[int]" = field(default_factory=lambda: array("q"))
    """Two numbers a row: where the object begins, and the position behind the comma or the bracket that follows it."""
    gaps: list[Gap] = field(default_factory=list)
    """The parts that are no such object."""

    def __len__(self) -> int:
        return len(self.spans) // 8


def scan(file: EvidenceFile, at: int, end: int, records: JsonRecords) -> int:
    """Add the objects of an array, up to its closing bracket; the position behind it, or where the reading stopped.

    Args:
        file: The text.
        at: The position behind the opening bracket.
        end: Where the text ends.
        records: The records, and the parts that are none.
    """
    text, known = file.map, len(records.gaps)
    if (separator := _BETWEEN.match(text, at, end)) and separator[1] == b"]":
        return separator.end()
    while True:
        stop = _object(text, at, end, records.spans)
        if stop < 0:
            # go on at the next beginning of an object
            following = text.find(b'{"etcdEvent"' if _is_event(text, at) else b'{"key"', at + 1, end)
            stop = following if following >= 0 else end
            reason = f"{file.name}: no record that etcd's tools write at offset {at:,}: damaged, or cut"
            records.gaps.append(Gap(file.name, at, stop - at, reason))
            if following < 0 or len(records.gaps) - known > LISTED:
                if following >= 0:
                    reason = f"{file.name}: too many damaged records: nothing is read from offset {following:,} on"
                    records.gaps.append(Gap(file.name, following, end - following, reason))
                return end
            at = following
            continue
        separator = _BETWEEN.match(text, stop, end)
        if separator is None:
            reason = f"{file.name}: the list of records does not end: cut at offset {stop:,}"
            records.gaps.append(Gap(file.name, stop, end - stop, reason))
            records.bounds.extend((at, stop))
            return end
        records.bounds.extend((at, separator.end()))
        at = separator.end()
        if separator[1] == b"]":
            return at


def _is_event(text: mmap, at: int) -> bool:
    """Whether the object at `at` is an event of a backup's increment, around the KeyValue."""
    return b"etcdEvent" in text[at : at + 32]


def _object(text: mmap, at: int, end: int, spans: "array[int]") -> int:
    """Add the object at `at` to `spans`; the position behind it, -1 where there is none."""
    head = _HEAD.match(text, at, min(end, at + LONGEST_HEAD))
    if head is None:
        return UNKNOWN
    stop = value_at = head.end()
    size = 0
    if head["value"]:
        quote = text.find(b'"', value_at, end)
        if quote < 0:
            return UNKNOWN
        size, stop = quote - value_at, quote + 1
    tail = _TAIL.match(text, stop, min(end, stop + 256))
    if tail is not None and head["event"]:
        tail = _EVENT_TAIL.match(text, tail.end(), min(end, tail.end() + 256))
    if tail is None:
        return UNKNOWN
    key_at, key_end = head.span("key")
    numbers = [int(head[name] or -1) for name in ("create", "mod", "version")]
    tombstone = int(head["type"] == b"1")
    spans.extend((key_at, key_end - key_at, value_at, size, *(min(value, LARGEST) for value in numbers), tombstone))
    return int(tail.end())


def batch(file: EvidenceFile, objects: JsonRecords, work_dir: str = "") -> tuple[RecordBatch, list[Gap]]:
    """Keys and values decoded into a buffer of their own; offset and size are those of each value's base64.

    Args:
        file: The text.
        objects: Its objects.
        work_dir: Folder for the buffer, if it is large.
    """
    # table: the eight columns of JsonRecords.spans; spans: positions and lengths in the buffer instead
    table = np.array(objects.spans, np.int64).reshape(-1, 8)
    room = scratch_buffer(
        int((table[:, 1] // 4 + table[:, 3] // 4).sum()) * 3, f"what {file.name} holds in base64", work_dir
    )
    spans, gaps = _decode(file, table, memoryview(room))
    key_at, key_len, value_at, value_len = np.array(spans, np.int64).reshape(-1, 4).T
    records = RecordBatch.of(
        file.name,
        Buffer(room),
        mapped=False,
        place=Place.LATEST,
        key_at=key_at,
        key_len=key_len,
        value_at=value_at,
        value_len=value_len,
        mod_revision=table[:, 5].copy(),
        create_revision=table[:, 4].copy(),
        version=table[:, 6].copy(),
        state=np.where(table[:, 7] > 0, State.TOMBSTONE | State.ENCODED, State.ENCODED).astype(np.uint8),
        stored_at=table[:, 2].copy(),
        stored_len=table[:, 3].copy(),
    )

    def rest(more: Ints) -> Gap:
        reason = f"{more.size:,} more records that are no base64, not listed"
        return Gap(file.name, gaps[int(more[0])].offset, sum(gaps[row].length for row in more.tolist()), reason)

    return records, list(listed(np.arange(len(gaps)), gaps.__getitem__, rest))


def _decode(file: EvidenceFile, table: Ints, room: memoryview) -> tuple["array[int]", list[Gap]]:
    """Write keys and values into `room`: position and length there of each, and gaps for those that are no base64."""
    spans = array("q")
    gaps: list[Gap] = []
    at = 0
    for key_at, key_size, value_at, size in table[:, :4].tolist():
        try:
            key = a2b_base64(file.map[key_at : key_at + key_size], strict_mode=True)
            value = a2b_base64(file.map[value_at : value_at + size], strict_mode=True)
        except Error:
            gaps.append(Gap(file.name, key_at, value_at + size - key_at, f"offset {key_at:,}: this is no base64"))
            spans.extend((at, 0, at, 0))
            continue
        middle, end = at + len(key), at + len(key) + len(value)
        room[at:middle], room[middle:end] = key, value
        spans.extend((at, len(key), middle, len(value)))
        at = end
    return spans, gaps


def object_before(raw: bytes) -> dict[str, object]:
    """A small JSON object without objects in it, decoded; empty where the bytes are none, or name a field twice."""

    def once(pairs: list[tuple[str, object]]) -> dict[str, object]:
        return dict(pairs) if len({name for name, _ in pairs}) == len(pairs) else {}

    try:
        decoded = json.loads(raw, object_pairs_hook=once)
    except ValueError:
        return {}
    return decoded if isinstance(decoded, dict) else {}
