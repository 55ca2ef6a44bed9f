"""The objects of Gardener's backups as they lie in a folder: their names, and what they unpack to.

Format: etcd-backup-restore pkg/types/snapstore.go (names), pkg/snapstore/swift_snapstore.go (an object that was
uploaded in parts is a folder of its name, with parts called by their numbers), pkg/compressor (gzip, zlib, Go's LZW).
"""

import hashlib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from auditor.errors import UnreadableEvidence
from auditor.evidence.containers import magic
from auditor.evidence.containers.limits import Budget, Limits
from auditor.evidence.containers.magic import Kind
from auditor.evidence.file import EvidenceFile
from auditor.model.evidence import Gap
from auditor.text import shown

_NAME = re.compile(r"(Full|Incr)-(\d{8,})-(\d{8,})-(\d+)(\.gz|\.zlib|\.Z)?(\.final)?")
_PART = re.compile(r"\d{10}")
_PACKED = {".gz": Kind.GZIP, ".zlib": Kind.ZLIB, ".Z": Kind.LZW}
STEP = 1 << 16


class Named(NamedTuple):
    """What the name of an object of the backup says: the revisions that it begins and ends with."""

    full: bool
    first: int
    last: int
    taken: int
    packing: str


@dataclass(frozen=True, slots=True)
class Opened:
    """One object, unpacked. note: what it was unpacked from. gaps: what of it could not be had."""

    file: EvidenceFile
    note: str = ""
    gaps: Sequence[Gap] = ()


@dataclass
class _Parts:
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
                if changed := file.changed():
                    raise UnreadableEvidence(f"{self.shown} changed while it was unpacked: {changed}")

    @property
    def said(self) -> str:
        parts = f" in {len(self.paths):,} parts" if len(self.paths) > 1 else ""
        return f"{self.shown}, {self.size:,} bytes{parts}, SHA-256 {self.digest.hexdigest()}"


def named(name: str) -> Named | None:
    """What a file's name says; None where it is no object of such a backup."""
    found = _NAME.fullmatch(name.rpartition("/")[2].partition("!")[0])
    if found is None:
        return None
    first, last, taken = (int(found[number]) for number in (2, 3, 4))
    return Named(found[1] == "Full", first, last, taken, found[5] or "")


def in_folder(folder: Path) -> list[Path]:
    """The objects of such a backup in a folder, in the order of their revisions; empty where there is none."""
    try:
        entries = list(folder.iterdir())
    except OSError:
        return []  # told by whoever reads it as a data directory
    found = [
        (told, path) for path in entries if (told := named(path.name)) is not None and (path.is_file() or _parts(path))
    ]
    return [path for _, path in sorted(found, key=lambda pair: (pair[0].last, not pair[0].full, pair[1].name))]


def open_object(path: Path, limits: Limits, work_dir: str, *, hashed: bool) -> Opened:
    """One object, unpacked into a private file where it is packed, or lies there in parts.

    Of one that is damaged or cut, what unpacks before the damage. Raises UnreadableEvidence where it cannot be read or
    unpacked, Refused where it unpacks to too much.
    """
    name = shown(path)
    paths = _parts(path) or [path]
    try:
        with paths[0].open("rb") as raw:
            head = raw.read(magic.HEAD)
        size = sum(each.stat().st_size for each in paths)
    except OSError as error:
        raise UnreadableEvidence(f"{name} cannot be opened: {error.strerror}") from None
    told = named(path.name)
    kind = magic.sniff(head)
    if told is not None and kind is Kind.OTHER and told.packing and head.lstrip()[:1] != b"[":
        kind = _PACKED[told.packing]  # it begins as nothing does: damaged, as the unpacking will say
    if kind not in magic.STREAMS and len(paths) == 1:
        return Opened(EvidenceFile.open(paths[0], hashed=hashed, name=name))
    return _unpacked(_Parts(paths, name), kind, path, Budget(limits, name, size), work_dir, hashed=hashed)


def _unpacked(parts: _Parts, kind: Kind, path: Path, budget: Budget, work_dir: str, *, hashed: bool) -> Opened:
    from auditor.evidence.containers.decompress import Stream, unpacked
    from auditor.evidence.containers.extracted import Extractor  # the libraries of archives wait until there is one

    stream = Stream(parts.blocks())
    if kind in magic.STREAMS:
        stream = unpacked(stream, kind, budget, parts.shown)
    filled = Extractor(work_dir).fill(stream, parts.shown, hashed=hashed)
    if not filled.size:
        filled.close()
        raise UnreadableEvidence(filled.broken or f"{parts.shown} is empty")
    inner = _NAME.sub(lambda found: found[0].replace(found[5] or "", ""), path.name)
    name = f"{parts.shown}!{inner}"
    reasons = [filled.broken, *_missing(parts.paths, parts.shown)]
    gaps = tuple(Gap(name, filled.size, 0, reason) for reason in reasons if reason)
    return Opened(filled.open(name), f"unpacked from {parts.said}", gaps)


def _parts(path: Path) -> list[Path]:
    """The parts of an object that is a folder, in their order."""
    try:
        return sorted(each for each in path.iterdir() if _PART.fullmatch(each.name) and each.is_file())
    except OSError:
        return []


def _missing(paths: Sequence[Path], name: str) -> Iterator[str]:
    """Of parts: which numbers between the first and the last are not there."""
    if len(paths) == 1 and not _PART.fullmatch(paths[0].name):
        return
    numbers = sorted({int(each.name) for each in paths} - {0})
    last = numbers[-1] if numbers else 1
    if lost := last - len(numbers):
        first = next((should for should, number in enumerate(numbers, 1) if number != should), 1)
        yield f"{name}: {lost:,} of its {last:,} parts, the first of them number {first:,}, are not there"
