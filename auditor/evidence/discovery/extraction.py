"""The contents of a container: its members in private files, by what they may be."""

from dataclasses import dataclass, field
from typing import NamedTuple

from auditor.errors import UnreadableEvidence
from auditor.evidence.containers.extracted import ExtractedFile
from auditor.evidence.containers.member_name import MemberName
from auditor.evidence.containers.residue import OwnBytes
from auditor.evidence.etcd import transfer
from auditor.evidence.file import EvidenceFile
from auditor.model.evidence import Gap
from auditor.text import plural


class Origin(NamedTuple):
    """Where a file of a container comes from."""

    name: MemberName
    """Its name through every container."""
    archive: MemberName
    """The innermost archive around it."""
    path: str = ""
    """Its path in that archive; empty for a compressed file in none."""


@dataclass
class ExtractedMember:
    """One file out of a container, in a private file."""

    origin: Origin
    file: ExtractedFile
    copy: bytes | None = None
    """As in Exhibit."""

    @property
    def name(self) -> MemberName:
        return self.origin.name


@dataclass
class Extraction:
    """The contents of a container. A member that is removed takes its file along; close() closes the rest."""

    keeps_texts: bool = False
    """Whether texts without values are kept, for somebody who looks for values that are given."""
    members: list[ExtractedMember] = field(default_factory=list)
    """Databases, and files of data directories."""
    companions: list[ExtractedMember] = field(default_factory=list)
    """Files that may hold a configuration."""
    unknown: list[ExtractedMember] = field(default_factory=list)
    """Files of no known kind, each of which is a gap too."""
    texts: list[ExtractedMember] = field(default_factory=list)
    """Texts that are known to hold no values, where they are kept."""
    gaps: list[Gap] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    others: list[str] = field(default_factory=list)
    """The names of all other files."""
    own: OwnBytes = field(default_factory=OwnBytes)
    """What of the container, and of those in it, is no member's."""

    def close(self) -> None:
        for members in (self.members, self.companions, self.unknown, self.texts):
            for member in members:
                member.file.close()
            members.clear()


def take(members: list[ExtractedMember]) -> list[EvidenceFile]:
    """The files of some members, taken out of the contents of their container."""
    files = []
    while members:
        member = members.pop(0)
        files.append(member.file.open(str(member.name)))
    return files


def nothing(file: EvidenceFile, extraction: Extraction) -> UnreadableEvidence:
    """The error for a container without evidence."""
    container = file.name
    reasons = "; ".join(filter(None, [*(gap.reason for gap in extraction.gaps[:3]), transfer.cause(file)]))
    if reasons:
        return UnreadableEvidence(f"{container}: nothing of etcd was found in it: {reasons}")
    count, keys = len(extraction.others) + len(extraction.companions), len(extraction.companions)
    files = "its one file is no" if count == 1 else f"none of its {count:,} files is an"
    what = f"{files} etcd database, WAL or data directory" if count else "it is empty"
    if keys:  # of a snapshot that lies elsewhere
        what += f"; {plural(keys, 'file')} may hold an EncryptionConfiguration: unpack it beside the snapshot"
    return UnreadableEvidence(f"{container}: nothing of etcd was found in it: {what}")
