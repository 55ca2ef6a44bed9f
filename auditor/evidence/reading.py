"""What one exhibit holds, whatever store it is of: the answer of every reader."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from auditor.evidence.batch import RecordBatch
from auditor.evidence.exhibit import Exhibit
from auditor.evidence.file import EvidenceFile
from auditor.model.evidence import Backend, Gap, PageMap, Unexamined
from auditor.model.vocabulary import EvidenceKind


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """Stored values, what the store says of itself, and what could not be read."""

    kind: EvidenceKind
    description: str
    """The kind in words, as reports print it."""
    batches: tuple[RecordBatch, ...] = ()
    database: EvidenceFile | None = None
    """The file whose latest values are in force; None where there is no database."""
    companions: frozenset[str] = frozenset()
    """Names of other files whose latest values are in force too."""
    backend: Backend = Backend.UNKNOWN
    pages: PageMap = PageMap.NONE
    trailer: int = 0
    """Bytes of trailer at the database's end: 32 or 0."""
    gaps: tuple[Gap, ...] = ()
    unexamined: tuple[Unexamined, ...] = ()
    notes: tuple[str, ...] = ()
    kinds: Mapping[str, str] = field(default_factory=dict)
    """By name of a file, what it is; of files that are not here, their role says it."""
    standing: Unexamined | None = None
    """What such evidence can never show, where it is not what a database or a directory of etcd's cannot."""

    def serves(self, source: str) -> bool:
        """Whether the latest values of a file are those that the API server reads."""
        return source in self.companions or (self.database is not None and source == self.database.name)


class Reader(Protocol):
    """Reads one kind of store. Gaps, notes and what was left out while the exhibit was opened are not its business."""

    def __call__(self, exhibit: Exhibit, *, quick: bool) -> Reading:
        """quick: only what the store shows. Raises UnreadableEvidence where nothing can be read."""
        ...
