"""The files of an etcd data directory together: the database, the write-ahead log, and what was set aside.

Any of them may be damaged, and the others are read all the same. discovery/data_directory.py tells which is which.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain

import numpy as np

from auditor.arrays.buffer import Buffer
from auditor.errors import UnreadableEvidence
from auditor.evidence import carve
from auditor.evidence.batch import RecordBatch
from auditor.evidence.etcd import raft, snapshot, wal
from auditor.evidence.exhibit import Exhibit, Role
from auditor.evidence.file import EvidenceFile
from auditor.evidence.reading import Reading
from auditor.model.evidence import Gap, Unexamined
from auditor.model.vocabulary import EvidenceKind, Place


@dataclass(frozen=True, slots=True, kw_only=True)
class _File:
    """What one file beside the database holds. kind: in words."""

    name: str
    kind: str
    batches: tuple[RecordBatch, ...] = ()
    gaps: tuple[Gap, ...] = ()
    notes: tuple[str, ...] = ()


def read(exhibit: Exhibit, *, quick: bool) -> Reading:
    """Everything in all files; with `quick` the database alone."""
    databases = exhibit.of(Role.DATABASE)
    database = databases[0] if databases else None
    store = _database(database, quick=quick)
    kinds = dict(store.kinds)
    gaps, batches, notes = list(store.gaps), list(store.batches), list(store.notes)
    unexamined = [*store.unexamined, *_absent(exhibit, database, quick=quick)]
    for part in () if quick else _beside(exhibit, store.backend.consistent_index):
        kinds[part.name] = part.kind
        batches += part.batches
        gaps += part.gaps
        notes += part.notes
    directory = EvidenceKind.DATA_DIRECTORY
    return Reading(
        kind=directory,
        description=f"{directory.label}, {store.description}" if store.description else directory.label,
        batches=tuple(batches),
        database=database,
        backend=store.backend,
        pages=store.pages,
        trailer=store.trailer,
        gaps=tuple(gaps),
        unexamined=tuple(unexamined),
        notes=tuple(notes),
        kinds=kinds,
    )


def _database(file: EvidenceFile | None, *, quick: bool) -> Reading:
    """What member/snap/db holds; nothing but a gap, and no description, where it is missing or unreadable."""
    if file is None:
        gap = Gap("member/snap/db", 0, 0, "there is no member/snap/db: the database itself is missing")
        return Reading(kind=EvidenceKind.DATA_DIRECTORY, description="", gaps=(gap,))
    try:
        return snapshot.read_file(file, quick=quick)
    except UnreadableEvidence as error:
        return Reading(
            kind=EvidenceKind.DATA_DIRECTORY,
            description="",
            gaps=(Gap(file.name, 0, file.size, str(error)),),
            kinds={file.name: "unreadable database"},
        )


def _absent(exhibit: Exhibit, database: EvidenceFile | None, *, quick: bool) -> Iterator[Unexamined]:
    """What is not there, not read, or not to be read in peace."""
    if not exhibit.has_wal:
        yield Unexamined("the WAL", "there is no member/wal here: name its folder with --wal-dir", decisive=True)
    if quick:
        rest = sum(file.size for _, file in exhibit.files if file is not database)
        reason = f"--quick: {rest:,} bytes not read"
        yield Unexamined("all files but the database", reason, decisive=True)
    if exhibit.in_use:
        reason = "a process holds a lock on one of its files: what it writes during the run is not seen"
        yield Unexamined("a data directory in use", reason, decisive=True)


def _beside(exhibit: Exhibit, applied: int | None) -> Iterator[_File]:
    """The files beside the database. applied: the raft index up to which the database has the log's entries."""
    return chain(
        _chain(exhibit.of(Role.LOG), applied, Role.LOG), _copies(exhibit), _spares(exhibit), _snapshots(exhibit)
    )


def _copies(exhibit: Exhibit) -> Iterator[_File]:
    """WAL files set aside, each a chain of its own; a preallocated one holds nothing."""
    for file in exhibit.of(Role.LOG_COPY):
        if not Buffer(file.map).nonzero(np.array([0]), np.array([file.size]))[0]:
            yield _File(name=file.name, kind="preallocated WAL segment, all zero")
        else:
            yield from _chain([file], None, Role.LOG_COPY)


def _chain(files: list[EvidenceFile], applied: int | None, role: Role) -> Iterator[_File]:
    """The segments of a write-ahead log, as one chain."""
    if not files:
        return
    buffers = [Buffer(file.map) for file in files]
    log = wal.read([(file.name, buffer) for file, buffer in zip(files, buffers, strict=True)], applied)
    for number, (file, buffer) in enumerate(zip(files, buffers, strict=True)):
        ranges = [(start, end) for which, start, end in log.unframed if which == number]
        rows = carve.search(buffer, [start for start, _ in ranges], [end for _, end in ranges], fragments=True)
        tails = carve.batch(buffer, file.name, rows, Place.WAL)
        yield _File(
            name=file.name,
            kind=role.value,
            batches=tuple(batch for batch in (*log.batches, tails) if batch.source == file.name and len(batch)),
            gaps=tuple(gap for gap in log.gaps if gap.source == file.name),
            notes=log.notes if not number else (),
        )


def _spares(exhibit: Exhibit) -> Iterator[_File]:
    """Whole or partial databases beside the one in force: a leader's, a defragmentation's, a download's."""
    role = Role.SPARE.value
    for file in exhibit.of(Role.SPARE):
        try:
            spare = snapshot.read_file(file, quick=False)
        except UnreadableEvidence as error:
            gap = Gap(file.name, 0, file.size, str(error))
            yield _File(name=file.name, kind=role, batches=_searched(file), gaps=(gap,))
        else:
            kind = f"{role}: {spare.description}"
            yield _File(name=file.name, kind=kind, batches=spare.batches, gaps=spare.gaps)


def _snapshots(exhibit: Exhibit) -> Iterator[_File]:
    """Raft snapshots: etcd keeps no Kubernetes object in them, so any value in one is worth a row."""
    for file in exhibit.of(Role.RAFT_SNAPSHOT):
        gap = raft.check(Buffer(file.map), file.name)
        kind = Role.RAFT_SNAPSHOT.value
        yield _File(name=file.name, kind=kind, batches=_searched(file), gaps=(gap,) if gap else ())


def _searched(file: EvidenceFile) -> tuple[RecordBatch, ...]:
    buffer = Buffer(file.map)
    rows = carve.search(buffer, [0], [file.size], fragments=False)
    return (carve.batch(buffer, file.name, rows, Place.UNPLACED),) if rows else ()
