"""LZW as Gardener's backups are packed with it: Go's compress/lzw, least significant bits first, literals of 8 bits.

Format: Go compress/lzw reader.go (decode): codes of 9 to 12 bits; 256 empties the table (newer writers
begin with it), 257 is the end. Every code but the first of a table adds the one before it, with its own first byte. At
4096 the table stays as it is. It is no Unix compress, which begins with 1f 9d.
"""

import numpy as np

CLEAR, END = 256, 257
LEAST, MOST = 9, 12
FULL = 1 << MOST
LOOKED_AT = 256
BEHIND = 4
"""Bytes that a code is read out of."""
_START = [bytes([octet]) for octet in range(256)] + [b"", b""]


class LzwError(ValueError):
    """A code that no table holds."""


class LzwDecompressor:
    """The interface of bz2.BZ2Decompressor."""

    def __init__(self) -> None:
        self.unused_data = b""
        self._packed = b""
        self._bit = 0
        self._table = list(_START)
        self._last = b""
        self._count = 0
        self._ready = b""
        self._starved = True
        self._ended = False

    @property
    def eof(self) -> bool:
        return self._ended and not self._ready

    @property
    def needs_input(self) -> bool:
        return self._starved and not self._ended and not self._ready

    def decompress(self, data: bytes, max_length: int = -1) -> bytes:
        """Raises LzwError."""
        if data:
            self._packed = self._packed[self._bit >> 3 :] + data
            self._bit &= 7
            self._starved = False
        parts = [self._ready]
        count = len(self._ready)
        while not self._starved and not self._ended and not 0 <= max_length <= count:
            for part in self._run():
                parts.append(part)
                count += len(part)
        every = b"".join(parts)
        end = max_length if max_length >= 0 else count
        self._ready = every[end:]
        return every[:end]

    def _run(self) -> list[bytes]:
        """What the codes up to the next change of their width stand for, as far as they are there."""
        reached = END + self._count
        width = min(max(reached.bit_length(), LEAST), MOST)
        left = (1 << width) - reached if reached < FULL else FULL
        there = max(len(self._packed) * 8 - self._bit, 0) // width
        codes = self._codes(width, min(left, there))
        special = np.flatnonzero((codes == CLEAR) | (codes == END))
        plain = codes[: special[0]] if special.size else codes
        made = self._expanded(plain.tolist())
        self._bit += width * (plain.size + bool(special.size))
        if special.size and codes[special[0]] == END:
            self._ended = True
            self.unused_data = self._packed[self._bit + 7 >> 3 :]
        elif special.size:
            self._table = list(_START)
            self._last, self._count = b"", 0
        elif there < left:
            self._starved = True
        return made

    def _codes(self, width: int, count: int) -> "np.ndarray[tuple[int], np.dtype[np.int64]]":
        """The next codes of one width."""
        bits = self._bit + width * np.arange(count, dtype=np.int64)
        first = self._bit >> 3
        raw = np.frombuffer(self._packed[first : (self._bit + width * count >> 3) + BEHIND] + bytes(BEHIND), np.uint8)
        octets = raw.astype(np.int64)
        at = (bits >> 3) - first
        words = octets[at] | octets[at + 1] << 8 | octets[at + 2] << 16
        codes: np.ndarray[tuple[int], np.dtype[np.int64]] = words >> (bits & 7) & (1 << width) - 1
        return codes

    def _expanded(self, codes: list[int]) -> list[bytes]:
        made: list[bytes] = []
        if not codes:
            return made
        table, last = self._table, self._last
        begin = 0
        if not self._count:  # nothing stands before it
            if codes[0] > END:
                raise LzwError
            last = table[codes[0]]
            made.append(last)
            begin = 1
        adding = min(max(FULL - len(table), 0), len(codes) - begin)
        try:
            for code in codes[begin : begin + adding]:
                if code < len(table):
                    entry = table[code]
                    table.append(last + entry[:1])
                else:
                    last += last[:1]
                    table.append(last)
                    entry = table[code]
                made.append(entry)
                last = entry
            made += [table[code] for code in codes[begin + adding :]]
        except IndexError:
            raise LzwError from None
        self._last = last
        self._count += len(codes)
        return made


def begins(head: bytes) -> bytes:
    """The first bytes of what a file that begins so holds; empty where it cannot be packed so."""
    try:
        return LzwDecompressor().decompress(head[:LOOKED_AT])
    except LzwError:
        return b""
