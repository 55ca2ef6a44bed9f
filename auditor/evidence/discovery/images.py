"""Raw bytes as one exhibit: a file or a block device that is carved, whatever it seems to be."""

from pathlib import Path

from auditor.errors import UnreadableEvidence, UsageError
from auditor.evidence.containers import magic
from auditor.evidence.containers.limits import Budget, Limits
from auditor.evidence.containers.member_name import MemberName
from auditor.evidence.containers.residue import OwnBytes
from auditor.evidence.exhibit import Exhibit, Role
from auditor.evidence.file import EvidenceFile
from auditor.evidence.images import disk, disk_formats
from auditor.model.evidence import Gap
from auditor.options import Options
from auditor.text import shown

_LONGEST_ENDING = 6
_WEAK = frozenset({magic.Kind.ZLIB, magic.Kind.LZMA, magic.Kind.LZW})
"""Those whose magic number is too weak to take a file for one."""


def gather(path: Path, options: Options) -> Exhibit:
    """The file or block device at a path, to be carved.

    Raises UnreadableEvidence where it cannot be read or is packed, UsageError for a folder and for --quick.
    """
    name = shown(path.name or path)
    if options.quick:
        raise UsageError("--carve searches every byte of the file, which --quick leaves out: give one of them")
    if options.wal_dir or options.raw:
        raise UsageError("--carve reads raw bytes: --wal-dir and --raw belong to a member's own files")
    if path.is_dir():
        raise UsageError(f"{name} is a folder: --carve reads one file or block device")
    return of_file(EvidenceFile.open(path, hashed=True, device=True), path, options)


def of_file(file: EvidenceFile, path: Path | None, options: Options) -> Exhibit:
    """An opened file, to be carved; what is compressed in it, and of a disk image that is not raw, its disk.

    Args:
        file: The file, which is closed where nothing of it can be carved.
        path: Where it lies; None where it came as a stream.
        options: Of the scan.

    Raises UnreadableEvidence where it is packed in another way, or cannot be unpacked.
    """
    limits = Limits(largest=options.max_unpacked, ratio=options.max_ratio)
    kind = magic.of(file.map)
    if kind is magic.Kind.ZIP:
        file.close()
        raise UnreadableEvidence(f"{file.name} is packed ({kind.value}), with several files: unpack it, then --carve")
    if kind in magic.STREAMS - _WEAK:
        return _decompressed(file, Budget(limits, file.name, file.size), options)
    if (form := disk_formats.of(file)) is not None:
        return disk.opened(file, form, path, limits, options.work_dir)
    return Exhibit(file.name, [(Role.IMAGE, file)], work_dir=options.work_dir)


def _decompressed(file: EvidenceFile, budget: Budget, options: Options, depth: int = 1) -> Exhibit:
    """What is compressed in a file, and in that again, to be carved; the file is a container of the exhibit."""
    from auditor.evidence.containers.decompress import mapped, unpacked
    from auditor.evidence.containers.extracted import Extractor

    try:
        budget.level(depth)
        own, name = OwnBytes(), str(MemberName(file.name).inside(_inner_name(file.name)))
        stream = unpacked(mapped(file.map), magic.of(file.map), budget, file.name, own)
        extracted = Extractor(options.work_dir).fill(stream, name, hashed=True)
        if not extracted.size:
            extracted.close()
            raise UnreadableEvidence(f"{file.name}: nothing can be unpacked of it: {extracted.broken or 'it is empty'}")
        inner = extracted.open(name)
        if magic.of(inner.map) in magic.STREAMS - _WEAK:
            exhibit = _decompressed(inner, budget, options, depth + 1)
        else:
            exhibit = of_file(inner, None, options)
    except BaseException:
        file.close()
        raise
    exhibit.containers = (file, *exhibit.containers)
    exhibit.residues += own.kept
    if extracted.broken:
        exhibit.gaps.append(Gap(name, extracted.size, 0, extracted.broken))
    return exhibit


def _inner_name(name: str) -> str:
    """The name of what is compressed in a file."""
    base, _, ending = name.rpartition("!")[2].rpartition(".")
    return base if base and len(ending) < _LONGEST_ENDING else "unpacked"
