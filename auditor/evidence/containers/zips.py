"""Zip archives, read out of a mapped file: their directory stands at the end.

Deflate, the compression of nearly every zip, is unpacked as gzip is; zipfile reads the directory and other members.
"""

import io
import mmap
import stat
import struct
import zipfile
import zlib
from collections.abc import Iterator
from typing import IO, Any

from auditor.evidence.containers import archive_paths
from auditor.evidence.containers.decompress import OUTPUT, STEP, Damaged, Stream, inflate, mapped, unpacked
from auditor.evidence.containers.limits import Budget, Refused
from auditor.evidence.containers.magic import Kind
from auditor.evidence.containers.residue import OwnBytes, holds_value
from auditor.text import shown

ENCRYPTED = 1
"""The flag of an encrypted member (APPNOTE.TXT 4.4.4)."""
UNSIZED = 8
"""The flag of a member whose sizes stand behind it."""
DESCRIPTOR = 24
"""Bytes of those sizes, at most."""
LOCAL = struct.Struct("<4s5H3L2H")
"""The header before each member (APPNOTE.TXT 4.3.7)."""
UNIX = 16
"""Shift of a member's Unix mode in its external attributes."""
LONGEST_PATH, LONGEST_NAME = 4096, 255
"""Bytes of a path and of each of its parts, at most (Linux limits.h)."""
NOTHING_DEFLATED = 8
"""Bytes that programs write for a deflated nothing, at most."""
LARGEST_DIRECTORY = 64 << 20
"""Bytes of a directory, at most: zipfile reads it into memory."""
_END = b"PK\x05\x06"
_END_REACH = 65_557
"""Bytes at the end in which the record that ends a zip begins: 22 of its own and a comment."""


class _File(io.RawIOBase):
    """A mapped file with zipfile's interface."""

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
        octets = self._map[self._at : self._at + len(buffer)]
        buffer[: len(octets)] = octets
        self._at += len(octets)
        return len(octets)


def members(mapping: mmap.mmap, name: str, budget: Budget, own: OwnBytes) -> Iterator[tuple[str, int, Stream | str]]:
    """(name, size, content) of every file, or the reason that there is no content.

    Raises Refused for names that lead out of the archive, and for devices; Damaged where it has no directory.

    Args:
        mapping: The archive.
        name: Its name in messages.
        budget: Its limits.
        own: What of it is no member's.
    """
    _check_directory_size(mapping, name)
    try:
        with zipfile.ZipFile(io.BufferedReader(_File(mapping), STEP)) as archive:
            entries = archive.infolist()
            for info in entries:
                budget.member()
                inner = archive_paths.normalize(name, info.orig_filename)
                mode = info.external_attr >> UNIX
                stored = info.file_size or (info.compress_size and not _is_folder(archive, info))
                if stat.S_ISLNK(mode) and (target := _link_target(archive, info)):
                    archive_paths.check_link(name, inner, target, symbolic=True)
                elif not stored and (stat.S_ISCHR(mode) or stat.S_ISBLK(mode) or stat.S_ISFIFO(mode)):
                    raise Refused(f"{name} holds {shown(inner)}, a device or pipe: nothing in it was read")
                elif stored or not info.filename.endswith("/"):  # is_dir() fails for an empty name
                    yield inner, info.file_size, _content(archive, info, mapping, name, budget)
            hiding = _hides_value(mapping, name, entries, archive.start_dir, own)
            if surplus := _unlisted_bytes(mapping, name, entries, archive.start_dir, own):
                raise Damaged(f"{name}: {surplus:,} bytes of it are of no file that its directory names: not read")
            if hiding:
                raise Damaged(f"{name}: a stored value begins in its names, comments or extra fields: not read")
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, OSError, ValueError, struct.error, zlib.error):
        raise Damaged(f"{name}: the zip has no directory that holds together: truncated, or no zip") from None


def _is_folder(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> bool:
    """Whether an entry with a few bytes is a folder: Java and scripts deflate the nothing that it holds."""
    small = 0 < info.compress_size <= NOTHING_DEFLATED and info.compress_type == zipfile.ZIP_DEFLATED
    return info.filename.endswith("/") and not info.file_size and small and not archive.read(info)


def _check_directory_size(mapping: mmap.mmap, name: str) -> None:
    """Raises Refused for a directory that would fill the memory."""
    start = max(0, len(mapping) - _END_REACH)
    tail = mapping[start:]
    at = tail.rfind(_END)
    size = int.from_bytes(tail[at + 12 : at + 16], "little") if at >= 0 else 0
    if size == 0xFFFFFFFF:  # Zip64: the true size is in the record before, at offset 40
        before = tail.rfind(b"PK\x06\x06", 0, at)
        size = int.from_bytes(tail[before + 40 : before + 48], "little") if before >= 0 else size
    if size > LARGEST_DIRECTORY:
        raise Refused(f"{name} has a directory of {size:,} bytes: unpack it, and scan its parts")


def _unlisted_bytes(
    mapping: mmap.mmap, name: str, entries: list[zipfile.ZipInfo], directory: int, own: OwnBytes
) -> int:
    """Bytes before the directory that are not zero and no entry's: a member that is missing in the directory alone."""
    count = end_so_far = 0
    for info in [*sorted(entries, key=lambda entry: entry.header_offset), None]:
        start = info.header_offset if info is not None else directory
        for at in range(end_so_far, start, STEP):
            part = mapping[at : min(at + STEP, start)]
            count += len(part.strip(b"\0"))
            own.look(name, at, part)
        if info is not None and len(header := mapping[start : start + LOCAL.size]) == LOCAL.size:
            end = start + LOCAL.size + sum(LOCAL.unpack(header)[-2:]) + info.compress_size
            end_so_far = max(end_so_far, end + _descriptor(mapping[end : end + DESCRIPTOR], info))
    return count


def _link_target(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> str:
    """The target of a symbolic link; empty where its content is none: a member with data is data, whatever its mode."""
    if info.flag_bits & ENCRYPTED or not 0 < info.file_size <= LONGEST_PATH:
        return ""
    target = archive.read(info)
    if b"\0" in target or holds_value(target) or max(map(len, target.split(b"/"))) > LONGEST_NAME:
        return ""
    return target.decode("utf-8", "surrogateescape")


def _hides_value(mapping: mmap.mmap, name: str, entries: list[zipfile.ZipInfo], directory: int, own: OwnBytes) -> bool:
    """Whether a stored value begins in the directory, behind it, or in the headers of members."""
    hides = own.look(name, directory, mapping[directory:])
    for info in entries:
        at = info.header_offset
        if len(header := mapping[at : at + LOCAL.size]) == LOCAL.size:
            hides |= own.look(name, at, mapping[at : at + LOCAL.size + sum(LOCAL.unpack(header)[-2:])])
    return hides


def _descriptor(behind: bytes, info: zipfile.ZipInfo) -> int:
    """Length of the data descriptor behind a member, 0 where it has none (APPNOTE.TXT 4.3.9)."""
    if not info.flag_bits & UNSIZED:
        return 0
    start = 4 if behind.startswith(b"PK\x07\x08") else 0
    narrow = struct.pack("<LL", info.compress_size & 0xFFFFFFFF, info.file_size & 0xFFFFFFFF)
    return start + (12 if behind[start + 4 : start + 12] == narrow else 20)


def _content(
    archive: zipfile.ZipFile, info: zipfile.ZipInfo, mapping: mmap.mmap, name: str, budget: Budget
) -> Stream | str:
    """The content of a member, or the reason that it is not read."""
    label = f"{name}!{shown(info.filename)}"
    if info.flag_bits & ENCRYPTED:
        return f"{label} is protected by a password: unpack it, and scan what it holds"
    try:
        content = archive.open(info)  # checks the member's own header too
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, OSError):
        return f"{label} cannot be read: its header does not hold together, or its compression is not known"
    if info.compress_type == zipfile.ZIP_STORED and info.compress_size != info.file_size:
        return f"{label} is stored as {info.compress_size:,} bytes and said to have {info.file_size:,}: not read"
    if info.compress_type in {zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2}:
        content.close()
        header = LOCAL.unpack(mapping[info.header_offset : info.header_offset + LOCAL.size])
        start = info.header_offset + LOCAL.size + header[-2] + header[-1]
        packed = mapped(mapping, start, min(start + info.compress_size, len(mapping)))
        if info.compress_type == zipfile.ZIP_DEFLATED:
            return Stream(_with_checksum(inflate(packed, budget, label), info, label))
        return Stream(_with_checksum(unpacked(packed, Kind.BZIP2, budget, label, OwnBytes()), info, label))
    return Stream(_zipfile_blocks(content, budget, label))


def _with_checksum(stream: Stream, info: zipfile.ZipInfo, name: str) -> Iterator[bytes]:
    """The blocks of a stream. Raises Damaged at its end where their CRC-32 is not the directory's."""
    from isal import isal_zlib

    crc = 0
    while block := stream.read():
        crc = isal_zlib.crc32(block, crc)
        yield block
    if crc != info.CRC:
        raise Damaged(f"{name}: its checksum is not the one that the zip names")


def _zipfile_blocks(content: IO[bytes], budget: Budget, name: str) -> Iterator[bytes]:
    """The blocks of a member that zipfile unpacks."""
    while True:
        try:
            block = content.read(OUTPUT)
        except Exception:  # noqa: BLE001 - each compression has exceptions of its own
            raise Damaged(f"{name}: it does not hold together, or is truncated") from None
        if not block:
            # what zipfile holds of the member and does not read: behind the end of its stream
            packed: Any = getattr(content, "_decompressor", None)
            packed = getattr(packed, "_decomp", packed)  # zipfile has a class of its own around lzma's
            if getattr(content, "_compress_left", 0) or (packed is not None and (packed.unused_data or not packed.eof)):
                raise Damaged(f"{name}: bytes stand behind the end of its packed data: not read")
            return
        budget.take(len(block))
        yield block
