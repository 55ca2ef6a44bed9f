"""bbolt's two meta pages: which of them leads to the data.

Format: bbolt internal/common/meta.go and page.go; choice and page-size detection: db.go (meta, getPageSize).
Integers have the byte order of the machine that wrote the file; the magic tells which.
"""

import struct
from dataclasses import dataclass
from typing import Literal

from auditor.arrays.buffer import Buffer
from auditor.errors import UnreadableEvidence

MAGIC = 0xED0CDAED
VERSION = 2
HEADER = 16
BODY = 64
NOT_SYNCED = 0xFFFFFFFFFFFFFFFF
"""Freelist field of a database that does not store its freelist: etcd on Linux since 3.3."""
SMALLEST_PAGE, LARGEST_PAGE = 1 << 10, 1 << 24


@dataclass(frozen=True, slots=True)
class Meta:
    """One valid meta page. Page ids are numbers of pages; `high_water` is the first page never allocated."""

    order: Literal["<", ">"]
    page: int
    page_size: int
    root: int
    sequence: int
    freelist: int
    high_water: int
    txid: int

    def leads_where(self, other: "Meta") -> bool:
        """Whether both metas describe the same tree, as those of an API snapshot do."""
        mine = (self.root, self.freelist, self.high_water)
        return mine == (other.root, other.freelist, other.high_water)


@dataclass(frozen=True, slots=True)
class Metas:
    """What the two meta pages say: `chosen` is the one bbolt would use, `older` the other if valid and different."""

    chosen: Meta
    other: Meta | None
    faults: tuple[tuple[int, str], ...]
    """(offset, reason) of each meta page that does not hold."""

    @property
    def differ(self) -> bool:
        return self.other is not None and not self.other.leads_where(self.chosen)


def fnv1a(data: bytes) -> int:
    """64-bit FNV-1a, the checksum of a meta's first 56 bytes."""
    value = 0xCBF29CE484222325
    for octet in data:
        value = (value ^ octet) * 0x100000001B3 & 0xFFFFFFFFFFFFFFFF
    return value


def parse(buffer: Buffer, offset: int, page: int) -> Meta | str:
    """The meta page at `offset`, or why there is none."""
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
        return (
            f"{where}: expected bbolt's magic edda0ced or ed0cdaed at offset {offset + HEADER}, found {body[:4].hex()}"
        )
    version, page_size, _, root, sequence, freelist, high_water, txid, checksum = struct.unpack(
        order + "IIIQQQQQQ", body[4:]
    )
    if version != VERSION:
        return f"{where}: expected bbolt version {VERSION} at offset {offset + HEADER + 4}, found {version}"
    if (computed := fnv1a(body[:56])) != checksum:
        return f"{where}: checksum at offset {offset + HEADER + 56} is {checksum:016x}, its bytes give {computed:016x}"
    if page_size & (page_size - 1) or not SMALLEST_PAGE <= page_size <= LARGEST_PAGE:
        return f"{where}: page size {page_size} is no power of two from {SMALLEST_PAGE} to {LARGEST_PAGE}"
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

    Raises UnreadableEvidence where neither holds.
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
    """The second meta where the first does not say how long a page is: tried at every page size, as bbolt does."""
    size = SMALLEST_PAGE
    while size <= LARGEST_PAGE and size + HEADER + BODY <= buffer.size:
        meta = parse(buffer, size, 1)
        if isinstance(meta, Meta) and meta.page_size == size:
            return size, meta
        size *= 2
    return 4096, parse(buffer, 4096, 1)
