"""What is known of time: bounds, each with its source and kind. All times are ISO 8601 in UTC."""

from dataclasses import dataclass
from enum import Enum


class TimeKind(Enum):
    """The kind of a bound's source."""

    RECORDED = "recorded"
    """Stated in a stored object: a claim of whoever wrote it."""
    ORDER = "order"
    """A recorded time of an earlier or later revision: etcd's revisions are in the order of their writes."""
    FILE = "file"
    """Of the file itself: what the file system says, or what the file must be newer than."""
    STORE = "store"
    """Of the store that the file was received from: its clock, and not that of whoever wrote the file."""


@dataclass(frozen=True, slots=True)
class TimeBound:
    """One bound of one moment."""

    what: str
    """The moment, in words: the evidence as a whole, or the write of a revision."""
    bound: str
    """`not before`, `not after` or `at`."""
    time: str
    """The time."""
    kind: TimeKind
    """Kind of the source."""
    source: str
    """Where the time stands."""


@dataclass(frozen=True, slots=True)
class Chronology:
    """The bounds of a run."""

    bounds: tuple[TimeBound, ...]
    """Of the evidence, and of the revisions that reports name, in their order."""
    contradictions: tuple[str, ...]
    """Recorded times that contradict the order of the revisions, in sentences."""
    examined: int
    """Number of objects whose times were read."""
    objects: int
    """Number of readable objects with a revision."""
