"""Disk images whose blocks are packed or in an order of their own: which they are, and how libraries open them.

libyal's libraries (extra `forensic`) get opened files and never a path: what an image says of other files leads nowhere
but to the folder that it lies in. What they are known to read wrongly, without an error, is refused with the command
that makes the image raw.
Sources: QEMU docs/interop/qcow2.txt; libyal libewf, libvmdk and libvhdi, documentation; Microsoft, MS-VHDX.
"""

import io
import os
from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from auditor import platform
from auditor.arrays.buffer import Buffer
from auditor.errors import MissingExtra, UnreadableEvidence
from auditor.evidence.file import EvidenceFile
from auditor.text import shown

_QEMU = "qemu-img convert -O raw IMAGE RAW"
_EWF = "ewfexport -f raw -t RAW IMAGE"
MOST_FILES = 1 << 14
"""Files of one image, at most: libewf's names end before (E01 to EZZ and on)."""
_MOST_TABLE = 1 << 25
"""Entries of a QCOW2 image's first table, at most: QEMU's own limit (32 MiB) is lower."""


class DiskFormat(NamedTuple):
    """A format of disk images."""

    start: bytes
    """Bytes that a file of it begins with."""
    what: str
    command: str
    """What makes an image raw."""
    package: str = ""
    """The library, as it is imported; none opens it where empty."""
    prepare: Callable[[EvidenceFile, Path | None], Sequence[Path]] = lambda _file, _path: ()
    """The other files of an image. Raises UnreadableEvidence for what the library reads wrongly."""
    open: Callable[[Any, Sequence[io.RawIOBase]], Any] = lambda _module, _files: None
    """The library's handle of an image. Raises OSError."""


def of(file: EvidenceFile) -> DiskFormat | None:
    """The format of a file that is a disk image, and not raw."""
    head = bytes(file.map[:64])
    return next((each for each in FORMATS if head.startswith(each.start)), None)


def refusal(name: str, form: DiskFormat, why: str) -> UnreadableEvidence:
    """The error for an image that is not opened, with the way to make it raw."""
    return UnreadableEvidence(f"{name} is {form.what}, {why}: make it raw (`{form.command}`), then --carve that")


def library(name: str, form: DiskFormat) -> Any:
    """The library that opens images of a format. Raises MissingExtra where it is not installed."""
    if not form.package:
        raise refusal(name, form, "and no raw bytes")
    try:
        return import_module(form.package)
    except ImportError:
        what = f"{name} is {form.what}: --carve"
        raise MissingExtra(what, form.package, "forensic", f"make it raw: `{form.command}`") from None


def beside(path: Path | None, name: str) -> Path | None:
    """A regular file of this name in the folder of an image; None where there is none, or the name leads elsewhere."""
    if path is None or not name or Path(name).name != name or name in {".", ".."}:
        return None
    other = path.with_name(name)
    return other if other.is_file() and not other.is_symlink() else None


def _qcow(file: EvidenceFile, _path: Path | None) -> Sequence[Path]:
    """QEMU docs/interop/qcow2.txt: the header, and the tables of clusters."""
    head = bytes(file.map[:104]).ljust(104, b"\0")
    form = next(each for each in FORMATS if head.startswith(each.start))
    version, crypt = int.from_bytes(head[4:8], "big"), int.from_bytes(head[32:36], "big")
    if version not in (2, 3):
        raise refusal(file.name, form, f"of version {version}, which is none that is known")
    if int.from_bytes(head[8:16], "big"):
        raise refusal(file.name, form, "which holds only what differs from another, its backing file")
    if crypt:
        raise refusal(file.name, form, "and encrypted")
    if version > 2 and int.from_bytes(head[72:80], "big"):
        raise refusal(file.name, form, "which was not closed, is corrupt or has features that are not read here")
    if _compressed(file, head):
        raise refusal(file.name, form, "with compressed clusters, which pyqcow reads as zeros")
    return ()


def _compressed(file: EvidenceFile, head: bytes) -> bool:
    """Whether a QCOW2 image has compressed clusters (bit 62 of an entry of its tables)."""
    bits, count = int.from_bytes(head[20:24], "big"), int.from_bytes(head[36:40], "big")
    at, size = int.from_bytes(head[40:48], "big"), file.size
    count = min(count, _MOST_TABLE, max(size - at, 0) // 8)
    if not 9 <= bits <= 21 or not count:
        return False
    buffer, entries = Buffer(file.map), 1 << (bits - 3)
    address = np.uint64((1 << 56) - (1 << 9))
    tables = np.unique(buffer.words(at + 8 * np.arange(count, dtype=np.int64)).byteswap() & address).astype(np.int64)
    for table in tables[(tables > 0) & (tables + 8 * entries <= size)].tolist():
        clusters = np.frombuffer(buffer.view(table, table + 8 * entries), ">u8")
        if (clusters & np.uint64(1 << 62)).any():
            return True
    return False


def _vhd(file: EvidenceFile, _path: Path | None) -> Sequence[Path]:
    """MS-VHDX, 2.2.2 (Headers): a log that has not been replayed has an id."""
    form = next(each for each in FORMATS if bytes(file.map[:8]).startswith(each.start))
    if form.start != b"vhdxfile":
        return ()
    heads = [bytes(file.map[at : at + 80]) for at in (1 << 16, 1 << 17)]
    heads = [head for head in heads if head.startswith(b"head") and len(head) == 80]
    if heads and any(max(heads, key=lambda head: int.from_bytes(head[8:16], "little"))[48:64]):
        raise refusal(file.name, form, "whose log holds writes that its blocks lack")
    return ()


def _vmdk(file: EvidenceFile, path: Path | None) -> Sequence[Path]:
    """The extents that a descriptor names, where it is a text of its own."""
    form = next(each for each in FORMATS if bytes(file.map[:32]).startswith(each.start))
    text = bytes(file.map[: 1 << 16])
    if form.start == b"KDMV":
        at, size = (int.from_bytes(text[begin : begin + 8], "little") * 512 for begin in (28, 36))
        text = bytes(file.map[at : at + min(size, 1 << 16)]) if at + size <= file.size else b""
    lines = text.rstrip(b"\0").decode("utf-8", "replace").splitlines()
    parents = [line.partition("=")[2].strip().lower() for line in lines if line.lower().startswith("parentcid")]
    if any(parent != "ffffffff" for parent in parents):
        raise refusal(file.name, form, "which holds only what differs from another, its parent")
    if form.start == b"KDMV":
        return ()
    names = [line.partition('"')[2].partition('"')[0] for line in lines if line.split(" ")[0] in {"RW", "RDONLY"}]
    files = [beside(path, name) for name in names[:MOST_FILES] if name]
    missing = [shown(name) for name, found in zip(names, files, strict=False) if found is None]
    if missing or not files:
        raise refusal(file.name, form, f"whose extent {missing[0] if missing else ''} is no file beside it")
    return [found for found in files if found is not None]


def _ewf(file: EvidenceFile, path: Path | None) -> Sequence[Path]:
    """The further segments: E02 to E99, then EAA to EZZ, then FAA and on (libewf documentation, Segment file names)."""
    if path is None or len(path.suffix) != 4:
        return ()
    del file
    names, letter = list[Path](), path.suffix[1]
    for number in range(2, MOST_FILES):
        if number < 100:
            ending = f"{letter}{number:02}"
        else:
            lead, rest = divmod(number - 100, 26 * 26)
            upper = "A" if letter.isupper() else "a"
            ending = chr(ord(letter) + lead) + "".join(chr(ord(upper) + each) for each in divmod(rest, 26))
        found = beside(path, f"{path.stem}.{ending}")
        if found is None:
            return names
        names.append(found)
    return names


def _open_one(make: str) -> Callable[[Any, Sequence[io.RawIOBase]], Any]:
    def opened(module: Any, files: Sequence[io.RawIOBase]) -> Any:
        handle = getattr(module, make)()
        handle.open_file_object(files[0])
        return handle

    return opened


def _open_vmdk(module: Any, files: Sequence[io.RawIOBase]) -> Any:
    handle = module.handle()
    handle.open_file_object(files[0])
    handle.open_extent_data_files_as_file_objects(list(files[1:]) or [files[0]])
    return handle


def _open_ewf(module: Any, files: Sequence[io.RawIOBase]) -> Any:
    handle = module.handle()
    handle.open_file_objects(list(files))
    return handle


FORMATS = (
    DiskFormat(b"QFI\xfb", "a QCOW2 disk image", _QEMU, "pyqcow", _qcow, _open_one("file")),
    DiskFormat(b"KDMV", "a VMDK disk image", _QEMU, "pyvmdk", _vmdk, _open_vmdk),
    DiskFormat(b"# Disk DescriptorFile", "the descriptor of a VMDK disk image", _QEMU, "pyvmdk", _vmdk, _open_vmdk),
    DiskFormat(b"vhdxfile", "a VHDX disk image", _QEMU, "pyvhdi", _vhd, _open_one("file")),
    DiskFormat(b"conectix", "a VHD disk image", _QEMU, "pyvhdi", _vhd, _open_one("file")),
    DiskFormat(b"EVF\x09\x0d\x0a\xff\0", "an image of EnCase's (E01)", _EWF, "pyewf", _ewf, _open_ewf),
    DiskFormat(b"EVF2\x0d\x0a\x81\0", "an image of EnCase's (Ex01)", _EWF),
    DiskFormat(b"AFF10", "an image in AFF", "affconvert -r IMAGE"),
)
SNAPSHOTS_AT = 60
"""Where a QCOW2 header has the number of its internal snapshots, four bytes."""


class Positional(io.RawIOBase):
    """An opened file for a library, with a position of its own: that of the descriptor moves while it is hashed."""

    def __init__(self, file: EvidenceFile) -> None:
        self._descriptor = file.duplicate()
        self._size = file.size
        self._at = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = os.SEEK_SET, /) -> int:
        self._at = offset + {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self._size}[whence]
        return self._at

    def read(self, size: int = -1, /) -> bytes:
        content = platform.read_at(self._descriptor, size if size >= 0 else self._size - self._at, self._at)
        self._at += len(content)
        return content

    def close(self) -> None:
        if not self.closed:
            os.close(self._descriptor)
        super().close()
