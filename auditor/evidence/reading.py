"""The reading of an exhibit, whatever its store, and the interface of every reader."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from auditor.evidence.batch import RecordBatch
from auditor.evidence.exhibit import Exhibit
from auditor.evidence.file import EvidenceFile
from auditor.evidence.ledger import Intervals
from auditor.model.evidence import Backend, Balance, Gap, PageMap, Unexamined
from auditor.model.vocabulary import EXPORTS, EvidenceKind


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """The contents of one exhibit: stored values, the store's own facts, and the parts that could not be read."""

    kind: EvidenceKind
    description: str
    """The kind in words, as reports print it."""
    batches: tuple[RecordBatch, ...] = ()
    """The stored values."""
    database: EvidenceFile | None = None
    """The file whose latest values are in force; None where there is no database."""
    siblings: frozenset[str] = frozenset()
    """Names of other files whose latest values are in force too."""
    storage_prefixes: tuple[str, ...] = ()
    """Those that its reader knows of; none for those of the options, or that the keys show."""
    backend: Backend = Backend.UNKNOWN
    """The store's own facts."""
    pages: PageMap = PageMap.NONE
    """The database's pages by kind."""
    trailer: int = 0
    """Bytes of trailer at the database's end: 32 or 0."""
    gaps: tuple[Gap, ...] = ()
    """The parts that were not read."""
    unexamined: tuple[Unexamined, ...] = ()
    """The parts that this run leaves out."""
    notes: tuple[str, ...] = ()
    """Remarks for the report."""
    kinds: Mapping[str, str] = field(default_factory=dict)
    """Kinds of files in words, by name; a file without an entry is of the kind of its role."""
    balances: tuple[Balance, ...] = ()
    """What the readers account for, of each medium that has a ledger."""
    key_copies: Mapping[str, Intervals] = field(default_factory=dict)
    """Where texts of indexes lie that ought to be etcd keys, by file; ascending."""
    standing: Unexamined | None = None
    """The parts that no evidence of this kind shows; None for those of an etcd database or data directory."""

    @property
    def has_all_current(self) -> bool:
        """Whether every current value was read, and is known as one: what is none of these is not current."""
        lacks = self.gaps or any(part.may_be_current for part in self.unexamined)
        return self.kind is not EvidenceKind.IMAGE and not lacks

    @property
    def exported(self) -> bool:
        """Whether an API server answered with what was read, decrypted."""
        return self.kind in EXPORTS

    @property
    def own(self) -> str:
        """Name of the evidence's own file, which ids leave out: under another name it is the same evidence.

        Empty where there is none, as in a data directory without its database.
        """
        if self.database is not None:
            return self.database.name
        sources = {batch.source for batch in self.batches} if self.kind is EvidenceKind.IMAGE else set()
        return sources.pop() if len(sources) == 1 else ""

    def serves(self, source: str) -> bool:
        """Whether the latest values of a file are those that the API server reads."""
        return source in self.siblings or (self.database is not None and source == self.database.name)


class Reader(Protocol):
    """Reads one kind of store; readers.read() adds the gaps, notes and omissions of opening the exhibit."""

    def __call__(self, exhibit: Exhibit, *, quick: bool) -> Reading:
        """The reading of an exhibit. Raises UnreadableEvidence where nothing can be read.

        quick: only the records that the store itself still reaches.
        """
        ...
