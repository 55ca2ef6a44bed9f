"""What etcd writes into its log, field by field: which bytes of an entry are structure, and which a stored value.

Sources: go.etcd.io/raft raftpb/raft.proto (ConfChange, ConfChangeV2, ConfState), etcd api/etcdserverpb/
raft_internal.proto, rpc.proto, etcdserver.proto (Request, of the v2 API), api/membershippb/membership.proto,
api/authpb/auth.proto, server/storage/wal/walpb/record.proto. A field that is not among them, one more of a field that
stands once, and a text that is none are not accounted for.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from auditor.evidence.etcd import buckets
from auditor.evidence.ledger import Account
from auditor.evidence.protobuf_wire import BYTES, VARINT, WireError, fields, varint

DEEPEST = 20
"""Messages inside each other: transactions nest."""
Parts: TypeAlias = list[tuple[Account, int, int]]
"""Account, start and end of intervals."""


@dataclass(frozen=True, slots=True)
class Message:
    """A kind of message."""

    numbers: frozenset[int] = frozenset()
    """Fields that are varints."""
    texts: Mapping[int, Callable[[bytes], bool]] = field(default_factory=dict)
    """Fields whose content is checked."""
    rows: frozenset[int] = frozenset()
    """Fields that are key or value of a stored value."""
    messages: Mapping[int, "Message"] = field(default_factory=dict)
    """Fields that are messages."""
    repeated: frozenset[int] = frozenset()
    """Fields that may stand more than once."""


def _of(*numbers: int, **how: object) -> Message:
    return Message(frozenset(numbers), **how)  # type: ignore[arg-type]


def is_key(raw: bytes) -> bool:
    """Whether bytes are a key of etcd's that is a text, or the end of a range of them."""
    try:
        return buckets.is_range_end(raw)
    except UnicodeDecodeError:
        return False


def is_text(raw: bytes) -> bool:
    try:
        return buckets.is_text(raw)
    except UnicodeDecodeError:
        return False


NAME, TWO_NAMES = _of(texts={1: is_text}), _of(texts={1: is_text, 2: is_text})
KEY_RANGE = {1: is_key, 2: is_key}
PERMISSION = _of(1, texts={2: is_key, 3: is_key})
PUT = _of(3, 4, 5, 6, rows=frozenset({1, 2}))
RANGE = _of(*range(3, 14), texts=KEY_RANGE)
DELETE_RANGE = _of(3, texts=KEY_RANGE)
COMPARE = _of(1, 2, 4, 5, 6, 8, texts={3: is_key, 64: is_key}, rows=frozenset({7}))
_OPERATIONS: dict[int, Message] = {1: RANGE, 2: PUT, 3: DELETE_RANGE}
OPERATION = Message(messages=_OPERATIONS)
TXN = _of(messages={1: COMPARE, 2: OPERATION, 3: OPERATION}, repeated=frozenset({1, 2, 3}))
_OPERATIONS[4] = TXN
V2_REQUEST = _of(1, 5, *range(7, 18), texts={2: is_text}, rows=frozenset({3, 4, 6}))
REQUEST = _of(
    1,
    messages={
        2: V2_REQUEST,
        3: RANGE,
        4: PUT,
        5: DELETE_RANGE,
        6: TXN,
        7: _of(1, 2),
        8: _of(1, 2),
        9: _of(1),
        10: _of(1, 2, 3),
        11: _of(messages={1: _of(1, 2)}, repeated=frozenset({1})),
        100: _of(1, 3, texts={2: is_text}),
        1000: Message(),
        1011: Message(),
        1013: Message(),
        1012: _of(texts={1: is_text, 2: is_text, 3: is_text}),
        1100: _of(texts={1: is_text, 2: is_text, 4: is_text}, messages={3: _of(1)}),
        1101: NAME,
        1102: NAME,
        1103: _of(texts={1: is_text, 2: is_text, 3: is_text}),
        1104: TWO_NAMES,
        1105: TWO_NAMES,
        1106: Message(),
        1107: Message(),
        1200: NAME,
        1201: NAME,
        1202: NAME,
        1203: _of(texts={1: is_text}, messages={2: PERMISSION}),
        1204: _of(texts={1: is_text, 2: is_key, 3: is_key}),
        1300: NAME,
        1301: _of(1, messages={2: _of(texts={1: is_text, 2: is_text}, repeated=frozenset({2}))}),
        1302: _of(1, texts={2: is_text}),
        9900: NAME,
    },
)
CONF_CHANGE = _of(1, 2, 3, texts={4: buckets.is_member})
CONF_CHANGE_V2 = _of(1, messages={2: _of(1, 2)}, texts={3: buckets.is_member}, repeated=frozenset({2}))
CONF_STATE = _of(1, 2, 3, 4, 5, repeated=frozenset({1, 2, 3, 4}))
ENTRIES = (REQUEST, CONF_CHANGE, CONF_CHANGE_V2)
"""By the type of an entry."""
SNAPSHOT = _of(1, 2, messages={3: CONF_STATE})
"""walpb.Snapshot."""
SNAPSHOT_METADATA = _of(2, 3, messages={1: CONF_STATE})
"""raftpb.SnapshotMetadata."""
METADATA = _of(1, 2)
"""etcdserverpb.Metadata."""
STATE = _of(1, 2, 3)
"""raftpb.HardState."""


def account(raw: bytes, at: int, end: int, message: Message, depth: int = 0) -> Parts:
    """The intervals of a message that are accounted for. Raises WireError.

    Args:
        raw: The bytes.
        at: Where the message begins.
        end: Where it ends.
        message: Its kind.
        depth: Messages around this one.
    """
    if depth > DEEPEST:
        raise WireError
    parts: list[tuple[int, Parts]] = []
    begin = at
    for number, wire_type, start, stop in fields(raw, at, end):
        if wire_type == VARINT:
            _, stop = varint(raw, varint(raw, begin, end)[1], end)
            own: Parts | None = [(Account.STRUCTURE, begin, stop)] if number in message.numbers else None
        else:
            own = _content(raw, (begin, start, stop), number, message, depth) if wire_type == BYTES else None
        if own is not None:
            parts.append((number, own))
        begin = stop
    last = {number: place for place, (number, _) in enumerate(parts)}
    kept = [each for place, (number, each) in enumerate(parts) if number in message.repeated or last[number] == place]
    return [part for own in kept for part in own]


def _content(raw: bytes, where: tuple[int, int, int], number: int, message: Message, depth: int) -> Parts | None:
    """The intervals of a field with a content; None for one that etcd does not write.

    Args:
        raw: The bytes.
        where: Where the field begins, where its content does, where it ends.
        number: The field's.
        message: The kind of message around it.
        depth: Messages around that.
    """
    begin, start, stop = where
    if number in message.rows:
        return [(Account.STRUCTURE, begin, start), (Account.ROW, start, stop)]
    if number in message.messages:
        return [(Account.STRUCTURE, begin, start), *account(raw, start, stop, message.messages[number], depth + 1)]
    if number in message.texts and message.texts[number](raw[start:stop]):
        return [(Account.STRUCTURE, begin, stop)]
    return None


def account_entry(raw: bytes) -> Parts:
    """The intervals of a raftpb.Entry, the request in it among them. Raises WireError."""
    kind, begin = 0, 0
    parts: dict[int, tuple[int, int, int]] = {}
    for number, wire_type, start, stop in fields(raw, 0, len(raw)):
        if wire_type == VARINT:
            kind = start if number == 1 else kind
            _, stop = varint(raw, varint(raw, begin, len(raw))[1], len(raw))
            start = stop
        if (number in (1, 2, 3) and wire_type == VARINT) or (number == 4 and wire_type == BYTES):
            parts[number] = begin, start, stop
        begin = stop
    own = [(Account.STRUCTURE, begin, start) for begin, start, _ in parts.values()]
    _, start, stop = parts.get(4, (0, 0, 0))
    if kind >= len(ENTRIES):
        return own
    return [*own, *account(raw, start, stop, _kind(raw, start, stop, ENTRIES[kind]))]


def account_state(raw: bytes) -> Parts:
    return account(raw, 0, len(raw), STATE)


def account_metadata(raw: bytes) -> Parts:
    return account(raw, 0, len(raw), METADATA)


def account_snapshot(raw: bytes) -> Parts:
    return account(raw, 0, len(raw), SNAPSHOT)


def _kind(raw: bytes, start: int, stop: int, message: Message) -> Message:
    """V2_REQUEST for a request of the v2 API, which has no message around it."""
    is_v2 = message is REQUEST and v2_method(raw, start, stop)
    return V2_REQUEST if is_v2 else message


V2_METHODS = frozenset({b"PUT", b"POST", b"DELETE", b"QGET", b"GET", b"HEAD", b"SYNC"})


def v2_method(raw: bytes, start: int, stop: int) -> bool:
    """Whether a request is one of the v2 API, which etcd up to 3.6 logs too: its second field is a method."""
    return any(
        number == 2 and wire_type == BYTES and raw[first:last] in V2_METHODS
        for number, wire_type, first, last in fields(raw, start, stop)
    )
