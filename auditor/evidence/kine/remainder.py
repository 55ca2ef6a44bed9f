"""What nothing in a database and its WAL accounts for, and no reader of a page has searched."""

from collections.abc import Iterator

import numpy as np

from auditor.evidence import ledger
from auditor.evidence.batch import UNKNOWN, RecordBatch
from auditor.evidence.kine import unreferenced
from auditor.evidence.kine.unreferenced import DatabaseFiles
from auditor.evidence.ledger import Intervals
from auditor.model.evidence import Gap
from auditor.model.vocabulary import Place


def search(files: DatabaseFiles, gaps: list[Gap]) -> list[RecordBatch]:
    """The values and fragments in it; closes the accounts, when everything else is read.

    Args:
        files: The files.
        gaps: Those of the reading, to which what two structures claim is added.
    """
    if not ledger.enabled:
        return []
    outer, inner, doubled = files.accounts.close()
    gaps += doubled
    return [
        batch
        for file, (whole, parts) in enumerate(zip(outer, inner, strict=True))
        for batch in (*_search(files, file, whole, inner=False), *_search(files, file, parts, inner=True))
    ]


def _search(files: DatabaseFiles, file: int, parts: Intervals, *, inner: bool) -> Iterator[RecordBatch]:
    """The same of one file. inner: as in unreferenced.search()."""
    start, end = parts
    if start.size:
        place = np.full(start.size, Place.WAL if file else Place.SLACK, np.uint8)
        number = np.full(start.size, UNKNOWN, np.int64) if file else start // files.page_size + 1
        yield from unreferenced.search(files, file, start, end, place, number, inner=inner)
