"""The files of an etcd data directory: the database, the write-ahead log, and copies of either.

A damaged file does not keep the others from being read. discovery/data_directory.py finds the role of each.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain

import numpy as np

from auditor.arrays.buffer import Buffer
from auditor.errors import UnreadableEvidence
from auditor.evidence import carve, ledger
from auditor.evidence.batch import RecordBatch
from auditor.evidence.etcd import snapshot, v2_store, wal
from auditor.evidence.exhibit import Exhibit, Role
from auditor.evidence.file import EvidenceFile
from auditor.evidence.ledger import Account, Ledger
from auditor.evidence.reading import Reading
from auditor.model.evidence import Balance, Gap, Unexamined
from auditor.model.vocabulary import EvidenceKind, Place


@dataclass(frozen=True, slots=True, kw_only=True)
class _OtherFile:
    """The contents of one file beside the database."""

    name: str
    kind: str
    """The kind of file in words."""
    batches: tuple[RecordBatch, ...] = ()
    gaps: tuple[Gap, ...] = ()
    notes: tuple[str, ...] = ()
    balances: tuple[Balance, ...] = ()


def read(exhibit: Exhibit, *, quick: bool) -> Reading:
    """The contents of all files; with `quick` those of the database alone."""
    databases = exhibit.of(Role.DATABASE)
    database = databases[0] if databases else None
    reading = _database(database, quick=quick)
    kinds = dict(reading.kinds)
    gaps, batches, notes = list(reading.gaps), list(reading.batches), list(reading.notes)
    balances = list(reading.balances)
    unexamined = [*reading.unexamined, *_omissions(exhibit, database, quick=quick)]
    for other in () if quick else _other_files(exhibit, reading.backend.consistent_index):
        kinds[other.name] = other.kind
        batches += other.batches
        gaps += other.gaps
        notes += other.notes
        balances += other.balances
    directory = EvidenceKind.DATA_DIRECTORY
    return Reading(
        kind=directory,
        description=f"{directory.label}, {reading.description}" if reading.description else directory.label,
        batches=tuple(batches),
        database=database,
        backend=reading.backend,
        pages=reading.pages,
        trailer=reading.trailer,
        gaps=tuple(gaps),
        unexamined=tuple(unexamined),
        notes=tuple(notes),
        kinds=kinds,
        balances=tuple(balances),
    )


def _database(file: EvidenceFile | None, *, quick: bool) -> Reading:
    """The contents of member/snap/db; a gap without a description where it is missing or unreadable."""
    if file is None:
        gap = Gap("member/snap/db", 0, 0, "there is no member/snap/db: the database itself is missing")
        return Reading(kind=EvidenceKind.DATA_DIRECTORY, description="", gaps=(gap,))
    try:
        return snapshot.read_file(file, quick=quick, raw=True)
    except UnreadableEvidence as error:
        return Reading(
            kind=EvidenceKind.DATA_DIRECTORY,
            description="",
            gaps=(Gap(file.name, 0, file.size, str(error)),),
            kinds={file.name: "unreadable database"},
        )


def _omissions(exhibit: Exhibit, database: EvidenceFile | None, *, quick: bool) -> Iterator[Unexamined]:
    """The parts that are missing or not read, and a member that still writes."""
    if not exhibit.has_wal:
        yield Unexamined(
            "the WAL", "there is no member/wal here: name its folder with --wal-dir", decisive=True, may_be_current=True
        )
    if quick:
        rest = sum(file.size for _, file in exhibit.files if file is not database)
        reason = f"--quick: {rest:,} bytes not read"
        yield Unexamined("all files but the database", reason, decisive=True)
    if exhibit.in_use:
        reason = "a process holds a lock on one of its files: what it writes during the run is not seen"
        yield Unexamined("a data directory in use", reason, decisive=True)


def _other_files(exhibit: Exhibit, applied: int | None) -> Iterator[_OtherFile]:
    """The files beside the database. applied: the raft index up to which the database has the WAL's entries."""
    return chain(
        _wal_chain(exhibit.of(Role.LOG), applied, Role.LOG),
        _wal_copies(exhibit),
        _spare_databases(exhibit),
        _raft_snapshots(exhibit),
    )


def _wal_copies(exhibit: Exhibit) -> Iterator[_OtherFile]:
    """WAL files that are set aside, each a chain of its own; a preallocated one is empty."""
    for file in exhibit.of(Role.LOG_COPY):
        if not Buffer(file.map).nonzero(np.array([0]), np.array([file.size]))[0]:
            yield _OtherFile(name=file.name, kind="preallocated WAL segment, all zero")
        else:
            yield from _wal_chain([file], None, Role.LOG_COPY)


def _wal_chain(files: list[EvidenceFile], applied: int | None, role: Role) -> Iterator[_OtherFile]:
    """The segments of a write-ahead log as one chain. applied: as of _other_files(); role: of all of them."""
    if not files:
        return
    buffers = [Buffer(file.map) for file in files]
    wal_contents = wal.read([(file.name, buffer) for file, buffer in zip(files, buffers, strict=True)], applied)
    for number, (file, buffer) in enumerate(zip(files, buffers, strict=True)):
        own = wal_contents.ledgers[number]
        tail = _carved(own, buffer, Place.WAL)
        yield _OtherFile(
            name=file.name,
            kind=role.value,
            batches=tuple(
                batch for batch in (*wal_contents.batches, *tail) if batch.source == file.name and len(batch)
            ),
            gaps=tuple(gap for gap in wal_contents.gaps if gap.source == file.name),
            balances=(own.balance(),),
            notes=wal_contents.notes if not number else (),
        )


def _spare_databases(exhibit: Exhibit) -> Iterator[_OtherFile]:
    """Whole or partial databases beside the one in use: a leader's, a defragmentation's, a download's.

    No root of the database in use leads to what they hold: what each calls latest, an older revision or deleted is
    UNPLACED, since neither the API server reads it nor compaction removes it.
    """
    role = Role.SPARE.value
    for file in exhibit.of(Role.SPARE):
        try:
            reading = snapshot.read_file(file, quick=False, raw=True)
        except UnreadableEvidence as error:
            gap = Gap(file.name, 0, file.size, str(error))
            yield _OtherFile(name=file.name, kind=role, batches=_carve(file), gaps=(gap,))
        else:
            for batch in reading.batches:
                batch.place[batch.place <= Place.DELETED] = Place.UNPLACED
            kind = f"{role}: {reading.description}"
            yield _OtherFile(
                name=file.name, kind=kind, batches=reading.batches, gaps=reading.gaps, balances=reading.balances
            )


def _raft_snapshots(exhibit: Exhibit) -> Iterator[_OtherFile]:
    """Raft snapshots: etcd stores no object of today's Kubernetes in them, but those of the v2 API."""
    for file in exhibit.of(Role.RAFT_SNAPSHOT):
        buffer = Buffer(file.map)
        contents = v2_store.read(buffer, file.name)
        rest = _carved(contents.ledger, buffer, Place.V2_STORE)
        yield _OtherFile(
            name=file.name,
            kind=Role.RAFT_SNAPSHOT.value,
            batches=(*contents.batches, *rest),
            gaps=contents.gaps,
            balances=(contents.ledger.balance(),),
        )


def _carved(own: Ledger, buffer: Buffer, place: Place) -> list[RecordBatch]:
    """What the ledger of a file has no account of; closes it."""
    if not ledger.enabled:
        return []
    rest = own.close(buffer)
    rows = carve.search(buffer, rest.start.tolist(), rest.end.tolist(), fragments=True)
    own.explain(Account.ROW, carve.explained(buffer, rows))
    return [carve.batch(buffer, own.name, rows, place)] if rows else []


def _carve(file: EvidenceFile) -> tuple[RecordBatch, ...]:
    """Values carved from a file without a readable structure."""
    buffer = Buffer(file.map)
    rows = carve.search(buffer, [0], [file.size], fragments=False)
    return (carve.batch(buffer, file.name, rows, Place.UNPLACED),) if rows else ()
