"""What a hunt reports."""

from dataclasses import dataclass
from typing import NamedTuple

from auditor.arrays.buffer import Buffer
from auditor.model.evidence import Gap, Unexamined
from auditor.model.vocabulary import FindingKind, Place, Provider

NOT_KNOWN = "unknown"


class Hit(NamedTuple):
    """One place where a value or a key stands that should not be there; `offset` and `size` in `source`.

    key: of the object that holds it, printable; `unknown` where none does. path: its length up to the resource.
    buffer, at: where it was found, which is not the source where that does not hold the bytes as they are.
    place: None in a file that is no store; key is empty then, and offset is -1 where it cannot be told.
    """

    finding: FindingKind
    source: str
    offset: int
    size: int
    place: Place | None
    resource: str
    key: str
    path: int
    provider: Provider
    mod_revision: int
    page: int
    detail: str
    buffer: Buffer | None = None
    at: int = -1


@dataclass(frozen=True, slots=True)
class HuntResult:
    """What the hunt found, and what it left out."""

    hits: tuple[Hit, ...] = ()
    gaps: tuple[Gap, ...] = ()
    unexamined: tuple[Unexamined, ...] = ()
    notes: tuple[str, ...] = ()


NOTHING = HuntResult()
