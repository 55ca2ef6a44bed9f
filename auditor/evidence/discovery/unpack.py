"""The contents of a container at every depth: possible evidence in private files, everything else counted."""

import re
from collections import Counter
from collections.abc import Iterator

from auditor.errors import UnreadableEvidence
from auditor.evidence import exhibit
from auditor.evidence.containers import foreign, magic, postgres_archive, tars, text_encodings, text_streams, zips
from auditor.evidence.containers.decompress import Damaged, Stream, mapped, unpacked
from auditor.evidence.containers.extracted import Extractor
from auditor.evidence.containers.limits import Budget, Limits
from auditor.evidence.containers.magic import Kind
from auditor.evidence.containers.member_name import MemberName
from auditor.evidence.containers.postgres_archive import Entry
from auditor.evidence.discovery import archived_directory, bystanders, embedded
from auditor.evidence.discovery.config_files import may_be_configuration
from auditor.evidence.discovery.data_directory import MOST_OTHERS
from auditor.evidence.discovery.extraction import ExtractedMember, Extraction, Origin
from auditor.evidence.dqlite import names as dqlite_names
from auditor.evidence.exhibit import SQLITE_SIBLINGS
from auditor.evidence.file import EvidenceFile
from auditor.model.evidence import Gap
from auditor.text import shown

_ENDING = re.compile(r"\.(gz|gzip|zst|zstd|xz|bz2|lz4|zlib|z|b64|base64|hex|asc|txt)$", re.IGNORECASE)
_OF_POSTGRES = frozenset({Kind.POSTGRES_ARCHIVE, Kind.POSTGRES_TOC})
_EMBEDDING = frozenset({Kind.OTHER, Kind.DATABASE})
"""Kinds of files in which a store may begin later: where a meta page stands at 4,096, the first one may be missing."""


LARGEST_UNKNOWN = 1 << 30
"""Bytes of a file of no known kind that is kept to be swept, at most."""


def unpack(
    container: EvidenceFile, limits: Limits, store: Extractor, *, hashed: bool = False, texts: bool = False
) -> Extraction:
    """The contents of a container.

    Args:
        container: The container, opened.
        limits: How much may come out of it.
        store: Where the private files are made.
        hashed: Whether they are hashed while they are written.
        texts: Whether texts without values are kept.

    Raises Refused for bombs and paths that lead outside, UnreadableEvidence where there is no room.
    """
    extraction = Extraction(keeps_texts=texts)
    try:
        walk = _Walk(extraction, store, Budget(limits, container.name, container.size), hashed=hashed)
        top = MemberName(container.name)
        walk.open(Origin(top, top), mapped(container.map), 0, container)
    except BaseException:
        extraction.close()
        raise
    return extraction


class _Walk:
    def __init__(self, extraction: Extraction, store: Extractor, budget: Budget, *, hashed: bool) -> None:
        self._hashed = hashed
        self._extraction = extraction
        self._store = store
        self._budget = budget
        self._tables: dict[tuple[MemberName, str], Entry] = {}
        """Files of tables' data by what the tables of contents say, by archive and path."""

    def open(self, origin: Origin, stream: Stream, depth: int, file: EvidenceFile | None = None, size: int = 0) -> None:
        """Unpack one file. file: where it is mapped already."""
        self._budget.level(depth)
        name = str(origin.name)
        head = stream.peek(magic.HEAD)
        kind = magic.sniff(head)
        if kind is Kind.CLOSED:
            reason = f"{name} is {magic.closed(head)}, which is not opened here: unpack it, and scan what it holds"
            self._extraction.gaps.append(Gap(name, 0, size, reason))
        elif kind in magic.TEXTS:
            self._text(origin, kind, stream, depth, head)
        elif kind in magic.STREAMS:
            inner = unpacked(stream, kind, self._budget, name, self._extraction.own)
            if magic.sniff(inner.peek(magic.HEAD)) is Kind.TAR:
                self._tar(origin.name, inner, depth + 1, layer=str(_decompressed(origin).name))
            else:
                self.open(_decompressed(origin), inner, depth + 1)
        elif kind is Kind.TAR:
            self._tar(origin.name, stream, depth, layer=name)
        elif kind in _OF_POSTGRES or (origin.archive, origin.path) in self._tables:
            self._of_postgres(origin, kind, stream, size)
        elif kind is Kind.ZIP:
            self._zip(origin.name, stream, depth, file, size)
        elif kind in _EMBEDDING and not _is_of_dqlite(origin.path, head) and (start := embedded.start(head)):
            self._behind(origin, start, stream, depth)
        else:
            self._leaf(origin, kind, stream, size)

    def _behind(self, origin: Origin, start: int, stream: Stream, depth: int) -> None:
        """What begins behind other bytes of a file."""
        name = str(origin.name)
        reason = f"not read: what is read of it begins at offset {start:,}, and offsets count from there"
        self._extraction.gaps.append(Gap(name, 0, start, reason))
        while start:
            start -= len(stream.read(start))
        self.open(_decompressed(origin, "behind"), stream, depth + 1)

    def _text(self, origin: Origin, kind: Kind, stream: Stream, depth: int, head: bytes) -> None:
        """A file that stands there as text."""
        name = str(origin.name)
        what = "of the same text in plain UTF-8" if kind in magic.ENCODINGS else "of the bytes that it stands for"
        self._extraction.notes.append(f"{name} is {kind.value} text: offsets are {what}")
        before = text_encodings.preamble(head)
        if before and not bystanders.is_text([before]):
            reason = f"{name}: {len(before):,} bytes before the {kind.value} text are no text without values: not read"
            self._extraction.gaps.append(Gap(name, 0, len(before), reason))
        inner = text_streams.decoded(stream, name, self._budget, kind)
        self.open(_decompressed(origin, "decoded"), inner, depth + 1)

    def _archive(self, archive: MemberName, depth: int, members: Iterator[tuple[str, int, Stream | str]]) -> None:
        counts: Counter[str] = Counter()
        try:
            for path, size, content in members:
                part = shown(path)
                counts[part] += 1
                if counts[part] > 1:  # a tar may hold several of one name
                    part = f"{part}#{counts[part]}"
                name = archive.inside(part)
                if isinstance(content, str):
                    self._extraction.gaps.append(Gap(str(name), 0, size, content))
                    continue
                self.open(Origin(name, archive, path), content, depth + 1, size=size)
        except Damaged as error:
            self._extraction.gaps.append(Gap(str(archive), 0, 0, str(error)))

    def _tar(self, archive: MemberName, stream: Stream, depth: int, *, layer: str) -> None:
        """Unpack an archive. layer: the name of its own bytes, which are no file where it was compressed."""
        self._budget.level(depth)
        own = self._extraction.own
        self._archive(archive, depth, tars.members(stream, str(archive), self._budget, own, layer))

    def _of_postgres(self, origin: Origin, kind: Kind, stream: Stream, size: int) -> None:
        """Unpack an archive of pg_dump, its table of contents, or a table's data that this names."""
        if kind is Kind.POSTGRES_ARCHIVE:
            self._postgres(origin.name, stream)
        elif kind is Kind.POSTGRES_TOC:
            self._toc(origin, stream, size)
        else:
            self._table(origin, self._tables[origin.archive, origin.path], stream, size)

    def _postgres(self, archive: MemberName, stream: Stream) -> None:
        """Unpack an archive of pg_dump's custom format."""
        name = str(archive)
        try:
            for entry, path, content in postgres_archive.members(stream, name, self._budget, self._extraction.own):
                origin = Origin(archive.inside(path), archive, path)
                if isinstance(content, str):
                    self._extraction.gaps.append(Gap(str(origin.name), 0, 0, content))
                else:
                    self._table(origin, entry, content, 0)
        except Damaged as error:
            self._extraction.gaps.append(Gap(name, 0, 0, str(error)))

    def _toc(self, origin: Origin, stream: Stream, size: int) -> None:
        """Read a table of contents, whose data lies beside it: pg_dump writes it first."""
        name, folder = str(origin.name), origin.path.rpartition("/")[0]
        try:
            contents, raw = postgres_archive.toc(stream, name)
            if self._extraction.own.look(name, 0, raw):
                raise Damaged(f"{name}: a stored value begins in it")
        except Damaged as error:
            self._extraction.gaps.append(Gap(name, 0, size, str(error)))
            return
        self._extraction.others.append(name)
        for file, entry in contents.by_file().items():
            self._tables[origin.archive, f"{folder}/{file}".lstrip("/")] = entry

    def _table(self, origin: Origin, entry: Entry, stream: Stream, size: int) -> None:
        """Extract the data of kine's table; that of another one is a file like any other."""
        if not entry.is_kine:
            self._bystander(origin, stream, size)
            return
        self._extract(self._extraction.members, origin, stream, size)
        for member in self._extraction.members[-1:]:
            member.copy = entry.copy if member.name == origin.name else member.copy

    def _zip(self, archive: MemberName, stream: Stream, depth: int, file: EvidenceFile | None, size: int) -> None:
        name = str(archive)
        if file is not None:
            self._archive(archive, depth, zips.members(file.map, name, self._budget, self._extraction.own))
            return
        extracted = self._store.fill(stream, name, size)
        with extracted.open(name) as whole:
            if extracted.broken:
                self._extraction.gaps.append(Gap(name, 0, whole.size, extracted.broken))
            self._archive(archive, depth, zips.members(whole.map, name, self._budget, self._extraction.own))

    def _leaf(self, origin: Origin, kind: Kind, stream: Stream, size: int) -> None:
        path = origin.path
        head = stream.peek(magic.HEAD)
        own = archived_directory.match(path) or _is_of_dqlite(path, head)
        if kind in magic.STORES or own or _is_export(path, head) or (not path and foreign.is_objects(head)):
            self._extract(self._extraction.members, origin, stream, size)
        elif self._tables and path.rpartition("/")[2] == "restore.sql":  # pg_dump's, in its tar format: no data
            self._bystander(origin, stream, size)
        elif may_be_configuration(stream.peek):
            self._extract(self._extraction.companions, origin, stream, size)
        elif not path or bystanders.is_likely(path) or path.endswith(tuple(SQLITE_SIBLINGS)):
            self._extract(self._extraction.members, origin, stream, size)
        else:
            self._bystander(origin, stream, size)

    def _bystander(self, origin: Origin, stream: Stream, size: int) -> None:
        """A file of no kind: a text without values, or a gap. It is kept for the sweep where it is not too large."""
        name, path = str(origin.name), origin.path
        head = stream.peek(foreign.HEAD)
        what = foreign.describe(head, path) or "nothing that is recognised"
        reason = f"{name} is {what}: not read"
        if bystanders.is_empty(path, stream.peek):
            self._extraction.others.append(name)
            return
        if 0 < size <= LARGEST_UNKNOWN and len(self._extraction.unknown) < MOST_OTHERS:
            extracted = self._store.fill(stream, name, size, hashed=self._hashed)
            if not extracted.broken and bystanders.is_text(extracted.blocks()):
                self._keep(ExtractedMember(origin, extracted), size)
                self._extraction.others.append(name)
                return
            if not extracted.broken and foreign.is_objects(head):
                self._extraction.members.append(ExtractedMember(origin, extracted))
                return
            self._extraction.gaps.append(Gap(name, 0, size, extracted.broken or reason))
            if extracted.size:
                self._extraction.unknown.append(ExtractedMember(origin, extracted))
            else:
                extracted.close()
            return
        try:
            if bystanders.is_text(iter(stream.read, b"")):
                self._extraction.others.append(name)
                if self._extraction.keeps_texts:
                    reason = f"{name} is a text that is too large to be searched, or one of too many: unpack it"
                    self._extraction.gaps.append(Gap(name, 0, size, reason))
                return
        except Damaged as error:
            reason = str(error)
        self._extraction.gaps.append(Gap(name, 0, size, reason))

    def _keep(self, member: ExtractedMember, size: int) -> None:
        """Keep a text without values where it is wanted, or close it: a gap for one of too many."""
        if self._extraction.keeps_texts and len(self._extraction.texts) < MOST_OTHERS:
            self._extraction.texts.append(member)
            return
        member.file.close()
        if self._extraction.keeps_texts:
            reason = f"{member.name} is one of more texts than are searched: unpack it"
            self._extraction.gaps.append(Gap(str(member.name), 0, size, reason))

    def _extract(self, members: list[ExtractedMember], origin: Origin, stream: Stream, size: int) -> None:
        name = str(origin.name)
        extracted = self._store.fill(stream, name, size, hashed=self._hashed)
        if extracted.broken:
            self._extraction.gaps.append(Gap(name, extracted.size, 0, extracted.broken))
            if not extracted.size:
                extracted.close()
                return
        members.append(ExtractedMember(origin, extracted))


def _decompressed(origin: Origin, otherwise: str = "unpacked") -> Origin:
    """The file in a compressed one: its name is the outer one's without the ending; `otherwise` where it has none."""
    outer = origin.path or str(origin.name)
    path = _ENDING.sub("", outer)
    name = shown(path.rpartition("/")[2]) if path != outer else otherwise
    return Origin(origin.name.inside(name), origin.archive, path if origin.path else "")


def _is_of_dqlite(path: str, head: bytes) -> bool:
    """Whether a member is of a data directory of dqlite's, in whose files databases begin anywhere."""
    return dqlite_names.is_own(path.rpartition("/")[2], head)


def _is_export(path: str, head: bytes) -> bool:
    """Whether a file is a dump or an increment; etcdctl's forms that lose bytes are refused later."""
    try:
        return exhibit.role_of(head) is not None and not bystanders.is_schema(path, head)
    except UnreadableEvidence:
        return True
