"""The checksum of raft's files: CRC-32 with the polynomial 0x04C11DB7, most significant bit first, from 0 on.

canonical/raft src/byte.c (byteCrc32). zlib's is the same with the bits of every byte, and of the result, reversed.
"""

import zlib

_REVERSED = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))
_ALL = 0xFFFFFFFF


def crc(*parts: bytes) -> int:
    """The checksum of some bytes that follow one another."""
    value = _ALL
    for part in parts:
        value = zlib.crc32(part.translate(_REVERSED), value)
    return int(f"{value ^ _ALL:032b}"[::-1], 2)
