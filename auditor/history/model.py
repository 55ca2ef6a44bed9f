"""What is told of one object: its versions, wherever they lie, and what changed from one revision to the next."""

from dataclasses import dataclass, field

from auditor.model.evidence import Evidence, Gap, Unexamined
from auditor.model.vocabulary import Opened, Place, Provider


@dataclass(frozen=True, slots=True)
class Field:
    """One field of a version. number: equal values of the object share it. value: only for a terminal, when asked."""

    name: str
    size: int
    number: int
    value: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Change:
    """How a revision differs from the one before it, `since`, in names of fields; `provider` where that changed."""

    since: int
    added: tuple[str, ...]
    removed: tuple[str, ...]
    changed: tuple[str, ...]
    provider: str

    @property
    def fields(self) -> bool:
        return bool(self.added or self.removed or self.changed)


@dataclass(frozen=True, slots=True)
class Version:
    """One stored value of the object, or a tombstone.

    main, create, version, order: -1 unknown. offset: -1 where there is no file. content, stored: equal objects, and
    equal stored bytes, share a number; content is 0 where the value is not readable. same_as_latest: yes, no, unknown
    or empty. fields: None where the value was not decoded. copy_of: the revision of which these are the same bytes,
    -1 where there is none.
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
    stored: int
    same_as_latest: str
    type: str
    created: str
    source: str
    offset: int
    size: int
    page: int
    detail: str
    fields: tuple[Field, ...] | None
    change: Change | None
    copy_of: int

    @property
    def label(self) -> str:
        return "/".join(part for part in (self.provider.label, self.key_name) if part)


@dataclass(frozen=True, slots=True)
class History:
    """Every version of one object, by revision; those of unknown revision last. key: printable."""

    evidence: Evidence
    resource: str
    key: str
    versions: tuple[Version, ...]
    gaps: tuple[Gap, ...]
    unexamined: tuple[Unexamined, ...]
    notes: tuple[str, ...]

    @property
    def complete(self) -> bool:
        return not self.gaps and not any(part.decisive for part in self.unexamined)
