"""Damage that knows SQLite's pages, cells, freelists and logs.

Format: sqlite.org fileformat2.html, sections 1.3 (header), 1.5 (freelist), 1.6 (b-tree pages, freeblocks), 2.1
(records) and 4 (the log). Nothing here is shared with the reader. A log's checksums are made right again, seven times
in eight.
"""

import random
import struct

from tests.fuzz import mutate as common
from tests.fuzz.base import CANARY
from tests.fuzz.mutate import PAGE, Mutator, odd

HEADER, FRAME = 32, 24
KINDS = (2, 5, 10, 13)


def _page(data: bytearray, rng: random.Random) -> tuple[int, int]:
    """Where a page begins, and where its b-tree header does: behind the file's own on the first."""
    at = common.page_of(data, rng)
    return at, at + (100 if at == 0 else 0)


def _put(data: bytearray, at: int, new: bytes) -> None:
    common.overwrite(data, at, new)


def _number(data: bytearray, at: int, size: int) -> int:
    return int.from_bytes(data[at : at + size], "big")


def _nudged(data: bytearray, at: int, size: int, rng: random.Random) -> None:
    """A number a little off: what a careful hand would leave."""
    _put(
        data,
        at,
        ((_number(data, at, size) + rng.choice([-4, -2, -1, 1, 2, 4])) % (1 << 8 * size)).to_bytes(size, "big"),
    )


def _numbers(data: bytearray, at: int, size: int, rng: random.Random) -> None:
    """An odd number, one that a page may have, or the old one nudged."""
    how = rng.randrange(3)
    if how == 0:
        _put(data, at, odd(rng, size))
    elif how == 1:
        _put(data, at, (rng.randrange(len(data) // PAGE + 2) % (1 << 8 * size)).to_bytes(size, "big"))
    else:
        _nudged(data, at, size, rng)


def file_header(data: bytearray, rng: random.Random) -> None:
    """Page size, versions, reserved bytes, change counter, pages, freelist, schema format, encoding, vacuum."""
    offset, size = rng.choice(
        [
            (0, 8),
            (16, 2),
            (18, 1),
            (19, 1),
            (20, 1),
            (24, 4),
            (28, 4),
            (32, 4),
            (36, 4),
            (44, 4),
            (52, 4),
            (56, 4),
            (92, 4),
        ]
    )
    _numbers(data, offset, size, rng)


def page_kind(data: bytearray, rng: random.Random) -> None:
    _, start = _page(data, rng)
    _put(data, start, bytes([rng.choice([*KINDS, 0, 1, 255])]))


def page_header(data: bytearray, rng: random.Random) -> None:
    """First freeblock, cells, where their content begins, fragmented bytes, right-most child."""
    _, start = _page(data, rng)
    offset, size = rng.choice([(1, 2), (3, 2), (5, 2), (7, 1), (8, 4)])
    _numbers(data, start + offset, size, rng)


def _pointers(data: bytearray, start: int) -> tuple[int, int]:
    """Where the cell pointers of a page begin, and how many it says it has."""
    head = 12 if start < len(data) and data[start] in {2, 5} else 8
    return start + head, min(_number(data, start + 3, 2), PAGE // 2)


def pointer(data: bytearray, rng: random.Random) -> None:
    _, start = _page(data, rng)
    at, count = _pointers(data, start)
    place = at + 2 * rng.randrange(max(count, 1))
    if rng.random() < 0.3 and count > 1:
        other = at + 2 * rng.randrange(count)
        _put(data, place, bytes(data[other : other + 2]))
    else:
        _numbers(data, place, 2, rng)


def _cell(data: bytearray, rng: random.Random) -> int:
    page, start = _page(data, rng)
    at, count = _pointers(data, start)
    return page + _number(data, at + 2 * rng.randrange(max(count, 1)), 2)


def cell(data: bytearray, rng: random.Random) -> None:
    """A byte of a cell's sizes, of its record's header or of its first columns."""
    _put(data, _cell(data, rng) + rng.randrange(40), odd(rng, 1))


def varint(data: bytearray, rng: random.Random) -> None:
    """A varint of nine bytes, or one that never ends, at the head of a cell."""
    _put(data, _cell(data, rng) + rng.randrange(16), b"\xff" * rng.choice([1, 2, 4, 8, 9]))


def overflow(data: bytearray, rng: random.Random) -> None:
    """The first four bytes of a page: the next of a chain, or of the freelist; or those behind a cell's local part."""
    if rng.random() < 0.7:
        _numbers(data, _page(data, rng)[0], 4, rng)
    else:
        _numbers(data, _cell(data, rng) + rng.randrange(400, 600), 4, rng)


def freeblock(data: bytearray, rng: random.Random) -> None:
    """The next freeblock or the size of the first, or a new one where cells are."""
    page, start = _page(data, rng)
    first = _number(data, start + 1, 2)
    if first and rng.random() < 0.7:
        _numbers(data, page + first + rng.choice([0, 2]), 2, rng)
    else:
        _put(data, start + 1, struct.pack(">H", rng.randrange(8, PAGE)))


def trunk(data: bytearray, rng: random.Random) -> None:
    """The freelist: its next trunk, how many leaves it says it has, or one of them."""
    at = (_number(data, 32, 4) - 1) * PAGE
    if rng.random() < 0.2:
        _put(data, 32, struct.pack(">I", rng.randrange(len(data) // PAGE + 2)))
    elif at >= 0:
        _numbers(data, at + rng.choice([0, 4, 8, 8 + 4 * rng.randrange(20)]), 4, rng)


def log_header(data: bytearray, rng: random.Random) -> None:
    """Magic, version, page size, sequence, salts, checksums."""
    _numbers(data, rng.choice([0, 0, 4, 8, 12, 16, 20, 24, 28]), 4, rng)


def _frame(data: bytearray, rng: random.Random) -> int:
    count = max((len(data) - HEADER) // (FRAME + PAGE), 1)
    at = data.find(CANARY)
    own = (at - HEADER) // (FRAME + PAGE)
    return HEADER + (own if at >= 0 and rng.random() < 0.5 else rng.randrange(count)) * (FRAME + PAGE)


def frame_header(data: bytearray, rng: random.Random) -> None:
    """Page number, pages after a commit, salts, checksums."""
    _numbers(data, _frame(data, rng) + rng.choice([0, 0, 4, 4, 8, 12, 16, 20]), 4, rng)


def frame_moved(data: bytearray, rng: random.Random) -> None:
    """A frame dropped, doubled, or changed for another."""
    one, two = _frame(data, rng), _frame(data, rng)
    size = FRAME + PAGE
    how = rng.randrange(3)
    if how == 0:
        del data[one : one + size]
    elif how == 1:
        data[one:one] = data[two : two + size]
    else:
        data[one : one + size], data[two : two + size] = data[two : two + size], data[one : one + size]


def frame_content(data: bytearray, rng: random.Random) -> None:
    """Damage of a page, in the frame that holds it."""
    at = _frame(data, rng) + FRAME
    page = bytearray(b"\0" * PAGE + data[at : at + PAGE])  # the first page of a file has another header
    rng.choice([page_kind, page_header, pointer, cell, varint, overflow, freeblock])(page, rng)
    _put(data, at, bytes(page[PAGE : PAGE + len(data[at : at + PAGE])]))


COMMON: tuple[Mutator, ...] = (
    common.stretch_zeroed, common.stretch_noise, common.bit, common.envelope, common.cut, common.grown,
)  # fmt: skip
DATABASE: tuple[Mutator, ...] = (
    *COMMON, file_header, page_kind, page_header, page_header, pointer, pointer, cell, cell, varint, overflow, overflow,
    freeblock, trunk, common.pages_swapped, common.page_copied,
)  # fmt: skip
LOG: tuple[Mutator, ...] = (*COMMON, log_header, frame_header, frame_header, frame_moved, frame_content, frame_content)


def mutate(source: bytes, seed: int, *, log: bool) -> bytes:
    """The damaged file of this seed."""
    rng = random.Random(seed)
    data = bytearray(source)
    for _ in range(rng.choice([1, 1, 1, 2, 3, 6])):
        if data:
            rng.choice(LOG if log else DATABASE)(data, rng)
    return resummed(bytes(data)) if log and rng.random() < 7 / 8 else bytes(data)


def resummed(data: bytes) -> bytes:
    """A log whose checksums hold again: of its header, and of every frame as long as their salts are the header's."""
    out = bytearray(data)
    order = ">" if out[:4] == b"\x37\x7f\x06\x83" else "<"
    if len(out) < HEADER:
        return data
    sums = summed(order, bytes(out[:24]), (0, 0))
    out[24:32] = struct.pack(">II", *sums)
    size = _number(out, 8, 4)
    if size not in {1 << bits for bits in range(9, 17)}:
        size = PAGE
    for at in range(HEADER, len(out) - FRAME - size + 1, FRAME + size):
        if out[at + 8 : at + 16] != out[16:24]:
            break
        sums = summed(order, bytes(out[at : at + 8]) + bytes(out[at + FRAME : at + FRAME + size]), sums)
        out[at + 16 : at + 24] = struct.pack(">II", *sums)
    return bytes(out)


def summed(order: str, data: bytes, sums: tuple[int, int]) -> tuple[int, int]:
    """Section 4.2, "Checksum Algorithm"."""
    one, two = sums
    words = struct.unpack(f"{order}{len(data) // 4}I", data)
    for first, second in zip(words[::2], words[1::2], strict=True):
        one = (one + first + two) & 0xFFFFFFFF
        two = (two + second + one) & 0xFFFFFFFF
    return one, two
