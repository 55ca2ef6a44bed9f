"""The backups of Gardener's etcd-backup-restore: full snapshots, and increments that hold every change between them.

Format: etcd-backup-restore pkg/snapshot/snapshotter/snapshotter.go: an increment is a JSON array of events, followed
by the 32 bytes of its SHA-256. Names and compression: objects.py.
"""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from auditor.arrays.buffer import Buffer
from auditor.arrays.factorize import factorize
from auditor.errors import UnreadableEvidence
from auditor.evidence.batch import RecordBatch
from auditor.evidence.containers import exports
from auditor.evidence.etcd import json_records, snapshot, text_accounts
from auditor.evidence.exhibit import Exhibit, Role
from auditor.evidence.file import EvidenceFile
from auditor.evidence.gardener.objects import ObjectName, object_name
from auditor.evidence.ledger import Account, Ledger
from auditor.evidence.reading import Reading
from auditor.evidence.unaccounted import unaccounted_gaps
from auditor.model.evidence import Balance, Gap, Unexamined
from auditor.model.vocabulary import EvidenceKind, Place, State

INCREMENT = "increment of Gardener's etcd backup"
UNREADABLE = "unreadable"
HASH = 32
"""Bytes of the SHA-256 at the end of an increment."""
NOTE = "increments keep every value that was ever written, until the backups are deleted"


def read(exhibit: Exhibit, *, quick: bool) -> Reading:
    """Full snapshots and increments as one history.

    Its database is the newest full snapshot, the first increment where there is none. Raises UnreadableEvidence where
    no object is readable.
    """
    files = exhibit.of(Role.BACKUP)
    gaps: list[Gap] = []
    kinds: dict[str, str] = {}
    sources: list[tuple[str, tuple[RecordBatch, ...]]] = []
    fulls: list[tuple[tuple[int, int], Reading]] = []
    unexamined: list[Unexamined] = []
    balances: list[Balance] = []
    for file in files:
        reading = _object(file, exhibit.work_dir, quick=quick)
        kinds |= reading.kinds
        gaps += reading.gaps
        unexamined += reading.unexamined
        balances += reading.balances
        if reading.description != UNREADABLE:
            sources.append((file.name, reading.batches))
        if reading.database is not None:
            fulls.append((_order(reading.database, reading), reading))
    if not sources:
        raise UnreadableEvidence(f"nothing of this backup can be read: {gaps[0].reason}")
    gaps += _missing(files)
    if not fulls:
        reason = "objects that did not change within the increments are in the full snapshot before them alone"
        unexamined.append(Unexamined("the full snapshot", reason, decisive=True, may_be_current=True))
    kind = EvidenceKind.BACKUP
    none = Reading(kind=kind, description=kind.label)
    (revision, _), base = max(fulls, key=lambda entry: entry[0], default=((0, 0), none))
    database = base.database or files[0]
    batches = _placed(sources, database.name if fulls else "", revision)
    last = max((int(batch.mod_revision.max(initial=0)) for batch in batches), default=0)
    return Reading(
        kind=kind,
        description=kind.label,
        batches=batches,
        database=database,
        siblings=frozenset(file.name for file in files if file is not database),
        backend=replace(base.backend, newest_record=last, revision=max(base.backend.revision, last)),
        pages=base.pages,
        trailer=base.trailer,
        gaps=tuple(gaps),
        unexamined=tuple(unexamined),
        notes=(NOTE,),
        kinds=kinds,
        balances=tuple(balances),
    )


def _object(file: EvidenceFile, work_dir: str, *, quick: bool) -> Reading:
    """The reading of one object; only a full snapshot's has a database."""
    kind = EvidenceKind.BACKUP
    if exports.is_increment(bytes(file.map[: exports.INCREMENT_HEAD])):
        batch, gaps, balances = increment(file, object_name(file.name), work_dir)
        return Reading(
            kind=kind,
            description=INCREMENT,
            batches=(batch,),
            gaps=tuple(gaps),
            kinds={file.name: INCREMENT},
            balances=() if quick else balances,
        )
    try:
        full = snapshot.read_file(file, quick=quick)
    except UnreadableEvidence as error:
        gap = Gap(file.name, 0, file.size, str(error))
        return Reading(kind=kind, description=UNREADABLE, gaps=(gap,), kinds={file.name: UNREADABLE})
    return replace(full, kinds={file.name: f"full snapshot, {full.description}"})


def _order(file: EvidenceFile, full: Reading) -> tuple[int, int]:
    """The last revision and the time of a full snapshot by its name; the revision by its content without one."""
    name = object_name(file.name)
    return (name.last, name.taken) if name else (full.backend.revision, 0)


def increment(
    file: EvidenceFile, name: ObjectName | None, work_dir: str = ""
) -> tuple[RecordBatch, list[Gap], tuple[Balance, ...]]:
    """The events of one increment, gaps where they contradict its hash or its name, and what is accounted for.

    Args:
        file: The increment, unpacked.
        name: The revisions that it should hold; None where its name is no object's.
        work_dir: The folder for decoded values; the system's own where empty.
    """
    own = Ledger(file.name, file.size)
    end = max(file.size - HASH, 0)
    digest = hashlib.sha256(memoryview(file.map)[:end]).digest()
    gaps = []
    if digest != bytes(file.map[end:]):
        reason = f"{file.name}: its last {HASH} bytes are not the SHA-256 of the {end:,} before them: damaged, or cut"
        gaps.append(Gap(file.name, end, file.size - end, reason))
        end = file.size
    else:
        own.one(Account.CHECKSUM, end, file.size)
    events = json_records.JsonRecords()
    begin = file.map.find(b"[") + 1
    stop = json_records.scan(file, begin, end, events)
    own.one(Account.STRUCTURE, 0, begin)
    batch, faults = json_records.batch(file, events, work_dir)
    gaps += [*events.gaps, *faults]
    if not events.gaps and stop < end:
        gaps.append(Gap(file.name, stop, end - stop, f"{file.name}: bytes behind the list of events"))
    text_accounts.add(own, events)
    gaps += unaccounted_gaps(own, Buffer(file.map), gaps)
    outside = np.zeros(0, np.int64)
    if name:
        outside = np.flatnonzero((batch.mod_revision < name.first) | (batch.mod_revision > name.last))
    if name and outside.size:
        reason = f"{file.name}: {outside.size:,} events are not of the revisions {name.first:,} to {name.last:,}"
        gaps.append(Gap(file.name, int(batch.offset[outside[0]]), 0, reason))
    return batch, gaps, (own.balance(), text_accounts.decoded(file.name, batch))


def _missing(files: Sequence[EvidenceFile]) -> Iterator[Gap]:
    """The revisions between two increments that no object holds; each increment begins behind the one before it."""
    objects = [(name, file.name) for file in files if (name := object_name(file.name)) is not None]
    covered = -1
    for name, source in sorted(objects, key=lambda pair: (pair[0].last, not pair[0].full)):
        if name.full:
            covered = max(covered, name.last)
            continue
        if covered >= 0 and name.first > covered + 1:
            reason = f"the revisions {covered + 1:,} to {name.first - 1:,} before {source} are in none of the files"
            yield Gap(source, 0, 0, reason)
        covered = max(covered, name.last)


def _placed(
    sources: Sequence[tuple[str, tuple[RecordBatch, ...]]], database: str, revision: int
) -> tuple[RecordBatch, ...]:
    """The batches with their places over all files: the newest revision of each key decides.

    A key that the newest full snapshot does not hold, and that no later event names, was deleted before it.

    Args:
        sources: The batches of each file, by its name.
        database: The name of the newest full snapshot; empty where there is none.
        revision: Its last revision.
    """
    every = [(source == database, batch) for source, batches in sources for batch in batches]
    visible = [(full, batch) for full, batch in every if len(batch) and (batch.place <= Place.DELETED).all()]
    # codes: for each visible batch the number of each row's key, one numbering over all batches
    key_numbers: dict[bytes, int] = {}
    codes: list[NDArray[np.int64]] = []
    for _, batch in visible:
        local, heads = factorize(batch.data, batch.key_at, batch.key_size)
        keys = batch.data.slices(batch.key_at[heads], batch.key_len[heads])
        numbers = np.array([key_numbers.setdefault(key, len(key_numbers)) for key in keys], np.int64)
        codes.append(numbers[local] if local.size else local)
    # by the number of a key: its newest revision; whether the full snapshot holds it, it is deleted, its latest
    # value has its place
    newest = np.full(len(key_numbers), -1, np.int64)
    inside, deleted, placed = (np.zeros(len(key_numbers), np.bool_) for _ in range(3))
    for code, (full, batch) in zip(codes, visible, strict=True):
        np.maximum.at(newest, code, batch.mod_revision)
        inside[code] |= full
    for code, (_, batch) in zip(codes, visible, strict=True):
        deleted[code[(batch.mod_revision == newest[code]) & batch.has(State.TOMBSTONE)]] = True
    deleted |= ~inside & (newest <= revision) & bool(database)
    # several files may hold one revision: the full snapshot's row comes first
    for code, (_, batch) in sorted(zip(codes, visible, strict=True), key=lambda pair: not pair[1][0]):
        latest = (batch.mod_revision == newest[code]) & ~placed[code]
        batch.place[:] = np.where(deleted[code], Place.DELETED, np.where(latest, Place.LATEST, Place.HISTORY))
        placed[code[latest]] = True
    return tuple(batch for _, batch in every)
