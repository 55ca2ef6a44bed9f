"""The history of one object: its versions, wherever they lie, and the changes from one revision to the next."""

from dataclasses import dataclass, field

from auditor.model.chronology import Chronology
from auditor.model.evidence import Evidence, Gap, Unexamined
from auditor.model.kms import KmsCalls
from auditor.model.vocabulary import Opened, Place, Provider


@dataclass(frozen=True, slots=True)
class Field:
    """One field of a version."""

    name: str
    size: int
    number: int
    """Equal values of the object share a number."""
    value: bytes = field(repr=False)
    """For a terminal only, on request."""


@dataclass(frozen=True, slots=True)
class Change:
    """The difference of a revision from an earlier one, in names of fields."""

    since: int
    """The earlier revision."""
    added: tuple[str, ...]
    removed: tuple[str, ...]
    changed: tuple[str, ...]
    provider: str
    """Provider and key, before and after; empty where they are the same."""

    @property
    def fields(self) -> bool:
        return bool(self.added or self.removed or self.changed)


@dataclass(frozen=True, slots=True)
class Version:
    """One stored value of the object, or a tombstone.

    Revisions, version and ordinal are -1 where they are unknown.
    """

    place: Place
    state: str
    tombstone: bool
    mod_revision: int
    sub_revision: int
    create_revision: int
    version: int
    ordinal: int
    provider: Provider
    key_name: str
    kek_id: str
    encoding: str
    opened: Opened
    content: int
    """Equal objects share a number; 0 where the value is not readable."""
    stored: int
    """Equal stored bytes share a number."""
    same_as_latest: str
    """yes, no, unknown or empty."""
    type: str
    created: str
    source: str
    offset: int
    """-1 where there is no file."""
    size: int
    page: int
    detail: str
    fields: tuple[Field, ...] | None
    """None where the value was not decoded."""
    change: Change | None
    copy_of: int
    """The revision that has the same stored bytes; -1 where there is none, or where the version's own is known."""

    @property
    def label(self) -> str:
        return "/".join(part for part in (self.provider.label, self.key_name) if part)


@dataclass(frozen=True, slots=True)
class History:
    """Every version of one object, by revision; those of unknown revision last."""

    evidence: Evidence
    resource: str
    key: str
    """Printable."""
    versions: tuple[Version, ...]
    gaps: tuple[Gap, ...]
    unexamined: tuple[Unexamined, ...]
    notes: tuple[str, ...]
    chronology: Chronology
    """What is known of time, of the revisions of this object."""
    kms: tuple[KmsCalls, ...] = ()
    """Calls of --kms."""

    @property
    def complete(self) -> bool:
        return not self.gaps and not any(part.decisive for part in self.unexamined)
