"""kine's SQLite database and its WAL as stored values.

Visible is the database with the committed frames of its WAL. kine pkg/drivers/sqlite and
pkg/drivers/generic; SQLite fileformat2.html.
"""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from auditor.arrays.buffer import Buffer
from auditor.arrays.dtypes import Bools, Ints
from auditor.errors import UnreadableEvidence
from auditor.evidence.batch import RecordBatch
from auditor.evidence.exhibit import Exhibit, Role
from auditor.evidence.file import EvidenceFile
from auditor.evidence.headless import CARVED
from auditor.evidence.kine import database as databases
from auditor.evidence.kine import remainder, rows, unreferenced, visible, wal, wal_index
from auditor.evidence.kine.database import Database
from auditor.evidence.kine.file_format import INDEX_INTERIOR, INDEX_LEAF, TABLE_INTERIOR, TABLE_LEAF, Header
from auditor.evidence.kine.image import Image, freelist
from auditor.evidence.kine.lookup import ByPage, WalLookup, frame_of
from auditor.evidence.kine.pages import Pages
from auditor.evidence.kine.unreferenced import UnreferencedPages
from auditor.evidence.reading import Reading
from auditor.model.evidence import Backend, Gap, PageMap, Unexamined
from auditor.model.vocabulary import EvidenceKind, PageKind, Place, State

STANDING = Unexamined(
    "other copies and backups of the database, old disk blocks", "these files cannot show them", decisive=False
)
USUAL = 4096
"""SQLite's default page size: kine sets none."""


def read(exhibit: Exhibit, *, quick: bool) -> Reading:
    """Everything in the database and its WAL; with `quick` the visible rows alone.

    Raises UnreadableEvidence where a sound database is none of kine's, or where nothing in it can be read.
    """
    (file,), logs = exhibit.of(Role.SQLITE), exhibit.of(Role.SQLITE_LOG)
    database, own = _database(exhibit, file, logs[0] if logs else None)
    visible.read(database)
    places = rows.places(database.rows_by_buffer) if database.rows_by_buffer else []
    batches = [
        batch
        for table_rows, place in zip(database.rows_by_buffer, places, strict=True)
        for batch in rows.batches(table_rows, place, visible=True)
    ]
    if not quick:
        batches += _hidden(database, own)
        batches += remainder.search(database.files, database.gaps)
    if not database.has_kine and not any(map(kubernetes, batches)):
        raise UnreadableEvidence(f"{file.name}: a damaged SQLite file in which no row of kine's is found")
    balances, gaps = ([], []) if quick else wal_index.accounts(exhibit.of(Role.SQLITE_INDEX))
    kind = EvidenceKind.KINE_DATABASE
    return Reading(
        kind=kind,
        description=kind.label,
        batches=tuple(batch for batch in batches if len(batch)),
        database=file,
        siblings=frozenset(log.name for log in logs),
        backend=_facts(database),
        pages=PageMap(file.name, database.head.page_size, _kinds(database).tobytes(), first=1),
        gaps=(*database.gaps, *gaps),
        unexamined=tuple(_unexamined(exhibit, file, database.head, quick=quick)),
        notes=database.log.notes if logs else (),
        kinds={file.name: kind.label, **{log.name: "its write-ahead log" for log in logs}},
        balances=() if quick else (*database.files.accounts.balances(), *balances),
        key_copies=database.files.accounts.key_copies(),
        standing=STANDING,
    )


def _database(exhibit: Exhibit, file: EvidenceFile, log_file: EvidenceFile | None) -> tuple[Database, Header | None]:
    """The database of file and WAL, and the file's own header."""
    files = Buffer(file.map), Buffer(log_file.map if log_file is not None else b"")
    names = file.name, log_file.name if log_file is not None else f"{file.name}-wal"
    gaps: list[Gap] = []
    own = databases.header(files[0], names[0], gaps)
    log = wal.read(files[1], names[1], own.page_size if own is not None else 0)
    gaps += log.gaps if log_file is not None else ()
    index = b"".join(bytes(index_file.map[:64]) for index_file in exhibit.of(Role.SQLITE_INDEX))
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
    """What is absent, not read, or in use."""
    if quick:
        reason = "--quick: freed pages, unallocated bytes and frames of the log that no longer count, not read"
        yield Unexamined("what SQLite does not show", reason, decisive=True)
    if head.wal_mode and not exhibit.has_wal:
        reason = f"there is no {file.name}-wal, and {file.name} is of a database that has one: it may be old, or empty"
        yield Unexamined("the newest writes", reason, decisive=True, may_be_current=True)
    if exhibit.in_use:
        reason = "a process holds a lock on one of its files: what it writes during the run is not seen"
        yield Unexamined("a database in use", reason, decisive=True)


def kubernetes(batch: RecordBatch) -> bool:
    """Whether a value has an etcd key, or begins as Kubernetes' values do: its key may be overwritten."""
    length = batch.value_size
    matches = (batch.key_at >= 0) & (length > 0)
    for signature in CARVED:
        matches |= batch.data.starts_with(batch.value_at, length, signature)
    return bool(matches.any())


def _hidden(database: Database, own: Header | None) -> Iterator[RecordBatch]:
    """The invisible values: in unallocated bytes, freed pages, superseded page images, frames that do not count."""
    lost = Place.FREED if database.whole and database.has_kine else Place.UNPLACED
    for place, stretches in ((Place.SLACK, database.slack), (Place.UNPLACED, database.malformed)):
        for file in range(2):
            spans = [(start, end) for number, start, end in stretches if number == file]
            if spans:
                start, end = (np.concatenate(column) for column in zip(*spans, strict=True))
                places = np.full(start.size, place, np.uint8)
                yield from unreferenced.search(database.files, file, start, end, places, _number(database, file, start))
    yield from unreferenced.read(database.files, 0, _older(database, own, lost), _in_file(database))
    if database.log.number.size:
        lookup = WalLookup(database.log, database.file_pages, database.head.page_size)
        yield from unreferenced.read(database.files, 1, _frames(database, lost), lookup)


def _number(database: Database, file: int, at: Ints) -> Ints:
    """The number of the page that holds each offset of a file."""
    if not file:
        return at // database.head.page_size + 1
    numbers: Ints = database.log.number[frame_of(at, database.head.page_size)]
    return numbers


def _in_file(database: Database) -> ByPage:
    """A lookup of overflow pages in the database file alone."""
    size = database.head.page_size

    def lookup(numbers: Ints, _: Ints) -> tuple[Ints, Ints]:
        present = (numbers > 0) & (numbers <= database.file_pages)
        return np.where(present, 0, -1), np.where(present, numbers - 1, 0) * size

    return lookup


def _older(database: Database, own: Header | None, lost: Place) -> UnreferencedPages:
    """The invisible pages of the file: free, unreferenced, superseded by the WAL, or past the database's end."""
    image, size = database.image, database.head.page_size
    # columns of one row a page of the file: `number` is the page's, `known` 0 where the database ends before it
    number = np.arange(1, database.file_pages + 1, dtype=np.int64)
    past = number > image.size
    known = np.where(past, 0, number)
    shown = ~past & (image.where[known] == 0)
    free = shown & database.free[known]
    pages = Pages(number, (number - 1) * size)
    before = ~past & ~shown
    freed = past | free | (before & _was_free(database, own)[number])
    btree = _btree(database.files.buffers[0], pages)
    row = np.where(freed, Place.FREED, np.where(before, Place.PREVIOUS_ROOT, lost))
    rest = np.where(freed, Place.FREED, np.where(before, np.where(btree, Place.SLACK, Place.FREED), lost))
    state = np.where(before, np.uint8(State.SUPERSEDED), np.uint8(0))
    return _page_columns(
        database, 0, pages, row, rest, state, past | before | free | (shown & ~database.referenced[known])
    )


def _frames(database: Database, lost: Place) -> UnreferencedPages:
    """The invisible frames of the WAL, and those of free pages."""
    log, image = database.log, database.image
    inside = log.current & (log.number <= image.size)
    known = np.where(inside, log.number, 0)
    free = inside & database.free[known]
    unreferenced_pages = inside & ~database.referenced[known]
    place = np.where(free, Place.FREED, np.where(unreferenced_pages, lost, Place.WAL))
    state = np.where(log.current & ~inside, np.uint8(State.SUPERSEDED), log.state)
    pages = Pages(log.number, log.at)
    return _page_columns(database, 1, pages, place, place, state, ~inside | free | unreferenced_pages)


def _page_columns(
    database: Database,
    file: int,
    pages: Pages,
    row: NDArray[np.integer],
    rest: NDArray[np.integer],
    state: NDArray[np.uint8],
    mask: Bools,
) -> UnreferencedPages:
    lead = unreferenced.lead(database.files.buffers[file], pages, database.image.size, database.head.usable)
    trunk = np.isin(pages.number, database.trunks) & (row == Place.FREED)
    lead[trunk] = np.maximum(lead[trunk], 8)
    return UnreferencedPages(
        number=pages.number,
        at=pages.at,
        row=row.astype(np.uint8),
        rest=rest.astype(np.uint8),
        state=state,
        lead=lead,
    ).take(mask)


def _btree(buffer: Buffer, pages: Pages) -> Bools:
    kind = (buffer.words(pages.at) & np.uint64(0xFF)).astype(np.int64)
    btree: Bools = np.isin(kind, (INDEX_INTERIOR, TABLE_INTERIOR, INDEX_LEAF, TABLE_LEAF)) | (pages.number == 1)
    return btree


def _was_free(database: Database, own: Header | None) -> Bools:
    """A mask of the pages on the freelist of the file without its WAL, by number."""
    size = database.head.page_size
    free = np.zeros(database.file_pages + 1, np.bool_)
    if own is None or own.page_size != size:
        return free
    file = Image(database.files.buffers[:1], database.file_pages, size, database.head.usable)
    number = np.arange(1, database.file_pages + 1, dtype=np.int64)
    file.put(0, Pages(number, (number - 1) * size))
    trunks, leaves, _ = freelist(file, own.trunk, np.zeros(database.file_pages + 1, np.bool_))
    free[trunks] = True
    free[leaves] = True
    return free


def _kinds(database: Database) -> NDArray[np.uint8]:
    """The kind of each page of the file."""
    image = database.image
    number = np.arange(1, database.file_pages + 1)
    known = np.where(number > image.size, 0, number)
    kinds = np.full(number.size, PageKind.FREED, np.uint8)
    kinds[database.referenced[known]] = PageKind.OVERFLOW
    kinds[database.free[known]] = PageKind.FREED
    kinds[np.isin(number, database.trunks)] = PageKind.FREELIST
    kinds[database.leaves[known]] = PageKind.LEAF
    kinds[database.interior[known]] = PageKind.BRANCH
    kinds[image.where[known] == 1] = PageKind.PREVIOUS_ROOT
    kinds[known == 0] = PageKind.PAST_HIGH_WATER
    return kinds


def _facts(database: Database) -> Backend:
    newest = max((int(table_rows.rowid.max(initial=0)) for table_rows in database.rows_by_buffer), default=0)
    return replace(
        Backend.UNKNOWN,
        revision=newest,
        newest_record=newest,
        compacted=rows.compacted(database.rows_by_buffer),
        buckets=(("kine", sum(table_rows.rowid.size for table_rows in database.rows_by_buffer)),),
        page_size=database.head.page_size,
        pages=database.image.size,
    )
