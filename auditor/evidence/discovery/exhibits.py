"""From what was given to pieces of evidence: a file or directory is one, a container may hold several."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

from auditor.errors import UnreadableEvidence, UsageError
from auditor.evidence.containers import magic
from auditor.evidence.containers.limits import Limits
from auditor.evidence.discovery import companions, paths, remote
from auditor.evidence.discovery.arguments import IN
from auditor.evidence.discovery.config_files import is_settings
from auditor.evidence.exhibit import Exhibit, Role
from auditor.evidence.file import EvidenceFile
from auditor.options import Options
from auditor.text import shown

if TYPE_CHECKING:
    from auditor.evidence.discovery.unpack import ExtractedMember, Extraction

OpenExhibit = Callable[[], Exhibit]
LOG = "-wal"
"""What SQLite's log is called beside its database."""


@dataclass
class Exhibits:
    """The pieces by name, opened one after another: each is closed before the next.

    A private copy is dropped with its piece; close() drops those that were not asked for.
    """

    named: list[tuple[str, OpenExhibit]]
    containers: tuple[EvidenceFile, ...] = ()
    haul: Extraction | None = None
    settings: list[EvidenceFile] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.named)

    def __iter__(self) -> Iterator[tuple[str, OpenExhibit]]:
        return iter(self.named)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self.haul is not None:
            self.haul.close()
        for file in (*self.containers, *self.settings):
            file.close()


def opened(given: str, options: Options) -> Exhibits:
    """given: a path, or the URL of an object. Raises UnreadableEvidence where nothing of etcd is there, UsageError for
    options that do not fit.
    """
    hashed = not options.quick
    wal_dir = Path(options.wal_dir) if options.wal_dir else None
    if remote.is_remote(given):
        if wal_dir is not None:
            raise UsageError(f"{remote.shown(given)} is one object: --wal-dir belongs to a data directory")
        return _streamed(given, options)
    path = Path(given)
    if path.is_dir() or not _is_container(path):
        found = paths.gather(path, wal_dir, paths.Unpacking(_limits(options), options.work_dir), hashed=hashed)
        pieces = Exhibits([(found.name, lambda: found)])
        if not found.directory:
            _guarded(pieces, found, lambda: _add_beside(pieces, found, path, options))
        return pieces
    if wal_dir is not None:
        raise UnreadableEvidence(f"{shown(path.name)} is a container: --wal-dir belongs to a data directory")
    return _packed(EvidenceFile.open(path, hashed=hashed), path, options)


def _streamed(url: str, options: Options) -> Exhibits:
    file, notes = remote.fetch(url, options)
    if magic.of(file.map) in magic.CONTAINERS:
        return _packed(file, None, options, notes)
    found = Exhibit.of_file(file.name, file)
    found.notes += notes
    return Exhibits([(found.name, lambda: found)])


def _guarded(pieces: Exhibits, found: Exhibit, work: Callable[[], None]) -> None:
    try:
        work()
    except BaseException:
        found.__exit__(None, None, None)
        pieces.__exit__(None, None, None)
        raise


def _add_beside(pieces: Exhibits, found: Exhibit, path: Path, options: Options) -> None:
    pieces.settings += _beside(pieces, path, options)
    found.containers = pieces.containers
    found.settings = tuple(pieces.settings)
    found.files += [(Role.SETTINGS, file) for file in found.settings]


def _beside(pieces: Exhibits, path: Path, options: Options) -> list[EvidenceFile]:
    """The files beside a snapshot that hold a configuration, but those that the user named as one himself."""
    made: list[EvidenceFile] = []
    for each in companions.candidates(path):
        if any(_same(each, Path(given)) for given in options.encryption_configs):
            continue
        file = EvidenceFile.open(each, hashed=not options.quick)
        if magic.of(file.map) in magic.CONTAINERS:
            pieces.containers = (*pieces.containers, file)
            haul = _unpacked(file, options)
            try:
                made += _settings(haul)
            finally:
                haul.close()
        elif is_settings(lambda size, file=file: file.map[:size]):  # type: ignore[misc]
            made.append(file)
        else:
            file.close()
    return made


def _same(one: Path, other: Path) -> bool:
    try:
        return one.samefile(other)
    except OSError:
        return False


def _is_container(path: Path) -> bool:
    """Whether a file begins as a container does; what cannot be read is none, and is refused later in words."""
    try:
        if not path.is_file():
            return False
        with path.open("rb") as file:
            return magic.sniff(file.read(magic.HEAD)) in magic.CONTAINERS
    except OSError:
        return False


def _unpacked(container: EvidenceFile, options: Options) -> Extraction:
    from auditor.evidence.containers.extracted import Extractor
    from auditor.evidence.discovery import unpack  # the libraries of archives wait until there is one

    return unpack.unpack(container, _limits(options), Extractor(options.work_dir), hashed=not options.quick)


def _limits(options: Options) -> Limits:
    return Limits(largest=options.max_unpacked, ratio=options.max_ratio)


def _packed(container: EvidenceFile, path: Path | None, options: Options, notes: Sequence[str] = ()) -> Exhibits:
    """What a container holds, each piece with the container it came from. path: where files may lie beside it."""
    pieces = Exhibits([], (container,), notes=list(notes))
    try:
        pieces.haul = haul = _unpacked(container, options)
        for name, group in _grouped(container.name, haul):
            pieces.named.append((name, _opener(name, group, pieces, haul, first=not pieces.named)))
        if not pieces.named:
            from auditor.evidence.discovery.unpack import nothing

            raise nothing(container.name, haul)
        pieces.settings += _settings(haul)
        if path is not None:
            pieces.settings += _beside(pieces, path, options)
    except BaseException:
        pieces.__exit__(None, None, None)
        raise
    return pieces


def _grouped(container: str, haul: Extraction) -> list[tuple[str, list[ExtractedMember]]]:
    """Data directories with their files, and single files, by name; what looked like a part of one and is none is a
    file of its own."""
    from auditor.evidence.discovery import archived_directory

    groups: dict[str, list[ExtractedMember]] = {}
    for found in haul.parts:
        place = archived_directory.match(found.path) if found.path else None
        if place is not None:
            top = found.way[: len(found.way) - len(found.path)] + place.top
            groups.setdefault(top, []).append(found)
    made = []
    inside: set[str] = set()
    for top, group in groups.items():
        places = [place for each in group if (place := archived_directory.match(each.path)) is not None]
        if archived_directory.is_one(places):
            made.append((top.rstrip("/" + IN) or container, group))
            inside |= {each.way for each in group}
    alone = {found.way: found for found in haul.parts if found.way not in inside}
    logs = {way for way in alone if way.endswith(LOG) and way.removesuffix(LOG) in alone}
    made += [
        (way, [found, alone[way + LOG]] if way + LOG in logs else [found])
        for way, found in alone.items()
        if way not in logs
    ]
    return sorted(made, key=lambda named: named[0])


def _opener(name: str, group: list[ExtractedMember], pieces: Exhibits, haul: Extraction, *, first: bool) -> OpenExhibit:
    from auditor.evidence.discovery import archived_directory

    ways = {each.way for each in group}

    def opener() -> Exhibit:
        for each in group:
            haul.parts.remove(each)
        if archived_directory.match(group[0].path) and (len(group) > 1 or name != group[0].way):
            files = [(place, each.way, each.file) for each in group if (place := archived_directory.match(each.path))]
            found = archived_directory.evidence(name, files)
        elif len(group) > 1:
            found = Exhibit.with_wal(name, *(each.file.open(each.way) for each in group))
        else:
            found = Exhibit.of_file(name, group[0].file.open(name))
        found.containers = pieces.containers
        others = {each.way for each in (*haul.parts, *group)} - ways
        found.gaps += [gap for gap in haul.gaps if gap.source in ways or (first and gap.source not in others)]
        found.settings = tuple(pieces.settings)
        found.notes += pieces.notes
        if first:  # reported once, used for all
            found.files += [(Role.SETTINGS, file) for file in found.settings]
            if haul.others:
                count = len(haul.others)
                found.notes.append(
                    f"{count:,} other files in {pieces.containers[0].name} are nothing of etcd's: not read"
                )
        return found

    return opener


def _settings(haul: Extraction) -> list[EvidenceFile]:
    """The files of a container that hold a configuration; taken out of the haul."""
    made = []
    while haul.settings:
        each = haul.settings.pop(0)
        made.append(each.file.open(each.way))
    return made
