"""An etcd database file as evidence: what kind it is, whether it is whole, and everything that it stores.

Format: etcd etcdutl/snapshot (trailer: 32 bytes of SHA-256 after a database of high-water x page size bytes,
present where size % 512 == 32), bbolt tx.go WriteTo (a snapshot writes one root into both metas).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from auditor.batch import Batch
from auditor.columns import Buffer
from auditor.evidence import backend, freed, meta
from auditor.evidence.file import SECTOR, TRAILER, EvidenceFile, trailer_length
from auditor.evidence.tree import FREED, Walker
from auditor.model import Backend, Gap, Unexamined

BATCH = 1_000_000

API_SNAPSHOT = "API snapshot"
NO_TRAILER = "API snapshot without its trailer, or a raw database file that looks like one"
RAW = "raw database file"


@dataclass(frozen=True, slots=True)
class Reading:
    """What one database file holds. `kinds` is the page map: uint8, one a page, the constants of tree.py."""

    kind: str
    batches: tuple[Batch, ...]
    facts: Backend
    gaps: tuple[Gap, ...]
    unexamined: tuple[Unexamined, ...]
    kinds: NDArray[np.uint8]
    trailer: int
    """Bytes of trailer at the file's end: 32 or 0."""


def read(file: EvidenceFile, *, quick: bool = True) -> Reading:
    """Everything a root reaches and, unless `quick`, what lies in freed pages.

    Raises UnreadableEvidence where neither meta page holds."""
    buffer = Buffer(file.map)
    metas = meta.read(buffer, file.name)
    walker = Walker(buffer, metas.chosen, file.name)
    walker.gaps.extend(Gap(file.name, offset, meta.HEADER + meta.BODY, reason) for offset, reason in metas.faults)
    trailer = trailer_length(file.size)
    kind = _kind(metas, file.size, trailer)
    walker.gaps.extend(_size_gaps(file, metas.chosen, kind, trailer))
    store = backend.read(walker)
    count = len(store.records)
    batches = tuple(store.records.take(slice(at, at + BATCH)) for at in range(0, count, BATCH))
    unexamined = tuple(_unexamined(file, walker, metas, trailer, quick=quick))
    if not quick:
        found = freed.read(walker)
        batches += found.batches
        unexamined += found.unexamined()
    return Reading(kind, batches, store.facts, tuple(walker.gaps), unexamined, walker.kinds, trailer)


def check_trailer(file: EvidenceFile, digest: str) -> tuple[str, Gap | None]:
    """Whether the trailer is the hash of what precedes it, and a gap where it is not."""
    at = file.size - TRAILER
    stored = file.map[at:].hex()
    if stored == digest:
        return "matches", None
    reason = f"the SHA-256 trailer at offset {at} is {stored[:16]}..., the {at:,} bytes before it give {digest[:16]}..."
    return "does not match", Gap(file.name, at, TRAILER, reason)


def _kind(metas: meta.Metas, size: int, trailer: int) -> str:
    if trailer:
        return API_SNAPSHOT
    first, second = metas.chosen, metas.other
    # a snapshot has the newer of two equal metas in page 0 and ends at the high-water mark; a raw file may do so too,
    # after an empty commit with an even transaction id: what cannot be told apart is not taken for whole
    same_root = second is not None and not metas.differ and first.page == 0 and first.txid == second.txid + 1
    return NO_TRAILER if same_root and size < first.high_water * first.page_size + TRAILER else RAW


def _size_gaps(file: EvidenceFile, chosen: meta.Meta, kind: str, trailer: int) -> list[Gap]:
    gaps = []
    expected = chosen.high_water * chosen.page_size
    found = file.size - trailer
    if found < expected:
        reason = (
            f"the file ends at offset {found:,}; its {chosen.high_water:,} pages need {expected:,} bytes: truncated"
        )
        gaps.append(Gap(file.name, found, expected - found, reason))
    elif trailer and found > expected:
        reason = f"{found - expected:,} bytes between the last page, at {expected:,}, and the trailer"
        gaps.append(Gap(file.name, expected, found - expected, reason))
    if kind == RAW and file.size % SECTOR:
        reason = f"{file.size:,} bytes are no whole number of {SECTOR}-byte sectors: the file is cut or was added to"
        gaps.append(Gap(file.name, file.size, 0, reason))
    if kind == NO_TRAILER:
        reason = "an API snapshot must end in a 32-byte SHA-256 and this one does not: whether it is whole is unproven"
        gaps.append(Gap(file.name, file.size, TRAILER, reason))
    return gaps


def _unexamined(
    file: EvidenceFile, walker: Walker, metas: meta.Metas, trailer: int, *, quick: bool
) -> list[Unexamined]:
    parts = []
    if quick and (pages := int((walker.kinds == FREED).sum())):
        size = pages * walker.page_size
        parts.append(Unexamined(f"{pages:,} freed pages", f"{size:,} bytes that no root reaches: not read", True))
    past = file.size - trailer - walker.meta.high_water * walker.page_size
    if past > 0 and not trailer:
        parts.append(Unexamined("the end of the file", f"{past:,} bytes past the high-water mark: not read", True))
    if metas.differ:
        parts.append(Unexamined("the previous root", "the older meta page leads to another tree: not read", True))
    return parts
