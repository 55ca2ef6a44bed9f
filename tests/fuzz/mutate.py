"""Damage that knows the formats: fields of pages, elements, records, frames and envelopes take values that hurt.

Nothing here is shared with the readers. Checksums and trailers are made right again, or a checksum would be all that
is ever tested; one file in eight keeps the wrong ones.
"""

import random
import re
import struct
from collections.abc import Callable

from tests.fuzz.base import CANARY
from tests.helpers.fixtures import repair

PAGE = 4096
TRAILER = 32
Mutator = Callable[[bytearray, random.Random], None]
_RECORD = re.compile(rb"\x0a.{1,2}/registry/", re.DOTALL)
_ENVELOPE = re.compile(rb"k8s(?:\0|:enc:)")


def odd(rng: random.Random, size: int) -> bytes:
    """A number of `size` bytes that a reader may stumble over."""
    top = (1 << 8 * size) - 1
    number = rng.choice([0, 1, 2, 7, 15, 16, 17, 127, 128, 255, 4095, 4096, top, top >> 1, top - 1, rng.randrange(256)])
    return (number & top).to_bytes(size, rng.choice(["little", "little", "big"]))


def page_of(data: bytearray, rng: random.Random) -> int:
    """Where a page begins: one time in two that of the canary, or most damage would be beside the point."""
    at = data.find(CANARY)
    return at // PAGE * PAGE if at >= 0 and rng.random() < 0.5 else rng.randrange(max(1, len(data) // PAGE)) * PAGE


def _start(data: bytearray, rng: random.Random, pattern: re.Pattern[bytes]) -> int:
    """Where the pattern begins somewhere; one time in two the last one before the canary. -1: nowhere."""
    at = data.find(CANARY)
    starts = [found.start() for found in pattern.finditer(data)]
    before = [start for start in starts if start < at]
    return before[-1] if before and rng.random() < 0.5 else rng.choice(starts or [-1])


def overwrite(data: bytearray, at: int, new: bytes) -> None:
    if at >= 0 and at + len(new) <= len(data):
        data[at : at + len(new)] = new


def page_header(data: bytearray, rng: random.Random) -> None:
    offset, size = rng.choice([(0, 8), (8, 2), (10, 2), (12, 4)])
    overwrite(data, page_of(data, rng) + offset, odd(rng, size))


def page_kind(data: bytearray, rng: random.Random) -> None:
    overwrite(data, page_of(data, rng) + 8, struct.pack("<H", rng.choice([0, 1, 2, 4, 16, 3, 18, 0xFFFF])))


def page_count(data: bytearray, rng: random.Random) -> None:
    """One element more or less: what a real writer's bug or a careful hand would leave."""
    at = page_of(data, rng) + 10
    count = struct.unpack_from("<H", data, at)[0] if at + 2 <= len(data) else 0
    overwrite(data, at, struct.pack("<H", (count + rng.choice([-1, 1, -2])) % (1 << 16)))


def element(data: bytearray, rng: random.Random) -> None:
    at = page_of(data, rng) + 16 + 16 * rng.randrange(60) + 4 * rng.randrange(4)
    overwrite(data, at, odd(rng, 4))


def element_nudged(data: bytearray, rng: random.Random) -> None:
    at = page_of(data, rng) + 16 + 16 * rng.randrange(60) + 4 * rng.randrange(4)
    if at + 4 <= len(data):
        number = struct.unpack_from("<I", data, at)[0] + rng.choice([-16, -2, -1, 1, 2, 16])
        overwrite(data, at, struct.pack("<I", number % (1 << 32)))


def meta(data: bytearray, rng: random.Random) -> None:
    """magic, version, page size, flags, root, its sequence, freelist, high-water mark, transaction."""
    offset, size = rng.choice([(0, 4), (4, 4), (8, 4), (12, 4), (16, 8), (24, 8), (32, 8), (40, 8), (48, 8)])
    new = rng.choice([odd(rng, size), rng.randrange(len(data) // PAGE + 2).to_bytes(size, "little")])
    for page in rng.choice([(0,), (PAGE,), (0, PAGE)]):
        overwrite(data, page + 16 + offset, new)


def pages_swapped(data: bytearray, rng: random.Random) -> None:
    one, two = page_of(data, rng), page_of(data, rng)
    data[one : one + PAGE], data[two : two + PAGE] = data[two : two + PAGE], data[one : one + PAGE]


def page_copied(data: bytearray, rng: random.Random) -> None:
    one, two = page_of(data, rng), page_of(data, rng)
    data[two : two + PAGE] = data[one : one + PAGE]


def stretch_zeroed(data: bytearray, rng: random.Random) -> None:
    at = page_of(data, rng) + rng.randrange(PAGE)
    overwrite(data, at, bytes(min(rng.choice([1, 8, 64, 512, PAGE]), max(len(data) - at, 0))))


def stretch_noise(data: bytearray, rng: random.Random) -> None:
    at = page_of(data, rng) + rng.randrange(PAGE)
    overwrite(data, at, rng.randbytes(min(rng.choice([1, 4, 16, 256]), max(len(data) - at, 0))))


def bit(data: bytearray, rng: random.Random) -> None:
    data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)


def record(data: bytearray, rng: random.Random) -> None:
    """The first bytes of an etcd KeyValue: tags and lengths."""
    _near(data, rng, _RECORD, 24)


def envelope(data: bytearray, rng: random.Random) -> None:
    """The head of a stored value: magic, TypeMeta, the lengths of what it holds."""
    _near(data, rng, _ENVELOPE, 64)


def record_tail(data: bytearray, rng: random.Random) -> None:
    """Just before a stored value: its own tag and length, the revision numbers."""
    start = _start(data, rng, _ENVELOPE)
    overwrite(data, start - 1 - rng.randrange(14), odd(rng, 1))


def cut(data: bytearray, rng: random.Random) -> None:
    del data[rng.choice([rng.randrange(len(data)), rng.randrange(1 + len(data) // PAGE) * PAGE]) :]


def grown(data: bytearray, rng: random.Random) -> None:
    data += rng.choice([bytes(PAGE), rng.randbytes(rng.randrange(1, 2 * PAGE))])


def frame(data: bytearray, rng: random.Random) -> None:
    """A field of a log's frame: its length, its padding, or the record's own tags."""
    starts = [at for at in range(0, len(data) - 8, 8) if data[at + 7] & 0x80 and data[at] > 0 and data[at + 3] == 0]
    if starts:
        overwrite(data, rng.choice(starts) + rng.randrange(24), odd(rng, rng.choice([1, 1, 2, 8])))


def _near(data: bytearray, rng: random.Random, pattern: re.Pattern[bytes], size: int) -> None:
    start = _start(data, rng, pattern)
    if start >= 0:
        overwrite(data, start + rng.randrange(size), odd(rng, 1))


COMMON: tuple[Mutator, ...] = (
    stretch_zeroed, stretch_noise, bit, record, envelope, record_tail, cut, grown,
)  # fmt: skip
DATABASE: tuple[Mutator, ...] = (
    *COMMON, page_header, page_kind, page_count, element, element_nudged, meta, pages_swapped, page_copied,
)  # fmt: skip
LOG: tuple[Mutator, ...] = (*COMMON, frame, frame, frame)


def mutate(source: bytes, seed: int, *, log: bool) -> bytes:
    """The damaged file of this seed: always the same."""
    rng = random.Random(seed)
    sealed = not log and rng.random() < 7 / 8
    data = bytearray(source[:-TRAILER] if sealed else source)
    for _ in range(rng.choice([1, 1, 1, 2, 3, 6])):
        if data:
            rng.choice(LOG if log else DATABASE)(data, rng)
    return repair(bytes(data) + bytes(TRAILER)) if sealed else bytes(data)
