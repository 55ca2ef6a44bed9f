"""Hits: the findings of a hunt."""

from dataclasses import dataclass
from typing import NamedTuple

from auditor.arrays.buffer import Buffer
from auditor.model.evidence import Gap, Unexamined
from auditor.model.kms import PluginSuggestion
from auditor.model.vocabulary import FindingKind, Place, Provider

NOT_KNOWN = "unknown"


class CopyOf(NamedTuple):
    """The value or key that a hit is a copy of."""

    owner: str
    """Etcd key of the value's first owner, or PROVIDER/NAME of a key; printable."""
    field: str
    """Name of the value in its owner's data; empty for a key."""
    more_owners: int
    """Number of other owners of the same value."""
    number: int
    """Number of the value within the run; equal values share it."""


class Opens(NamedTuple):
    """The values that a key in the evidence opens."""

    values: int
    """Number of the values."""
    keys: int = 0
    """Number of keys in a configuration; 0 for a key by itself."""


class Hit(NamedTuple):
    """One copy of a value or key outside its owner. The holder is the stored value around the copy."""

    finding: FindingKind
    """COPIED_VALUE or KEY_PRESENT."""
    source: str
    """File that `offset` points into."""
    offset: int
    """Offset of the copy, or of the encrypted value around it; -1 where it is not known."""
    size: int
    """Bytes of the copy, or of the encrypted value around it."""
    place: Place | None
    """Place of the copy; None in a file that is no store, where `key` is empty."""
    copy: CopyOf
    """Original of the copy."""
    form: str
    """Form of the copy: raw, JSON-escaped, base64, configuration."""
    resource: str = ""
    """Name of the holder's resource; `unknown` without a holder."""
    key: str = ""
    """Etcd key of the holder, printable; `unknown` without a holder."""
    path_size: int = 0
    """Characters of `key` before the namespace and name."""
    provider: Provider = Provider.IDENTITY
    """Provider of the holder."""
    mod_revision: int = -1
    """Mod revision of the holder; -1 where it is not known."""
    page: int = -1
    """Number of the page of the copy; -1 where there are no pages."""
    unheld: bool = False
    """Whether the copy lies outside every stored value."""
    opened: bool = False
    """Whether the copy lies inside the opened value of another object."""
    path: str = ""
    """Path of the holder's field around the copy; empty where it is not known."""
    opens: Opens | None = None
    """Values that a key or configuration opens; None for a copied value."""
    buffer: Buffer | None = None
    """Buffer that holds the copy as it stands; not the source where values are reassembled."""
    at: int = -1
    """Start of the copy in `buffer`."""
    remark: str = ""
    """What a report says of it instead of original and form; empty for what a hunt meets."""


@dataclass(frozen=True, slots=True)
class HuntResult:
    """The hits of a hunt, and the limits of the search."""

    hits: tuple[Hit, ...] = ()
    """Copies, and keys in the evidence."""
    gaps: tuple[Gap, ...] = ()
    """Values with too many copies to list."""
    unexamined: tuple[Unexamined, ...] = ()
    """Values that the hunt leaves out, and what it cannot see."""
    notes: tuple[str, ...] = ()
    """Notes on the extent of the hunt."""
    plugins: tuple[PluginSuggestion, ...] = ()
    """KMS plugins by their own Pods."""


NOTHING = HuntResult()
