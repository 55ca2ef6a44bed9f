"""A kine database's files in their ledgers: pages and cells, rows, overflow chains, frames, and what was searched.

Payloads with overflow pages are media of their own, made of parts of the files. What neither a structure nor a row
accounts for is searched, by whoever reads the page or at the end. Format: sqlite.org fileformat2.html.
"""

from collections.abc import Iterator, Sequence

import numpy as np

from auditor.arrays.buffer import Buffer
from auditor.arrays.dtypes import Bools, Ints
from auditor.evidence.gaps import listed
from auditor.evidence.kine import file_format, wal
from auditor.evidence.kine.overflow import Assembled, PayloadParts
from auditor.evidence.kine.pages import Cells, Pages
from auditor.evidence.kine.records import sound_number
from auditor.evidence.kine.residue import Shares
from auditor.evidence.kine.rows import Rows
from auditor.evidence.kine.wal import WalFrames
from auditor.evidence.ledger import NO_INTERVALS, Account, Intervals, Ledger, cut, merged
from auditor.model.evidence import Balance, Gap

LINK = 4
"""Bytes of the number of the next overflow page."""
ASSEMBLED = "rows with overflow pages"
SALTS = 1 << 20
"""Generations of one log, at most: SQLite adds one to its first salt for each (section 4.3)."""
FAR = 1 << 28
"""Pages of a database of kine's, at most: SQLite's own limit is none for a range of four bytes."""


class Accounts:
    """The ledgers of a database file and its WAL, and of the payloads that lie in several places of them.

    names, files: of both; either file may be empty.
    """

    def __init__(self, names: Sequence[str], files: Sequence[Buffer]) -> None:
        self.files = files
        self.ledgers = [Ledger(name, buffer.size) for name, buffer in zip(names, files, strict=True)]
        self._assembled: list[tuple[Ledger, Assembled]] = []
        self._searched: list[list[Intervals]] = [[NO_INTERVALS] for _ in files]
        self._shares: list[list[Shares]] = [[] for _ in files]
        self._inner: list[Shares] = []
        self._names: list[list[Intervals]] = [[NO_INTERVALS] for _ in files]

    def add(self, file: int, start: Ints, end: Ints) -> None:
        """Add structure of one file. start, end: as in Ledger.add()."""
        self.ledgers[file].add(Account.STRUCTURE, start, end)

    def add_payloads(self, file: int, cells: Cells) -> None:
        """Add the payloads of cells that hold no values, as far as they lie in the cells."""
        self.add(file, cells.payload, cells.payload + cells.local)

    def add_keys(self, file: int, cells: Cells, names: Intervals) -> None:
        """Add entries of indexes. names: where the texts lie that are names of rows."""
        self.add_payloads(file, cells)
        self._names[file].append(names)

    def key_copies(self) -> dict[str, Intervals]:
        """Where names of rows lie in entries of indexes, by file; ascending."""
        return {own.name: _ascending(parts) for own, parts in zip(self.ledgers, self._names, strict=True)}

    def add_header(self, file: int, pages: Pages) -> None:
        """Add the header of the database in each image of its first page, where all of its fields are in range."""
        for at in pages.at[pages.number == 1].tolist():
            if file_format.is_sound(self.files[file].slice(at, file_format.HEADER)):
                behind = file_format.ZEROS[1]
                self.ledgers[file].one(Account.STRUCTURE, at, at + file_format.ZEROS[0])
                self.ledgers[file].one(Account.STRUCTURE, at + behind, at + file_format.HEADER)

    def add_rows(self, rows: Rows) -> None:
        """Add rows of `kine`: names and values, and what lies between them; numbers only where they are in range."""
        own = self._ledger(rows)
        records, columns = rows.records, rows.columns
        sound = _sound_numbers(rows)
        stop = records.at + rows.available
        texts = []
        for column in sorted((columns.name, columns.value, columns.old_value)):
            at, length = records.text(column)
            texts.append((np.minimum(at, stop), np.minimum(at + np.maximum(length, 0), stop)))
        parts = [
            (account, end) for start, end in texts for account, end in ((Account.STRUCTURE, start), (Account.ROW, end))
        ]
        parts.append((Account.STRUCTURE, stop))
        if sound.all():
            own.chain(records.at, *parts)
            return
        own.chain(records.at[sound], *((account, end[sound]) for account, end in parts))
        for start, end in texts:
            own.add(Account.ROW, start[~sound], end[~sound])

    def _ledger(self, rows: Rows) -> Ledger:
        """The ledger of the buffer that rows lie in."""
        if rows.assembled is None:
            return self.ledgers[rows.file]
        name = f"{self.ledgers[0].name}: {ASSEMBLED}"
        self._assembled.append((Ledger(name, rows.records.buffer.size), rows.assembled))
        return self._assembled[-1][0]

    def add_chains(self, parts: PayloadParts, mask: Bools, linked: Bools) -> None:
        """Add the parts of payloads, and the page numbers that lead from one to the next.

        Args:
            parts: The parts.
            mask: Those that nothing else accounts for.
            linked: Those behind a page number that nothing else accounts for.
        """
        for file, own in enumerate(self.ledgers):
            chosen = mask & (parts.file == file)
            start, end = parts.at[chosen], (parts.at + parts.size)[chosen]
            own.add(Account.MEDIUM, start, end)
            behind = parts.at[linked & (parts.file == file)]
            own.add(Account.STRUCTURE, behind - LINK, behind)

    def add_log(self, log: WalFrames) -> None:
        """Add the header of the WAL and the heads of its frames: those whose checksum holds, and of earlier
        generations the first, whose checksum goes on from a frame that is overwritten.
        """
        own, buffer = self.ledgers[1], self.files[1]
        if log.sound_header:
            own.one(Account.STRUCTURE, 0, 24)
            own.one(Account.CHECKSUM, 24, wal.HEADER)
        at = log.at - wal.FRAME
        salt = file_format.be32(buffer.words(at + 8))
        salts = int.from_bytes(buffer.slice(16, 4), "big")
        begins = np.ones(at.size, np.bool_)
        begins[1:] = log.generation[1:] != log.generation[:-1]
        behind = (salts - salt) % (1 << 32)
        commit = file_format.be32(buffer.words(at), 4)
        chosen = (log.sound | (begins & (behind > 0))) & (behind < SALTS) & (log.number < FAR) & (commit < FAR)
        own.chain(at[chosen], (Account.STRUCTURE, (at + 16)[chosen]), (Account.CHECKSUM, log.at[chosen]))

    def searched(self, file: int, start: Ints, end: Ints, shares: Shares, *, inner: bool) -> None:
        """Remember what of a file was searched.

        Args:
            file: The file.
            start: Where the stretches begin.
            end: Where they end.
            shares: What the search tells of their bytes.
            inner: Whether they are parts of payloads in several places.
        """
        self._searched[file].append(Intervals(start, end))
        (self._inner if inner else self._shares[file]).append(shares)

    def close(self) -> tuple[list[Intervals], list[Intervals], list[Gap]]:
        """What nothing accounts for and nobody has searched: by file, the same of payloads in several places, and gaps
        for what two structures claim. All of it is not zero somewhere.
        """
        files: list[Intervals] = []
        gaps: list[Gap] = []
        for file, (own, buffer) in enumerate(zip(self.ledgers, self.files, strict=True)):
            edges = np.concatenate([column for part in self._searched[file] for column in part])
            rest = own.close(buffer, edges=edges)
            doubled = _inside(rest, own.overlaps)
            gaps += _gaps(own.name, Intervals(rest.start[doubled], rest.end[doubled]))
            open_ = ~doubled & ~_inside(rest, self._all_searched(file))
            files.append(Intervals(rest.start[open_], rest.end[open_]))
        inner: list[list[Intervals]] = [[NO_INTERVALS] for _ in self.files]
        for own, assembled in self._assembled:
            rest = own.close(assembled.buffer)
            for start, end in zip(rest.start.tolist(), rest.end.tolist(), strict=True):
                for extent in assembled.extents(start, end - start):
                    begin = np.array([extent.offset], np.int64)
                    inner[int(extent.source)].append(Intervals(begin, begin + extent.length))
        return files, [self._unsearched(file, parts) for file, parts in enumerate(inner)], gaps

    def _all_searched(self, file: int) -> Intervals:
        return merged(_ascending(self._searched[file]))

    def _unsearched(self, file: int, parts: Sequence[Intervals]) -> Intervals:
        every = self._all_searched(file)
        rest = cut(_ascending(parts), np.concatenate(every))
        open_ = ~_inside(rest, every)
        return Intervals(rest.start[open_], rest.end[open_])

    def balances(self) -> Iterator[Balance]:
        """The bytes of every medium, after close(); none for one without bytes."""
        pairs = [
            *zip(self.ledgers, self._shares, strict=True),
            *((own, self._inner if not number else []) for number, (own, _) in enumerate(self._assembled)),
        ]
        for own, every in pairs:
            for shares in every:
                own.explain(Account.ROW, shares.row)
                own.explain(Account.STRUCTURE, shares.structure)
                own.explain(Account.EMPTY, shares.empty)
            if own.size:
                yield own.balance()


def _sound_numbers(rows: Rows) -> Bools:
    """Which rows hold no number that kine does not write."""
    records = rows.records
    sound = np.ones(records.at.size, np.bool_)
    for column in rows.columns.numbers:
        sound &= sound_number(records.serial[column], records.number(column))
    for column in (rows.columns.created, rows.columns.deleted):
        sound &= (records.number(column) & ~1) == 0
    return sound


def _ascending(parts: Sequence[Intervals]) -> Intervals:
    """Intervals of several columns in the order of their positions."""
    start, end = (np.concatenate(column) for column in zip(*parts, strict=True))
    order = np.argsort(start, kind="stable")
    return Intervals(start[order], end[order])


def _inside(parts: Intervals, others: Intervals) -> Bools:
    """Which intervals begin inside one of some others, which are ascending and disjoint."""
    if not others.start.size:
        return np.zeros(parts.start.size, np.bool_)
    row = np.searchsorted(others.start, parts.start, "right") - 1
    inside: Bools = (row >= 0) & (parts.start < others.end[np.maximum(row, 0)])
    return inside


def _gaps(name: str, parts: Intervals) -> Iterator[Gap]:
    """Bytes that two structures claim."""

    def one(row: int) -> Gap:
        at, size = int(parts.start[row]), int(parts.end[row] - parts.start[row])
        return Gap(name, at, size, f"{name}: two structures claim the {size:,} bytes from offset {at:,} on")

    def rest(more: Ints) -> Gap:
        return Gap(name, int(parts.start[more[0]]), 0, f"{name}: {more.size:,} more parts that two structures claim")

    return listed(np.arange(parts.start.size), one, rest)
