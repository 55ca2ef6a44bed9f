"""The visible part of kine's database: its trees, the rows of `kine`, and the pages that they refer to."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from auditor.arrays.dtypes import Ints
from auditor.errors import UnreadableEvidence
from auditor.evidence import ledger
from auditor.evidence.gaps import listed
from auditor.evidence.kine import overflow, pages, rows, schema, structure, unreferenced
from auditor.evidence.kine.database import Database
from auditor.evidence.kine.image import Tree, freelist, walk
from auditor.evidence.kine.pages import Cells, Pages
from auditor.evidence.kine.schema import KineColumns, Table
from auditor.evidence.kine.stale import Structure
from auditor.model.evidence import Gap


def read(database: Database) -> None:
    """Walk every table and index, read the rows of `kine`, and walk the freelist.

    Raises UnreadableEvidence where a sound database has no table of kine's.
    """
    if database.file_pages:
        _odd(database, 0, structure.expansion(database.files.buffers[0]))
    top = _walk(database, 1)
    entries: list[bytes] = []
    for file, page, cells in _cells(database, top):
        del page
        sound = structure.sound_entries(database.files.buffers[file], cells)
        _odd_entries(database, file, cells.take(~sound))
        database.files.accounts.add_payloads(file, cells.take(sound))
        database.tables += schema.tables(database.files.buffers[file], cells)
        entries += schema.entries(database.files.buffers[file], cells)
    names = [table.name for table in database.tables]
    database.files = replace(
        database.files, structure=Structure(entries, names, lambda: rows.joined_names(database.rows_by_buffer))
    )
    kine = next(
        (table for table in database.tables if table.kind == "table" and table.name == "kine" and table.root), None
    )
    if kine is None and database.whole:
        listed = ", ".join(sorted(table.name for table in database.tables if table.kind == "table")) or "none"
        raise UnreadableEvidence(f"{database.name} is a SQLite database without kine's table `kine` (tables: {listed})")
    database.has_kine = kine is not None
    if kine is not None:
        _kine(database, kine)
    else:
        database.gaps.append(database.gap(1, "no table `kine` under its first page"))
    for table in database.tables:
        if table is not kine and table.root:
            tree = _walk(database, table.root, table=table.kind == "table")
            for file, page, cells in _cells(database, tree):
                sound = np.zeros(cells.page.size, np.bool_)
                if table.name in structure.OWN:
                    sound = structure.OWN[table.name](database.files.buffers[file], cells, database.tables)
                database.files.accounts.add_payloads(file, cells.take(sound))
                _foreign(database, table, file, page, cells.take(~sound))
    _pointer_maps(database)
    database.trunks, leaves, faults = freelist(database.image, database.head.trunk, database.referenced)
    database.free[database.trunks] = True
    database.free[leaves] = True
    database.gaps += [database.gap(number, reason) for number, reason in faults]


def _pointer_maps(database: Database) -> None:
    """Add the pages that are pointer maps: they hold nothing else."""
    image = database.image
    numbers = structure.pointer_maps(image, database.referenced)
    database.referenced[numbers] = True
    for file in range(len(database.files.buffers)):
        at = image.at[numbers[image.where[numbers] == file]]
        database.files.accounts.add(file, at, at + image.usable)


def _walk(database: Database, root: int, *, table: bool = True) -> Tree:
    tree = walk(database.image, root, database.referenced, table=table)
    database.leaves[tree.leaves] = True
    database.interior[tree.interior] = True
    database.whole &= not tree.faults
    database.gaps += [database.gap(number, reason) for number, reason in tree.faults]
    return tree


def _cells(database: Database, tree: Tree) -> Iterator[tuple[int, Pages, Cells]]:
    """File, pages and cells of a tree's table leaves; their unallocated bytes go to `slack`."""
    mask = np.zeros(database.image.size + 1, np.bool_)
    mask[tree.leaves] = True
    mask[tree.interior] = True
    for file, buffer in enumerate(database.files.buffers):
        images = database.image.of(file, mask)
        parsed = pages.parse(buffer, images, database.head.page_size, database.head.usable)
        damaged = images.number[parsed.damaged]
        database.gaps += listed(
            damaged,
            lambda number: database.gap(number, f"page {number} does not hold together", database.head.page_size),
            lambda more: database.gap(int(more[0]), f"{more.size:,} more pages do not hold together"),
        )
        database.whole &= not damaged.size
        database.slack.append((file, parsed.start, parsed.end))
        sound, names = structure.sound_keys(buffer, parsed.keys)
        accounts = database.files.accounts
        accounts.add(file, *parsed.fixed)
        accounts.add_header(file, images)
        accounts.add_keys(file, parsed.keys.take(sound), names)
        _odd(database, file, _payloads(parsed.keys.take(~sound)))
        _odd(database, file, structure.reserved(buffer, images, database.head.page_size, database.head.usable))
        yield file, images, parsed.cells


def _odd(database: Database, file: int, stretches: ledger.Intervals) -> None:
    """Add bytes of a structure that are not what they ought to be: they are searched."""
    if ledger.enabled:
        database.slack.append((file, *stretches))


def _payloads(cells: Cells) -> ledger.Intervals:
    """What of the payloads of cells lies in the cells."""
    return ledger.Intervals(cells.payload, cells.payload + cells.local)


def _odd_entries(database: Database, file: int, cells: Cells) -> None:
    """Add entries of the schema that create something else than tables and indexes: a gap, since kine makes none."""
    entries = _payloads(cells)
    _odd(database, file, entries)
    if ledger.enabled and entries.start.size:
        name, at = database.files.sources[file], int(entries.start[0])
        reason = (
            f"{name}: {entries.start.size:,} entries of its schema are of no table and no index of kine's: searched"
        )
        database.gaps.append(Gap(name, at, entries.total, reason))


def _foreign(database: Database, table: Table, file: int, page: Pages, cells: Cells) -> None:
    """Add the cells of a table that kine does not write, or no longer (key_value): they are only searched."""
    if cells.page.size:
        number = int(page.number[cells.page[0]])
        reason = f"{cells.page.size:,} rows of the table {table.name}, which is not `kine`, are only searched"
        database.gaps.append(database.gap(number, reason))
        database.malformed.append((file, cells.payload, cells.payload + cells.local))


def _kine(database: Database, table: Table) -> None:
    """Add the rows of `kine`: those of each file, then those with overflow pages."""
    columns = schema.columns(table)
    if columns is None:
        reason = "its table `kine` lacks a column of kine's: its rows are read in kine's own order"
        database.gaps.append(database.gap(1, reason))
    files = database.files = replace(database.files, columns=columns or KineColumns())
    spilled: list[Cells] = []
    file_of_cell, numbers = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)]
    for file, page, cells in _cells(database, _walk(database, table.root)):
        more = cells.next > 0
        local = cells.take(~more)
        table_rows, malformed = unreferenced.local_rows(files, file, page, local)
        _no_rows(database, file, local.take(malformed))
        files.accounts.add_rows(table_rows)
        database.rows_by_buffer.append(table_rows)
        spilled.append(cells.take(more))
        file_of_cell.append(np.full(int(more.sum()), file, np.int64))
        numbers.append(page.number[cells.page[more]])
    cells = Cells.concatenate(spilled)
    if cells.page.size:
        _spilled(database, cells, np.concatenate(file_of_cell), np.concatenate(numbers))


def _spilled(database: Database, cells: Cells, file_of_cell: Ints, numbers: Ints) -> None:
    """Add the rows with overflow pages. numbers: the page of each cell."""
    image, files = database.image, database.files

    def lookup(page: Ints, _: Ints) -> tuple[Ints, Ints]:
        present = image.has(page)
        known = np.where(present, page, 0)
        present &= ~database.referenced[known]
        return np.where(present, image.where[known].astype(np.int64), -1), image.at[known]

    parts, whole = overflow.follow(files.buffers, cells, file_of_cell, lookup, files.claims, files.usable)
    for file in range(len(files.buffers)):
        images = image.of(file, ~database.referenced)
        claimed = ~files.claims.free(np.full(images.at.size, file, np.int64), images.at)
        database.referenced[images.number[claimed]] = True
        tails = (parts.rest > 0) & (parts.file == file)
        end = (parts.at + parts.size)[tails]
        database.slack.append((file, end, end + parts.rest[tails]))
    table_rows, malformed = unreferenced.assembled_rows(
        files, cells, parts, whole, numbers, np.zeros(numbers.size, np.uint8)
    )
    files.accounts.add_rows(table_rows)
    files.accounts.add_chains(parts, np.ones(parts.row.size, np.bool_), ~unreferenced.in_cells(parts))
    database.rows_by_buffer.append(table_rows)
    broken = np.flatnonzero(~whole)
    lengths = np.bincount(parts.row, parts.size, whole.size).astype(np.int64)

    def one(row: int) -> Gap:
        lost = int(cells.size[row] - lengths[row])
        reason = f"row {cells.rowid[row]}: its overflow pages do not lead to its end, {lost:,} bytes are not found"
        return database.gap(int(numbers[row]), reason, lost)

    def rest(more: Ints) -> Gap:
        return database.gap(int(numbers[more[0]]), f"{more.size:,} more rows lack overflow pages")

    database.gaps += listed(broken, one, rest)
    database.whole &= not broken.size
    for file in range(len(files.buffers)):
        _no_rows(database, file, cells.take(malformed[file_of_cell[malformed] == file]))


def _no_rows(database: Database, file: int, cells: Cells) -> None:
    """Add cells of `kine` that are no rows, with a gap: they are searched."""
    if not cells.page.size:
        return
    name, at = database.files.sources[file], int(cells.payload[0])
    reason = f"{name}: {cells.page.size:,} cells of the table kine, the first at offset {at:,}, are no rows: searched"
    database.gaps.append(Gap(name, at, int(cells.local.sum()), reason))
    database.malformed.append((file, cells.payload, cells.payload + cells.local))
