"""dqlite's data directory as stored values: kine's table in the newest state, and what older pages hold.

The newest state is that of the newest snapshot with every later entry of the log (history.py). Older pages of the log
are `wal`, those of snapshots `freed`.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from auditor.arrays.buffer import Buffer
from auditor.arrays.dtypes import Bools
from auditor.errors import UnreadableEvidence
from auditor.evidence.batch import RecordBatch
from auditor.evidence.dqlite import hidden, names, replay, snapshots
from auditor.evidence.dqlite.history import History
from auditor.evidence.dqlite.names import Kind
from auditor.evidence.dqlite.snapshots import Copy
from auditor.evidence.dqlite.timeline import Timeline
from auditor.evidence.exhibit import Exhibit, Role
from auditor.evidence.file import EvidenceFile
from auditor.evidence.kine import database as databases
from auditor.evidence.kine import rows, visible
from auditor.evidence.kine.accounts import Accounts
from auditor.evidence.kine.database import Database
from auditor.evidence.kine.kine import kubernetes
from auditor.evidence.ledger import Ledger
from auditor.evidence.reading import Reading
from auditor.evidence.unaccounted import unaccounted_gaps
from auditor.model.evidence import Backend, Balance, Gap, Unexamined
from auditor.model.vocabulary import EvidenceKind

STANDING = Unexamined(
    "other nodes and backups of the cluster, old disk blocks", "these files cannot show them", decisive=False
)


@dataclass(frozen=True, slots=True)
class _Read:
    """One database, read."""

    name: str
    database: Database
    timeline: Timeline


def read(exhibit: Exhibit, *, quick: bool) -> Reading:
    """Everything in the log and the snapshots; with `quick` the newest rows alone.

    Raises UnreadableEvidence where no database in them is kine's, or where nothing in it can be read.
    """
    files = [*exhibit.of(Role.DQLITE_LOG), *exhibit.of(Role.DQLITE_SNAPSHOT), *exhibit.of(Role.DQLITE_DATABASE)]
    if not files:
        raise UnreadableEvidence(f"{exhibit.name}: a data directory of dqlite without a log and without a snapshot")
    buffers = tuple(Buffer(file.map) for file in files)
    accounts = Accounts([file.name for file in files], buffers)
    history = History([file.name for file in files], buffers, accounts.ledgers, [])
    described, balances = _descriptions(exhibit, history.gaps)
    history.read_snapshots(described)
    history.read_log()
    history.check()
    aside = list(_aside(files, buffers, history.gaps))
    every = [
        _database(history, name, aside, accounts, exhibit.work_dir) for name in replay.database_names(history, aside)
    ]
    with_kine = [each for each in every if each.database.has_kine]
    batches = [batch for each in with_kine for batch in _visible(each.database)]
    if not quick and every:
        for each in every:
            batches += hidden.read(each.database, each.timeline)
        batches += hidden.rest((with_kine or every)[0].database.files, _logs(files, exhibit), history.gaps)
    if not with_kine and not any(map(kubernetes, batches)):
        raise UnreadableEvidence(f"{exhibit.name}: a data directory of dqlite in which no row of kine's is found")
    kind = EvidenceKind.DQLITE_DIRECTORY
    newest = history.base
    database = files[newest.file] if newest is not None else files[0]
    return Reading(
        kind=kind,
        description=kind.label,
        batches=tuple(batch for batch in batches if len(batch)),
        database=database,
        siblings=frozenset(file.name for file in files),
        backend=_facts(with_kine, history),
        gaps=tuple(history.gaps),
        unexamined=tuple(_unexamined(exhibit, history, files, quick=quick)),
        notes=tuple(_notes(exhibit, history)),
        kinds={file.name: f"dqlite's {own.kind.value}" for file in files if (own := names.of_evidence(file.name))},
        balances=() if quick else (*accounts.balances(), *balances),
        key_copies=accounts.key_copies(),
        standing=STANDING,
    )


def _logs(files: Sequence[EvidenceFile], exhibit: Exhibit) -> Bools:
    """Which files are of the log."""
    log = {file.name for file in exhibit.of(Role.DQLITE_LOG)}
    return np.array([file.name in log for file in files], np.bool_)


def _descriptions(exhibit: Exhibit, gaps: list[Gap]) -> tuple[dict[tuple[int, ...], int | None], list[Balance]]:
    """The voters by each snapshot's description, where it is sound; with them the accounts of the small files."""
    described: dict[tuple[int, ...], int | None] = {}
    balances = []
    for file in exhibit.of(Role.DQLITE_META):
        own = names.of_evidence(file.name)
        buffer, ledger = Buffer(file.map), Ledger(file.name, file.size)
        if own is not None and own.kind is Kind.META:
            voters, found = snapshots.meta(buffer, file.name, ledger)
            if not found:
                described[own.numbers] = voters
        else:
            found = snapshots.metadata(buffer, file.name, ledger)
        gaps += found
        gaps += unaccounted_gaps(ledger, buffer, found)
        balances.append(ledger.balance())
    return described, balances


def _aside(files: Sequence[EvidenceFile], buffers: Sequence[Buffer], gaps: list[Gap]) -> Iterator[tuple[int, Copy]]:
    """The databases on disk, which dqlite makes anew of snapshot and log when it starts."""
    for number, (file, buffer) in enumerate(zip(files, buffers, strict=True)):
        path = file.name.replace("!", "/")
        if f"/{names.DATABASES}/" not in f"/{path}":
            continue
        head = databases.header(buffer, file.name, gaps)
        if head is not None:
            count = file.size // head.page_size
            pages = np.arange(count, dtype=np.int64)
            yes = np.ones(count, np.bool_)
            name = path.rpartition("/")[2]
            yield number, Copy(name, head.page_size, pages + 1, pages * head.page_size, ~yes, yes)


def _database(
    history: History, name: str, aside: Sequence[tuple[int, Copy]], accounts: Accounts, work_dir: str
) -> _Read:
    """A database, its newest state read; one without kine's table is a gap."""
    own = replay.timeline(history, name, aside)
    database = replay.opened(history, name, own, accounts, work_dir)
    try:
        visible.read(database)
    except UnreadableEvidence:
        reason = f"{name}, a database of {history.names[0]}'s directory, has no table `kine`: only searched"
        history.gaps.append(Gap(history.names[0], 0, 0, reason))
    return _Read(name, database, own[0])


def _visible(database: Database) -> Iterator[RecordBatch]:
    """The rows that the newest state shows."""
    places = rows.places(database.rows_by_buffer) if database.rows_by_buffer else []
    for table_rows, place in zip(database.rows_by_buffer, places, strict=True):
        yield from rows.batches(table_rows, place, visible=True)


def _facts(every: Sequence[_Read], history: History) -> Backend:
    table = [each for read in every for each in read.database.rows_by_buffer]
    newest = max((int(each.rowid.max(initial=0)) for each in table), default=0)
    return replace(
        Backend.UNKNOWN,
        revision=newest,
        newest_record=newest,
        compacted=rows.compacted(table),
        buckets=(("kine", sum(each.rowid.size for each in table)),),
        page_size=every[0].database.head.page_size if every else 0,
        pages=sum(read.database.image.size for read in every),
        consistent_index=history.last or None,
    )


def _unexamined(
    exhibit: Exhibit, history: History, files: Sequence[EvidenceFile], *, quick: bool
) -> Iterator[Unexamined]:
    """What is absent, not read, or in use."""
    if quick:
        reason = "--quick: freed pages, unallocated bytes and older pages of log and snapshots, not read"
        yield Unexamined("what dqlite does not show", reason, decisive=True)
    opened = [file.name for file in files if (own := names.of_evidence(file.name)) and own.kind is Kind.OPEN]
    if opened:
        reason = (
            f"{opened[0]} is open: the node ran when the directory was copied, or was killed; stop it before copying, "
            "and it closes its log"
        )
        yield Unexamined("the newest writes", reason, decisive=True, may_be_current=True)
    if (history.voters or 0) > 1:
        reason = (
            f"{history.voters} nodes vote, and the log does not say which entries most of them hold: the last ones may "
            "not be in force"
        )
        yield Unexamined("agreement of the nodes", reason, decisive=False)
    if exhibit.in_use:
        reason = "a process holds a lock on one of its files: what it writes during the run is not seen"
        yield Unexamined("a database in use", reason, decisive=True)


def _notes(exhibit: Exhibit, history: History) -> Iterator[str]:
    base = history.base
    since = f"snapshot at entry {base.index:,}" if base is not None else "no snapshot"
    count = int((history.indexes > (base.index if base is not None else 0)).sum())
    yield f"{exhibit.name}: {since}, {count:,} later entries of the log applied, up to entry {history.last:,}"
