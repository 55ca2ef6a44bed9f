"""The disk in an image that is not raw: its bytes in a private file, with holes where it has zeros.

What the image says of itself is held against it: a hash that it states (E01), and the library's own errors. A part that
cannot be read ends the copy, and is a gap.
"""

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from auditor.evidence.containers.extracted import ExtractedFile
from auditor.evidence.containers.limits import Budget, Limits, Refused
from auditor.evidence.containers.member_name import MemberName
from auditor.evidence.exhibit import Exhibit, Role
from auditor.evidence.file import EvidenceFile
from auditor.evidence.hashing import HashWhileWriting
from auditor.evidence.images import disk_formats
from auditor.evidence.images.disk_formats import SNAPSHOTS_AT, DiskFormat
from auditor.evidence.scratch import ScratchFile
from auditor.model.evidence import Gap
from auditor.text import plural

BLOCK = 1 << 20
"""Bytes of a read."""
_HASHES = ("MD5", "SHA1")
"""Those that an E01 may state of its disk."""
_ZEROS = bytes(BLOCK)


def opened(file: EvidenceFile, form: DiskFormat, path: Path | None, limits: Limits, work_dir: str) -> Exhibit:
    """The disk in an image, to be carved; the exhibit's containers are the files of the image.

    Args:
        file: The image, or the first of its files; closed where it cannot be opened.
        form: Its format.
        path: Where it lies, with its other files beside it; None where it came as a stream.
        limits: How much may come out of it.
        work_dir: The folder of private files.

    Raises UnreadableEvidence, and MissingExtra where the library is not installed.
    """
    files = [file]
    try:
        module = disk_formats.library(file.name, form)
        files += (EvidenceFile.open(other, hashed=True) for other in form.prepare(file, path))
        return _copied(module, form, files, limits, work_dir)
    except BaseException:
        for each in files:
            each.close()
        raise


def _copied(module: Any, form: DiskFormat, files: list[EvidenceFile], limits: Limits, work_dir: str) -> Exhibit:
    name = files[0].name
    streams = [disk_formats.Positional(each) for each in files]
    try:
        try:
            handle = form.open(module, streams)
            size = int(handle.get_media_size())
        except (OSError, ValueError, TypeError, OverflowError):
            raise disk_formats.refusal(name, form, f"which {form.package} cannot open") from None
        if size > limits.largest:
            raise Refused(f"{name} holds a disk of {size:,} bytes: raise --max-unpacked if that is right")
        inner = str(MemberName(name).inside("disk"))
        copy = _Copy(handle, size, inner, Budget(limits, name, sum(each.size for each in files)))
        extracted = copy.fill(work_dir)
        if not extracted.size:
            extracted.close()
            raise disk_formats.refusal(name, form, "of which nothing can be read")
    finally:
        for stream in streams:
            stream.close()
    exhibit = Exhibit(inner, [(Role.IMAGE, extracted.open(inner))])
    exhibit.containers = tuple(files)
    exhibit.gaps += [*copy.gaps, *_snapshots(files[0], form)]
    exhibit.notes.append(
        f"{name} is {form.what} in {plural(len(files), 'file')}: offsets are of its disk, {size:,} bytes; what of the "
        "image is no part of the disk as it is now is not searched"
    )
    return exhibit


def _snapshots(file: EvidenceFile, form: DiskFormat) -> Iterator[Gap]:
    """A gap for earlier states of the disk, which a QCOW2 image may hold as well."""
    count = int.from_bytes(file.map[SNAPSHOTS_AT : SNAPSHOTS_AT + 4], "big") if form.package == "pyqcow" else 0
    if count:
        reason = (
            f"{file.name}: {plural(count, 'internal snapshot')} of the disk, not read: `qemu-img convert -l SNAPSHOT`"
        )
        yield Gap(file.name, 0, 0, reason)


class _Copy:
    """The bytes of a disk on their way into a private file."""

    def __init__(self, handle: Any, size: int, name: str, budget: Budget) -> None:
        self._handle = handle
        self._size = size
        self._name = name
        self._budget = budget
        self.gaps: list[Gap] = []

    def fill(self, work_dir: str) -> ExtractedFile:
        """The private file, as far as the disk can be read."""
        stated = self._stated()
        digests = {each: hashlib.new(each, usedforsecurity=False) for each in stated}
        with ScratchFile(work_dir, self._name) as file:
            hashing = HashWhileWriting(file.descriptor)
            try:
                for block in self._blocks():
                    for digest in digests.values():
                        digest.update(block)
                    if _is_empty(block):
                        file.skip(len(block))
                    else:
                        self._budget.take(len(block))
                        file.write(block)
                    hashing.written(file.size)
            except BaseException:
                hashing.stop()
                raise
            hashing.finish(file.size)
            self._check(stated, {each: digest.hexdigest() for each, digest in digests.items()})
            return ExtractedFile(file.release(), hashing, file.size)

    def _blocks(self) -> Iterator[bytes]:
        at = 0
        while at < self._size:
            try:
                block = self._handle.read_buffer_at_offset(min(BLOCK, self._size - at), at)
            except OSError:
                block = b""
            if not block:
                reason = f"{self._name} cannot be read from offset {at:,} on: parts of the image are missing or damaged"
                self.gaps.append(Gap(self._name, at, self._size - at, reason))
                return
            yield block
            at += len(block)

    def _stated(self) -> dict[str, str]:
        """Hashes of the disk that the image states; empty for a format that states none."""
        ask = getattr(self._handle, "get_hash_values", None)
        if ask is None:
            return {}
        try:
            values = {name: str(value).lower() for name, value in (ask() or {}).items() if name in _HASHES}
        except OSError:
            values = {}
        if not values:
            reason = f"{self._name}: its image states no hash of it, and damaged parts of that read as zeros"
            self.gaps.append(Gap(self._name, 0, self._size, reason))
        return values

    def _check(self, stated: dict[str, str], actual: dict[str, str]) -> None:
        for name, value in stated.items():
            if actual[name] != value and not self.gaps:
                reason = f"{self._name} has another {name} than its image states: damaged parts of that read as zeros"
                self.gaps.append(Gap(self._name, 0, self._size, reason))


def _is_empty(block: bytes) -> bool:
    return block == (_ZEROS if len(block) == BLOCK else bytes(len(block)))
