"""Read all files of the evidence: one answer, whatever it is made of."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from auditor.arrays.buffer import Buffer
from auditor.arrays.dtypes import Ints
from auditor.errors import UnreadableEvidence
from auditor.evidence import carve
from auditor.evidence.batch import RecordBatch
from auditor.evidence.etcd import backend, snapshot
from auditor.evidence.exhibit import Exhibit, Role
from auditor.evidence.file import EvidenceFile
from auditor.model.evidence import Backend, Gap, Live, PageMap, Unexamined
from auditor.model.vocabulary import Place

if TYPE_CHECKING:
    from auditor.evidence.live.exhibit import Ranged

DIRECTORY = "etcd data directory"


@dataclass(frozen=True, slots=True)
class Reading:
    """What the evidence holds. main: the file whose latest values are in force, None where there is no database.

    kinds: of each file, what it was found to be, in the order of the evidence's files. trailer: bytes at the end of
    the main file. beside: other files whose latest values are in force too. standing: what such evidence can never
    show, where it is not what a database or a directory of etcd's cannot.
    """

    database: EvidenceFile | None
    kind: str
    kinds: tuple[str, ...]
    batches: tuple[RecordBatch, ...]
    backend: Backend
    pages: PageMap
    trailer: int
    gaps: tuple[Gap, ...]
    unexamined: tuple[Unexamined, ...]
    notes: tuple[str, ...]
    companions: frozenset[str] = frozenset()
    standing: Unexamined | None = None

    def serves(self, source: str) -> bool:
        """Whether the latest values of a file are those that the API server reads."""
        return source in self.companions or (self.database is not None and source == self.database.name)


def read(evidence: Exhibit, *, quick: bool) -> Reading:
    """Raises UnreadableEvidence where a file that was given by itself holds nothing readable."""
    if backups := evidence.of(Role.BACKUP):
        return _backup(evidence, backups, quick=quick)
    if evidence.of(Role.DUMP):
        return _dump(evidence)
    if evidence.of(Role.SQLITE):
        return _sqlite(evidence, quick=quick)
    if evidence.of(Role.SQLITE_LOG):
        return _log_alone(evidence, quick=quick)
    databases = evidence.of(Role.DATABASE)
    main = databases[0] if databases else None
    if not evidence.directory:
        (file,) = databases
        if evidence.live is not None and evidence.ranged is not None:
            return _ranged(evidence, file, evidence.live, evidence.ranged)
        found = snapshot.read(file, quick=quick)
        return Reading(
            file,
            kind := found.kind if evidence.live is None else f"live {evidence.live.way} of {evidence.live.endpoint}",
            tuple(kind if each is file else role.value for role, each in evidence.files),
            found.batches,
            found.facts,
            found.pages,
            found.trailer,
            (*evidence.gaps, *found.gaps),
            found.unexamined,
            tuple(evidence.notes),
        )
    return _directory(evidence, main, quick=quick)


def _backup(evidence: Exhibit, files: list[EvidenceFile], *, quick: bool) -> Reading:
    from auditor.evidence.gardener import backup  # only Gardener makes them

    found = backup.read(files, evidence.work_dir, quick=quick)
    return Reading(
        found.main,
        backup.KIND,
        found.kinds,
        found.batches,
        found.facts,
        found.pages,
        found.trailer,
        (*evidence.gaps, *found.gaps),
        found.unexamined,
        (*evidence.notes, *found.notes),
        frozenset(file.name for file in files if file is not found.main),
    )


def _dump(evidence: Exhibit) -> Reading:
    from auditor.evidence.etcd import etcdctl_dump  # only etcdctl makes one

    (file,) = evidence.of(Role.DUMP)
    found = etcdctl_dump.read(file, evidence.work_dir)
    return Reading(
        file,
        found.kind,
        (found.kind,),
        found.batches,
        found.facts,
        PageMap("", 0, b""),
        0,
        (*evidence.gaps, *found.gaps),
        found.unexamined,
        (*evidence.notes, *found.notes),
        standing=etcdctl_dump.STANDING,
    )


def _sqlite(evidence: Exhibit, *, quick: bool) -> Reading:
    from auditor.evidence.kine import kine  # only kine has one

    (file,), logs = evidence.of(Role.SQLITE), evidence.of(Role.SQLITE_LOG)
    index = b"".join(bytes(each.map[:64]) for each in evidence.of(Role.SQLITE_INDEX))
    found = kine.read(file, logs[0] if logs else None, quick=quick, index=index, work_dir=evidence.work_dir)
    kinds = {Role.SQLITE: kine.KIND, Role.SQLITE_LOG: "its write-ahead log"}
    unexamined = list(found.unexamined)
    if found.wal_mode and not evidence.has_wal:
        reason = f"there is no {file.name}-wal, and {file.name} is of a database that has one: it may be old, or empty"
        unexamined.append(Unexamined("the newest writes", reason, decisive=True))
    if evidence.in_use:
        reason = "a process holds a lock on one of its files: what it writes during the run is not seen"
        unexamined.append(Unexamined("a database in use", reason, decisive=True))
    return Reading(
        file,
        kine.KIND,
        tuple(kinds.get(role, role.value) for role, _ in evidence.files),
        found.batches,
        found.facts,
        found.pages,
        0,
        (*evidence.gaps, *found.gaps),
        tuple(unexamined),
        (*evidence.notes, *found.notes),
        frozenset(log.name for log in logs),
        kine.STANDING,
    )


def _log_alone(evidence: Exhibit, *, quick: bool) -> Reading:
    from auditor.evidence.kine import wal_only

    (file,) = evidence.of(Role.SQLITE_LOG)
    found = wal_only.read(file, quick=quick, work_dir=evidence.work_dir)
    return Reading(
        file,
        wal_only.KIND,
        tuple(wal_only.KIND if each is file else role.value for role, each in evidence.files),
        found.batches,
        found.facts,
        found.pages,
        0,
        (*evidence.gaps, *found.gaps),
        found.unexamined,
        (*evidence.notes, *found.notes),
        standing=wal_only.STANDING,
    )


def _ranged(evidence: Exhibit, file: EvidenceFile, live: Live, ranged: "Ranged") -> Reading:
    """The keys of a live etcd: there is no database, and no file that they have an offset in."""
    kind = f"live {live.way} of {live.endpoint}"
    facts = replace(backend.UNKNOWN, revision=live.revision, newest_record=live.revision, cluster_id=live.cluster_id)
    batches = ranged.columns.batches(file.name, Buffer(file.map))
    left, notes = tuple(evidence.unexamined), tuple(evidence.notes)
    return Reading(file, kind, (kind,), batches, facts, PageMap("", 0, b""), 0, (), left, notes)


def _directory(evidence: Exhibit, main: EvidenceFile | None, *, quick: bool) -> Reading:
    """What the files of a data directory hold; any of them may be damaged."""
    gaps, notes = list(evidence.gaps), list(evidence.notes)
    unexamined: list[Unexamined] = []
    batches: list[RecordBatch] = []
    kinds: dict[str, str] = {}
    found = None
    if main is not None:
        try:
            found = snapshot.read(main, quick=quick)
        except UnreadableEvidence as error:
            gaps.append(Gap(main.name, 0, main.size, str(error)))
            kinds[main.name] = "unreadable database"
        else:
            batches += found.batches
            gaps += found.gaps
            unexamined += found.unexamined
            kinds[main.name] = found.kind
    else:
        gaps.append(Gap("member/snap/db", 0, 0, "there is no member/snap/db: the database itself is missing"))
    if not evidence.has_wal:
        unexamined.append(Unexamined("the WAL", "there is no member/wal here: name its folder with --wal-dir", True))
    if quick:
        rest = sum(file.size for _, file in evidence.files if file is not main)
        unexamined.append(Unexamined("all files but the database", f"--quick: {rest:,} bytes not read", True))
    else:
        applied = found.facts.consistent_index if found is not None else None
        for part in (_log(evidence, applied), _copies(evidence), _spares(evidence), _snapshots(evidence)):
            for name, kind, held, missing, said in part:
                kinds[name] = kind
                batches += held
                gaps += missing
                notes += said
    if evidence.in_use:
        reason = "a process holds a lock on one of its files: what it writes during the run is not seen"
        unexamined.append(Unexamined("a data directory in use", reason, True))
    return Reading(
        main,
        DIRECTORY if found is None else f"{DIRECTORY}, {found.kind}",
        tuple(kinds.get(file.name, role.value) for role, file in evidence.files),
        tuple(batches),
        found.facts if found is not None else backend.UNKNOWN,
        found.pages if found is not None else PageMap("", 0, b""),
        found.trailer if found is not None else 0,
        tuple(gaps),
        tuple(unexamined),
        tuple(notes),
    )


_Part = tuple[str, str, tuple[RecordBatch, ...], tuple[Gap, ...], tuple[str, ...]]
"""Name and kind of a file, its batches, gaps and notes."""


def _log(evidence: Exhibit, applied: int | None) -> Iterator[_Part]:
    """The segments of the write-ahead log, as one chain."""
    yield from _chain(evidence.of(Role.LOG), applied, Role.LOG)


def _copies(evidence: Exhibit) -> Iterator[_Part]:
    """WAL files set aside, each a chain of its own; a preallocated one holds nothing."""
    for file in evidence.of(Role.LOG_COPY):
        if not Buffer(file.map).nonzero(*_whole(file))[0]:
            yield file.name, "preallocated WAL segment, all zero", (), (), ()
        else:
            yield from _chain([file], None, Role.LOG_COPY)


def _chain(files: list[EvidenceFile], applied: int | None, role: Role) -> Iterator[_Part]:
    if not files:
        return
    from auditor.evidence.etcd import wal  # only a data directory has one

    buffers = [Buffer(file.map) for file in files]
    log = wal.read([(file.name, buffer) for file, buffer in zip(files, buffers, strict=True)], applied)
    for number, (file, buffer) in enumerate(zip(files, buffers, strict=True)):
        ranges = [(start, end) for which, start, end in log.unframed if which == number]
        rows = carve.search(buffer, [start for start, _ in ranges], [end for _, end in ranges], fragments=True)
        tails = carve.batch(buffer, file.name, rows, Place.WAL)
        held = tuple(batch for batch in (*log.batches, tails) if batch.source == file.name and len(batch))
        gaps = tuple(gap for gap in log.gaps if gap.source == file.name)
        yield file.name, role.value, held, gaps, log.notes if not number else ()


def _spares(evidence: Exhibit) -> Iterator[_Part]:
    """Whole or partial databases beside the one in force: a leader's, a defragmentation's, a download's."""
    for file in evidence.of(Role.SPARE):
        try:
            found = snapshot.read(file, quick=False)
        except UnreadableEvidence as error:
            yield file.name, Role.SPARE.value, _searched(file), (Gap(file.name, 0, file.size, str(error)),), ()
        else:
            yield file.name, f"{Role.SPARE.value}: {found.kind}", found.batches, found.gaps, ()


def _snapshots(evidence: Exhibit) -> Iterator[_Part]:
    """Raft snapshots: etcd keeps no Kubernetes object in them, so any value in one is worth a row."""
    from auditor.evidence.etcd import raft

    for file in evidence.of(Role.RAFT_SNAPSHOT):
        gap = raft.check(Buffer(file.map), file.name)
        yield file.name, Role.RAFT_SNAPSHOT.value, _searched(file), (gap,) if gap else (), ()


def _whole(file: EvidenceFile) -> tuple[Ints, Ints]:
    return np.array([0]), np.array([file.size])


def _searched(file: EvidenceFile) -> tuple[RecordBatch, ...]:
    buffer = Buffer(file.map)
    rows = carve.search(buffer, [0], [file.size], fragments=False)
    return (carve.batch(buffer, file.name, rows, Place.UNPLACED),) if rows else ()
