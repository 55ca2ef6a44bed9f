"""Files of dqlite's data directories, made by hand: segments, snapshots and what describes them. No code of the reader.

canonical/raft src/uv_encoding.c, src/uv_snapshot.c, src/byte.c; canonical/dqlite src/command.c, src/fsm.c.
"""

import struct
from collections.abc import Mapping, Sequence

PAGE = 4096
POLYNOMIAL = 0x04C11DB7
COMMAND = 1


def _table() -> list[int]:
    table = []
    for byte in range(256):
        value = byte << 24
        for _ in range(8):
            value = (value << 1 ^ POLYNOMIAL if value >> 31 else value << 1) & 0xFFFFFFFF
        table.append(value)
    return table


TABLE = _table()


def crc(data: bytes) -> int:
    """CRC-32 with the most significant bit first, from 0 on."""
    value = 0
    for byte in data:
        value = (value << 8 & 0xFFFFFFFF) ^ TABLE[value >> 24 ^ byte]
    return value


def text(name: str) -> bytes:
    raw = name.encode() + b"\0"
    return raw + bytes(-len(raw) % 8)


def frames(pages: Mapping[int, bytes], name: str = "k8s") -> bytes:
    """The command of a transaction."""
    head = struct.pack("<BB6x", 1, 2) + text(name) + struct.pack("<QIB3x", 0, 0, 1)
    numbers = b"".join(struct.pack("<Q", number) for number in pages)
    return head + struct.pack("<IHH", len(pages), PAGE, 0) + numbers + b"".join(pages.values())


def batch(entries: Sequence[bytes]) -> bytes:
    """A batch of commands."""
    headers = struct.pack("<Q", len(entries))
    headers += b"".join(struct.pack("<QB3xI", 1, COMMAND, len(entry)) for entry in entries)
    data = b"".join(entries)
    return struct.pack("<II", crc(headers), crc(data)) + headers + data


def segment(batches: Sequence[Sequence[bytes]]) -> bytes:
    return struct.pack("<Q", 1) + b"".join(map(batch, batches))


def snapshot(database: bytes, name: str = "k8s") -> bytes:
    return struct.pack("<QQ", 1, 1) + text(name) + struct.pack("<QQ", len(database), 0) + database


def meta() -> bytes:
    """The description of a snapshot of one voter."""
    members = struct.pack("<BQQ", 1, 1, 1) + b"127.0.0.1:9001\0" + b"\1"
    members += bytes(-len(members) % 8)
    fields = struct.pack("<QQ", 1, len(members)) + members
    return struct.pack("<QQ", 1, crc(fields)) + fields


def metadata() -> bytes:
    return struct.pack("<QQQQ", 1, 1, 1, 0)


def pages(database: bytes) -> dict[int, bytes]:
    """The pages of a database by number."""
    return {at // PAGE + 1: database[at : at + PAGE] for at in range(0, len(database), PAGE)}


def changed(before: bytes, after: bytes) -> dict[int, bytes]:
    """The pages in which a database differs from what it was."""
    old = pages(before)
    return {number: page for number, page in pages(after).items() if old.get(number) != page}
