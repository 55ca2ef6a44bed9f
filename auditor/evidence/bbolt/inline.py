"""Inline buckets: one small leaf inside the value of its parent's element.

Format: bbolt bucket.go (inlineable, openBucket), internal/common/bucket.go and page.go. The image is read from a copy:
it is not aligned in the file.
"""

import struct
from typing import NamedTuple

import numpy as np

from auditor.evidence.bbolt.elements import ELEMENT, Leaves, overlaps, valid_elements
from auditor.evidence.bbolt.meta import HEADER
from auditor.evidence.bbolt.tree import Walker
from auditor.evidence.ledger import Account
from auditor.model.vocabulary import PageKind

BUCKET_HEADER = 16
"""Bytes of a bucket's value before an inline image: the page id of its root, and its sequence."""


class Inline(NamedTuple):
    """The pairs of an inline bucket."""

    leaves: Leaves
    """Its valid elements."""
    fault: str
    """Why it was not read, or not all of it; empty for a sound one."""


def add_header(walker: Walker, at: int, size: int) -> int:
    """Add the header of a bucket to the walker's ledger; the page id of its root, -1 where it has no header.

    etcd numbers nothing by bbolt's sequences: they are 0.
    """
    if size < BUCKET_HEADER:
        return -1
    root, sequence = struct.unpack(walker.meta.order + "QQ", walker.buffer.slice(at, BUCKET_HEADER))
    walker.ledger.one(Account.STRUCTURE, at, at + BUCKET_HEADER - (8 if sequence else 0))
    return int(root)


def read(walker: Walker, at: int, size: int) -> Inline:
    """The pairs of the image at `at`; its header and element table are added to the walker's ledger."""
    raw = walker.buffer.slice(at, size)
    kind, count, overflow = struct.unpack(walker.meta.order + "HHI", raw[8:HEADER]) if size >= HEADER else (0, 0, 0)
    table_end = HEADER + ELEMENT * count
    if kind != PageKind.LEAF or overflow or table_end > size:
        fault = f"expected the page of an inline bucket, found flags {kind:02x}, count {count}"
        return Inline(Leaves.empty(), fault)
    walker.ledger.one(Account.STRUCTURE, at + (8 if any(raw[:8]) else 0), at + table_end)
    table = np.frombuffer(raw, walker.meta.order + "u4", 4 * count, HEADER).reshape(-1, 4).astype(np.int64)
    element = HEADER + ELEMENT * np.arange(count)
    flags, pos, key_len, value_len = table.T
    key_at = element + pos
    end = key_at + key_len + value_len
    valid = valid_elements(flags, key_len, key_at, end, table_end, size)
    valid[valid] = ~overlaps(np.zeros(int(valid.sum()), np.int64), key_at[valid], end[valid])
    leaves = Leaves.of(
        flags=flags[valid],
        key_at=(key_at + at)[valid],
        key_len=key_len[valid],
        value_at=(key_at + key_len + at)[valid],
        value_len=value_len[valid],
        page=np.full(int(valid.sum()), at // walker.page_size, np.int64),
    )
    return Inline(leaves, "" if valid.all() else "damaged elements of an inline bucket")
