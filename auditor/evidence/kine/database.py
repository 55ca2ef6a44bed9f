"""What a SQLite database of kine's shows: its trees, the rows of `kine`, and which pages something holds."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import numpy as np

from auditor.arrays.buffer import Buffer
from auditor.arrays.dtypes import Ints
from auditor.errors import UnreadableEvidence
from auditor.evidence.gaps import listed
from auditor.evidence.kine import file_format, overflow, pages, rows, schema, unreferenced, wal
from auditor.evidence.kine.file_format import Header
from auditor.evidence.kine.overflow import Claims
from auditor.evidence.kine.pages import Cells, Image, Pages, Tree
from auditor.evidence.kine.schema import KineColumns, Table
from auditor.evidence.kine.unreferenced import Store
from auditor.evidence.kine.wal import Log
from auditor.model.evidence import Gap

LONGEST_SEQUENCE = 32
"""Bytes of a row of sqlite_sequence about a table of kine's; a value is longer."""


@dataclass
class Database:
    """The image that file and log make up, and what has been read of it.

    taken, leaves, interior, free: masks of pages, by number: held by something; table leaves of `kine` and leaves of
    other trees; their interior pages; on the freelist. stretches: file, starts and ends of bytes in visible pages
    that nothing accounts for. odd: the same of cells that are no rows. every: the visible rows, by buffer.
    """

    store: Store
    head: Header
    log: Log
    image: Image
    main_pages: int
    gaps: list[Gap]
    tables: list[Table] = field(default_factory=list)
    every: list[rows.Rows] = field(default_factory=list)
    stretches: list[tuple[int, Ints, Ints]] = field(default_factory=list)
    odd: list[tuple[int, Ints, Ints]] = field(default_factory=list)
    rooted: bool = False
    whole: bool = True

    def __post_init__(self) -> None:
        self.taken, self.leaves, self.interior, self.free = (np.zeros(self.image.size + 1, np.bool_) for _ in range(4))
        self.trunks = np.zeros(0, np.int64)

    @property
    def name(self) -> str:
        return self.store.sources[0]

    def gap(self, number: int, reason: str, length: int = 0) -> Gap:
        """A gap at a page, where it lies."""
        inside = 0 < number <= self.image.size and self.image.where[number] != 255
        file = int(self.image.where[number]) if inside else 0
        at = int(self.image.at[number]) if inside else max(number - 1, 0) * self.head.page_size
        name = self.store.sources[file]
        return Gap(name, at, length, f"{name}: {reason}")


def opened(
    names: tuple[str, ...], files: tuple[Buffer, ...], head: Header, log: Log, gaps: list[Gap], work_dir: str
) -> Database:
    """The image, and gaps for what is missing of it. Nothing is read of it yet."""
    size = head.page_size
    main_pages = files[0].size // size
    told = log.pages or head.pages or main_pages
    count = min(told, main_pages + int(log.current.sum()))
    image = Image(files, count, size, head.usable)
    numbers = np.arange(1, main_pages + 1, dtype=np.int64)
    image.put(0, Pages(numbers, (numbers - 1) * size))
    image.put(1, Pages(log.number[log.current], log.at[log.current]))
    missing = np.flatnonzero(image.where[1:] == 255) + 1
    if told > count or missing.size:
        first = int(missing[0]) if missing.size else count + 1
        lost = told - count + missing.size
        reason = f"{names[0]}: {lost:,} of its {told:,} pages, from page {first:,} on, are not there"
        gaps.append(Gap(names[0], files[0].size, lost * size, f"{reason}: truncated, or without its log"))
    if ragged := files[0].size % size:
        reason = f"{names[0]}: {files[0].size:,} bytes are no whole number of {size:,}-byte pages: cut, or added to"
        gaps.append(Gap(names[0], files[0].size - ragged, ragged, reason))
    store = Store(
        sources=names,
        files=files,
        page_size=size,
        usable=head.usable,
        columns=KineColumns(),
        claims=Claims(files, (size, wal.FRAME + size)),
        work_dir=work_dir,
    )
    return Database(store=store, head=head, log=log, image=image, main_pages=main_pages, gaps=gaps)


def show(database: Database) -> None:
    """Walk every table and index, read the rows of `kine`, and walk the freelist.

    Raises UnreadableEvidence where the database holds together and no table of it is kine's.
    """
    top = _walk(database, 1)
    for file, page, cells in _cells(database, top):
        del page
        database.tables += schema.tables(database.store.files[file], cells)
    mine = next((each for each in database.tables if each.kind == "table" and each.name == "kine" and each.root), None)
    if mine is None and database.whole:
        listed = ", ".join(sorted(each.name for each in database.tables if each.kind == "table")) or "none"
        raise UnreadableEvidence(f"{database.name} is a SQLite database without kine's table `kine` (tables: {listed})")
    database.rooted = mine is not None
    if mine is not None:
        _kine(database, mine)
    else:
        database.gaps.append(database.gap(1, "no table `kine` under its first page"))
    for table in database.tables:
        if table is not mine and table.root:
            tree = _walk(database, table.root, table=table.kind == "table")
            for file, page, cells in _cells(database, tree):
                if table.name == "sqlite_sequence":  # a name and a number in each row
                    cells = cells.take(cells.size > LONGEST_SEQUENCE)
                _foreign(database, table, file, page, cells)
    found = pages.freelist(database.image, database.head.trunk, database.taken)
    database.trunks, leaves, faults = found
    database.free[database.trunks] = True
    database.free[leaves] = True
    database.gaps += [database.gap(number, reason) for number, reason in faults]


def _walk(database: Database, root: int, *, table: bool = True) -> Tree:
    tree = pages.walk(database.image, root, database.taken, table=table)
    database.leaves[tree.leaves] = True
    database.interior[tree.interior] = True
    database.whole &= not tree.faults
    database.gaps += [database.gap(number, reason) for number, reason in tree.faults]
    return tree


def _cells(database: Database, tree: Tree) -> Iterator[tuple[int, Pages, Cells]]:
    """File, pages and cells of a tree's table leaves; what no cell accounts for is kept in `stretches`."""
    wanted = np.zeros(database.image.size + 1, np.bool_)
    wanted[tree.leaves] = True
    wanted[tree.interior] = True
    for file, buffer in enumerate(database.store.files):
        mine = database.image.of(file, wanted)
        found = pages.parse(buffer, mine, database.head.page_size, database.head.usable)
        damaged = mine.number[found.damaged]
        database.gaps += listed(
            damaged,
            lambda number: database.gap(number, f"page {number} does not hold together", database.head.page_size),
            lambda more: database.gap(int(more[0]), f"{more.size:,} more pages do not hold together"),
        )
        database.whole &= not damaged.size
        database.stretches.append((file, found.start, found.end))
        yield file, mine, found.cells


def _foreign(database: Database, table: Table, file: int, page: Pages, cells: Cells) -> None:
    """A table that kine does not write, or no longer (key_value): its cells are only searched."""
    if cells.page.size:
        number = int(page.number[cells.page[0]])
        reason = f"{cells.page.size:,} rows of the table {table.name}, which is not `kine`, are only searched"
        database.gaps.append(database.gap(number, reason))
        database.odd.append((file, cells.payload, cells.payload + cells.local))


def _kine(database: Database, table: Table) -> None:
    """The rows of `kine`: those of each file, then those that go on in overflow pages."""
    columns = schema.columns(table)
    if columns is None:
        reason = "its table `kine` lacks a column of kine's: its rows are read in kine's own order"
        database.gaps.append(database.gap(1, reason))
    store = database.store = replace(database.store, columns=columns or KineColumns())
    spilled: list[Cells] = []
    own, numbers = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)]
    for file, page, cells in _cells(database, _walk(database, table.root)):
        more = cells.next > 0
        here = cells.take(~more)
        made, bad = unreferenced.visible(store, file, page, here)
        _no_rows(database, file, here.take(bad))
        database.every.append(made)
        spilled.append(cells.take(more))
        own.append(np.full(int(more.sum()), file, np.int64))
        numbers.append(page.number[cells.page[more]])
    cells = Cells.concatenate(spilled)
    if cells.page.size:
        _spilled(database, cells, np.concatenate(own), np.concatenate(numbers))


def _spilled(database: Database, cells: Cells, own: Ints, numbers: Ints) -> None:
    image, store = database.image, database.store

    def lookup(asked: Ints, _: Ints) -> tuple[Ints, Ints]:
        there = image.has(asked)
        safe = np.where(there, asked, 0)
        there &= ~database.taken[safe]
        return np.where(there, image.where[safe].astype(np.int64), -1), image.at[safe]

    pieces, whole = overflow.follow(store.files, cells, own, lookup, store.claims, store.usable)
    for file in range(len(store.files)):
        held = image.of(file, ~database.taken)
        claimed = ~store.claims.free(np.full(held.at.size, file, np.int64), held.at)
        database.taken[held.number[claimed]] = True
        tails = (pieces.rest > 0) & (pieces.file == file)
        end = (pieces.at + pieces.size)[tails]
        database.stretches.append((file, end, end + pieces.rest[tails]))
    made, bad = unreferenced.together(store, cells, pieces, whole, numbers, np.zeros(numbers.size, np.uint8))
    database.every.append(made)
    broken = np.flatnonzero(~whole)
    got = np.bincount(pieces.row, pieces.size, whole.size).astype(np.int64)

    def one(row: int) -> Gap:
        lost = int(cells.size[row] - got[row])
        reason = f"row {cells.rowid[row]}: its overflow pages do not lead to its end, {lost:,} bytes are not found"
        return database.gap(int(numbers[row]), reason, lost)

    def rest(more: Ints) -> Gap:
        return database.gap(int(numbers[more[0]]), f"{more.size:,} more rows lack overflow pages")

    database.gaps += listed(broken, one, rest)
    database.whole &= not broken.size
    for file in range(len(store.files)):
        _no_rows(database, file, cells.take(bad[own[bad] == file]))


def _no_rows(database: Database, file: int, cells: Cells) -> None:
    """Cells of `kine` that are no rows of it: told, and searched."""
    if not cells.page.size:
        return
    name, at = database.store.sources[file], int(cells.payload[0])
    reason = f"{name}: {cells.page.size:,} cells of the table kine, the first at offset {at:,}, are no rows: searched"
    database.gaps.append(Gap(name, at, int(cells.local.sum()), reason))
    database.odd.append((file, cells.payload, cells.payload + cells.local))


def header(buffer: Buffer, name: str, gaps: list[Gap]) -> Header | None:
    """The header of a database; a gap where it does not hold."""
    try:
        return file_format.header(buffer.slice(0, file_format.HEADER), name)
    except UnreadableEvidence as error:
        gaps.append(Gap(name, 0, file_format.HEADER, str(error)))
        return None
