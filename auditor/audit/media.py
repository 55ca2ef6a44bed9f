"""The media that a sweep searches: every file of an exhibit beside its hash, and the containers' own bytes."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from auditor.arrays.buffer import Buffer
from auditor.evidence import signatures
from auditor.evidence.containers.residue import Residue
from auditor.evidence.exhibit import Exhibit, Role
from auditor.evidence.signatures import Mark, Writing
from auditor.evidence.sweep import FileSweep, Hits, Search

HEAD = 1 << 16
"""Leading bytes of a file that tell whether it is a text."""


class FileMedium(NamedTuple):
    """One file, and what is searched for in it."""

    sweep: FileSweep
    marks: tuple[Mark, ...]
    companion: bool
    """Whether the file only came with the evidence: what it may hold is a Secret, or a key, which others look for."""

    @property
    def source(self) -> str:
        """The file's name."""
        return self.sweep.file.name


class Medium(NamedTuple):
    """A medium that was searched."""

    source: str
    """Its name."""
    buffer: Buffer
    hits: Hits
    marks: Sequence[Mark]
    companion: bool = False
    """As in FileMedium."""
    offset: int = 0
    """Where in the source the buffer begins."""

    @property
    def is_text(self) -> bool:
        """Whether it was searched for what texts write in a value's stead."""
        return any(mark.writing > Writing.PLAIN for mark in self.marks)


@dataclass(frozen=True, slots=True)
class Sweeps:
    """The sweeps of an exhibit."""

    files: tuple[FileMedium, ...] = ()
    residues: tuple[Residue, ...] = ()
    """What its containers hold beside their members."""
    kind: bytes = signatures.SECRET
    """Kinds that must be encrypted, as signatures.kinds() has them."""

    def stop(self) -> None:
        """Search no further: nobody wants the result."""
        for medium in self.files:
            medium.sweep.stop()

    def searched_files(self) -> Iterator[Medium]:
        """Every file, in its order. Raises what ended a sweep."""
        for medium in self.files:
            sweep = medium.sweep
            yield Medium(medium.source, Buffer(sweep.file.map), sweep.result(), medium.marks, medium.companion)

    def searched_residues(self) -> Iterator[Medium]:
        """Every stretch of a container that is no member's."""
        if not self.residues:
            return
        marks = signatures.text_marks(self.kind)
        search = Search([mark.signature for mark in marks])
        for residue in self.residues:
            search.feed(memoryview(residue.content), 0)
            yield Medium(residue.source, Buffer(residue.content), search.hits(), marks, offset=residue.offset)


NO_SWEEPS = Sweeps()
enabled = True
"""Whether files are swept. For the tests that measure what the ledger alone would miss."""


def start(exhibit: Exhibit, resources: Iterable[str]) -> Sweeps:
    """A sweep of each file, beside its hash.

    resources: those that must be encrypted, as options and configurations name them.
    """
    kind = signatures.kinds(resources)
    if not enabled:
        return NO_SWEEPS
    media = []
    for role, file in exhibit.files:
        # what an image is searched for is its reader's: the sweep and the reader are one there
        # nor a text, in which no value begins: that was seen before it was opened
        if role in {Role.RANGE, Role.IMAGE, Role.TEXT} or not file.hashing.size:
            continue
        companion = role is Role.COMPANION
        searched = signatures.SECRET if companion else kind
        text = b"\0" not in file.map[:HEAD]  # mysqldump writes every byte as it is but zeros and quotation marks
        marks = signatures.text_marks(searched) if text else signatures.marks(searched)
        media.append(FileMedium(FileSweep(file, [mark.signature for mark in marks]), marks, companion))
    return Sweeps(tuple(media), tuple(exhibit.residues), kind)
