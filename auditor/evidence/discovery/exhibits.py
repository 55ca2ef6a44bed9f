"""From one argument to its exhibits: a file or directory is one, a container may hold several."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

from auditor import inputs
from auditor.errors import UnreadableEvidence, UsageError
from auditor.evidence.containers import magic
from auditor.evidence.containers.limits import Limits
from auditor.evidence.containers.residue import Residue, holds_value
from auditor.evidence.discovery import bystanders, companions, databases, images, packed, paths, pipe, remote, texts
from auditor.evidence.discovery.config_files import may_be_configuration
from auditor.evidence.discovery.extraction import take
from auditor.evidence.etcd import transfer
from auditor.evidence.exhibit import Exhibit, Role
from auditor.evidence.file import EvidenceFile
from auditor.model.evidence import Gap
from auditor.options import Options
from auditor.text import shown

if TYPE_CHECKING:
    from auditor.evidence.discovery.extraction import ExtractedMember, Extraction

OpenExhibit = Callable[[], Exhibit]


@dataclass
class Exhibits:
    """Exhibits by name, opened one after another: each is closed before the next.

    A private copy is dropped with its exhibit; `with` drops those of exhibits that were never opened.
    """

    openers: list[tuple[str, OpenExhibit]]
    containers: tuple[EvidenceFile, ...] = ()
    """The outermost container, and companion containers beside it."""
    extraction: Extraction | None = None
    """The contents of the container."""
    companions: list[EvidenceFile] = field(default_factory=list)
    """Files that may hold a configuration."""
    notes: list[str] = field(default_factory=list)
    gaps: list[Gap] = field(default_factory=list)
    """Companions that cannot be read, and what else lies in them."""
    residues: list[Residue] = field(default_factory=list)
    """What companions that are containers hold beside their members."""

    def __len__(self) -> int:
        return len(self.openers)

    def __iter__(self) -> Iterator[tuple[str, OpenExhibit]]:
        return iter(self.openers)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self.extraction is not None:
            self.extraction.close()
        for file in (*self.containers, *self.companions):
            file.close()


def opened(argument: str, options: Options) -> Exhibits:
    """The exhibits at a path, or behind the URL of an object.

    Raises UnreadableEvidence where nothing of etcd is there, UsageError for options that do not fit.
    """
    wal_dir = Path(options.wal_dir) if options.wal_dir else None
    if remote.is_remote(argument):
        if wal_dir is not None:
            raise UsageError(f"{remote.shown(argument)} is one object: --wal-dir belongs to a data directory")
        return _remote(argument, options)
    if databases.is_database(argument):
        if wal_dir is not None:
            raise UsageError(f"{databases.shown(argument)} is a database: --wal-dir belongs to a data directory")
        file, notes = databases.fetch(argument, options)
        exhibit = Exhibit(file.name, [(Role.SQL_DUMP, file)], notes=notes, live_table=True)
        return Exhibits([(exhibit.name, lambda: exhibit)])
    if inputs.is_pipe(argument) and argument not in options.unnamed_pipes:
        if wal_dir is not None:
            raise UsageError(f"{inputs.name(argument)} is a pipe: --wal-dir belongs to a data directory")
        return _streamed(pipe.spool(argument, options), options)
    if options.carve:
        return _image(Path(argument), options)
    return _at(Path(argument), wal_dir, options)


def _at(path: Path, wal_dir: Path | None, options: Options) -> Exhibits:
    """The exhibits at a path."""
    hashed = not options.quick
    if path.is_dir() or not packed.is_container(path):
        exhibit = paths.gather(path, wal_dir, paths.Unpacking(_limits(options), options.work_dir), hashed=hashed)
        exhibits = Exhibits([(exhibit.name, lambda: exhibit)])
        _add_companions(exhibits, exhibit, path, options)
        texts.add(exhibit, path, options)
        return exhibits
    if wal_dir is not None:
        raise UnreadableEvidence(f"{shown(path.name)} is a container: --wal-dir belongs to a data directory")
    return _packed(EvidenceFile.open(path, hashed=hashed), path, options)


def _image(path: Path, options: Options) -> Exhibits:
    """The exhibit of raw bytes, with the configurations that lie beside a file."""
    exhibit = images.gather(path, options)
    exhibits = Exhibits([(exhibit.name, lambda: exhibit)], exhibit.containers)
    if path.is_file():
        _add_companions(exhibits, exhibit, path, options)
        texts.add(exhibit, path, options)
    return exhibits


def _remote(url: str, options: Options) -> Exhibits:
    return _streamed(remote.fetch(url, options), options)


def _streamed(received: tuple[EvidenceFile, list[str]], options: Options) -> Exhibits:
    """The exhibits of a file that came as a stream, and that nothing lies beside."""
    file, notes = received
    if options.carve:
        exhibit = images.of_file(file, None, options)
        exhibit.notes += notes
        return Exhibits([(exhibit.name, lambda: exhibit)], exhibit.containers)
    if packed.is_packed(file.map[: magic.HEAD]):
        return _packed(file, None, options, notes)
    exhibit = Exhibit.of_file(file.name, file)
    exhibit.notes += notes
    return Exhibits([(exhibit.name, lambda: exhibit)])


def _add_companions(exhibits: Exhibits, exhibit: Exhibit, path: Path, options: Options) -> None:
    """Add the companion files of a snapshot to its exhibit; an error closes everything."""
    try:
        exhibits.companions += _companions(exhibits, path, options, named=not exhibit.directory)
    except BaseException:
        exhibit.__exit__(None, None, None)
        exhibits.__exit__(None, None, None)
        raise
    exhibit.containers = exhibits.containers
    exhibit.companions = (*exhibit.companions, *exhibits.companions)
    exhibit.gaps += exhibits.gaps
    exhibit.residues += exhibits.residues
    exhibit.notes += exhibits.notes
    exhibit.files += [(Role.COMPANION, file) for file in exhibits.companions]


def _companions(exhibits: Exhibits, path: Path, options: Options, *, named: bool) -> list[EvidenceFile]:
    """The files beside evidence that hold a configuration, without those that --encryption-config names.

    named: whether they are looked for by name too, and not by content alone.
    """
    files: list[EvidenceFile] = []
    for candidate in companions.of(path, options.companion_configs, named=named):
        name = shown(f"../{candidate.name}" if path.is_dir() else candidate.name)
        if any(_same(candidate, Path(config)) for config in options.encryption_configs):
            if any(_same(candidate, Path(told)) for told, _ in options.companion_configs):
                exhibits.notes.append(f"{name} lies in the folder that was named: whoever has the folder has its keys")
            continue
        try:
            if not candidate.stat().st_size:
                exhibits.notes.append(f"{name} is empty")
                continue
            files += _companion(exhibits, EvidenceFile.open(candidate, hashed=not options.quick, name=name), options)
        except (OSError, UnreadableEvidence) as error:
            why = str(error) if isinstance(error, UnreadableEvidence) else f"{name}: {error.strerror}"
            exhibits.gaps.append(Gap(name, 0, 0, why))
    return files


def _companion(exhibits: Exhibits, file: EvidenceFile, options: Options) -> list[EvidenceFile]:
    """The files of one companion that hold a configuration: it, or what is packed in it; the rest of that is gaps."""
    if magic.of(file.map) in magic.CONTAINERS:
        exhibits.containers = (*exhibits.containers, file)
        extraction = _unpacked(file, options, keeps_texts=False)
        try:
            exhibits.gaps += extraction.gaps
            exhibits.residues += extraction.own.kept
            for member in extraction.members:
                reason = f"{member.name} lies in a file that came with the evidence: scan {file.name} by itself"
                exhibits.gaps.append(Gap(str(member.name), 0, member.file.size, reason))
            return take(extraction.companions)
        finally:
            extraction.close()
    if may_be_configuration(lambda size: file.map[:size]):
        return [file]
    file.close()
    return []


def _same(one: Path, other: Path) -> bool:
    try:
        return one.samefile(other)
    except OSError:
        return False


def _unpacked(container: EvidenceFile, options: Options, *, keeps_texts: bool) -> Extraction:
    from auditor.evidence.containers.extracted import Extractor
    from auditor.evidence.discovery import unpack  # the libraries of archives wait until there is one

    hashed = not options.quick
    return unpack.unpack(container, _limits(options), Extractor(options.work_dir), hashed=hashed, texts=keeps_texts)


def _limits(options: Options) -> Limits:
    return Limits(largest=options.max_unpacked, ratio=options.max_ratio)


def _packed(container: EvidenceFile, path: Path | None, options: Options, notes: Sequence[str] = ()) -> Exhibits:
    """The exhibits of a container. path: where companion files may lie beside it; None for a remote one."""
    exhibits = Exhibits([], (container,), notes=list(notes))
    try:
        exhibits.extraction = extraction = _unpacked(container, options, keeps_texts=texts.are_wanted(options))
        from auditor.evidence.discovery import archived_exhibits

        _take_values(extraction)
        for name, members in archived_exhibits.grouped(extraction):
            first = not exhibits.openers
            add_texts = partial(texts.add_of_container, extraction, path, options, first=first)
            exhibits.openers.append((name, _opener(name, members, exhibits, extraction, add_texts, first=first)))
        if not exhibits.openers:
            from auditor.evidence.discovery.extraction import nothing

            raise nothing(container, extraction)
        if extraction.gaps and magic.of(container.map) not in magic.TEXTS:
            exhibits.gaps += transfer.damage(container)
        exhibits.companions += take(extraction.companions)
        if path is not None:
            exhibits.companions += _companions(exhibits, path, options, named=True)
    except BaseException:
        exhibits.__exit__(None, None, None)
        raise
    return exhibits


def _take_values(extraction: Extraction) -> None:
    """Make evidence of files of no known kind in which values begin, where a container holds nothing else."""
    if extraction.members or not extraction.unknown:
        return
    for member in list(extraction.unknown):
        if any(holds_value(block) for block in member.file.blocks()):
            extraction.unknown.remove(member)
            extraction.members.append(member)


def _opener(
    name: str,
    members: list[ExtractedMember],
    exhibits: Exhibits,
    extraction: Extraction,
    add_texts: Callable[[Exhibit], None],
    *,
    first: bool,
) -> OpenExhibit:
    """The function that opens one exhibit of a container.

    Args:
        name: The exhibit's name.
        members: Its files.
        exhibits: All exhibits of the container.
        extraction: The contents of the container.
        add_texts: Adds the texts that are searched.
        first: Whether it is the first exhibit, with which the gaps and companions of all are reported.
    """

    def opener() -> Exhibit:
        from auditor.evidence.discovery import archived_exhibits

        for member in members:
            extraction.members.remove(member)
        exhibit = archived_exhibits.exhibit(name, members)
        exhibit.containers = exhibits.containers
        own = {str(member.name) for member in members}
        others = {str(member.name) for member in extraction.members} - own
        exhibit.gaps += [gap for gap in extraction.gaps if gap.source in own or (first and gap.source not in others)]
        exhibit.companions = tuple(exhibits.companions)
        exhibit.notes += exhibits.notes
        if first:  # reported once, used for all
            exhibit.gaps += exhibits.gaps
            exhibit.notes += extraction.notes
            exhibit.files += [(Role.OTHER, file) for file in take(extraction.unknown)]
            exhibit.residues += [*extraction.own.kept, *exhibits.residues]
            exhibit.files += [(Role.COMPANION, file) for file in exhibit.companions]
            if extraction.others:
                exhibit.notes.append(bystanders.note(extraction.others, exhibits.containers[0].name))
        add_texts(exhibit)
        return exhibit

    return opener
