"""kine's SQLite database as the image that its file and its WAL make up."""

from dataclasses import dataclass, field

import numpy as np

from auditor.arrays.buffer import Buffer
from auditor.arrays.dtypes import Ints
from auditor.errors import UnreadableEvidence
from auditor.evidence.kine import file_format, rows, wal
from auditor.evidence.kine.accounts import Accounts
from auditor.evidence.kine.file_format import Header
from auditor.evidence.kine.image import NOWHERE, Image
from auditor.evidence.kine.overflow import Claims
from auditor.evidence.kine.pages import Pages
from auditor.evidence.kine.schema import KineColumns, Table
from auditor.evidence.kine.unreferenced import DatabaseFiles
from auditor.evidence.kine.wal import WalFrames
from auditor.model.evidence import Gap


@dataclass
class Database:
    """The image that database file and WAL make up, and its contents.

    Masks of pages, by number: `referenced` by a tree, an overflow chain or the freelist; `leaves` and `interior` pages
    of b-trees; `free` pages. `trunks`: the freelist's trunk pages.
    """

    files: DatabaseFiles
    head: Header
    log: WalFrames
    image: Image
    file_pages: int
    """Pages of the database file; 0 where its pages lie elsewhere."""
    gaps: list[Gap]
    tables: list[Table] = field(default_factory=list)
    """The entries of sqlite_schema."""
    rows_by_buffer: list[rows.Rows] = field(default_factory=list)
    """The visible rows of `kine`."""
    slack: list[tuple[int, Ints, Ints]] = field(default_factory=list)
    """Unallocated bytes of visible pages: file, starts, ends."""
    malformed: list[tuple[int, Ints, Ints]] = field(default_factory=list)
    """Cells that are no rows of `kine`: file, starts, ends."""
    has_kine: bool = False
    """Whether it has the table `kine`."""
    whole: bool = True
    """Whether every tree, chain and row holds together."""

    def __post_init__(self) -> None:
        self.referenced, self.leaves, self.interior, self.free = (
            np.zeros(self.image.size + 1, np.bool_) for _ in range(4)
        )
        self.trunks = np.zeros(0, np.int64)

    @property
    def name(self) -> str:
        return self.files.sources[0]

    def gap(self, number: int, reason: str, length: int = 0) -> Gap:
        """A gap at a page, where it lies."""
        inside = 0 < number <= self.image.size and self.image.where[number] != NOWHERE
        file = int(self.image.where[number]) if inside else 0
        at = int(self.image.at[number]) if inside else max(number - 1, 0) * self.head.page_size
        name = self.files.sources[file]
        return Gap(name, at, length, f"{name}: {reason}")


def opened(
    names: tuple[str, ...], buffers: tuple[Buffer, ...], head: Header, log: WalFrames, gaps: list[Gap], work_dir: str
) -> Database:
    """The image, not read yet, and gaps for its missing pages.

    Args:
        names: The names of the database and of its WAL.
        buffers: Their bytes; the WAL's may be empty.
        head: The database's header.
        log: The WAL's frames.
        gaps: Gaps of both files, to which more are added.
        work_dir: The folder of private files; the system's own where empty.
    """
    size = head.page_size
    file_pages = buffers[0].size // size
    expected = log.pages or head.pages or file_pages
    count = min(expected, file_pages + int(log.current.sum()))
    image = Image(buffers, count, size, head.usable)
    numbers = np.arange(1, file_pages + 1, dtype=np.int64)
    image.put(0, Pages(numbers, (numbers - 1) * size))
    image.put(1, Pages(log.number[log.current], log.at[log.current]))
    missing = np.flatnonzero(image.where[1:] == NOWHERE) + 1
    if expected > count or missing.size:
        first = int(missing[0]) if missing.size else count + 1
        lost = expected - count + missing.size
        reason = f"{names[0]}: {lost:,} of its {expected:,} pages, from page {first:,} on, are not there"
        gaps.append(Gap(names[0], buffers[0].size, lost * size, f"{reason}: truncated, or without its log"))
    if ragged := buffers[0].size % size:
        reason = f"{names[0]}: {buffers[0].size:,} bytes are no whole number of {size:,}-byte pages: cut, or added to"
        gaps.append(Gap(names[0], buffers[0].size - ragged, ragged, reason))
    accounts = Accounts(names, buffers)
    accounts.add_log(log)
    files = DatabaseFiles(
        sources=names,
        buffers=buffers,
        page_size=size,
        usable=head.usable,
        columns=KineColumns(),
        claims=Claims(buffers, (size, wal.FRAME + size)),
        accounts=accounts,
        work_dir=work_dir,
    )
    return Database(files=files, head=head, log=log, image=image, file_pages=file_pages, gaps=gaps)


def header(buffer: Buffer, name: str, gaps: list[Gap]) -> Header | None:
    """The header of a database; None and a gap where it is invalid."""
    try:
        return file_format.header(buffer.slice(0, file_format.HEADER), name)
    except UnreadableEvidence as error:
        gaps.append(Gap(name, 0, file_format.HEADER, str(error)))
        return None
