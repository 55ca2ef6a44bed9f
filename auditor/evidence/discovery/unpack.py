"""What a container holds, however deep: every file that may be evidence in a private file, everything else counted."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from auditor.errors import UnreadableEvidence
from auditor.evidence import exhibit
from auditor.evidence.containers import magic, tars, zips
from auditor.evidence.containers.decompress import Damaged, Stream, mapped, unpacked
from auditor.evidence.containers.extracted import ExtractedFile, Extractor
from auditor.evidence.containers.limits import Budget, Limits
from auditor.evidence.containers.magic import Kind
from auditor.evidence.discovery import archived_directory
from auditor.evidence.discovery.arguments import IN
from auditor.evidence.discovery.config_files import is_settings
from auditor.evidence.file import EvidenceFile
from auditor.model.evidence import Gap
from auditor.text import shown

_LIKELY = re.compile(r"(^|/)(etcd[^/]*|[^/]*snapshot[^/]*|[^/]*\.(db|backup|bolt)(\.part)?)$", re.IGNORECASE)
"""Names under which a database is looked for whatever its first pages say: both may be damaged."""
_ENDING = re.compile(r"\.(gz|gzip|zst|zstd|xz|bz2|lz4|zlib|z)$", re.IGNORECASE)
_NO_DATABASE = re.compile(r"\.(md|txt|json|ya?ml|conf|service|sh|crt|key|pem|pub|sha256|log|env|tmpl)$", re.IGNORECASE)


@dataclass
class ExtractedMember:
    """One file out of a container. way: its name through every container; path: in the innermost archive."""

    way: str
    path: str
    file: ExtractedFile


@dataclass
class Extraction:
    """What came out. parts: databases and members of data directories; others: (files, bytes) that are neither.

    Whoever takes a part takes its file; close() closes the rest.
    """

    parts: list[ExtractedMember] = field(default_factory=list)
    settings: list[ExtractedMember] = field(default_factory=list)
    gaps: list[Gap] = field(default_factory=list)
    others: list[str] = field(default_factory=list)

    def close(self) -> None:
        for found in (*self.parts, *self.settings):
            found.file.close()
        self.parts.clear()
        self.settings.clear()


def unpack(container: EvidenceFile, limits: Limits, store: Extractor, *, hashed: bool = False) -> Extraction:
    """hashed: hash what is unpacked on the way.

    Raises Refused for bombs and paths that lead outside, UnreadableEvidence where there is no room."""
    haul = Extraction()
    try:
        walk = _Walk(haul, store, Budget(limits, container.name, container.size), hashed=hashed)
        walk.open(container.name, "", mapped(container.map), 0, container)
    except BaseException:
        haul.close()
        raise
    return haul


class _Walk:
    def __init__(self, haul: Extraction, store: Extractor, budget: Budget, *, hashed: bool) -> None:
        self._hashed = hashed
        self._haul = haul
        self._store = store
        self._budget = budget

    def open(
        self, way: str, path: str, stream: Stream, depth: int, file: EvidenceFile | None = None, size: int = 0
    ) -> None:
        """Look at one file. file: where it is mapped already. path: empty for what stands by itself."""
        self._budget.level(depth)
        head = stream.peek(magic.HEAD)
        kind = magic.sniff(head)
        if kind is Kind.CLOSED:
            reason = f"{way} is {magic.closed(head)}, which is not opened here: unpack it, and scan what it holds"
            self._haul.gaps.append(Gap(way, 0, size, reason))
        elif kind in magic.STREAMS:
            inner = unpacked(stream, kind, self._budget, way)
            if magic.sniff(inner.peek(magic.HEAD)) is Kind.TAR:
                self.open(way, path, inner, depth + 1)
            else:
                shorter = _ENDING.sub("", path or way)
                name = shown(shorter.rpartition("/")[2]) if shorter != (path or way) else "unpacked"
                self.open(f"{way}{IN}{name}", shorter if path else "", inner, depth + 1)
        elif kind is Kind.TAR:
            self._archive(way, depth, tars.members(stream, way, self._budget))
        elif kind is Kind.ZIP:
            self._zip(way, stream, depth, file, size)
        else:
            self._leaf(way, path, kind, stream, size)

    def _archive(self, way: str, depth: int, members: Iterator[tuple[str, int, Stream | str]]) -> None:
        seen: dict[str, int] = {}
        try:
            for name, size, content in members:
                inner = f"{way}{IN}{shown(name)}"
                seen[inner] = seen.get(inner, 0) + 1
                if seen[inner] > 1:  # a tar may hold several of one name
                    inner = f"{inner}#{seen[inner]}"
                if isinstance(content, str):
                    self._haul.gaps.append(Gap(inner, 0, size, content))
                    continue
                self.open(inner, name, content, depth + 1, size=size)
        except Damaged as error:
            self._haul.gaps.append(Gap(way, 0, 0, str(error)))

    def _zip(self, way: str, stream: Stream, depth: int, file: EvidenceFile | None, size: int) -> None:
        if file is not None:
            self._archive(way, depth, zips.members(file.map, way, self._budget))
            return
        filled = self._store.fill(stream, way, size)
        with filled.open(way) as whole:
            if filled.broken:
                self._haul.gaps.append(Gap(way, 0, whole.size, filled.broken))
            self._archive(way, depth, zips.members(whole.map, way, self._budget))

    def _leaf(self, way: str, path: str, kind: Kind, stream: Stream, size: int) -> None:
        if kind in magic.STORES or not path or archived_directory.match(path) or _is_export(stream.peek(magic.HEAD)):
            self._keep(self._haul.parts, way, path, stream, size)
        elif is_settings(stream.peek):
            self._keep(self._haul.settings, way, path, stream, size)
        elif _LIKELY.search(path) and not _NO_DATABASE.search(path):
            self._keep(self._haul.parts, way, path, stream, size)
        else:
            self._haul.others.append(way)

    def _keep(self, kept: list[ExtractedMember], way: str, path: str, stream: Stream, size: int) -> None:
        filled = self._store.fill(stream, way, size, hashed=self._hashed)
        if filled.broken:
            self._haul.gaps.append(Gap(way, filled.size, 0, filled.broken))
            if not filled.size:
                filled.close()
                return
        kept.append(ExtractedMember(way, path, filled))


def _is_export(head: bytes) -> bool:
    """Whether a file is a dump or an increment; what etcdctl prints in a form that loses bytes is refused later."""
    try:
        return exhibit.role_of(head) is not None
    except UnreadableEvidence:
        return True


def nothing(container: str, haul: Extraction) -> UnreadableEvidence:
    """The error that a container without evidence is."""
    reasons = "; ".join(gap.reason for gap in haul.gaps[:3])
    if reasons:
        return UnreadableEvidence(f"{container}: nothing of etcd was found in it: {reasons}")
    count = len(haul.others)
    what = "it is empty" if not count else f"none of its {count:,} files is an etcd database, a WAL or a data directory"
    return UnreadableEvidence(f"{container}: nothing of etcd was found in it: {what}")
