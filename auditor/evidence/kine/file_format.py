"""SQLite's file format in numbers and columns: the header, big-endian fields, varints, how much of a cell is local.

Format: sqlite.org fileformat2.html, sections 1.3 (database header), 1.6 (b-tree pages), 2.1 (record format).
"""

from dataclasses import dataclass

import numpy as np

from auditor.arrays.dtypes import Ints, Words
from auditor.errors import UnreadableEvidence

MAGIC = b"SQLite format 3\0"
WAL_MAGIC = (b"\x37\x7f\x06\x82", b"\x37\x7f\x06\x83")
HEADER = 100
ZEROS = (72, 92)
"""Offsets between which the header is reserved, and zero."""
INDEX_INTERIOR, TABLE_INTERIOR, INDEX_LEAF, TABLE_LEAF = 2, 5, 10, 13
UTF8 = 1
LAYOUTS = 4
"""The newest schema format."""
MOST_CACHED = 1 << 24
"""Pages of the suggested cache, at most."""
VERSIONS = 1_000_000
"""SQLite 3.45.1 calls itself 3,045,001."""
_SIZES = np.array([0, 1, 2, 3, 4, 6, 8, 8, 0, 0, 0, 0], np.int64)
"""Bytes of the serial types below 12."""


@dataclass(frozen=True, slots=True)
class Header:
    """The first 100 bytes of a database (section 1.3)."""

    page_size: int
    usable: int
    """Bytes of a page without the reserved ones at its end."""
    wal_mode: bool
    pages: int
    trunk: int
    """The first trunk page of the freelist."""
    free: int
    """Pages on the freelist."""
    encoding: int


def is_wal(head: bytes) -> bool:
    """Whether these first bytes are those of a SQLite WAL."""
    return head[:4] in WAL_MAGIC


def header(raw: bytes, name: str) -> Header:
    """The header of a database. Raises UnreadableEvidence where its page size is invalid, or its text is not UTF-8."""
    if len(raw) < HEADER or not raw.startswith(MAGIC):
        raise UnreadableEvidence(f"{name} has no whole SQLite header: expected {HEADER} bytes that begin with its name")
    size = int.from_bytes(raw[16:18], "big")
    size = 65536 if size == 1 else size
    if not page_size_fits(size) or size - raw[20] < 480:
        raise UnreadableEvidence(f"{name}: the page size at offset 16 is {size} with {raw[20]} reserved, which is none")
    numbers = [int.from_bytes(raw[at : at + 4], "big") for at in (28, 32, 36, 56)]
    if numbers[3] not in (0, UTF8):
        raise UnreadableEvidence(
            f"{name}: text encoding {numbers[3]} at offset 56, expected UTF-8 (1): kine writes that"
        )
    pages, trunk, free, encoding = numbers
    return Header(
        page_size=size,
        usable=size - raw[20],
        wal_mode=2 in raw[18:20],
        pages=pages,
        trunk=trunk,
        free=free,
        encoding=encoding,
    )


def is_sound(raw: bytes) -> bool:
    """Whether every field of a header is in its range; the bytes that are reserved are not looked at."""
    if len(raw) < HEADER or not raw.startswith(MAGIC):
        return False
    trunk, free = (int.from_bytes(raw[at : at + 4], "big") for at in (32, 36))
    pages, layout, cache, largest, encoding, _, vacuum, _ = (
        int.from_bytes(raw[at : at + 4], "big") for at in (28, 44, 48, 52, 56, 60, 64, 68)
    )
    version = int.from_bytes(raw[96:100], "big")
    size = int.from_bytes(raw[16:18], "big")
    return (
        (page_size_fits(size) or size == 1)
        and set(raw[18:20]) <= {1, 2}
        and raw[21:24] == b"\x40\x20\x20"
        and (not pages or max(trunk, free, largest) <= pages)
        and layout <= LAYOUTS
        and cache < MOST_CACHED
        and encoding in (0, UTF8)
        and vacuum <= 1
        and version // VERSIONS in (0, 3)
    )


def page_size_fits(size: int) -> bool:
    return 512 <= size <= 65536 and size & (size - 1) == 0


def be16(words: Words, byte: int = 0) -> Ints:
    """The big-endian 16-bit number at byte `byte` (0..6) of each word as Buffer.words() gives it."""
    return ((words.byteswap() >> np.uint64(48 - 8 * byte)) & np.uint64(0xFFFF)).astype(np.int64)


def be32(words: Words, byte: int = 0) -> Ints:
    """The big-endian 32-bit number at byte `byte` (0..4) of each word."""
    return ((words.byteswap() >> np.uint64(32 - 8 * byte)) & np.uint64(0xFFFFFFFF)).astype(np.int64)


def varints(words: Words) -> tuple[Ints, Ints]:
    """Varints at the low end of words: value and size; size 0 for nine bytes, which kine's numbers do not need."""
    # stops: the high bit of each byte that ends a varint; the lowest of them is the last byte of the first varint
    stops = ~words & np.uint64(0x8080808080808080)
    lowest = stops & (~stops + np.uint64(1))
    size = np.where(stops == 0, 0, (np.bitwise_count(lowest - np.uint64(1)).astype(np.int64) >> 3) + 1)
    value = np.zeros(words.shape, np.uint64)
    for byte in range(int(size.max(initial=0))):
        septet = (words >> np.uint64(8 * byte)) & np.uint64(0x7F)
        value = np.where(byte < size, (value << np.uint64(7)) | septet, value)
    return value.astype(np.int64), size


def encoded_varint(number: int) -> bytes:
    """A number below 2^56 as a varint."""
    encoded = bytes([number & 0x7F])
    while number := number >> 7:
        encoded = bytes([number & 0x7F | 0x80]) + encoded
    return encoded


def whole_varint(raw: bytes) -> int:
    """The varint of exactly these bytes; -1 where they are none."""
    value = 0
    for octet in raw[:-1]:
        if octet < 0x80:
            return -1
        value = value << 7 | (octet & 0x7F)
    return value << 7 | raw[-1] if raw[-1] < 0x80 else -1


def signed(words: Words, size: Ints) -> Ints:
    """Big-endian signed numbers of 0..8 bytes at the low end of words."""
    swapped = words.byteswap().view(np.int64)
    return np.where(size > 0, swapped >> (64 - 8 * np.clip(size, 1, 8)), 0)


def serial_size(serial: Ints) -> Ints:
    """Bytes of a value of this serial type."""
    sizes: Ints = np.where(serial >= 12, (serial - 12) >> 1, _SIZES[np.clip(serial, 0, 11)])
    return sizes


def local(payload: Ints, usable: int, *, table: bool) -> Ints:
    """Bytes of each payload that lie in its cell (section 1.6, "Cell Payload Overflow Pages")."""
    most = usable - 35 if table else (usable - 12) * 64 // 255 - 23
    least = (usable - 12) * 32 // 255 - 23
    spilled = least + (payload - least) % (usable - 4)
    sizes: Ints = np.where(payload <= most, payload, np.where(spilled <= most, spilled, least))
    return sizes
