"""LZW as Gardener's backups use it: Go's compress/lzw, least significant bits first, literals of 8 bits.

Format: Go compress/lzw reader.go (decode): codes of 9 to 12 bits; 256 empties the table (newer writers
begin with it), 257 is the end. Every code but the first of a table adds the one before it, with its own first byte. At
4096 the table stays as it is. It is no Unix compress, which begins with 1f 9d.
"""

import numpy as np

CLEAR, END = 256, 257
LEAST, MOST = 9, 12
"""Bits of a code."""
FULL = 1 << MOST
"""Entries of a full table."""
PROBE = 256
"""Packed bytes that plaintext_head() unpacks."""
BEHIND = 2
"""Bytes behind its first one that a code may reach into."""
_LITERALS = [bytes([octet]) for octet in range(256)] + [b"", b""]


class LzwError(ValueError):
    """A code that no table holds."""


class LzwDecompressor:
    """The interface of bz2.BZ2Decompressor."""

    def __init__(self) -> None:
        self.unused_data = b""
        self._packed = b""
        self._words = np.zeros(0, np.int32)
        self._bit = 0
        self._table = list(_LITERALS)
        self._last = b""
        self._count = 0
        self._ready = b""
        self._starved = True
        self._ended = False
        self._broken = False

    @property
    def eof(self) -> bool:
        return self._ended and not self._ready

    @property
    def needs_input(self) -> bool:
        return self._starved and not self._ended and not self._ready

    def decompress(self, data: bytes, max_length: int = -1) -> bytes:
        """The next unpacked bytes. Raises LzwError once everything before the damage is out."""
        if self._broken and not self._ready:
            raise LzwError
        if data:
            self._packed = self._packed[self._bit >> 3 :] + data
            self._bit &= 7
            octets = np.frombuffer(self._packed + bytes(BEHIND), np.uint8).astype(np.int32)
            self._words = octets[:-2] | octets[1:-1] << 8 | octets[2:] << 16
            self._starved = False
        parts = [self._ready]
        count = len(self._ready)
        while not (self._starved or self._ended or self._broken or 0 <= max_length <= count):
            parts.append(self._run())
            count += len(parts[-1])
        if self._broken and not count:
            raise LzwError
        output = b"".join(parts)
        end = max_length if max_length >= 0 else count
        self._ready = output[end:]
        return output[:end]

    def _run(self) -> bytes:
        """The output of the codes up to the next change of their width, as far as they are available."""
        codes_so_far = END + self._count
        width = min(max(codes_so_far.bit_length(), LEAST), MOST)
        room = (1 << width) - codes_so_far if codes_so_far < FULL else FULL
        available = max(len(self._packed) * 8 - self._bit, 0) // width
        codes = self._codes(width, min(room, available))
        special = np.flatnonzero((codes == CLEAR) | (codes == END))
        plain = codes[: special[0]] if special.size else codes
        output = self._expand(plain.tolist())
        self._bit += width * (plain.size + bool(special.size))
        if self._broken:
            return output
        if special.size and codes[special[0]] == END:
            self._ended = True
            self.unused_data = self._packed[self._bit + 7 >> 3 :]
        elif special.size:
            self._table = list(_LITERALS)
            self._last, self._count = b"", 0
        elif available < room:
            self._starved = True
        return output

    def _codes(self, width: int, count: int) -> "np.ndarray[tuple[int], np.dtype[np.int32]]":
        """The next codes of one width."""
        bits = np.arange(self._bit, self._bit + width * count, width)
        codes: np.ndarray[tuple[int], np.dtype[np.int32]] = self._words[bits >> 3] >> (bits & 7) & (1 << width) - 1
        return codes

    def _expand(self, codes: list[int]) -> bytes:
        """The output of these codes, up to the first that no table holds."""
        table, last, size = self._table, self._last, len(self._table)
        begin = 0
        if codes and not self._count:  # the first code of a table adds no entry
            if codes[0] > END:
                self._broken = True
                return b""
            last = table[codes[0]]
            begin = 1
        growing = iter(codes[begin : begin + FULL - size])
        add = table.append
        code = 0
        while True:
            try:
                for code in growing:
                    entry = table[code]
                    add(last + entry[:1])
                    last = entry
                break
            except IndexError:  # rare, and cheaper than a check of every code
                if code != len(table):
                    self._broken = True
                    codes = codes[: begin + len(table) - size]
                    break
                last += last[:1]
                add(last)
        self._last = last
        self._count += len(codes)
        return b"".join(map(table.__getitem__, codes))


def plaintext_head(head: bytes) -> bytes:
    """The first unpacked bytes of a file by its first packed ones; empty where it is not LZW."""
    try:
        decompressor = LzwDecompressor()
        content = decompressor.decompress(head[:PROBE])
        decompressor.decompress(b"")  # raises for damage behind it
    except LzwError:
        return b""
    return content
