"""What a search finds: where each value stands, without a byte of it, and without its length."""

from dataclasses import dataclass

from auditor.model import exit_codes
from auditor.model.evidence import Evidence, Gap, Unexamined
from auditor.model.kms import KmsCalls
from auditor.model.vocabulary import Place


@dataclass(frozen=True, slots=True)
class Occurrence:
    """One place in which a value stands."""

    value: int
    """Ordinal of the value in the file of values, from 1."""
    source: str
    """File that `offset` points into."""
    offset: int
    """Offset of the value's first byte, or of the encrypted value around it; -1 where it is not known."""
    place: Place | None
    """Place of the bytes; None in a file that is no store."""
    form: str
    """Form in which it stands: raw, base64, JSON-escaped."""
    decrypted: bool
    """Whether it stands inside an encrypted value that a supplied key decrypts."""
    resource: str
    """Resource of the object around it; empty outside every object."""
    key: str
    """Etcd key of that object, printable; empty where there is none."""
    field: str
    """Path of the object's field; empty where it is not known."""
    mod_revision: int
    """Mod revision of the object; -1 where it is not known."""
    page: int
    """Number of the page; -1 where there are no pages."""
    current: bool
    """Whether the object is the current one of its key."""

    @property
    def may_be_current(self) -> bool:
        """Whether it cannot be told: nothing that is carved out of raw bytes is called current."""
        return self.place is Place.UNPLACED


@dataclass(frozen=True, slots=True)
class Remnant:
    """A part of a value that stands where the rest is lost: whether it was this value cannot be told."""

    value: int
    """Ordinal of the value."""
    source: str
    """File that holds the part."""
    offset: int
    """Offset of the part in the file, or in what was put together from it."""


@dataclass(frozen=True, slots=True)
class ExhibitSearch:
    """The search of one exhibit."""

    evidence: Evidence
    """The exhibit."""
    occurrences: tuple[Occurrence, ...]
    """By value, source and offset."""
    remnants: tuple[Remnant, ...]
    """Parts of values of which nothing whole was found."""
    gaps: tuple[Gap, ...]
    """Parts that were not read."""
    unexamined: tuple[Unexamined, ...]
    """Parts that were left out, or not decrypted."""

    @property
    def complete(self) -> bool:
        """Whether a value that was not found is not there."""
        return not self.gaps and not self.remnants and not any(part.decisive for part in self.unexamined)


@dataclass(frozen=True, slots=True)
class Search:
    """The search of all evidence."""

    values: int
    """Number of values that were looked for."""
    exhibits: tuple[ExhibitSearch, ...]
    """The exhibits that were read."""
    problems: tuple[tuple[str, str], ...]
    """Name and reason of each that could not be."""
    kms: tuple[KmsCalls, ...] = ()
    """Calls of --kms for all of them."""

    @property
    def complete(self) -> bool:
        """Whether a value that was not found is nowhere in the evidence."""
        return not self.problems and all(exhibit.complete for exhibit in self.exhibits)

    @property
    def found(self) -> frozenset[int]:
        """Ordinals of the values that were found."""
        return frozenset(hit.value for exhibit in self.exhibits for hit in exhibit.occurrences)

    def current(self, value: int) -> str:
        """Whether a value stands in a current object: yes, no, or unknown where not everything was read or placed."""
        hits = [hit for exhibit in self.exhibits for hit in exhibit.occurrences if hit.value == value]
        if any(hit.current for hit in hits):
            return "yes"
        return "no" if self.complete and not any(hit.may_be_current for hit in hits) else "unknown"

    @property
    def exit_code(self) -> int:
        """1: a value was found. 0: none was, and everything was read. 2: nothing could be read. 3: else."""
        if not self.exhibits:
            return 2
        return exit_codes.of(failed=bool(self.found), complete=self.complete)
