"""Zip archives, read out of a mapped file: its directory stands at the end.

Deflate, which nearly every zip is made with, is unpacked here as gzip is; zipfile reads the directory and the rest.
"""

import io
import mmap
import stat
import struct
import zipfile
import zlib
from collections.abc import Iterator
from typing import IO

from auditor.evidence.containers import member_names
from auditor.evidence.containers.decompress import PIECE, STEP, Damaged, Stream, inflated, mapped
from auditor.evidence.containers.limits import Budget, Refused
from auditor.text import shown

ENCRYPTED = 1
"""The bit of the flags that says so (APPNOTE.TXT 4.4.4)."""
UNSIZED = 8
"""The bit that says that sizes stand behind a file."""
DESCRIPTOR = 24
LOCAL = struct.Struct("<4s5H3L2H")
"""The header before each member (APPNOTE.TXT 4.3.7)."""
UNIX = 16
"""Shift of a member's Unix mode in its external attributes."""
LARGEST_DIRECTORY = 64 << 20
_END = b"PK\x05\x06"
_FAR = 65_557
"""Bytes before the end in which the record that ends a zip begins: 22 of its own and a comment."""


class _File(io.RawIOBase):
    """A mapped file as zipfile wants it."""

    def __init__(self, mapping: mmap.mmap) -> None:
        self._map = mapping
        self._at = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: len(self._map)}[whence]
        if start + offset < 0:
            raise OSError("before the beginning")
        self._at = start + offset
        return self._at

    def tell(self) -> int:
        return self._at

    def readinto(self, buffer: "memoryview") -> int:  # type: ignore[override]
        taken = self._map[self._at : self._at + len(buffer)]
        buffer[: len(taken)] = taken
        self._at += len(taken)
        return len(taken)


def members(mapping: mmap.mmap, name: str, budget: Budget) -> Iterator[tuple[str, int, Stream | str]]:
    """(name, size, content) of every file; in place of a content that cannot be had, why.

    Raises Refused for what leads out of the archive, and for devices; Damaged where it has no directory.
    """
    _small(mapping, name)
    try:
        with zipfile.ZipFile(io.BufferedReader(_File(mapping), STEP)) as archive:
            listed = archive.infolist()
            for info in listed:
                budget.member()
                inner = member_names.checked(name, info.orig_filename)
                mode = info.external_attr >> UNIX
                if stat.S_ISLNK(mode):
                    target = archive.read(info).decode("utf-8", "surrogateescape") if info.file_size < STEP else "/"
                    member_names.link(name, inner, target, symbolic=True)
                elif stat.S_ISCHR(mode) or stat.S_ISBLK(mode) or stat.S_ISFIFO(mode):
                    raise Refused(f"{name} holds {shown(inner)}, a device or pipe: nothing in it was read")
                elif not info.filename.endswith("/"):  # is_dir() wants a name of at least one letter
                    yield inner, info.file_size, _content(archive, info, mapping, name, budget)
            if hidden := _hidden(mapping, listed, archive.start_dir):
                raise Damaged(f"{name}: {hidden:,} bytes of it are of no file that its directory names: not read")
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, OSError, ValueError, struct.error, zlib.error):
        raise Damaged(f"{name}: the zip has no directory that holds together: truncated, or no zip") from None


def _small(mapping: mmap.mmap, name: str) -> None:
    """Refuse a directory that would fill the memory: zipfile holds it whole."""
    start = max(0, len(mapping) - _FAR)
    tail = mapping[start:]
    at = tail.rfind(_END)
    size = int.from_bytes(tail[at + 12 : at + 16], "little") if at >= 0 else 0
    if size == 0xFFFFFFFF:  # Zip64: the true size is in the record before, at offset 40
        before = tail.rfind(b"PK\x06\x06", 0, at)
        size = int.from_bytes(tail[before + 40 : before + 48], "little") if before >= 0 else size
    if size > LARGEST_DIRECTORY:
        raise Refused(f"{name} has a directory of {size:,} bytes: unpack it, and scan its parts")


def _hidden(mapping: mmap.mmap, listed: list[zipfile.ZipInfo], directory: int) -> int:
    """Bytes before the directory that belong to no entry of it, but zeros: a file taken out of the directory alone."""
    count = reached = 0
    for info in [*sorted(listed, key=lambda each: each.header_offset), None]:
        start = info.header_offset if info is not None else directory
        count += sum(len(mapping[at : min(at + STEP, start)].strip(b"\0")) for at in range(reached, start, STEP))
        if info is not None and len(header := mapping[start : start + LOCAL.size]) == LOCAL.size:
            end = start + LOCAL.size + sum(LOCAL.unpack(header)[-2:]) + info.compress_size
            reached = max(reached, end + _descriptor(mapping[end : end + DESCRIPTOR], info))
    return count


def _descriptor(behind: bytes, info: zipfile.ZipInfo) -> int:
    """Length of the sizes behind a file that was written before they were known (APPNOTE.TXT 4.3.9)."""
    if not info.flag_bits & UNSIZED:
        return 0
    start = 4 if behind.startswith(b"PK\x07\x08") else 0
    narrow = struct.pack("<LL", info.compress_size & 0xFFFFFFFF, info.file_size & 0xFFFFFFFF)
    return start + (12 if behind[start + 4 : start + 12] == narrow else 20)


def _content(
    archive: zipfile.ZipFile, info: zipfile.ZipInfo, mapping: mmap.mmap, name: str, budget: Budget
) -> Stream | str:
    label = f"{name}!{shown(info.filename)}"
    if info.flag_bits & ENCRYPTED:
        return f"{label} is protected by a password: unpack it, and scan what it holds"
    try:
        content = archive.open(info)  # looks at the member's own header too
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, OSError):
        return f"{label} cannot be read: its header does not hold together, or its compression is not known"
    if info.compress_type == zipfile.ZIP_DEFLATED:
        content.close()
        header = LOCAL.unpack(mapping[info.header_offset : info.header_offset + LOCAL.size])
        start = info.header_offset + LOCAL.size + header[-2] + header[-1]
        packed = mapped(mapping, start, min(start + info.compress_size, len(mapping)))
        return Stream(_checked(inflated(packed, budget, label), info, label))
    return Stream(_others(content, budget, label))


def _checked(stream: Stream, info: zipfile.ZipInfo, name: str) -> Iterator[bytes]:
    from isal import isal_zlib

    crc = 0
    while block := stream.read():
        crc = isal_zlib.crc32(block, crc)
        yield block
    if crc != info.CRC:
        raise Damaged(f"{name}: its checksum is not the one that the zip names")


def _others(content: IO[bytes], budget: Budget, name: str) -> Iterator[bytes]:
    while True:
        try:
            block = content.read(PIECE)
        except Exception:  # noqa: BLE001 - each compression has exceptions of its own
            raise Damaged(f"{name}: it does not hold together, or is truncated") from None
        if not block:
            return
        budget.take(len(block))
        yield block
