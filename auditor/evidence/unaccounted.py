"""What nothing in a medium accounts for, as gaps: each reader's last step with its ledger."""

from collections.abc import Sequence

import numpy as np

from auditor.arrays.buffer import Buffer
from auditor.arrays.dtypes import Bools, Ints
from auditor.evidence.gaps import listed
from auditor.evidence.ledger import Intervals, Ledger, columns
from auditor.model.evidence import Gap


def unaccounted_gaps(ledger: Ledger, buffer: Buffer, gaps: Sequence[Gap]) -> list[Gap]:
    """Gaps for what nothing accounts for and no gap names. Closes the ledger.

    Args:
        ledger: Of the file.
        buffer: Its bytes.
        gaps: Those that are known.
    """
    known = [(gap.offset, gap.offset + gap.length) for gap in gaps if gap.length]
    rest = ledger.close(buffer, np.array(known, np.int64).reshape(-1))

    def one(row: int) -> Gap:
        at, size = int(rest.start[row]), int(rest.end[row] - rest.start[row])
        reason = f"{ledger.name}: nothing accounts for the {size:,} bytes from offset {at:,} on"
        return Gap(ledger.name, at, size, reason)

    def others(more: Ints) -> Gap:
        reason = f"{ledger.name}: {more.size:,} more parts that nothing accounts for"
        return Gap(ledger.name, int(rest.start[more[0]]), 0, reason)

    return list(listed(np.flatnonzero(outside(rest, known)), one, others))


def outside(parts: Intervals, known: Sequence[tuple[int, int]]) -> Bools:
    """Which of some parts lie in none of the stretches that are known. known: start and end of each, in any order."""
    if not known:
        return np.ones(parts.start.size, np.bool_)
    start, end = columns(sorted(known))
    reach = np.maximum.accumulate(end)
    row = np.searchsorted(start, parts.start, "right") - 1
    open_: Bools = (row < 0) | (reach[np.maximum(row, 0)] < parts.end)
    return open_
