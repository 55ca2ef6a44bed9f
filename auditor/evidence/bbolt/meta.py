"""bbolt's two meta pages, and which of them is current.

Format: bbolt internal/common/meta.go and page.go; choice and page-size detection: db.go (meta, getPageSize).
Integers have the byte order of the machine that wrote the file, which the magic shows.
"""

import struct
from dataclasses import dataclass
from typing import Literal

from auditor.arrays.buffer import Buffer
from auditor.errors import UnreadableEvidence

MAGIC = 0xED0CDAED
VERSION = 2
HEADER = 16
"""Bytes of a page's header."""
BODY = 64
"""Bytes of a meta behind its page's header."""
NOT_SYNCED = 0xFFFFFFFFFFFFFFFF
"""Freelist field of a database that does not store its freelist: etcd on Linux since 3.3."""
SMALLEST_PAGE, LARGEST_PAGE = 1 << 10, 1 << 24


@dataclass(frozen=True, slots=True)
class Meta:
    """One valid meta page."""

    order: Literal["<", ">"]
    """Byte order of the file, as struct writes it."""
    page: int
    """0 or 1: the page that holds it."""
    page_size: int
    root: int
    """Page id of the root bucket's tree."""
    sequence: int
    """Sequence of the root bucket."""
    freelist: int
    """Page id of the freelist, or NOT_SYNCED."""
    high_water: int
    """The first page id never allocated (common.Meta.pgid)."""
    txid: int
    """Id of the transaction that wrote it."""

    def same_tree(self, other: "Meta") -> bool:
        """Whether both metas lead to one tree, as those of an API snapshot do."""
        tree = (self.root, self.freelist, self.high_water)
        return tree == (other.root, other.freelist, other.high_water)


@dataclass(frozen=True, slots=True)
class Metas:
    """The two meta pages of a database file."""

    current: Meta
    """The one that bbolt uses."""
    older: Meta | None
    """The other one, if it is valid."""
    faults: tuple[tuple[int, str], ...]
    """(offset, reason) of each invalid meta page."""

    @property
    def differ(self) -> bool:
        """Whether the two valid metas lead to different trees."""
        return self.older is not None and not self.older.same_tree(self.current)


def fnv1a(data: bytes) -> int:
    """64-bit FNV-1a, the checksum of a meta's first 56 bytes."""
    value = 0xCBF29CE484222325
    for octet in data:
        value = (value ^ octet) * 0x100000001B3 & 0xFFFFFFFFFFFFFFFF
    return value


def parse(buffer: Buffer, offset: int, page: int) -> Meta | str:
    """The meta page at `offset`, or the reason that there is none.

    Args:
        buffer: The file.
        offset: Where the page begins.
        page: Its page id, 0 or 1.
    """
    if buffer.size < offset + HEADER + BODY:
        return f"meta page {page} at offset {offset}: the file ends at {buffer.size} before its {HEADER + BODY} bytes"
    body = buffer.slice(offset + HEADER, BODY)
    where = f"meta page {page} at offset {offset}"
    order: Literal["<", ">"]
    if body[:4] == struct.pack("<I", MAGIC):
        order = "<"
    elif body[:4] == struct.pack(">I", MAGIC):
        order = ">"
    else:
        return f"{where}: expected bbolt's magic edda0ced or ed0cdaed at offset {offset + HEADER}, found something else"
    version, page_size, _, root, sequence, freelist, high_water, txid, checksum = struct.unpack(
        order + "IIIQQQQQQ", body[4:]
    )
    if version != VERSION:
        return f"{where}: expected bbolt version {VERSION} at offset {offset + HEADER + 4}, found another"
    if fnv1a(body[:56]) != checksum:
        return f"{where}: the checksum at offset {offset + HEADER + 56} is not that of its bytes"
    if page_size & (page_size - 1) or not SMALLEST_PAGE <= page_size <= LARGEST_PAGE:
        return f"{where}: its page size is no power of two from {SMALLEST_PAGE} to {LARGEST_PAGE}"
    return Meta(
        order=order,
        page=page,
        page_size=page_size,
        root=root,
        sequence=sequence,
        freelist=freelist,
        high_water=high_water,
        txid=txid,
    )


def read(buffer: Buffer, name: str) -> Metas:
    """Both metas, chosen as bbolt chooses: the valid one with the larger transaction id.

    Raises UnreadableEvidence where neither is valid.
    """
    first = parse(buffer, 0, 0)
    second: Meta | str
    if isinstance(first, Meta):
        second = parse(buffer, first.page_size, 1)
        offset = first.page_size
    else:
        offset, second = _second(buffer)
    faults = []
    for at, meta in ((0, first), (offset, second)):
        if isinstance(meta, str):
            faults.append((at, meta))
        elif meta.page_size != offset:
            faults.append((at, f"meta page {meta.page} says pages of {meta.page_size} bytes but lies at {offset}"))
    valid = [meta for meta in (first, second) if isinstance(meta, Meta)]
    if not valid:
        reasons = "; ".join(dict.fromkeys(reason for _, reason in faults))
        raise UnreadableEvidence(f"{name} is not a readable etcd database: {reasons}")
    valid.sort(key=lambda meta: meta.txid)
    return Metas(valid[-1], valid[0] if len(valid) > 1 else None, tuple(faults))


def _second(buffer: Buffer) -> tuple[int, Meta | str]:
    """Offset and second meta where the first gives no page size: every page size is tried, as bbolt does."""
    size = SMALLEST_PAGE
    while size <= LARGEST_PAGE and size + HEADER + BODY <= buffer.size:
        meta = parse(buffer, size, 1)
        if isinstance(meta, Meta) and meta.page_size == size:
            return size, meta
        size *= 2
    return 4096, parse(buffer, 4096, 1)
