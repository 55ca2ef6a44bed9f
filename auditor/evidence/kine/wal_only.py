"""SQLite's write-ahead log without its database: every frame is read, and none of them is known to be current.

Frames that its header counts are `unplaced`: the trees that lead to them are in the database. The others (superseded
frames, earlier generations) are `wal`, as beside the database.
"""

from dataclasses import replace

import numpy as np

from auditor.arrays.buffer import Buffer
from auditor.errors import UnreadableEvidence
from auditor.evidence.exhibit import Exhibit, Role
from auditor.evidence.kine import database, remainder, unreferenced, wal
from auditor.evidence.kine.accounts import Accounts
from auditor.evidence.kine.kine import STANDING, kubernetes
from auditor.evidence.kine.lookup import WalLookup
from auditor.evidence.kine.overflow import Claims
from auditor.evidence.kine.pages import Pages
from auditor.evidence.kine.schema import KineColumns
from auditor.evidence.kine.unreferenced import DatabaseFiles, UnreferencedPages
from auditor.evidence.kine.wal import WalFrames
from auditor.evidence.reading import Reading
from auditor.model.evidence import Backend, Gap, Unexamined
from auditor.model.vocabulary import EvidenceKind, Place

ENDING = "-wal"


def read(exhibit: Exhibit, *, quick: bool) -> Reading:
    """The rows and values in all frames; with `quick` only in those that count.

    Raises UnreadableEvidence where no frame is whole, or where none holds a value of kine's.
    """
    (file,) = exhibit.of(Role.SQLITE_LOG)
    buffer, name = Buffer(file.map), file.name
    log = wal.read(buffer, name, 0)
    if not log.number.size:
        why = log.gaps[0].reason if log.gaps else f"{name}: {file.size:,} bytes, no whole frame of a SQLite WAL"
        raise UnreadableEvidence(why)
    gaps = list(log.gaps)
    base = name.removesuffix(ENDING) if name.endswith(ENDING) else f"the database of {name}"
    files = _files(exhibit, (base, name), buffer, log, gaps)
    frames = _frames(buffer, log, files.usable)
    frames = frames.take(log.current) if quick else frames
    every = unreferenced.read(files, 1, frames, WalLookup(log, 0, log.page_size))
    batches = tuple(batch for batch in every if len(batch))
    if not quick:
        batches += tuple(batch for batch in remainder.search(files, gaps) if len(batch))
    if not any(map(kubernetes, batches)):
        raise UnreadableEvidence(f"{name}: a SQLite WAL in which no row of kine's is found")
    reason = f"{base} is not read with its log: give both, and what in the log is current can be told"
    unexamined = [Unexamined("the database itself", reason, decisive=True, may_be_current=True)]
    if quick:
        reason = "--quick: frames of the log that no longer count, not read"
        unexamined.append(Unexamined("what SQLite does not show", reason, decisive=True))
    newest = max(int(batch.mod_revision.max(initial=0)) for batch in batches)
    kind = EvidenceKind.KINE_WAL
    return Reading(
        kind=kind,
        description=kind.label,
        batches=batches,
        database=file,
        backend=replace(Backend.UNKNOWN, newest_record=newest, page_size=log.page_size, pages=log.pages),
        gaps=tuple(gaps),
        unexamined=tuple(unexamined),
        notes=log.notes,
        kinds={name: kind.label},
        balances=() if quick else tuple(files.accounts.balances()),
        key_copies=files.accounts.key_copies(),
        standing=STANDING,
    )


def _files(
    exhibit: Exhibit, sources: tuple[str, str], buffer: Buffer, log: WalFrames, gaps: list[Gap]
) -> DatabaseFiles:
    """An empty database and the WAL. Page 1, if the WAL holds it, has the number of reserved bytes."""
    usable = log.page_size
    if (tops := log.at[log.number == 1]).size:
        head = database.header(Buffer(buffer.slice(int(tops[-1]), 100)), sources[1], gaps)
        usable = head.usable if head is not None else usable
    buffers = Buffer(b""), buffer
    accounts = Accounts(sources, buffers)
    accounts.add_log(log)
    return DatabaseFiles(
        sources=sources,
        buffers=buffers,
        page_size=log.page_size,
        usable=usable,
        columns=KineColumns(),
        claims=Claims(buffers, (log.page_size, wal.FRAME + log.page_size)),
        accounts=accounts,
        work_dir=exhibit.work_dir,
    )


def _frames(buffer: Buffer, log: WalFrames, usable: int) -> UnreferencedPages:
    """All frames, with their places."""
    place = np.where(log.current, Place.UNPLACED, Place.WAL).astype(np.uint8)
    lead = unreferenced.lead(buffer, Pages(log.number, log.at), int(log.number.max()), usable)
    return UnreferencedPages(number=log.number, at=log.at, row=place, rest=place, state=log.state, lead=lead)
