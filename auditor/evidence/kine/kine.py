"""kine's SQLite database and its write-ahead log as stored values.

What counts as visible is the database with the committed frames of the log applied. kine pkg/drivers/sqlite and
pkg/drivers/generic; SQLite fileformat2.html.
"""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from auditor.arrays.buffer import Buffer
from auditor.arrays.dtypes import Bools, Ints
from auditor.errors import UnreadableEvidence
from auditor.evidence import carve
from auditor.evidence.batch import RecordBatch
from auditor.evidence.exhibit import Exhibit, Role
from auditor.evidence.file import EvidenceFile
from auditor.evidence.kine import database as databases
from auditor.evidence.kine import rows, unreferenced, wal
from auditor.evidence.kine.database import Database
from auditor.evidence.kine.file_format import INDEX_INTERIOR, INDEX_LEAF, TABLE_INTERIOR, TABLE_LEAF, Header
from auditor.evidence.kine.pages import Image, Pages, freelist
from auditor.evidence.kine.unreferenced import Rounds, UnreferencedPages
from auditor.evidence.reading import Reading
from auditor.model.evidence import Backend, Gap, PageMap, Unexamined
from auditor.model.vocabulary import EvidenceKind, PageKind, Place, State

STANDING = Unexamined(
    "other copies and backups of the database, old disk blocks", "these files cannot show them", decisive=False
)
USUAL = 4096
"""SQLite's page size where nothing says otherwise: kine sets none."""


def read(exhibit: Exhibit, *, quick: bool) -> Reading:
    """Everything in the database and its log; with `quick` only what the database shows.

    Raises UnreadableEvidence where the database is sound and none of kine's, or where nothing in it can be read.
    """
    (file,), logs = exhibit.of(Role.SQLITE), exhibit.of(Role.SQLITE_LOG)
    database, own = _database(exhibit, file, logs[0] if logs else None)
    databases.show(database)
    place = rows.places(database.every) if database.every else []
    batches = [
        batch
        for each, where in zip(database.every, place, strict=True)
        for batch in rows.batches(each, where, visible=True)
    ]
    if not quick:
        batches += _hidden(database, own)
    if not database.rooted and not any(map(kubernetes, batches)):
        raise UnreadableEvidence(f"{file.name}: a damaged SQLite file in which no row of kine's is found")
    kind = EvidenceKind.KINE_DATABASE
    return Reading(
        kind=kind,
        description=kind.label,
        batches=tuple(batch for batch in batches if len(batch)),
        database=file,
        companions=frozenset(log.name for log in logs),
        backend=_facts(database),
        pages=PageMap(file.name, database.head.page_size, _kinds(database).tobytes(), first=1),
        gaps=tuple(database.gaps),
        unexamined=tuple(_unexamined(exhibit, file, database.head, quick=quick)),
        notes=database.log.notes if logs else (),
        kinds={file.name: kind.label, **{log.name: "its write-ahead log" for log in logs}},
        standing=STANDING,
    )


def _database(exhibit: Exhibit, file: EvidenceFile, log_file: EvidenceFile | None) -> tuple[Database, Header | None]:
    """The database that file and log make up, and the file's own header."""
    files = Buffer(file.map), Buffer(log_file.map if log_file is not None else b"")
    names = file.name, log_file.name if log_file is not None else f"{file.name}-wal"
    gaps: list[Gap] = []
    own = databases.header(files[0], names[0], gaps)
    log = wal.read(files[1], names[1], own.page_size if own is not None else 0)
    gaps += log.gaps if log_file is not None else ()
    index = b"".join(bytes(each.map[:64]) for each in exhibit.of(Role.SQLITE_INDEX))
    if (counted := wal.indexed(index, files[1].slice(0, wal.HEADER))) > log.committed:
        reason = (
            f"{names[1]}: {log.committed:,} frames count, {names[0]}-shm says {counted:,}: the log is cut, or changed"
        )
        gaps.append(Gap(names[1], files[1].size, 0, reason))
    first = log.at[log.current & (log.number == 1)].tolist()
    head = databases.header(Buffer(files[1].slice(first[0], 100)), names[1], gaps) if first else own
    size = log.page_size or USUAL
    head = head or own or Header(size, size, wal_mode=True, pages=0, trunk=0, free=0, encoding=1)
    return databases.opened(names, files, head, log, gaps, exhibit.work_dir), own


def _unexamined(exhibit: Exhibit, file: EvidenceFile, head: Header, *, quick: bool) -> Iterator[Unexamined]:
    """What is not there, not read, or not to be read in peace."""
    if quick:
        reason = "--quick: freed pages, unallocated bytes and frames of the log that no longer count, not read"
        yield Unexamined("what SQLite does not show", reason, decisive=True)
    if head.wal_mode and not exhibit.has_wal:
        reason = f"there is no {file.name}-wal, and {file.name} is of a database that has one: it may be old, or empty"
        yield Unexamined("the newest writes", reason, decisive=True)
    if exhibit.in_use:
        reason = "a process holds a lock on one of its files: what it writes during the run is not seen"
        yield Unexamined("a database in use", reason, decisive=True)


def kubernetes(batch: RecordBatch) -> bool:
    """Whether a value stands under an etcd key, or begins as Kubernetes' do: its key may be overwritten."""
    length = batch.value_size
    told = (batch.key_at >= 0) & (length > 0)
    for signature in carve.SIGNATURES:
        told |= batch.data.starts_with(batch.value_at, length, signature)
    return bool(told.any())


def _hidden(database: Database, own: Header | None) -> Iterator[RecordBatch]:
    """What SQLite does not show: unallocated bytes, freed pages, older images of pages, frames that do not count."""
    lost = Place.FREED if database.whole and database.rooted else Place.UNPLACED
    for place, parts in ((Place.SLACK, database.stretches), (Place.UNPLACED, database.odd)):
        for file in range(2):
            mine = [(start, end) for which, start, end in parts if which == file]
            if mine:
                start, end = (np.concatenate(column) for column in zip(*mine, strict=True))
                where = np.full(start.size, place, np.uint8)
                yield from unreferenced.searched(
                    database.store, file, start, end, where, _number(database, file, start)
                )
    yield from unreferenced.read(database.store, 0, _older(database, own, lost), _in_file(database))
    if database.log.number.size:
        rounds = Rounds(database.log, database.main_pages, database.head.page_size)
        yield from unreferenced.read(database.store, 1, _frames(database, lost), rounds)


def _number(database: Database, file: int, at: Ints) -> Ints:
    """The number of the page that holds each offset of a file."""
    if not file:
        return at // database.head.page_size + 1
    numbers: Ints = database.log.number[unreferenced.frame_of(at, database.head.page_size)]
    return numbers


def _in_file(database: Database) -> unreferenced.ByPage:
    size = database.head.page_size

    def lookup(numbers: Ints, _: Ints) -> tuple[Ints, Ints]:
        there = (numbers > 0) & (numbers <= database.main_pages)
        return np.where(there, 0, -1), np.where(there, numbers - 1, 0) * size

    return lookup


def _older(database: Database, own: Header | None, lost: Place) -> UnreferencedPages:
    """The pages of the file that the database does not show: free, held by nothing, older than the log, or past it."""
    image, size = database.image, database.head.page_size
    number = np.arange(1, database.main_pages + 1, dtype=np.int64)
    past = number > image.size
    known = np.where(past, 0, number)
    shown = ~past & (image.where[known] == 0)
    free = shown & database.free[known]
    pages = Pages(number, (number - 1) * size)
    before = ~past & ~shown
    freed = past | free | (before & _was_free(database, own)[number])
    btree = _btree(database.store.files[0], pages)
    row = np.where(freed, Place.FREED, np.where(before, Place.PREVIOUS_ROOT, lost))
    rest = np.where(freed, Place.FREED, np.where(before, np.where(btree, Place.SLACK, Place.FREED), lost))
    state = np.where(before, np.uint8(State.SUPERSEDED), np.uint8(0))
    return _loose(database, 0, pages, row, rest, state, past | before | free | (shown & ~database.taken[known]))


def _frames(database: Database, lost: Place) -> UnreferencedPages:
    """The frames of the log that the database does not show, and those that hold its free pages."""
    log, image = database.log, database.image
    inside = log.current & (log.number <= image.size)
    known = np.where(inside, log.number, 0)
    free = inside & database.free[known]
    unheld = inside & ~database.taken[known]
    place = np.where(free, Place.FREED, np.where(unheld, lost, Place.WAL))
    state = np.where(log.current & ~inside, np.uint8(State.SUPERSEDED), log.state)
    pages = Pages(log.number, log.at)
    return _loose(database, 1, pages, place, place, state, ~inside | free | unheld)


def _loose(
    database: Database,
    file: int,
    pages: Pages,
    row: NDArray[np.integer],
    rest: NDArray[np.integer],
    state: NDArray[np.uint8],
    wanted: Bools,
) -> UnreferencedPages:
    lead = unreferenced.lead(database.store.files[file], pages, database.image.size)
    lead[np.isin(pages.number, database.trunks) & (row == Place.FREED)] = 8
    return UnreferencedPages(
        number=pages.number,
        at=pages.at,
        row=row.astype(np.uint8),
        rest=rest.astype(np.uint8),
        state=state,
        lead=lead,
    ).take(wanted)


def _btree(buffer: Buffer, pages: Pages) -> Bools:
    kind = (buffer.words(pages.at) & np.uint64(0xFF)).astype(np.int64)
    found: Bools = np.isin(kind, (INDEX_INTERIOR, TABLE_INTERIOR, INDEX_LEAF, TABLE_LEAF)) | (pages.number == 1)
    return found


def _was_free(database: Database, own: Header | None) -> Bools:
    """Which pages are on the freelist of the file by itself, by number."""
    size = database.head.page_size
    free = np.zeros(database.main_pages + 1, np.bool_)
    if own is None or own.page_size != size:
        return free
    alone = Image(database.store.files[:1], database.main_pages, size, database.head.usable)
    number = np.arange(1, database.main_pages + 1, dtype=np.int64)
    alone.put(0, Pages(number, (number - 1) * size))
    trunks, leaves, _ = freelist(alone, own.trunk, np.zeros(database.main_pages + 1, np.bool_))
    free[trunks] = True
    free[leaves] = True
    return free


def _kinds(database: Database) -> NDArray[np.uint8]:
    """What each page of the file is."""
    image = database.image
    number = np.arange(1, database.main_pages + 1)
    known = np.where(number > image.size, 0, number)
    kinds = np.full(number.size, PageKind.FREED, np.uint8)
    kinds[database.taken[known]] = PageKind.OVERFLOW
    kinds[database.free[known]] = PageKind.FREED
    kinds[np.isin(number, database.trunks)] = PageKind.FREELIST
    kinds[database.leaves[known]] = PageKind.LEAF
    kinds[database.interior[known]] = PageKind.BRANCH
    kinds[image.where[known] == 1] = PageKind.PREVIOUS_ROOT
    kinds[known == 0] = PageKind.PAST_HIGH_WATER
    return kinds


def _facts(database: Database) -> Backend:
    newest = max((int(each.rowid.max(initial=0)) for each in database.every), default=0)
    return replace(
        Backend.UNKNOWN,
        revision=newest,
        newest_record=newest,
        compacted=rows.compacted(database.every),
        buckets=(("kine", sum(each.rowid.size for each in database.every)),),
        page_size=database.head.page_size,
        pages=database.image.size,
    )
