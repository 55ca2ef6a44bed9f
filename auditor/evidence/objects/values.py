"""Keys and values out of a file of objects, copied into one buffer: what is judged has an etcd key, the file none."""

from dataclasses import dataclass, field, replace

import numpy as np

from auditor.arrays.buffer import Buffer
from auditor.evidence.batch import RecordBatch
from auditor.evidence.file import EvidenceFile
from auditor.evidence.gaps import LISTED
from auditor.evidence.ledger import Account, Ledger
from auditor.evidence.notation import Notation
from auditor.model.evidence import Gap
from auditor.model.vocabulary import Place, State


@dataclass(frozen=True, slots=True)
class Value:
    """An object as it stands in a file."""

    key: bytes
    """Its etcd key."""
    content: bytes
    offset: int
    """Where its text begins in the file."""
    size: int
    """Bytes of its text."""
    notation: Notation | None = None
    """How the text stands for the content; None where it is the content."""
    associated: bytes = b""
    """The associated data with which it is encrypted; empty where that is the key."""


@dataclass(slots=True)
class Values:
    """What a file of objects holds."""

    file: EvidenceFile
    ledger: Ledger
    values: list[Value] = field(default_factory=list)
    gaps: list[Gap] = field(default_factory=list)

    def add(self, value: Value) -> None:
        """Add an object."""
        self.values.append(value)
        self.ledger.one(Account.ROW, value.offset, value.offset + value.size)

    def structure(self, start: int, end: int) -> None:
        """Account for what is no object."""
        self.ledger.one(Account.STRUCTURE, start, end)

    def gap(self, start: int, end: int, reason: str) -> None:
        """Name a part that is not read."""
        self.gaps.append(Gap(self.file.name, start, end - start, f"{self.file.name}: {reason}"))

    def listed(self) -> tuple[Gap, ...]:
        """The gaps, of which there may be many."""
        if len(self.gaps) <= LISTED:
            return tuple(self.gaps)
        more = self.gaps[LISTED:]
        reason = f"{self.file.name}: {len(more):,} more parts, not listed, are not read"
        return (*self.gaps[:LISTED], replace(more[0], length=sum(gap.length for gap in more), reason=reason))

    def batches(self) -> tuple[RecordBatch, ...]:
        """The values, all of them current."""
        if not self.values:
            return ()
        parts = [part for value in self.values for part in (value.key, value.associated, value.content)]
        length = np.array([len(part) for part in parts], np.int64).reshape(-1, 3).T
        at = (np.cumsum(length.T.ravel()) - length.T.ravel()).reshape(-1, 3).T
        encoded = np.array([value.notation is not None for value in self.values])
        batch = RecordBatch.of(
            self.file.name,
            Buffer(b"".join(parts)),
            mapped=False,
            place=Place.LATEST,
            key_at=at[0].copy(),
            key_len=length[0],
            value_at=at[2].copy(),
            value_len=length[2],
            state=np.where(encoded, State.ENCODED, 0).astype(np.uint8),
            stored_at=np.array([value.offset for value in self.values], np.int64),
            stored_len=np.array([value.size for value in self.values], np.int64),
            notation=np.array([value.notation or Notation.BASE64 for value in self.values], np.uint8),
            associated_at=at[1].copy(),
            associated_len=length[1].copy(),
        )
        return batch.split()
