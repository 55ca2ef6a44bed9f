"""The v2 store: its nodes in the files of raft snapshots, which a migration to the v3 API copies and does not move.

Format: etcd server/etcdserver/api/snap (snappb/snap.proto), go.etcd.io/raft raftpb/raft.proto (Snapshot),
server/etcdserver/api/v2store (store.go: Save; node.go, event.go). Users' nodes lie under /1, etcd's own under /0.
"""

import json
import re
from array import array
from collections.abc import Iterator
from typing import Any, NamedTuple

import crc32c
import numpy as np

from auditor.arrays.buffer import Buffer
from auditor.evidence.batch import RecordBatch
from auditor.evidence.etcd import buckets, requests
from auditor.evidence.ledger import Account, Ledger
from auditor.evidence.protobuf_wire import BYTES, VARINT, WireError, fields, varint
from auditor.model.evidence import Gap
from auditor.model.vocabulary import Place

USERS, OWN = b"/1", b"/0"
_STRING = re.compile(r'"(?:[^"\\\x00-\x1f]|\\.)*"')
_VALUES = {"Value": "Path", "value": "key"}
"""The field of a node that holds its value, and the one that holds its path: in the tree, in an event."""
_LONGEST_NAME = 1024
_CHILDREN = "Children"
_TEXTS = frozenset({"Path", "key", "ExpireTime", "expiration", "action"})
_NUMBERS = (
    "CreatedIndex ModifiedIndex CurrentIndex CurrentVersion StartIndex LastIndex Size Front Back Capacity ttl "
    "modifiedIndex createdIndex etcdIndex refresh expireCount watchers dir"
)
_OBJECTS = "Root WatcherHub Stats Children EventHistory Queue Events node prevNode nodes"
_COUNTED = "gets sets delete update create compareAndSwap compareAndDelete"
_NAMES = _TEXTS.union(
    _VALUES,
    _NUMBERS.split(),
    _OBJECTS.split(),
    (f"{each}{outcome}" for each in _COUNTED.split() for outcome in ("Success", "Fail")),
)
"""Fields of a store, of its nodes and its events (store.go, stats.go, node_extern.go, event.go, event_queue.go)."""


class Contents(NamedTuple):
    """What a raft snapshot holds."""

    batches: tuple[RecordBatch, ...]
    """The values of nodes, from their JSON: place v2-store."""
    gaps: tuple[Gap, ...]
    ledger: Ledger


class Located(str):
    """A string of a JSON text, and where it stands there without its quotation marks."""

    __slots__ = ("at", "end")
    at: int
    end: int


def skip(path: bytes) -> int:
    """Bytes of a node's path before what the v2 API calls its key."""
    return len(USERS) if path.startswith(USERS + b"/") else 0


def is_own(path: bytes, value: bytes) -> bool:
    """Whether a node is one that etcd writes for itself: a member's attributes, or a version."""
    known = not value or value == b"true" or buckets.VERSION.fullmatch(value) is not None or buckets.is_member(value)
    return known and path.startswith(OWN + b"/") and requests.is_text(path)


def read(buffer: Buffer, name: str) -> Contents:
    """The nodes in a .snap file. A gap where its checksum is wrong, or its store does not parse: it is carved then."""
    ledger = Ledger(name, buffer.size)
    raw = buffer.slice(0, buffer.size)
    try:
        data = _message(raw, ledger, 0, len(raw), {1: VARINT, 2: BYTES})
        at, end = data.get(2, (0, 0))
        stored = varint(raw, data[1][0], len(raw))[0] if 1 in data else 0
        snapshot = _message(raw, ledger, at, end, {1: BYTES, 2: BYTES})
        if 2 in snapshot:
            start, stop = snapshot[2]
            for account, begin, last in requests.account(raw, start, stop, requests.SNAPSHOT_METADATA):
                ledger.one(account, begin, last)
    except WireError:
        return Contents((), (Gap(name, 0, len(raw), f"{name}: no snappb.snapshot: its fields do not hold"),), ledger)
    gaps = []
    if (actual := crc32c.crc32c(raw[at:end])) != stored:
        reason = f"{name}: its checksum is {stored:08x}, its data give {actual:08x}"
        gaps.append(Gap(name, at, end - at, reason))
    start, stop = snapshot.get(1, (0, 0))
    try:
        batches = _nodes(raw, start, stop, name, ledger) if start < stop else ()
    except (ValueError, RecursionError):
        reason = f"{name}: the store in it, from offset {start:,} on, is no JSON of etcd's v2 store"
        return Contents((), (*gaps, Gap(name, start, stop - start, reason)), ledger)
    return Contents(batches, tuple(gaps), ledger)


def _message(raw: bytes, ledger: Ledger, at: int, end: int, known: dict[int, int]) -> dict[int, tuple[int, int]]:
    """The content of each known field of a message, of each the last. Tags, lengths and numbers go to the ledger."""
    parts: dict[int, tuple[int, int, int]] = {}
    begin = at
    for number, wire_type, start, stop in fields(raw, at, end):
        if wire_type == VARINT:
            _, start = varint(raw, begin, end)
            _, stop = varint(raw, start, end)
        if known.get(number) == wire_type:
            parts[number] = begin, start, stop
        begin = stop
    for number, (begin, start, stop) in parts.items():
        ledger.one(Account.STRUCTURE, begin, start if known[number] == BYTES else stop)
    return {number: (start, stop) for number, (_, start, stop) in parts.items()}


def _nodes(raw: bytes, at: int, end: int, name: str, ledger: Ledger) -> tuple[RecordBatch, ...]:
    """The values of the nodes in a store, and in the events that it remembers. Raises ValueError."""
    text = raw[at:end].decode("latin-1")  # a letter a byte
    tree = _decoder().decode(text)
    keys, values, places = [], [], array("q")
    parts: list[tuple[int, int]] = []
    for path, value in _values(tree):
        key = _content(path) if isinstance(path, Located) else b""
        content = _content(value)
        if not content or is_own(key, content):
            continue
        keys.append(key[skip(key) :])
        values.append(content)
        places.extend((at + value.at, value.end - value.at))
        parts.append((value.at, value.end))
    done = 0
    for begin, stop in sorted(parts):
        ledger.one(Account.STRUCTURE, at + done, at + begin)
        ledger.one(Account.ROW, at + begin, at + stop)
        done = stop
    ledger.one(Account.STRUCTURE, at + done, at + len(text))
    if not values:
        return ()
    key_len, value_len = (np.array(list(map(len, each)), np.int64) for each in (keys, values))
    stops = np.cumsum(key_len + value_len)
    stored_at, stored_len = np.array(places, np.int64).reshape(-1, 2).T
    return RecordBatch.of(
        name,
        Buffer(b"".join(part for pair in zip(keys, values, strict=True) for part in pair)),
        mapped=False,
        place=Place.V2_STORE,
        key_at=stops - value_len - key_len,
        key_len=key_len,
        value_at=stops - value_len,
        value_len=value_len,
        stored_at=stored_at.copy(),
        stored_len=stored_len.copy(),
    ).split()


def _decoder() -> json.JSONDecoder:
    """A decoder whose strings know where they stand. Raises ValueError for a name that stands twice in an object."""

    def string(text: str, at: int, _strict: bool = True) -> tuple[str, int]:
        match = _STRING.match(text, at - 1)
        if match is None:
            raise ValueError
        located = Located(match[0][1:-1])
        located.at, located.end = at, match.end() - 1
        return located, match.end()

    def pairs(items: list[tuple[str, Any]]) -> dict[str, Any]:
        if len(dict(items)) < len(items):
            raise ValueError
        return dict(items)

    decoder = json.JSONDecoder(object_pairs_hook=pairs)
    decoder.parse_string = string  # type: ignore[attr-defined]
    decoder.scan_once = json.scanner.py_make_scanner(decoder)  # type: ignore[attr-defined]
    return decoder


def _content(text: Located) -> bytes:
    """The bytes that a string of the text stands for. Raises ValueError."""
    plain: str = json.loads(b'"%b"' % text.encode("latin-1"))
    return plain.encode("utf-8", "surrogatepass")


def _values(tree: Any) -> Iterator[tuple[Any, Located]]:
    """Path and value of every node. Raises ValueError for a field that no store has, and for a text that is none."""
    pending = [(tree, False)]
    while pending:
        node, are_children = pending.pop()
        if isinstance(node, list):
            pending += [(each, False) for each in node]
        elif isinstance(node, dict):
            if any(len(name) > _LONGEST_NAME or not (are_children or name in _NAMES) for name in node):
                raise ValueError
            pending += [(each, name == _CHILDREN and not are_children) for name, each in node.items()]
            texts = {name: each for name, each in node.items() if isinstance(each, Located)}
            if texts and (are_children or any(not _is_text(name, text) for name, text in texts.items())):
                raise ValueError
            for name, path in _VALUES.items():
                if name in texts:
                    yield node.get(path), texts[name]
        elif isinstance(node, float) or (isinstance(node, int) and abs(node) >= 1 << 64):
            raise ValueError


def _is_text(name: str, text: Located) -> bool:
    """Whether a string may stand in this field of a node or an event: any in that of its value."""
    return name in _VALUES or (name in _TEXTS and len(text) <= _LONGEST_NAME)
