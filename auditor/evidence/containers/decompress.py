"""Compressed streams, unpacked block by block; the libraries share one interface (bz2.BZ2Decompressor's)."""

import bz2
import lzma
import mmap
import sys
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from typing import Protocol

from auditor.errors import AuditorError
from auditor.evidence.containers import residue as residues
from auditor.evidence.containers.limits import Budget
from auditor.evidence.containers.magic import FRAMED, SKIPPABLE, Kind, skippable

STEP = 1 << 20
HEADER, _FIELDS = 10, 0x1C
"""Bytes of a gzip header, and its flags for fields behind it (RFC 1952)."""
INPUT = 1 << 16
"""Packed bytes of one call: lz4 copies its unused input at every call."""
OUTPUT = 1 << 16
"""Unpacked bytes of one call, at most: a call that fails loses its output."""
MEMORY = 256 << 20
"""Bytes of memory that an xz stream may ask for: `xz -9` asks for 65 MB, a hostile one for 4 GB."""


class Damaged(AuditorError):
    """A container that ends early or is malformed; its content up to there is good."""


class Decompressor(Protocol):
    """The interface of bz2.BZ2Decompressor."""

    @property
    def eof(self) -> bool: ...
    @property
    def needs_input(self) -> bool: ...
    @property
    def unused_data(self) -> bytes | None: ...
    def decompress(self, data: bytes, max_length: int = -1) -> bytes: ...


class Stream:
    """A stream of bytes out of an iterator of blocks, with peek()."""

    def __init__(self, blocks: Iterator[bytes]) -> None:
        self._blocks = blocks
        self._ahead = b""
        self._at = 0
        self.position = 0
        """Bytes that were read."""
        self._failure: Damaged | None = None

    def peek(self, size: int) -> bytes:
        """The next `size` bytes, fewer at the end or before damage; they stay unread."""
        if len(self._ahead) - self._at < size and self._failure is None:
            parts = [self._ahead[self._at :]]
            count = len(parts[0])
            try:
                while count < size and (block := next(self._blocks, b"")):
                    parts.append(block)
                    count += len(block)
            except Damaged as error:
                self._failure = error
            self._ahead, self._at = b"".join(parts), 0
        return self._ahead[self._at : self._at + size]

    def read(self, size: int = STEP) -> bytes:
        """The next bytes: at least one and at most `size`; none at the end. Raises Damaged."""
        if self._at == len(self._ahead):
            if self._failure is not None:
                raise self._failure
            self._ahead, self._at = next(self._blocks, b""), 0
        start, self._at = self._at, min(self._at + size, len(self._ahead))
        self.position += self._at - start
        return self._ahead if self._at - start == len(self._ahead) else self._ahead[start : self._at]

    def drain(self) -> None:
        """Read to the end, where checksums stand. Raises Damaged."""
        while self.read():
            pass


def mapped(mapping: mmap.mmap, start: int = 0, end: int | None = None) -> Stream:
    """The bytes of a mapped file from start to end.

    Args:
        mapping: The file.
        start: The first byte.
        end: The position behind the last byte; the end of the file where it is None.
    """
    stop = len(mapping) if end is None else end
    return Stream(mapping[at : min(at + INPUT, stop)] for at in range(start, stop, INPUT))


def unpacked(stream: Stream, kind: Kind, budget: Budget, name: str, own: residues.OwnBytes) -> Stream:
    """The content of a compressed stream. Its read() raises Damaged, and Refused where the budget is spent.

    Args:
        stream: The packed bytes.
        kind: Their compression.
        budget: Limits of the content.
        name: The stream's name in messages.
        own: What of it is no packed content.
    """
    return Stream(_blocks(stream, _factory(kind), kind, budget, _Surplus(name, own)))


def inflate(stream: Stream, budget: Budget, name: str) -> Stream:
    """The content of a deflated member of a zip: a raw stream, without header or checksum.

    Args:
        stream: The packed bytes.
        budget: Limits of the content.
        name: The member's name in messages.
    """
    from isal import igzip_lib

    def make() -> Decompressor:
        return igzip_lib.IgzipDecompressor(flag=igzip_lib.DECOMP_DEFLATE)

    return Stream(_blocks(stream, make, Kind.ZIP, budget, _Surplus(name, residues.OwnBytes())))


@dataclass
class _Surplus:
    """The bytes of a compressed file that are no packed content, and that nothing explains."""

    name: str
    """The file's name."""
    own: residues.OwnBytes
    count: int = 0
    where: str = ""
    stated: bytes = b""
    """What the skippable frame before the next frame says of that one's length; empty where it says nothing."""
    stated_at: int = 0

    def measure(self, length: int) -> None:
        """Hold what was stated to the length of the frame; 0 where no frame follows."""
        if self.stated and int.from_bytes(self.stated, "little") != length:
            self.skipped(self.stated_at, self.stated, len(self.stated))
        self.stated = b""

    def skipped(self, begin: int, content: bytes, length: int) -> None:
        """Add a skippable frame that nothing explains: where its content begins, what is known of it, its length."""
        self.own.look(self.name, begin, content)
        self.add(length, "skippable frames, which hold no packed data")

    def add(self, count: int, where: str) -> None:
        self.count += count
        self.where = self.where or where


def _blocks(
    stream: Stream, make: Callable[[], Decompressor], kind: Kind, budget: Budget, surplus: _Surplus
) -> Iterator[bytes]:
    """Blocks out of concatenated streams, as `cat a.gz b.gz` makes them."""
    name = surplus.name
    rest = _skip_frames(stream, b"", surplus) if kind in FRAMED else b""
    while True:
        if kind is Kind.GZIP:
            rest = _check_fields(stream, rest, surplus)
        begin = stream.position - len(rest)
        rest = yield from _stream(stream, make(), rest, kind, budget, name)
        surplus.measure(stream.position - len(rest) - begin)
        if kind in FRAMED:
            rest = _skip_frames(stream, rest, surplus)
        while not rest.strip(b"\0"):  # tapes and block devices pad with zeros
            if not (rest := stream.read()):
                surplus.measure(0)
                if surplus.count:
                    raise Damaged(f"{name}: {surplus.count:,} bytes of it are in {surplus.where}: not read")
                return
        rest = rest.lstrip(b"\0")
        if kind is Kind.ZIP or rest[:1] != _FIRST[kind]:  # of a zip's member one stream is read
            count = 0
            while rest:
                surplus.own.look(name, stream.position - len(rest), rest)
                count += len(rest)
                rest = stream.read()
            raise Damaged(f"{name}: {count:,} bytes behind the {kind.value} data are something else: not read")


def _check_fields(stream: Stream, rest: bytes, surplus: _Surplus) -> bytes:
    """The bytes `rest`, or more of the stream, whose header is complete; a value in its fields is surplus."""
    while len(rest) < HEADER and (more := stream.read(INPUT)):
        rest += more
    if len(rest) >= HEADER and not rest[3] & _FIELDS:
        return rest
    while len(fields := residues.gzip_fields(rest)) + HEADER >= len(rest) and len(rest) < STEP:
        if not (more := stream.read(INPUT)):
            break
        rest += more
    if surplus.own.look(surplus.name, stream.position - len(rest) + HEADER, fields):
        surplus.add(len(fields), "the extra field, name or comment of a gzip header, and begin as a stored value does")
    return rest


def _skip_frames(stream: Stream, rest: bytes, surplus: _Surplus) -> bytes:
    """The bytes `rest`, or the stream's next ones, without the skippable frames at their beginning."""
    while True:
        while len(rest) < SKIPPABLE and (more := stream.read(INPUT)):
            rest += more
        if not (length := skippable(rest[:SKIPPABLE])):
            return rest
        surplus.measure(0)  # of a frame that is followed by another one of its kind
        begin = stream.position - len(rest) + SKIPPABLE
        # head: what is looked at of the frame; a longer one is no length and no table
        head, rest = rest[SKIPPABLE:length], rest[length:]
        missing = length - SKIPPABLE - len(head)
        while missing:
            if not (more := stream.read(INPUT)):
                why = f"a skippable frame ends early, {missing:,} bytes before its end: truncated"
                raise Damaged(f"{surplus.name}: {why}")
            part, rest = more[:missing], more[missing:]
            if len(head) >= STEP:
                surplus.own.look(surplus.name, begin + length - SKIPPABLE - missing, part)
            missing -= len(part)
            head += part if len(head) < STEP else part.strip(b"\0")[:1]
        if residues.is_explained(head):
            continue
        if len(head) in residues.LENGTHS:
            surplus.stated, surplus.stated_at = head, begin
        else:
            surplus.skipped(begin, head, length - SKIPPABLE)


def _stream(
    stream: Stream, decompressor: Decompressor, packed: bytes, kind: Kind, budget: Budget, name: str
) -> Generator[bytes, None, bytes]:
    """The blocks of one compressed stream that begins with the bytes `packed`; returns the bytes read past its end."""
    count = 0
    while not decompressor.eof:
        if decompressor.needs_input and not packed and not (packed := stream.read(INPUT)):
            raise Damaged(f"{name}: the {kind.value} data ends early, after {count:,} unpacked bytes: truncated")
        try:
            block = decompressor.decompress(packed, OUTPUT)
        except MemoryError:
            raise
        except Exception:  # noqa: BLE001 - each library has exceptions of its own; all of them mean the data
            why = "does not hold together, or asks for too much memory"
            raise Damaged(f"{name}: the {kind.value} data {why}, after {count:,} unpacked bytes") from None
        packed = b""
        count += len(block)
        budget.take(len(block))
        if block:
            yield block
    return decompressor.unused_data or b""  # None of lz4 where there are none


_FIRST = {
    Kind.GZIP: b"\x1f",
    Kind.ZLIB: b"\x78",
    Kind.ZSTD: b"\x28",
    Kind.XZ: b"\xfd",
    Kind.LZMA: b"\x5d",
    Kind.BZIP2: b"B",
    Kind.LZ4: b"\x04",
    Kind.LZW: b"",  # Go reads one stream
}


def _factory(kind: Kind) -> Callable[[], Decompressor]:
    """The constructor of a decompressor of this kind; its library is imported only now."""
    if kind in {Kind.GZIP, Kind.ZLIB}:
        from isal import igzip_lib

        flag = igzip_lib.DECOMP_GZIP if kind is Kind.GZIP else igzip_lib.DECOMP_ZLIB
        return lambda: igzip_lib.IgzipDecompressor(flag=flag)
    if kind is Kind.ZSTD:
        if sys.version_info >= (3, 14):
            from compression.zstd import ZstdDecompressor
        else:
            from backports.zstd import ZstdDecompressor
        return ZstdDecompressor
    if kind is Kind.XZ:
        return lambda: lzma.LZMADecompressor(format=lzma.FORMAT_XZ, memlimit=MEMORY)
    if kind is Kind.LZMA:
        return lambda: lzma.LZMADecompressor(format=lzma.FORMAT_ALONE, memlimit=MEMORY)
    if kind is Kind.LZW:
        from auditor.evidence.containers.lzw import LzwDecompressor

        return LzwDecompressor
    if kind is Kind.BZIP2:
        return bz2.BZ2Decompressor
    from lz4.frame import LZ4FrameDecompressor

    factory: Callable[[], Decompressor] = LZ4FrameDecompressor
    return factory
