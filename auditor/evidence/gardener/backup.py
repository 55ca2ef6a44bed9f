"""The backups of Gardener's etcd-backup-restore: full snapshots, and increments that hold every change between them.

Format: etcd-backup-restore pkg/snapshot/snapshotter/snapshotter.go: an increment is a JSON array of events, and 32
bytes of SHA-256 of it behind it. objects.py knows how they are named and packed.
"""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from auditor.arrays.factorize import factorize
from auditor.errors import UnreadableEvidence
from auditor.evidence.batch import RecordBatch
from auditor.evidence.containers import exports
from auditor.evidence.etcd import json_records, snapshot
from auditor.evidence.exhibit import Exhibit, Role
from auditor.evidence.file import EvidenceFile
from auditor.evidence.gardener.objects import Named, named
from auditor.evidence.reading import Reading
from auditor.model.evidence import Gap, Unexamined
from auditor.model.vocabulary import EvidenceKind, Place, State

INCREMENT = "increment of Gardener's etcd backup"
UNREADABLE = "unreadable"
HASH = 32
NOTE = "increments keep every value that was ever written, until the backups are deleted"


def read(exhibit: Exhibit, *, quick: bool) -> Reading:
    """Full snapshots and increments as one history: that of the newest chain's full snapshot, or the first increment.

    Raises UnreadableEvidence where none of them is readable.
    """
    files = exhibit.of(Role.BACKUP)
    gaps: list[Gap] = []
    kinds: dict[str, str] = {}
    parts: list[tuple[str, tuple[RecordBatch, ...]]] = []
    fulls: list[tuple[tuple[int, int], Reading]] = []
    unexamined: list[Unexamined] = []
    for file in files:
        part = _object(file, exhibit.work_dir, quick=quick)
        kinds |= part.kinds
        gaps += part.gaps
        unexamined += part.unexamined
        if part.description != UNREADABLE:
            parts.append((file.name, part.batches))
        if part.database is not None:
            fulls.append((_order(part.database, part), part))
    if not parts:
        raise UnreadableEvidence(f"nothing of this backup can be read: {gaps[0].reason}")
    gaps += _missing(files)
    if not fulls:
        reason = "objects that did not change within the increments are in the full snapshot before them alone"
        unexamined.append(Unexamined("the full snapshot", reason, decisive=True))
    kind = EvidenceKind.BACKUP
    none = Reading(kind=kind, description=kind.label)
    (revision, _), base = max(fulls, key=lambda full: full[0], default=((0, 0), none))
    database = base.database or files[0]
    batches = _placed(parts, database.name if fulls else "", revision)
    last = max((int(batch.mod_revision.max(initial=0)) for batch in batches), default=0)
    return Reading(
        kind=kind,
        description=kind.label,
        batches=batches,
        database=database,
        companions=frozenset(file.name for file in files if file is not database),
        backend=replace(base.backend, newest_record=last, revision=max(base.backend.revision, last)),
        pages=base.pages,
        trailer=base.trailer,
        gaps=tuple(gaps),
        unexamined=tuple(unexamined),
        notes=(NOTE,),
        kinds=kinds,
    )


def _object(file: EvidenceFile, work_dir: str, *, quick: bool) -> Reading:
    """One object of the backup; only a full snapshot has a database."""
    kind = EvidenceKind.BACKUP
    if exports.is_increment(bytes(file.map[: exports.INCREMENT_HEAD])):
        batch, gaps = increment(file, named(file.name), work_dir)
        kinds = {file.name: INCREMENT}
        return Reading(kind=kind, description=INCREMENT, batches=(batch,), gaps=tuple(gaps), kinds=kinds)
    try:
        full = snapshot.read_file(file, quick=quick)
    except UnreadableEvidence as error:
        gap = Gap(file.name, 0, file.size, str(error))
        return Reading(kind=kind, description=UNREADABLE, gaps=(gap,), kinds={file.name: UNREADABLE})
    return replace(full, kinds={file.name: f"full snapshot, {full.description}"})


def _order(file: EvidenceFile, full: Reading) -> tuple[int, int]:
    """The last revision of a full snapshot and when it was taken, by its name where that says so."""
    name = named(file.name)
    return (name.last, name.taken) if name else (full.backend.revision, 0)


def increment(file: EvidenceFile, told: Named | None, work_dir: str = "") -> tuple[RecordBatch, list[Gap]]:
    """The events of one increment, and gaps where it is not what its hash and its name say."""
    end = max(file.size - HASH, 0)
    digest = hashlib.sha256(memoryview(file.map)[:end]).digest()
    gaps = []
    if digest != bytes(file.map[end:]):
        reason = f"{file.name}: its last {HASH} bytes are not the SHA-256 of the {end:,} before them: damaged, or cut"
        gaps.append(Gap(file.name, end, file.size - end, reason))
        end = file.size
    found = json_records.scan(file, file.map.find(b"[") + 1, end)
    batch, faults = json_records.batch(file, found, work_dir)
    gaps += [*found.gaps, *faults]
    if not found.gaps and found.end < end:
        gaps.append(Gap(file.name, found.end, end - found.end, f"{file.name}: bytes behind the list of events"))
    outside = np.zeros(0, np.int64)
    if told:
        outside = np.flatnonzero((batch.mod_revision < told.first) | (batch.mod_revision > told.last))
    if told and outside.size:
        reason = f"{file.name}: {outside.size:,} events are not of the revisions {told.first:,} to {told.last:,}"
        gaps.append(Gap(file.name, int(batch.offset[outside[0]]), 0, reason))
    return batch, gaps


def _missing(files: Sequence[EvidenceFile]) -> Iterator[Gap]:
    """Revisions between two increments that no object holds: each begins behind the one before it."""
    told = [(each, file.name) for file in files if (each := named(file.name)) is not None]
    reached = -1
    for each, name in sorted(told, key=lambda pair: (pair[0].last, not pair[0].full)):
        if each.full:
            reached = max(reached, each.last)
            continue
        if reached >= 0 and each.first > reached + 1:
            reason = f"the revisions {reached + 1:,} to {each.first - 1:,} before {name} are in none of the files"
            yield Gap(name, 0, 0, reason)
        reached = max(reached, each.last)


def _placed(parts: Sequence[tuple[str, tuple[RecordBatch, ...]]], main: str, revision: int) -> tuple[RecordBatch, ...]:
    """Latest, history and deleted over all files: the newest revision of each key decides.

    A key that the newest full snapshot does not hold, and that no later event names, was deleted before it.
    """
    every = [(source == main, batch) for source, batches in parts for batch in batches]
    shown = [(own, batch) for own, batch in every if len(batch) and (batch.place <= Place.DELETED).all()]
    known: dict[bytes, int] = {}
    keys_of: list[NDArray[np.int64]] = []
    for _, batch in shown:
        number, heads = factorize(batch.data, batch.key_at, batch.key_size)
        keys = batch.data.slices(batch.key_at[heads], batch.key_len[heads])
        of = np.array([known.setdefault(key, len(known)) for key in keys], np.int64)
        keys_of.append(of[number] if number.size else number)
    newest = np.full(len(known), -1, np.int64)
    inside, gone, taken = (np.zeros(len(known), np.bool_) for _ in range(3))
    for number, (own, batch) in zip(keys_of, shown, strict=True):
        np.maximum.at(newest, number, batch.mod_revision)
        inside[number] |= own
    for number, (_, batch) in zip(keys_of, shown, strict=True):
        gone[number[(batch.mod_revision == newest[number]) & batch.has(State.TOMBSTONE)]] = True
    gone |= ~inside & (newest <= revision) & bool(main)
    # the same revision may stand in several files: that of the full snapshot comes first
    for number, (_, batch) in sorted(zip(keys_of, shown, strict=True), key=lambda each: not each[1][0]):
        last = (batch.mod_revision == newest[number]) & ~taken[number]
        batch.place[:] = np.where(gone[number], Place.DELETED, np.where(last, Place.LATEST, Place.HISTORY))
        taken[number[last]] = True
    return tuple(batch for _, batch in every)
