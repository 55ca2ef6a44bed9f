"""JSON objects with etcd's KeyValue in base64, found one after the other in a mapped file and decoded into columns.

Such a text is one line of any length: it is never loaded as a whole. etcd api/mvccpb/kv.pb.go (the names of the
fields; Go's encoding/json leaves zero ones out, and writes bytes as padded base64).
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
"""Bytes of an object looked at for what stands before and behind its value: a key is at most 32 KiB of them."""
_HEAD = re.compile(
    rb'\s*(?P<event>\{\s*"etcdEvent"\s*:\s*\{\s*(?:"type"\s*:\s*(?P<type>\d+)\s*,\s*)?"kv"\s*:\s*)?'
    rb'\{\s*"key"\s*:\s*"(?P<key>[A-Za-z0-9+/=]*)"\s*(?:,\s*"create_revision"\s*:\s*(?P<create>\d+)\s*)?'
    rb'(?:,\s*"mod_revision"\s*:\s*(?P<mod>\d+)\s*)?(?:,\s*"version"\s*:\s*(?P<version>\d+)\s*)?'
    rb'(?P<value>,\s*"value"\s*:\s*")?'
)
_TAIL = re.compile(rb'\s*(?:,\s*"lease"\s*:\s*-?\d+\s*)?\}')
_EVENT_TAIL = re.compile(rb'\s*\}\s*,\s*"time"\s*:\s*"[^"\\]{0,64}"\s*\}')
_BETWEEN = re.compile(rb"\s*([,\]])")


@dataclass
class JsonRecords:
    """Objects in their order. spans: key's and value's offset and length, create, mod, version, tombstone: 8 a row.

    end: where the closing bracket was found, or the reading stopped.
    """

    spans: "array[int]" = field(default_factory=lambda: array("q"))
    gaps: list[Gap] = field(default_factory=list)
    end: int = 0

    def __len__(self) -> int:
        return len(self.spans) // 8


def scan(file: EvidenceFile, at: int, end: int) -> JsonRecords:
    """The objects of the array whose bracket stands before `at`, up to its closing one; gaps for what is none."""
    found = JsonRecords()
    text = file.map
    if (closed := _BETWEEN.match(text, at, end)) and closed[1] == b"]":
        found.end = closed.end()
        return found
    while True:
        stop = _one(text, at, end, found.spans)
        if stop < 0:
            # the next object that begins as one does
            next_at = text.find(b'{"etcdEvent"' if _is_event(text, at) else b'{"key"', at + 1, end)
            stop = next_at if next_at >= 0 else end
            reason = f"{file.name}: no record that etcd's tools write at offset {at:,}: damaged, or cut"
            found.gaps.append(Gap(file.name, at, stop - at, reason))
            if next_at < 0 or len(found.gaps) > LISTED:
                found.end = end
                if next_at >= 0:
                    reason = f"{file.name}: too many damaged records: nothing is read from offset {next_at:,} on"
                    found.gaps.append(Gap(file.name, next_at, end - next_at, reason))
                return found
            at = next_at
            continue
        closed = _BETWEEN.match(text, stop, end)
        if closed is None:
            reason = f"{file.name}: the list of records does not end: cut at offset {stop:,}"
            found.gaps.append(Gap(file.name, stop, end - stop, reason))
            found.end = end
            return found
        at = found.end = closed.end()
        if closed[1] == b"]":
            return found


def _is_event(text: mmap, at: int) -> bool:
    return b"etcdEvent" in text[at : at + 32]


def _one(text: mmap, at: int, end: int, spans: "array[int]") -> int:
    """Adds the object that begins at `at`; answers where it ends, -1 where there is none."""
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
    gone = int(head["type"] == b"1")
    spans.extend((key_at, key_end - key_at, value_at, size, *(min(each, LARGEST) for each in numbers), gone))
    return int(tail.end())


def batch(file: EvidenceFile, found: JsonRecords, work_dir: str = "") -> tuple[RecordBatch, list[Gap]]:
    """Keys and values decoded, in a buffer of their own; offset and size are those of the base64 of each value.

    work_dir: where they go if they are many.
    """
    table = np.array(found.spans, np.int64).reshape(-1, 8)
    room = scratch_buffer(
        int((table[:, 1] // 4 + table[:, 3] // 4).sum()) * 3, f"what {file.name} holds in base64", work_dir
    )
    view = memoryview(room)
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
        view[at:middle], view[middle:end] = key, value
        spans.extend((at, len(key), middle, len(value)))
        at = end
    key_at, key_len, value_at, value_len = np.array(spans, np.int64).reshape(-1, 4).T
    made = RecordBatch.of(
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

    return made, list(listed(np.arange(len(gaps)), gaps.__getitem__, rest))


def object_before(raw: bytes) -> dict[str, object]:
    """A small JSON object; empty where the bytes are none."""
    try:
        made = json.loads(raw)
    except ValueError:
        return {}
    return made if isinstance(made, dict) else {}
