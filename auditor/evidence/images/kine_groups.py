"""Groups of pages of kine's that agree: no two different rows of one id, no two different pages of one number.

A row of kine's is written once and never changed but for that of its own key; frames of one log are one part, whatever
they hold of a page.
"""

import numpy as np

from auditor.arrays.buffer import Buffer
from auditor.arrays.dtypes import Ints
from auditor.arrays.factorize import factorize
from auditor.evidence.images import groups
from auditor.evidence.images.groups import LISTED, Claims
from auditor.evidence.images.kine_leaves import COLUMNS, Leaves
from auditor.evidence.images.kine_pages import KinePages
from auditor.evidence.images.kine_parts import Parts
from auditor.evidence.kine import records
from auditor.evidence.kine.rows import COMPACTED
from auditor.text import plural


def read(buffer: Buffer, pages: KinePages, first: int) -> groups.Groups:
    """The group of every leaf, counted over all sizes. first: how many groups of others come before."""
    if not pages.by_size:
        return groups.Groups(np.zeros(0, np.int64), ())
    parts, claims, before = list[Ints](), list[Claims](), 0
    for leaves, known in pages.by_size:
        part = before + _parts(leaves, known)
        claims += [_rows(buffer, leaves, part), _numbers(buffer, leaves, known, part)]
        parts.append(part)
        before = int(part.max()) + 1
    part = np.concatenate(parts)
    uids = groups.uids_of(pages.records)
    rows, numbers = (_joined(claims[kind::2]) for kind in (0, 1))
    group = groups.assign(part, (rows, numbers, groups.of_uids(uids, part[pages.leaf])))
    count = int(group.max()) + 1
    clusters = {(int(group[pages.leaf[row]]), uid) for row, uid in uids.items()}
    words = [_describe(number, pages, group, clusters, first) for number in range(min(count, LISTED))]
    if count > LISTED:
        words.append(f"{count - LISTED:,} more groups of pages of kine's, not described")
    return groups.Groups(group, tuple(words))


def _joined(claims: list[Claims]) -> Claims:
    """Claims of one kind about the pages of every size."""
    return Claims(*(np.concatenate(column) for column in zip(*claims, strict=True)))


def _parts(leaves: Leaves, known: Parts) -> Ints:
    """The part of each leaf: its database, its log, or itself."""
    alone = len(known.files) + len(known.logs) + np.arange(leaves.at.size)
    log = np.where(known.log_of >= 0, len(known.files) + known.log_of, alone)
    _, part = np.unique(np.where(known.file_of >= 0, known.file_of, log), return_inverse=True)
    return part.astype(np.int64)


def _rows(buffer: Buffer, leaves: Leaves, part: Ints) -> Claims:
    """What pages say of a row: all of it that lies in them."""
    cells = leaves.cells
    decoded = records.decode(buffer, cells.payload, cells.local, cells.size, COLUMNS.count)
    at, length = decoded.text(COLUMNS.name)
    own = ~((length == len(COMPACTED)) & buffer.starts_with(at, np.maximum(length, 0), COMPACTED))
    content, _ = factorize(buffer, cells.payload[own], cells.local[own])
    return Claims(part[cells.page[own]], cells.rowid[own], content * 65537 + leaves.size)


def _numbers(buffer: Buffer, leaves: Leaves, known: Parts, part: Ints) -> Claims:
    """What databases hold on a page of a number."""
    number = np.zeros(leaves.at.size, np.int64)
    for index, file in enumerate(known.files):
        own = known.file_of == index
        number[own] = file.numbers(leaves.at[own])
    rows = np.flatnonzero(number)
    content, _ = factorize(buffer, leaves.at[rows], np.full(rows.size, leaves.size, np.int64))
    return Claims(part[rows], number[rows], content * 65537 + leaves.size)


def _describe(number: int, pages: KinePages, group: Ints, clusters: set[tuple[int, str]], first: int) -> str:
    """One group in words."""
    at, ids, sizes, before = list[Ints](), list[Ints](), set[int](), 0
    for leaves, _ in pages.by_size:
        own = group[before : before + leaves.at.size] == number
        before += leaves.at.size
        if own.any():
            at.append(leaves.at[own])
            ids.append(leaves.cells.rowid[own[leaves.cells.page]])
            sizes.add(leaves.size)
    offsets, rows = np.concatenate(at), np.concatenate(ids)
    text = (
        f"group {first + number + 1}: {plural(offsets.size, 'page')} consistent with one database of kine's with "
        f"{', '.join(f'{size:,}' for size in sorted(sizes))}-byte pages: at offsets {int(offsets.min())} to "
        f"{int(offsets.max())}, rows {int(rows.min()):,} to {int(rows.max()):,}"
    )
    uids = sorted(uid for own, uid in clusters if own == number)
    return f"{text}, cluster {', '.join(uids)}" if uids else text
