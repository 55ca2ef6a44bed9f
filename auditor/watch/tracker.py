"""The state of every key: its form, and the revision of it. Changes may be applied in any order, and twice.

Counts are computed from this map, never kept beside it. An event that is already in it changes nothing: a second read,
and a watch from an earlier revision, lose nothing and count nothing twice.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from auditor.model.vocabulary import Opened, Provider


@dataclass(frozen=True, slots=True)
class StoredForm:
    """The form in which a value is stored."""

    provider: Provider
    key_name: str
    kek_id: str
    """The KEK id of KMS v2, printable."""
    findings: str
    """Why the form is not as it must be, joined with `;`; empty where it is."""
    opened: Opened
    """The outcome of the supplied keys."""

    @property
    def written(self) -> tuple[Provider, str, str]:
        """What of it is the value's own, whatever keys are supplied."""
        return self.provider, self.key_name, self.kek_id


@dataclass(slots=True)
class Entry:
    """The state of one key."""

    form: StoredForm | None
    """None where the key is deleted."""
    revision: int
    """The revision of its last change."""
    counted: bool = False
    """Whether it ever had another form than the target; it stays in the total for good."""
    changed: float | None = None
    """The time at which its last change was observed; None at the first read."""
    regressions: int = 0
    """How often it was written again in another form than the target."""
    created: bool = False
    """Whether it was created, or created again, after the first read."""
    created_otherwise: bool = False
    """Whether that was in another form than the target; it stays so for good."""


class Tracker:
    """The state of every key, complete up to `revision`."""

    def __init__(self, keks: Mapping[str, str], *, presume: bool = True) -> None:
        """A tracker without keys.

        Args:
            keks: KMS name -> the key id in force.
            presume: Whether the newest value of another KMS tells its key id in force; else every id conforms.
        """
        self.entries: dict[bytes, Entry] = {}
        self.revision = 0
        self._complete = 0
        """The revision of the last read of every key: what it did not show is written later."""
        self._keks = dict(keks)
        self._presume = presume
        self._newest: dict[tuple[Provider, str], tuple[int, str]] = {}

    def conforms(self, form: StoredForm) -> bool:
        """Whether this is the form that the rewrite is to bring about."""
        if form.findings:
            return False
        current = self._current(form)
        return current is None or current == form.kek_id

    def why(self, form: StoredForm) -> str:
        """The finding of a form that does not conform."""
        return form.findings or "stale-kek"

    def contradicts(self, snapshot: Mapping[bytes, tuple[StoredForm, int]]) -> bool:
        """Whether a read of every key cannot be of the store that was followed: a backup was restored in between.

        A revision never gets lower, and what is written at one stays as it is.

        Args:
            snapshot: Form and mod revision of every key.
        """
        return any(self._is_contrary(key, form, revision) for key, (form, revision) in snapshot.items())

    def replace(self, snapshot: Mapping[bytes, tuple[StoredForm, int]], revision: int, now: float | None) -> None:
        """Apply a read of every key: a key that is missing in it was deleted.

        Args:
            snapshot: Form and mod revision of every key.
            revision: The revision of the read.
            now: The time of the read; None for the first.
        """
        for key, (form, key_revision) in snapshot.items():
            self._put(key, form, key_revision, now)
        for key, entry in self.entries.items():
            if key not in snapshot and entry.form is not None and entry.revision <= revision:
                entry.form, entry.revision, entry.changed = None, revision, now
        self.revision = max(self.revision, revision)
        self._complete = max(self._complete, revision)
        self._count(self.entries.values())

    def apply(self, changes: Iterable[tuple[bytes, StoredForm | None, int]], now: float) -> None:
        """Apply changes: (key, form, revision); form is None where the key was deleted."""
        before = dict(self._newest)
        entries = []
        for key, form, revision in changes:
            self._put(key, form, revision, now)
            entries.append(self.entries[key])
            if form is not None and not self.conforms(form) and self.entries[key].revision == revision:
                self.entries[key].counted = True
            self.revision = max(self.revision, revision)
        # where the presumed KEK is another one now, what conformed does not any more
        self._count(entries if before == self._newest else self.entries.values())

    def _is_contrary(self, key: bytes, form: StoredForm, revision: int) -> bool:
        entry = self.entries.get(key)
        if entry is None:
            return revision <= self._complete
        if revision != entry.revision:
            return revision < entry.revision
        # what the keys make of it may differ: a KMS is away for a moment
        return entry.form is None or entry.form.written != form.written

    def _put(self, key: bytes, form: StoredForm | None, revision: int, now: float | None) -> None:
        entry = self.entries.get(key)
        if entry is None:
            self.entries[key] = entry = Entry(form, revision, changed=now, created=now is not None)
            entry.created_otherwise = entry.created and form is not None and not self.conforms(form)
        elif revision > entry.revision:
            if form is not None and entry.form is None:
                entry.created = True
                entry.created_otherwise |= not self.conforms(form)
            elif form is not None and not self.conforms(form):
                entry.regressions += 1
            entry.form, entry.revision, entry.changed = form, revision, now
        else:
            return
        if form is not None and form.kek_id and not form.findings:
            name = form.provider, form.key_name
            self._newest[name] = max(self._newest.get(name, (0, "")), (revision, form.kek_id))

    def _count(self, entries: Iterable[Entry]) -> None:
        for entry in entries:
            if entry.form is not None and not self.conforms(entry.form):
                entry.counted = True

    def _current(self, form: StoredForm) -> str | None:
        """The id of the KEK that a KMS v2 value must be under; None of others."""
        if not form.kek_id:
            return None
        kek = self._keks.get(form.key_name)
        if kek is not None or not self._presume:
            return kek
        return self._newest.get((form.provider, form.key_name), (0, form.kek_id))[1]
