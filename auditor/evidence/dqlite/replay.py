"""One database of a data directory: its pages over time, and the newest state that the log leads to."""

from collections.abc import Sequence

import numpy as np

from auditor.arrays.buffer import Buffer
from auditor.arrays.dtypes import Bools
from auditor.evidence.dqlite.history import History, Snapshot, Transaction
from auditor.evidence.dqlite.snapshots import Copy
from auditor.evidence.dqlite.timeline import UNDATED, PageImages, Timeline, runs
from auditor.evidence.kine import database as databases
from auditor.evidence.kine import file_format, wal
from auditor.evidence.kine.accounts import Accounts
from auditor.evidence.kine.database import Database
from auditor.evidence.kine.file_format import Header
from auditor.evidence.kine.image import NOWHERE, Image
from auditor.evidence.kine.overflow import Claims
from auditor.evidence.kine.schema import KineColumns
from auditor.evidence.kine.unreferenced import DatabaseFiles
from auditor.model.evidence import Gap
from auditor.model.vocabulary import State


def database_names(history: History, aside: Sequence[tuple[int, Copy]]) -> list[str]:
    """The names of all databases, those of the newest snapshot first. aside: databases on disk, by their file."""
    copies = [copy for snapshot in reversed(history.snapshots) for copy in snapshot.copies]
    every = [copy.database for copy in copies]
    every += [each.frames.database for each in history.transactions]
    return list(dict.fromkeys([*every, *(copy.database for _, copy in aside)]))


def timeline(history: History, name: str, aside: Sequence[tuple[int, Copy]]) -> tuple[Timeline, int]:
    """The images of one database, and the size of its pages; images of pages of another size are left out, as gaps.

    Args:
        history: The history.
        name: The database.
        aside: Databases on disk, by their file.
    """
    base = history.base
    copies = [(snapshot, copy) for snapshot in history.snapshots for copy in snapshot.copies if copy.database == name]
    own = [each for each in history.transactions if each.frames.database == name]
    others = [(file, copy) for file, copy in aside if copy.database == name]
    sizes = [copy.page_size for snapshot, copy in reversed(copies)] + [each.frames.page_size for each in own]
    size = [*sizes, *(copy.page_size for _, copy in others)][0]
    entry_runs, snapshot_runs = runs(history.indexes, [snapshot.index for snapshot in history.snapshots])
    run_of = dict(zip(history.indexes.tolist(), entry_runs.tolist(), strict=True))
    parts, current = [], []
    for snapshot, run in zip(history.snapshots, snapshot_runs.tolist(), strict=True):
        for copy in snapshot.copies:
            if copy.database == name and _fits(history, snapshot.file, copy.page_size, size):
                parts.append(_of_copy(snapshot, copy, run))
                current.append(copy.current & (snapshot is base))
    for each in own:
        if _fits(history, each.file, each.frames.page_size, size):
            parts.append(_of_transaction(each, run_of.get(each.index, UNDATED)))
            applies = each.index > (base.index if base is not None else 0) and each.frames.commits
            current.append(np.full(each.frames.number.size, applies))
    for file, copy in others:
        if _fits(history, file, copy.page_size, size):
            parts.append(_of_copy(Snapshot(file, UNDATED, (), usable=False), copy, UNDATED))
            current.append(np.zeros(copy.number.size, np.bool_))
    images = PageImages.concatenate(parts)
    return Timeline(images, _newest(images, np.concatenate(current))), size


def _fits(history: History, file: int, own: int, size: int) -> bool:
    """Whether pages are of the database's size; a gap where they are not."""
    if own != size:
        name = history.names[file]
        history.gaps.append(Gap(name, 0, 0, f"{name}: pages of {own:,} bytes, others are of {size:,}: searched"))
    return own == size


def _of_copy(snapshot: Snapshot, copy: Copy, run: int) -> PageImages:
    count = copy.number.size
    state = np.where(copy.current, np.uint8(0), np.uint8(State.SUPERSEDED)).astype(np.uint8)
    time = np.where(copy.current, snapshot.index, UNDATED)
    return PageImages(
        file=np.full(count, snapshot.file, np.int64),
        number=copy.number,
        at=copy.at,
        time=time,
        run=np.full(count, run, np.int64),
        base=np.ones(count, np.bool_),
        log=copy.log,
        state=state,
    )


def _of_transaction(transaction: Transaction, run: int) -> PageImages:
    frames = transaction.frames
    count = frames.number.size
    state = State(0) if frames.commits else State.UNCOMMITTED
    if not transaction.sound:
        state |= State.UNCOMMITTED | State.BAD_CHECKSUM
    return PageImages(
        file=np.full(count, transaction.file, np.int64),
        number=frames.number,
        at=frames.at,
        time=np.full(count, transaction.index or UNDATED, np.int64),
        run=np.full(count, run, np.int64),
        base=np.zeros(count, np.bool_),
        log=np.ones(count, np.bool_),
        state=np.full(count, state, np.uint8),
    )


def _newest(images: PageImages, applies: Bools) -> Bools:
    """A mask of the last image of each page that counts, in the order in which they were added."""
    current = np.zeros(len(images), np.bool_)
    rows = np.flatnonzero(applies)
    _, back = np.unique(images.number[rows][::-1], return_index=True)
    current[rows[rows.size - 1 - back]] = True
    return current


def opened(history: History, name: str, own: tuple[Timeline, int], accounts: Accounts, work_dir: str) -> Database:
    """The database in its newest state, not read yet, and gaps for its missing pages.

    Args:
        history: The history.
        name: The database.
        own: Its images, and the size of its pages.
        accounts: Of all files.
        work_dir: The folder of private files; the system's own where empty.
    """
    images, size = own[0].images, own[1]
    buffers = tuple(history.files)
    where = history.names[0]
    head = None
    for row in np.flatnonzero(own[0].current & (images.number == 1)).tolist():
        file, at = int(images.file[row]), int(images.at[row])
        where = history.names[file]
        head = databases.header(Buffer(history.files[file].slice(at, file_format.HEADER)), where, history.gaps)
    present = images.number[own[0].current]
    pages = head.pages if head is not None and head.page_size == size else 0
    head = head or Header(size, size, wal_mode=True, pages=0, trunk=0, free=0, encoding=1)
    expected = pages or int(present.max(initial=0))
    inside = own[0].current & (images.number <= expected)
    count = min(expected, int(inside.sum()))
    image = Image(buffers, count, size, head.usable)
    for file in range(len(buffers)):
        image.put(file, own[0].pages(file, inside))
    missing = expected - int((image.where != NOWHERE)[1:].sum())
    if missing:
        reason = (
            f"{name}: {missing:,} of its {expected:,} pages are neither in a snapshot nor in the log that are there"
        )
        history.gaps.append(Gap(where, 0, missing * size, reason))
    files = DatabaseFiles(
        sources=tuple(history.names),
        buffers=buffers,
        page_size=size,
        usable=head.usable,
        columns=KineColumns(),
        claims=Claims(buffers, (size,) * len(buffers)),
        accounts=accounts,
        work_dir=work_dir,
    )
    return Database(files=files, head=head, log=wal.nothing(), image=image, file_pages=0, gaps=history.gaps)
