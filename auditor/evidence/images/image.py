"""Raw bytes as evidence: what was carved out of them, none of it placed, and what that cannot show.

The signatures are searched for in the windows that are hashed, by the engine of every sweep (evidence/sweep.py). A
freed page says what it holds and not whether a root reached it: every value is UNPLACED.
"""

from collections.abc import Iterator
from dataclasses import replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from auditor.arrays.buffer import Buffer
from auditor.arrays.dtypes import Bools, Ints
from auditor.errors import UsageError
from auditor.evidence import carve
from auditor.evidence.batch import UNKNOWN, RecordBatch
from auditor.evidence.bbolt import meta
from auditor.evidence.exhibit import Exhibit, Role
from auditor.evidence.images import frames, groups, kine_groups, kine_pages, leaf_pages, loose, values
from auditor.evidence.images.joined import without_copies
from auditor.evidence.images.loose import Spans
from auditor.evidence.images.signatures import SIGNATURES, VALUES, Beginning, begins
from auditor.evidence.ledger import Account, Intervals, Ledger, merged
from auditor.evidence.reading import Reading
from auditor.evidence.sweep import FileSweep, Hits
from auditor.model.evidence import Balance, Gap, Unexamined
from auditor.model.vocabulary import EvidenceKind, Place, State
from auditor.text import plural

STANDING = Unexamined(
    "whatever carving does not meet",
    "values that have lost their beginning, lie across extents that do not follow each other, or are compressed, "
    "encoded as text or encrypted with the disk: carving proves no absence, and says nothing of what is current",
    decisive=False,
)
META_AT = 16
"""Where the magic number stands in a meta page."""
MOST_METAS = 1 << 16


OF_KINE = "on pages of kine's"
KINDS = (
    "on pages of etcd's",
    OF_KINE,
    "behind revision keys",
    "in frames of a WAL",
    "in put requests",
    "in rows of kine's",
    "bare",
)
"""Kinds of records, the one that is best known of where it lies first."""


def read(exhibit: Exhibit, *, quick: bool) -> Reading:
    """Everything that is carved out of the exhibit's file.

    Raises UsageError with `quick`, which leaves out the search, and what ended the search.
    """
    if quick:
        raise UsageError("--carve searches every byte, and --quick none that no root reaches: give one of them")
    (file,) = exhibit.of(Role.IMAGE)
    hits = (exhibit.sweep or FileSweep(file, SIGNATURES)).result()
    buffer, ledger = Buffer(file.map), Ledger(file.name, file.size)
    every = _records(buffer, file.name, hits, ledger, exhibit.work_dir)
    one = values.without_beginnings(buffer, every.records, values.distinct(buffer, every.records, every.kind))
    joined = without_copies(every.records, one, every.joined)
    rows = one.rows[joined.kept]
    told = replace(every.records.take(rows), remarks=_remarks(every, one, rows))
    batches = (*told.split(), *_with_groups(every, joined.batches))
    kind = EvidenceKind.IMAGE
    copies = len(every.records) - rows.size + joined.copies
    notes = [_counts(every, rows, joined.total, copies, hits), *_grouped(every)]
    return Reading(
        kind=kind,
        description=kind.label,
        batches=batches,
        gaps=(*every.gaps, *_crowds(file.name, hits)),
        notes=tuple(notes),
        kinds={file.name: kind.label},
        balances=(_balance(ledger, every.records),),
        standing=STANDING,
    )


class _Every(NamedTuple):
    """All records of an image, copies included."""

    records: RecordBatch
    kind: NDArray[np.uint8]
    """Index into KINDS of each record."""
    group: Ints
    """Number of the group of each one's page, from 0; -1 of one that lies on none."""
    joined: tuple[RecordBatch, ...]
    """Values of kine's in several pages; `page` is the number of the group of the first."""
    loose: Bools
    """Which values go on in another block, and nothing says that it is theirs: of encrypted ones nothing can."""
    groups: tuple[str, ...]
    """A description of each group."""
    gaps: list[Gap]


def _records(buffer: Buffer, source: str, hits: Hits, ledger: Ledger, work_dir: str) -> _Every:
    separators = begins(hits, Beginning.REVISION)
    pages = leaf_pages.read(buffer, source, separators, ledger)
    log = frames.read(buffer, source, begins(hits, Beginning.FRAME), ledger)
    held = [_whole(buffer, each) for each in (pages.records, log.records)]
    spans = Spans(*(np.concatenate(columns) for columns in zip(*held, strict=True)))
    own, rest = np.isin(separators, pages.separators), begins(hits, *VALUES)
    rest = rest[~spans.hold(rest)]
    marks = (loose.near_names(buffer, rest), begins(hits, Beginning.SQLITE))
    kine = kine_pages.read(buffer, source, marks, ledger, work_dir)
    rest = rest[~Spans(kine.start, kine.end).hold(rest)]
    others = loose.read(buffer, source, separators[~own & ~spans.hold(separators)], rest)
    lists = (others.revisions, others.puts, others.kine, others.bare)
    batches = [carve.batch(buffer, source, list(rows), Place.UNPLACED) for rows in lists]
    grouped, group = _groups(buffer, hits, pages)
    of_kine = kine_groups.read(buffer, kine, len(grouped.words))
    parts = [pages.records, kine.records, batches[0], log.records, *batches[1:]]
    records = RecordBatch.concatenate(parts)
    kind = np.repeat(np.arange(len(parts), dtype=np.uint8), [len(part) for part in parts])
    first, second = len(pages.records), len(pages.records) + len(kine.records)
    origin, of_record = np.zeros(len(records), np.int64), np.full(len(records), -1, np.int64)
    origin[:first], of_record[:first] = pages.at[pages.owner], group
    of_record[first:second] = of_kine.group[kine.leaf] + len(grouped.words)
    proven = np.zeros(len(records), np.bool_)
    proven[:first] = pages.proven
    proven[first:second] = (kine.records.state & np.uint8(State.TAIL_LOST)) == 0
    told = values.settle(buffer, records, origin, proven)
    return _Every(
        records=records.take(told),
        kind=kind[told],
        group=of_record[told],
        loose=values.across(buffer, records, origin, proven)[told],
        joined=tuple(
            replace(batch, page=of_kine.group[leaf] + len(grouped.words))
            for batch, leaf in zip(kine.joined, kine.joined_leaf, strict=True)
        ),
        groups=(*grouped.words, *of_kine.words),
        gaps=others.gaps,
    )


def _whole(buffer: Buffer, records: RecordBatch) -> tuple[Ints, Ints]:
    """Start and end of the records whose values end as they ought to: what begins in them is theirs."""
    rows = ~values.broken(buffer, records.value_at, records.value_size)
    start = np.minimum(records.key_at, records.value_at)[rows]
    return start, (records.value_at + records.value_size)[rows]


def _groups(buffer: Buffer, hits: Hits, pages: leaf_pages.LeafPages) -> tuple[groups.Groups, Ints]:
    """The groups of leaf and meta pages, and of each record."""
    at, number, txids = list[int](), list[int](), dict[int, int]()
    for magic in begins(hits, Beginning.META)[:MOST_METAS].tolist():
        page = int.from_bytes(buffer.slice(magic - META_AT, 8), "little") if magic >= META_AT else 2
        parsed = meta.parse(buffer, magic - META_AT, page) if page < 2 else ""
        if not isinstance(parsed, str):
            txids[pages.at.size + len(at)] = parsed.txid
            at.append(magic - META_AT)
            number.append(page)
    metas = np.array(at, np.int64)
    every = groups.Pages(
        np.concatenate((pages.at, metas)),
        np.concatenate((pages.number, np.array(number, np.int64))),
        np.concatenate((pages.end, metas + meta.HEADER + meta.BODY)),
    )
    read = groups.read(buffer, every, pages.records, pages.owner, txids)
    return read, read.group[pages.owner]


def _remarks(every: _Every, one: values.Distinct, rows: Ints) -> dict[int, str]:
    """By row of the distinct values, where their copies lie and in which group of pages they do."""
    several = len(every.groups) > 1
    remarks = {}
    for new, row in enumerate(rows.tolist()):
        parts = []
        if several and every.group[row] >= 0:
            parts.append(_in_group(int(every.group[row])))
        if row in one.copies:
            parts.append(values.also_at(one.copies[row]))
        elif every.loose[row]:
            parts.append("it goes on in another block, which may hold something else by now")
        if parts:
            remarks[new] = "; ".join(parts)
    return remarks


def _in_group(number: int) -> str:
    return f"group {number + 1} of pages"


def _with_groups(every: _Every, batches: tuple[RecordBatch, ...]) -> Iterator[RecordBatch]:
    """Values in several pages with the group of their pages, where there are several groups."""
    for batch in batches:
        remarks = dict(batch.remarks)
        if len(every.groups) > 1:
            for row, group in enumerate(batch.page.tolist()):
                remarks[row] = "; ".join(filter(None, (_in_group(group), remarks.get(row, ""))))
        yield replace(batch, page=np.full(len(batch), UNKNOWN, np.int64), remarks=remarks)


def _counts(every: _Every, rows: Ints, joined: int, copies: int, hits: Hits) -> str:
    counts = np.bincount(every.kind[rows], minlength=len(KINDS)).tolist()
    counts[KINDS.index(OF_KINE)] += joined
    kinds = ", ".join(f"{count:,} {words}" for count, words in zip(counts, KINDS, strict=True) if count)
    more = f"; {plural(copies, 'copy', 'copies')} of them lie elsewhere in it" if copies else ""
    return (
        f"carved by {hits.end.size:,} signatures: {plural(rows.size + joined, 'value')}"
        f"{f' ({kinds})' if kinds else ''}{more}; an exit code of 0 is of these alone"
    )


def _grouped(every: _Every) -> list[str]:
    words = list(every.groups)
    if len(words) > 1:
        words.append("groups of pages contradict each other: they may be of several databases or generations")
    return words


def _crowds(source: str, hits: Hits) -> list[Gap]:
    return [
        Gap(source, begin, end - begin, f"{source}: more signatures stand here than can be told apart")
        for begin, end in hits.crowded
    ]


def _balance(ledger: Ledger, records: RecordBatch) -> Balance:
    """What carving accounts for: rows, the structure around them, and nothing else."""
    keyed = records.key_at >= 0
    starts = np.concatenate((records.key_at[keyed], records.value_at))
    ends = np.concatenate(((records.key_at + records.key_size)[keyed], records.value_at + records.value_size))
    order = np.argsort(starts, kind="stable")
    rows = merged(Intervals(starts[order], ends[order])).total
    structure = min(
        sum(i.total for account, i in ledger.intervals() if account is Account.STRUCTURE), ledger.size - rows
    )
    return Balance(
        medium=ledger.name,
        size=ledger.size,
        structure=structure,
        row=rows,
        empty=0,
        checksum=0,
        inner=0,
        unaccounted=ledger.size - rows - structure,
    )
