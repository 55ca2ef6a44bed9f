"""Damage that knows containers: the fields of their headers take values that hurt, and their checksums are made right.

Formats: RFC 1950-1952 (zlib, gzip), RFC 8878 (zstd), xz-file-format 1.1, the LZ4 frame format, POSIX pax (tar),
APPNOTE.TXT (zip). The checksums inside zstd's and bzip2's blocks stay wrong.
"""

import random
import struct
import zlib

from tests.fuzz.mutate import Mutator, odd, overwrite

BLOCK = 512
NAMES = [b"", b"../x", b"/x", b"\xff\xfe", b"x.txt", b"member/snap/db", b"a" * 100, b"a\nb", b"enc.yaml"]


def head(data: bytearray, rng: random.Random) -> None:
    overwrite(data, rng.randrange(40), odd(rng, rng.choice([1, 1, 2, 4])))


def tail(data: bytearray, rng: random.Random) -> None:
    overwrite(data, len(data) - 1 - rng.randrange(40), odd(rng, 1))


def noise(data: bytearray, rng: random.Random) -> None:
    if data:
        overwrite(data, rng.randrange(len(data)), rng.randbytes(rng.choice([1, 1, 4, 32])))


def bit(data: bytearray, rng: random.Random) -> None:
    if data:
        data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)


def cut(data: bytearray, rng: random.Random) -> None:
    if rng.random() < 0.5:
        del data[max(len(data) - rng.choice([1, 4, 8, 12, 22, 100, 512, 1024]), 0) :]
    else:
        del data[rng.randrange(len(data) + 1) :]


def grown(data: bytearray, rng: random.Random) -> None:
    """Zeros, noise, or the whole once more behind it; or something in front of it."""
    how = rng.randrange(5)
    if how < 3:
        data += (bytes(rng.choice([1, 512, 10_240])), rng.randbytes(rng.choice([1, 100, 5000])), bytes(data))[how]
    else:
        data[0:0] = (b"#!/bin/sh\nexit\n", bytes(512))[how - 3]


def dropped(data: bytearray, rng: random.Random) -> None:
    """A stretch is not there any more."""
    at = rng.randrange(len(data) + 1)
    del data[at : at + rng.choice([1, 2, 100, 512, 4096])]


def _headers(data: bytearray) -> list[int]:
    return [at for at in range(0, len(data), BLOCK) if data[at + 257 : at + 262] == b"ustar"]


def tar_field(data: bytearray, rng: random.Random) -> None:
    """name, mode, uid, gid, size, time, checksum, type, link, magic, version, owner, prefix: a text, or a number."""
    starts = _headers(data)
    if not starts:
        return
    at = rng.choice(starts)
    offset, size = rng.choice(
        [(0, 100), (100, 8), (108, 8), (124, 12), (124, 12), (124, 12), (136, 12), (148, 8), (156, 1), (156, 1),
         (157, 100), (257, 6), (263, 2), (265, 32), (329, 8), (345, 155)]
    )  # fmt: skip
    old = data[at + offset : at + offset + size]
    number = (
        int(old.strip(b" \0") or b"0", 8) if old.strip(b" \0").isdigit() and b"8" not in old and b"9" not in old else 0
    )
    if size == 1:
        new = rng.choice([bytes([each]) for each in b"\x000123457xgLKSDMVZ"])
    elif size == 12:
        near = max(number + rng.choice([-1024, -512, -1, 1, 512, 4096]), 0)
        new = rng.choice(
            [b"%011o\0" % near, b"%011o\0" % near, b"7" * 11 + b"\0", b"\0" * 12, b" " * 12, b"\x80" + b"\xff" * 11,
             b"\xff" * 12, b"-1\0" + b"0" * 9, b"99999999999\0", b"\x80" + struct.pack(">3xQ", near)]
        )  # fmt: skip
    else:
        new = rng.choice([*NAMES, rng.randbytes(size), odd(rng, 1) * size])
    overwrite(data, at + offset, new[:size].ljust(size, b"\0"))
    if offset != 148 and rng.random() < 7 / 8:
        _tar_sum(data, at)


def _tar_sum(data: bytearray, at: int) -> None:
    block = data[at : at + BLOCK]
    block[148:156] = b" " * 8
    overwrite(data, at + 148, b"%06o\0 " % (sum(block) % 0o1000000))


def tar_end(data: bytearray, rng: random.Random) -> None:
    """The end of the archive, in front of a member that then lies behind it."""
    starts = _headers(data)
    if starts:
        at = rng.choice(starts)
        data[at:at] = bytes(BLOCK * rng.choice([1, 2, 2, 2, 20]))


def tar_blocks(data: bytearray, rng: random.Random) -> None:
    """Blocks moved, doubled or left out."""
    count = len(data) // BLOCK
    one, two, size = rng.randrange(count + 1) * BLOCK, rng.randrange(count + 1) * BLOCK, rng.choice([1, 2, 8]) * BLOCK
    how = rng.randrange(3)
    taken = bytes(data[one : one + size])
    if how:
        del data[one : one + size]
    if how < 2:
        data[two:two] = taken


def _every(data: bytearray, mark: bytes) -> list[int]:
    found, at = [], data.find(mark)
    while at >= 0:
        found.append(at)
        at = data.find(mark, at + 1)
    return found


def zip_field(data: bytearray, rng: random.Random) -> None:
    """A field of a member's own header, of its entry in the directory, or of the directory's end."""
    mark, fields = rng.choice(
        [
            (b"PK\x03\x04", ((4, 2), (6, 2), (8, 2), (14, 4), (18, 4), (22, 4), (26, 2), (28, 2), (30, 4))),
            (b"PK\x01\x02", ((6, 2), (8, 2), (10, 2), (16, 4), (20, 4), (24, 4), (28, 2), (30, 2), (32, 2), (34, 2),
                             (38, 4), (42, 4), (46, 4))),
            (b"PK\x05\x06", ((4, 2), (6, 2), (8, 2), (10, 2), (12, 4), (16, 4), (20, 2))),
        ]
    )  # fmt: skip
    starts = _every(data, mark)
    if not starts:
        return
    at = rng.choice(starts)
    offset, size = rng.choice(fields)
    old = int.from_bytes(data[at + offset : at + offset + size], "little")
    near = (old + rng.choice([-46, -1, 1, 30, 512])) % (1 << 8 * size)
    overwrite(data, at + offset, rng.choice([odd(rng, size), near.to_bytes(size, "little")]))


def zip_hidden(data: bytearray, rng: random.Random) -> None:
    """An entry taken out of the directory, and the directory's end made to fit: the member itself stays."""
    entries, ends = _every(data, b"PK\x01\x02"), _every(data, b"PK\x05\x06")
    if len(entries) < 2 or not ends or ends[-1] + 22 > len(data):
        return
    edges = [*entries, ends[-1]]
    number = rng.randrange(len(entries))
    size = edges[number + 1] - edges[number]
    end = ends[-1]
    count, _, length = struct.unpack_from("<HHI", data, end + 8)
    if count and length >= size:
        struct.pack_into("<HHI", data, end + 8, count - 1, count - 1, length - size)
        del data[edges[number] : edges[number + 1]]


def zip_named(data: bytearray, rng: random.Random) -> None:
    """Another name of the same length, in the directory and before the member, or in one of them."""
    starts = [(at, 28, 46) for at in _every(data, b"PK\x01\x02")] + [(at, 26, 30) for at in _every(data, b"PK\x03\x04")]
    if starts:
        at, where, name = rng.choice(starts)
        size = int.from_bytes(data[at + where : at + where + 2], "little")
        old = bytes(data[at + name : at + name + size])
        new = rng.choice(NAMES)[:size].ljust(size, b"x")
        for place in _every(data, old) if rng.random() < 0.5 and old else [at + name]:
            overwrite(data, place, new)


def zip_stolen(data: bytearray, rng: random.Random) -> None:
    """Two entries of the directory for one member: the other is named by none."""
    entries = _every(data, b"PK\x01\x02")
    if len(entries) > 1:
        one, two = rng.sample(entries, 2)
        for offset, size in ((10, 2), (16, 12), (42, 4)):
            overwrite(data, one + offset, bytes(data[two + offset : two + offset + size]))
        if rng.random() < 0.5:
            overwrite(data, one + 46, bytes(data[two + 46 : two + 62]))


STREAM: tuple[Mutator, ...] = (head, head, head, tail, tail, noise, noise, bit, cut, grown, dropped)
TAR: tuple[Mutator, ...] = (
    tar_field, tar_field, tar_field, tar_field, tar_end, tar_blocks, noise, bit, cut, grown, dropped,
)  # fmt: skip
ZIP: tuple[Mutator, ...] = (
    zip_field, zip_field, zip_field, zip_field, zip_hidden, zip_named, zip_stolen, noise, bit, cut, grown, dropped,
)  # fmt: skip


def mutate(source: bytes, rng: random.Random, kind: str) -> bytes:
    """The damaged container."""
    data = bytearray(source)
    mutators = {"tar": TAR, "zip": ZIP}.get(kind, STREAM)
    for _ in range(rng.choice([1, 1, 1, 2, 3])):
        rng.choice(mutators)(data, rng)
    if rng.random() < 7 / 8 and (repair := _REPAIRS.get(kind)) is not None:
        repair(data)
    return bytes(data)


def _deflated(data: bytearray, start: int, size: int) -> tuple[bytes, int] | None:
    """What the deflate data at `start` unpacks to, and where `size` bytes of checksums stand behind it."""
    one = zlib.decompressobj(-15)
    try:
        raw = one.decompress(bytes(data[start:]))
    except zlib.error:
        return None
    at = len(data) - len(one.unused_data)
    return (raw, at) if one.eof and at + size <= len(data) else None


def gzip_sums(data: bytearray) -> None:
    if (found := _deflated(data, 10, 8)) is not None:
        overwrite(data, found[1], struct.pack("<II", zlib.crc32(found[0]), len(found[0]) & 0xFFFFFFFF))


def zlib_sums(data: bytearray) -> None:
    if len(data) > 2:
        data[1] = data[1] & 0xE0 | (31 - (data[0] << 8 | data[1] & 0xE0) % 31) % 32
    if (found := _deflated(data, 2, 4)) is not None:
        overwrite(data, found[1], struct.pack(">I", zlib.adler32(found[0])))


def xz_sums(data: bytearray) -> None:
    """Of the stream's header, its first block's header, its footer and its index."""
    if len(data) < 36:
        return
    overwrite(data, 8, _crc(data[6:8]))
    size = (data[12] + 1) * 4
    overwrite(data, 12 + size - 4, _crc(data[12 : 12 + size - 4]))
    overwrite(data, len(data) - 12, _crc(data[-8:-2]))
    index = (int.from_bytes(data[-8:-4], "little") + 1) * 4
    if 8 <= index <= len(data) - 36:
        end = len(data) - 12
        overwrite(data, end - 4, _crc(data[end - index : end - 4]))


def _crc(raw: bytearray) -> bytes:
    return struct.pack("<I", zlib.crc32(raw))


def lz4_sums(data: bytearray) -> None:
    """Of the frame's descriptor: the second byte of its xxHash-32."""
    if len(data) > 20:
        size = 2 + (8 if data[4] & 8 else 0) + (4 if data[4] & 1 else 0)
        data[4 + size] = _xxh32(bytes(data[4 : 4 + size])) >> 8 & 0xFF


def _xxh32(raw: bytes) -> int:
    """xxHash-32 with the seed 0 of fewer than 16 bytes: xxhash_spec.md, section 1, steps 4 to 7."""
    mask = 0xFFFFFFFF

    def turned(value: int, bits: int) -> int:
        return (value << bits | value >> 32 - bits) & mask

    made = 374761393 + len(raw)
    even = len(raw) // 4 * 4
    for (word,) in struct.iter_unpack("<I", raw[:even]):
        made = turned((made + word * 3266489917) & mask, 17) * 668265263 & mask
    for octet in raw[even:]:
        made = turned((made + octet * 374761393) & mask, 11) * 2654435761 & mask
    made = (made ^ made >> 15) * 2246822519 & mask
    made = (made ^ made >> 13) * 3266489917 & mask
    return made ^ made >> 16


_REPAIRS = {"gzip": gzip_sums, "zlib": zlib_sums, "xz": xz_sums, "nested": xz_sums, "lz4": lz4_sums}
