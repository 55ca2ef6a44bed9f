"""Dumps in SQL: pg_dump's plain text, mysqldump's and mariadb-dump's, and SQLite's `.dump`."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from auditor.arrays.buffer import Buffer
from auditor.arrays.dtypes import Ints
from auditor.errors import UnreadableEvidence
from auditor.evidence.containers import exports
from auditor.evidence.exhibit import Exhibit, Role
from auditor.evidence.file import EvidenceFile
from auditor.evidence.gaps import LISTED, listed
from auditor.evidence.ledger import Account, Intervals, Ledger
from auditor.evidence.reading import Reading
from auditor.evidence.sql import grammar
from auditor.evidence.sql import rows as tables
from auditor.evidence.sql.rows import TEXTS
from auditor.evidence.sql.walk import Walk
from auditor.evidence.unaccounted import outside
from auditor.model.evidence import Backend, Gap, Unexamined
from auditor.model.vocabulary import EvidenceKind
from auditor.text import printable

STANDING = Unexamined(
    "rows that the server has freed and not wiped, its own log, other backups, old disk blocks",
    "a dump holds what a query answers",
    decisive=False,
)
_OF_POSTGRES = frozenset({EvidenceKind.LIVE_TABLE, EvidenceKind.POSTGRES_ARCHIVE})
"""Kinds of texts that are written as PostgreSQL's dumps are."""


def read(exhibit: Exhibit, *, quick: bool) -> Reading:
    """All rows of the dump, with `quick` too. Raises UnreadableEvidence where it holds none of kine's."""
    del quick
    (file,) = exhibit.of(Role.SQL_DUMP)
    kind = exports.sql_dump(bytes(file.map[: exports.SQL_HEAD])) or EvidenceKind.SQLITE_DUMP
    if exhibit.live_table or exhibit.copy is not None:
        kind = EvidenceKind.LIVE_TABLE if exhibit.live_table else EvidenceKind.POSTGRES_ARCHIVE
    walk = Walk(file, EvidenceKind.POSTGRES_DUMP if kind in _OF_POSTGRES else kind)
    walk.run(exhibit.copy or b"")
    if not walk.tables:
        raise UnreadableEvidence(f"{file.name} is {kind.label}, and holds no table of kine's: nothing of etcd is in it")
    return reading(file, kind, walk, exhibit.work_dir)


def reading(file: EvidenceFile, kind: EvidenceKind, walk: Walk, work_dir: str) -> Reading:
    """The reading of a file by what a walk over it met."""
    table = tables.table(file, walk.rows, work_dir)
    batches = tuple(tables.batches(table))
    ledger = Ledger(file.name, file.size)
    gaps = [*walk.gaps, *_foreign(file, walk), *_undecoded(table)]
    gaps += _odd(file, _settled(ledger, file, walk, table), walk)
    return Reading(
        kind=kind,
        description=kind.label,
        batches=batches,
        database=file,
        backend=facts([table]),
        gaps=tuple(gaps),
        notes=_notes(file, walk),
        kinds={file.name: kind.label},
        balances=(ledger.balance(),),
        standing=STANDING,
    )


def facts(read: list[tables.Table]) -> Backend:
    """The facts of kine's tables."""
    newest = max((int(table.numbers["id"].max(initial=0)) for table in read), default=0)
    revisions = [revision for table in read if (revision := tables.compacted(table)) is not None]
    return replace(
        Backend.UNKNOWN,
        revision=newest,
        newest_record=newest,
        compacted=max(revisions, default=None),
        buckets=(("kine", sum(table.numbers["id"].size for table in read)),),
    )


def _settled(ledger: Ledger, file: EvidenceFile, walk: Walk, table: tables.Table) -> Intervals:
    """Close the ledger of a file: names and values are rows, what else was read is structure. Returns the rest."""
    starts, ends = np.array(walk.accounted.pairs, np.int64).reshape(-1, 2).T
    begin = np.concatenate([table.stored_at[column][table.stored_len[column] > 0] for column in TEXTS])
    size = np.concatenate([table.stored_len[column][table.stored_len[column] > 0] for column in TEXTS])
    ledger.add(Account.ROW, begin, begin + size)
    # a stretch of structure begins where a stretch begins or a row ends, and ends where a row begins or a stretch ends
    ledger.add(
        Account.STRUCTURE,
        np.sort(np.concatenate((starts, begin + size))),
        np.sort(np.concatenate((begin, ends))),
    )
    return ledger.close(Buffer(file.map))


def _odd(file: EvidenceFile, rest: Intervals, walk: Walk) -> Iterator[Gap]:
    """Gaps for what nothing accounts for, but the rows of other tables, which have gaps of their own."""
    others = [(at, at + size) for at, size in walk.foreign.values()]

    def one(row: int) -> Gap:
        at, size = int(rest.start[row]), int(rest.end[row] - rest.start[row])
        return Gap(file.name, at, size, f"{file.name}: {size:,} bytes at offset {at:,} are nothing of a dump: searched")

    def more(rows: Ints) -> Gap:
        size = int((rest.end - rest.start)[rows].sum())
        reason = f"{file.name}: {rows.size:,} more stretches, not listed, are nothing of a dump: searched"
        return Gap(file.name, int(rest.start[rows[0]]), size, reason)

    yield from listed(np.flatnonzero(outside(rest, others)), one, more)


def _foreign(file: EvidenceFile, walk: Walk) -> Iterator[Gap]:
    entries = list(walk.foreign.items())
    for name, (at, size) in entries[:LISTED]:
        what = "has not kine's columns" if grammar.is_kine(name) else "is not `kine`"
        reason = f"{file.name}: rows of the table {printable(name.encode())}, which {what}, are only searched"
        yield Gap(file.name, at, size, reason)
    if len(entries) > LISTED:
        reason = f"{file.name}: rows of {len(entries) - LISTED:,} more tables, not listed, are only searched"
        yield Gap(file.name, entries[LISTED][1][0], sum(size for _, (_, size) in entries[LISTED:]), reason)


def _undecoded(table: tables.Table) -> Iterator[Gap]:
    name = table.file.name

    def one(row: int) -> Gap:
        at = int(table.stored_at["name"][row])
        return Gap(name, at, 0, f"{name}: a text of the row at offset {at:,} cannot be decoded")

    def more(rows: Ints) -> Gap:
        at = int(table.stored_at["name"][rows[0]])
        return Gap(name, at, 0, f"{name}: {rows.size:,} more rows, not listed, have a text that cannot be decoded")

    yield from listed(table.broken, one, more)


def _notes(file: EvidenceFile, walk: Walk) -> tuple[str, ...]:
    if len(walk.tables) < 2:
        return ()
    return (f"{file.name} holds {len(walk.tables):,} tables of kine's: keys of one name are not compared across them",)
