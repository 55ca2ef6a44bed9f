"""What a hunt reports."""

from dataclasses import dataclass
from typing import NamedTuple

from auditor.arrays.buffer import Buffer
from auditor.model.evidence import Gap, Unexamined
from auditor.model.vocabulary import FindingKind, Place, Provider

NOT_KNOWN = "unknown"


class CopyOf(NamedTuple):
    """Of which value or key a hit is a copy."""

    owner: str
    """The etcd key of the value's first owner, or PROVIDER/NAME of a key; printable."""
    field: str
    """The name of the value in its owner's data; empty for a key."""
    more_owners: int
    """How many others hold the same value."""
    number: int
    """Equal values share it within a run."""


class Opens(NamedTuple):
    """What a key that stands in the evidence opens there."""

    values: int
    keys: int = 0
    """Of a configuration the number of its keys; 0 for a key by itself."""


class Hit(NamedTuple):
    """One place where a value or a key stands that should not be there."""

    finding: FindingKind
    source: str
    """The file that `offset` points into."""
    offset: int
    """-1 where it is not known."""
    size: int
    place: Place | None
    """None in a file that is no store; `key` is empty then."""
    copy: CopyOf
    form: str
    """How the value stands there: raw, JSON-escaped, base64, configuration."""
    resource: str = ""
    key: str = ""
    """Of the object that holds the bytes, printable; `unknown` where none does."""
    path_size: int = 0
    """How much of `key` comes before the namespace and name."""
    provider: Provider = Provider.IDENTITY
    mod_revision: int = -1
    page: int = -1
    unheld: bool = False
    """Whether the bytes lie outside every stored value."""
    opened: bool = False
    """Whether the bytes lie inside the opened value of another object."""
    path: str = ""
    """The field of the holder that the bytes lie in, as far as that is known."""
    opens: Opens | None = None
    """Of a key or a configuration: what it opens."""
    buffer: Buffer | None = None
    """What was searched, which is not the source where that does not hold the bytes as they are."""
    at: int = -1
    """Where the hit begins in `buffer`."""


@dataclass(frozen=True, slots=True)
class HuntResult:
    """The findings of a hunt, and what it leaves out."""

    hits: tuple[Hit, ...] = ()
    gaps: tuple[Gap, ...] = ()
    unexamined: tuple[Unexamined, ...] = ()
    notes: tuple[str, ...] = ()


NOTHING = HuntResult()
