"""An etcd database file as evidence: its kind, whether it is whole, and all its stored values.

Format: etcd etcdutl/snapshot (trailer: 32 bytes of SHA-256 after a database of high-water x page size bytes,
present where size % 512 == 32), bbolt tx.go WriteTo (a snapshot writes one root into both metas).
"""

import hashlib
from dataclasses import replace

import numpy as np

from auditor.arrays.buffer import Buffer
from auditor.errors import UnreadableEvidence
from auditor.evidence.batch import RecordBatch
from auditor.evidence.bbolt import meta
from auditor.evidence.bbolt.tree import Walker
from auditor.evidence.etcd import backend, unallocated
from auditor.evidence.exhibit import Exhibit, Role
from auditor.evidence.file import EvidenceFile
from auditor.evidence.hashing import TRAILER, WINDOW, trailer_length
from auditor.evidence.ledger import Account
from auditor.evidence.reading import Reading
from auditor.model.evidence import Gap, PageMap, Unexamined
from auditor.model.vocabulary import EvidenceKind, PageKind, Place, Trailer

RAW_NOTE = "--raw: taken for a member's own database, which has no trailer to miss"
SAMPLE = 4096
"""Pages by which a page size is guessed."""


def read(exhibit: Exhibit, *, quick: bool) -> Reading:
    """The exhibit's one database file, or the snapshot that a live member streamed."""
    (file,) = exhibit.of(Role.DATABASE)
    reading = read_file(file, quick=quick, raw=exhibit.raw)
    if exhibit.raw and reading.kind is EvidenceKind.RAW_DATABASE:
        reading = replace(reading, notes=(*reading.notes, RAW_NOTE))
    if exhibit.live is None:
        return reading
    description = exhibit.live.description
    return replace(reading, kind=EvidenceKind.LIVE_SNAPSHOT, description=description, kinds={file.name: description})


def read_file(file: EvidenceFile, *, quick: bool = True, raw: bool = False) -> Reading:
    """The records that the current root reaches and, unless `quick`, those outside its tree.

    Args:
        file: The database.
        quick: Whether the rest is left out.
        raw: Whether it is known to be a member's own file, which has no trailer to miss.

    Raises UnreadableEvidence where no meta page is valid and no stored value is recognised.
    """
    buffer = Buffer(file.map)
    trailer = trailer_length(file.size)
    try:
        metas = meta.read(buffer, file.name)
    except UnreadableEvidence as error:
        return _without_meta(file, buffer, trailer, error)
    surplus = _surplus(file, metas)
    trailer = 0 if surplus else trailer
    walker = Walker(buffer, metas.current, file.name, file.size - trailer)
    walker.gaps.extend(Gap(file.name, offset, meta.HEADER + meta.BODY, reason) for offset, reason in metas.faults)
    kind = EvidenceKind.API_SNAPSHOT if surplus else _kind(metas, file.size, trailer, raw=raw)
    walker.gaps.extend(surplus or _size_gaps(file, metas.current, kind, trailer))
    walker.ledger.one(Account.CHECKSUM, file.size - trailer, file.size)
    store = backend.read(walker)
    batches = store.records.split()
    gaps = [*walker.gaps]
    if not quick:
        previous = None
        if metas.differ and metas.older is not None:
            previous = Walker(buffer, metas.older, file.name, file.size - trailer)
            batches += _previous_root(walker, previous).split()
            gaps += [replace(gap, reason=f"under the older root: {gap.reason}") for gap in previous.gaps]
        place = Place.FREED if any(name == "key" for name, _ in store.facts.buckets) else Place.UNPLACED
        batches += unallocated.read(walker, place, previous)
    return Reading(
        kind=kind,
        description=kind.label,
        batches=batches,
        database=file,
        backend=store.facts,
        pages=_page_map(walker),
        trailer=trailer,
        gaps=tuple(gaps),
        unexamined=tuple(_unexamined(walker, metas)) if quick else (),
        kinds={file.name: kind.label},
        balances=() if quick else (walker.ledger.balance(),),
    )


def _previous_root(walker: Walker, previous: Walker) -> RecordBatch:
    """The records that only the older meta's root reaches; marks their pages in the walker's map."""
    store = backend.read(previous)
    own_pages = (
        (walker.kinds == PageKind.FREED)
        & (previous.kinds != PageKind.FREED)
        & (previous.kinds != PageKind.PAST_HIGH_WATER)
    )
    walker.kinds[own_pages] = PageKind.PREVIOUS_ROOT
    records = store.records.take(own_pages[store.records.page])
    records.place[:] = Place.PREVIOUS_ROOT
    return records


def _without_meta(file: EvidenceFile, buffer: Buffer, trailer: int, error: UnreadableEvidence) -> Reading:
    """A file without a valid meta page: its pages one by one, under the page size that fits most of them."""
    walker = Walker(buffer, _likely_meta(buffer, file.size - trailer), file.name, file.size - trailer)
    walker.kinds[:] = PageKind.FREED
    walker.ledger.one(Account.CHECKSUM, file.size - trailer, file.size)
    batches = unallocated.read(walker, Place.UNPLACED)
    if not any(batch.value_len.any() and (batch.key_at >= 0).any() for batch in batches):
        raise error
    kind = EvidenceKind.ROOTLESS_DATABASE
    return Reading(
        kind=kind,
        description=kind.label,
        batches=batches,
        database=file,
        pages=_page_map(walker),
        trailer=trailer,
        gaps=(Gap(file.name, 0, min(2 * walker.page_size, file.size), str(error)),),
        kinds={file.name: kind.label},
        balances=(walker.ledger.balance(),),
    )


def _likely_meta(buffer: Buffer, size: int) -> meta.Meta:
    """A meta without a root, of the page size and byte order by which most pages have their own number."""
    best = (0, 4096, "<")
    page_size = meta.SMALLEST_PAGE
    while page_size <= meta.LARGEST_PAGE:
        first = np.arange(min(size // page_size, SAMPLE), dtype=np.int64)
        for order in ("<", ">"):
            words = buffer.words(first * page_size)
            matches = (words if order == "<" else words.byteswap()) == first.astype(np.uint64)
            best = max(best, (int(matches.sum()) * page_size, page_size, order))
        page_size *= 2
    _, page_size, order = best
    return meta.Meta(
        order="<" if order == "<" else ">",
        page=0,
        page_size=page_size,
        root=0,
        sequence=0,
        freelist=meta.NOT_SYNCED,
        high_water=size // page_size,
        txid=0,
    )


def _page_map(walker: Walker) -> PageMap:
    return PageMap(walker.source, walker.page_size, walker.kinds.tobytes())


def check_trailer(file: EvidenceFile, digest: str) -> tuple[Trailer, Gap | None]:
    """Whether the trailer is the hash of the bytes before it, and a gap where it is not.

    digest: SHA-256 of those bytes, in hex.
    """
    at = file.size - TRAILER
    stored = file.map[at:].hex()
    if stored == digest:
        return Trailer.MATCHES, None
    # what stands there may be a part of a value, where the file was cut: it is not quoted
    reason = (
        f"the last {TRAILER} bytes, at offset {at}, are not the SHA-256 of the {at:,} bytes before them, which give "
        f"{digest[:16]}...: the file was changed, or cut where no trailer stands; take the snapshot or the copy again"
    )
    return Trailer.DOES_NOT_MATCH, Gap(file.name, at, TRAILER, reason)


def _kind(metas: meta.Metas, size: int, trailer: int, *, raw: bool) -> EvidenceKind:
    """The kind of database file, by its trailer or by the metas that a snapshot writes. raw: as of read_file()."""
    if trailer:
        return EvidenceKind.API_SNAPSHOT
    if raw:
        return EvidenceKind.RAW_DATABASE
    first, second = metas.current, metas.older
    # a snapshot has the newer of two equal metas in page 0 and ends at the high-water mark; a raw file may do so too,
    # after an empty commit with an even transaction id: an ambiguous file does not count as whole
    same_root = second is not None and not metas.differ and first.page == 0 and first.txid == second.txid + 1
    snapshot_like = same_root and size < first.high_water * first.page_size + TRAILER
    return EvidenceKind.NO_TRAILER if snapshot_like else EvidenceKind.RAW_DATABASE


def _surplus(file: EvidenceFile, metas: meta.Metas) -> list[Gap]:
    """The gap of an API snapshot, trailer included, behind which something was added; none for any other file.

    Only such a file is hashed here, up to where its trailer would stand: in a member's own one stand zeros there.
    """
    at = metas.current.high_water * metas.current.page_size
    end = at + TRAILER
    trailer = file.map[at:end]
    if metas.differ or file.size <= end or not any(trailer):
        return []
    digest = hashlib.sha256()
    for start in range(0, at, WINDOW):
        digest.update(file.map[start : min(start + WINDOW, at)])
    if digest.digest() != trailer:
        return []
    reason = f"the snapshot ends at offset {end:,} with its trailer, which matches; what stands behind it was added"
    return [Gap(file.name, end, file.size - end, reason)]


def _size_gaps(file: EvidenceFile, current: meta.Meta, kind: EvidenceKind, trailer: int) -> list[Gap]:
    """Gaps for a file whose size is not its kind's."""
    gaps = []
    expected = current.high_water * current.page_size
    length = file.size - trailer
    if length < expected:
        reason = (
            f"the file ends at offset {length:,}; its {current.high_water:,} pages need {expected:,} bytes: truncated"
        )
        gaps.append(Gap(file.name, length, expected - length, reason))
    elif trailer and length > expected:
        reason = f"{length - expected:,} bytes between the last page, at {expected:,}, and the trailer"
        gaps.append(Gap(file.name, expected, length - expected, reason))
    if kind is EvidenceKind.RAW_DATABASE and file.size % current.page_size:
        reason = f"{file.size:,} bytes are no whole number of {current.page_size:,}-byte pages: cut, or added to"
        gaps.append(Gap(file.name, file.size, 0, reason))
    if kind is EvidenceKind.NO_TRAILER:
        reason = (
            "an API snapshot must end in a 32-byte SHA-256 and this one does not: whether it is whole is unproven; if "
            "it is member/snap/db of a member that was stopped, it has none to miss: say so with --raw"
        )
        gaps.append(Gap(file.name, file.size, TRAILER, reason))
    return gaps


def _unexamined(walker: Walker, metas: meta.Metas) -> list[Unexamined]:
    """The parts of a database that --quick leaves out."""
    parts = [Unexamined("slack", "--quick: bytes outside every element, zero in what bbolt writes, not read", True)]
    if pages := int((walker.kinds == PageKind.FREED).sum()):
        reason = f"--quick: {pages * walker.page_size:,} bytes that no root reaches, not read"
        parts.append(Unexamined(f"{pages:,} freed pages", reason, True))
    if (excess := walker.size - walker.meta.high_water * walker.page_size) > 0:
        reason = f"--quick: {excess:,} bytes past the high-water mark not read"
        parts.append(Unexamined("the end of the file", reason, True))
    if metas.differ:
        reason = "--quick: the older meta page leads to another tree, not read"
        parts.append(Unexamined("the previous root", reason, True))
    return parts
