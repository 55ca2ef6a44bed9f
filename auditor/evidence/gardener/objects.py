"""The objects of Gardener's backups as they lie in a folder: their names, and what they unpack to.

Format: etcd-backup-restore pkg/types/snapstore.go (names), pkg/snapstore/swift_snapstore.go (an object that was
uploaded in parts is a folder of its name, with parts called by their numbers), pkg/compressor (gzip, zlib, Go's LZW).
"""

import hashlib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import NamedTuple

from auditor.errors import UnreadableEvidence
from auditor.evidence.containers import magic
from auditor.evidence.containers.limits import Budget, Limits
from auditor.evidence.containers.magic import Kind
from auditor.evidence.containers.member_name import SEPARATOR, MemberName
from auditor.evidence.containers.residue import OwnBytes, Residue
from auditor.evidence.file import EvidenceFile
from auditor.model.evidence import Gap
from auditor.text import shown

_NAME = re.compile(r"(Full|Incr)-(\d{8,})-(\d{8,})-(\d+)(\.gz|\.zlib|\.Z)?(\.final)?")
_PRINTED = re.compile(rf"(?:.*/)?{_NAME.pattern}(?:{SEPARATOR}[^/]*)?", re.DOTALL)
"""An object's name with the folder before it, and with the name of what it unpacks to behind it."""
_PART = re.compile(r"\d{10}")
_PACKED = {".gz": Kind.GZIP, ".zlib": Kind.ZLIB, ".Z": Kind.LZW}
STEP = 1 << 16
"""Bytes of a block."""


class ObjectName(NamedTuple):
    """The name of an object of the backup, taken apart."""

    full: bool
    """A full snapshot, else an increment."""
    first: int
    """The revision that it begins with."""
    last: int
    """The revision that it ends with."""
    taken: int
    """Seconds since the epoch."""
    packing: str
    """The ending of a compressed object, empty otherwise."""


@dataclass(frozen=True, slots=True)
class OpenedObject:
    """One object, unpacked."""

    file: EvidenceFile
    note: str = ""
    """What it was unpacked from."""
    gaps: Sequence[Gap] = ()
    """What of it could not be unpacked."""
    residues: Sequence[Residue] = ()
    """What of it is no packed content, as far as a value begins in it."""


@dataclass
class _PackedObject:
    """The bytes of an object: of one file, or of several behind one another. Counted and hashed as they are read."""

    paths: Sequence[Path]
    shown: str
    size: int = 0
    digest: "hashlib._Hash" = field(default_factory=hashlib.sha256)

    def blocks(self) -> Iterator[bytes]:
        for path in self.paths:
            with EvidenceFile.open(path, hashed=False, name=self.shown) as file:
                for at in range(0, file.size, STEP):
                    block = file.map[at : at + STEP]
                    self.digest.update(block)
                    self.size += len(block)
                    yield block
                if change := file.changed():
                    raise UnreadableEvidence(f"{self.shown} changed while it was unpacked: {change}")

    @property
    def description(self) -> str:
        parts = f" in {len(self.paths):,} parts" if len(self.paths) > 1 else ""
        return f"{self.shown}, {self.size:,} bytes{parts}, SHA-256 {self.digest.hexdigest()}"


def object_name(name: str) -> ObjectName | None:
    """A file's name, or the printed name of what it unpacks to, taken apart; None where it is no object's."""
    match = _PRINTED.fullmatch(name)
    if match is None:
        return None
    first, last, taken = (int(match[number]) for number in (2, 3, 4))
    return ObjectName(match[1] == "Full", first, last, taken, match[5] or "")


def in_folder(folder: Path) -> list[Path]:
    """The objects of such a backup in a folder, in the order of their revisions; empty where there is none."""
    try:
        entries = list(folder.iterdir())
    except OSError:
        return []  # the data directory's reader reports it
    objects = [
        (name, path)
        for path in entries
        if (name := object_name(path.name)) is not None and (path.is_file() or _parts(path))
    ]
    return [path for _, path in sorted(objects, key=lambda pair: (pair[0].last, not pair[0].full, pair[1].name))]


def open_object(path: Path, limits: Limits, work_dir: str, *, hashed: bool) -> OpenedObject:
    """One object, unpacked into a private file where it is compressed or in parts.

    Args:
        path: The object, or the folder of its parts.
        limits: How much may come out of it.
        work_dir: The folder of the private file; the system's own where empty.
        hashed: Whether it is hashed.

    A damaged or cut object is unpacked up to the damage. Raises UnreadableEvidence where it cannot be read or
    unpacked, Refused where it unpacks to too much.
    """
    printed = shown(path.name)
    paths = _parts(path) or [path]
    try:
        with paths[0].open("rb") as raw:
            head = raw.read(magic.HEAD)
        size = sum(part.stat().st_size for part in paths)
    except OSError as error:
        raise UnreadableEvidence(f"{printed} cannot be opened: {error.strerror}") from None
    name = object_name(path.name)
    kind = magic.sniff(head)
    if name is not None and kind is Kind.OTHER and name.packing and head.lstrip()[:1] != b"[":
        kind = _PACKED[name.packing]  # no magic number: damaged, as the decompressor will report
    if kind not in magic.STREAMS and len(paths) == 1:
        opened = OpenedObject(EvidenceFile.open(paths[0], hashed=hashed, name=printed))
    else:
        budget = Budget(limits, printed, size)
        opened = _unpacked(_PackedObject(paths, printed), kind, path, budget, work_dir, hashed=hashed)
    return replace(opened, gaps=(*opened.gaps, *_beside(path, paths)))


def _beside(path: Path, parts: Sequence[Path]) -> Iterator[Gap]:
    """What lies in the folder of an object's parts and is none of them."""
    if path in parts:
        return
    for entry in sorted(set(path.iterdir()) - set(parts)):
        name = f"{shown(path.name)}/{shown(entry.name)}"
        yield Gap(name, 0, entry.lstat().st_size, f"{name} is no part of the object whose folder it lies in: not read")


def _unpacked(
    packed: _PackedObject, kind: Kind, path: Path, budget: Budget, work_dir: str, *, hashed: bool
) -> OpenedObject:
    from auditor.evidence.containers.decompress import Stream, unpacked
    from auditor.evidence.containers.extracted import Extractor  # the libraries of archives wait until there is one

    stream, own = Stream(packed.blocks()), OwnBytes()
    if kind in magic.STREAMS:
        stream = unpacked(stream, kind, budget, packed.shown, own)
    extracted = Extractor(work_dir).fill(stream, packed.shown, hashed=hashed)
    if not extracted.size:
        extracted.close()
        raise UnreadableEvidence(extracted.broken or f"{packed.shown} is empty")
    inner = _NAME.sub(lambda match: match[0].replace(match[5] or "", ""), path.name)
    name = str(MemberName(packed.shown).inside(inner))
    reasons = [extracted.broken, *_missing(packed.paths, packed.shown)]
    gaps = tuple(Gap(name, extracted.size, 0, reason) for reason in reasons if reason)
    return OpenedObject(extracted.open(name), f"unpacked from {packed.description}", gaps, own.kept)


def _parts(path: Path) -> list[Path]:
    """The parts of an object that is a folder, in their order."""
    try:
        return sorted(part for part in path.iterdir() if _PART.fullmatch(part.name) and part.is_file())
    except OSError:
        return []


def _missing(paths: Sequence[Path], name: str) -> Iterator[str]:
    """The absent numbers between the first part of an object and its last."""
    if len(paths) == 1 and not _PART.fullmatch(paths[0].name):
        return
    numbers = sorted({int(path.name) for path in paths} - {0})
    last = numbers[-1] if numbers else 1
    if lost := last - len(numbers):
        first = next((expected for expected, number in enumerate(numbers, 1) if number != expected), 1)
        yield f"{name}: {lost:,} of its {last:,} parts, the first of them number {first:,}, are not there"
