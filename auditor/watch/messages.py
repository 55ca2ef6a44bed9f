"""Messages of the threads that follow ranges of keys, to the one that counts."""

from dataclasses import dataclass

from auditor.protobuf import kv_pb2 as kv


@dataclass(frozen=True, slots=True)
class Events:
    """Changes of one range, in the order of their revisions."""

    range: int
    events: tuple[kv.Event, ...]


@dataclass(frozen=True, slots=True)
class HistoryCompacted:
    """The revisions from which a watch was to begin are compacted: every key must be read again."""

    reason: str


@dataclass(frozen=True, slots=True)
class Notice:
    """An event of a connection."""

    text: str
    answers: bool
    """Whether an endpoint answers."""


@dataclass(frozen=True, slots=True)
class Members:
    """The state of the members."""

    notes: tuple[str, ...]
    """What there is to say of them."""
    doubts: tuple[str, ...]
    """Reasons for which what they answer may be wrong."""


Message = Events | HistoryCompacted | Notice | Members | BaseException
