"""What is known of every key: its form and the revision it is of. Changes are applied in any order, and twice.

The count is never kept beside this map: it is made from it. An event that is already in it changes nothing, so that
reading again and watching again from an earlier revision lose nothing and count nothing twice.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from auditor.model.vocabulary import Opened, Provider


@dataclass(frozen=True, slots=True)
class StoredForm:
    """How a value is stored. findings: why it is not as it must be, joined with `;`, empty where it is.

    kek_id: of KMS v2, printable. opened: what became of the keys that were supplied.
    """

    provider: Provider
    key_name: str
    kek_id: str
    findings: str
    opened: Opened


@dataclass(slots=True)
class Entry:
    """One key. form: None where it is deleted. revision: of its last change.

    counted: whether it was ever in another form than the wanted one; it stays in the total for good. changed: when it
    last was seen to change, None at the first read. again: how often it was written in another form than the wanted.
    """

    form: StoredForm | None
    revision: int
    counted: bool = False
    changed: float | None = None
    regressions: int = 0


class Tracker:
    """The keys by the bytes of each. revision: up to which everything is in it.

    keks: KMS name -> key id in force. presume: whether of a KMS that is not named there the newest value's is; else
    any is as wanted.
    """

    def __init__(self, keks: Mapping[str, str], *, presume: bool = True) -> None:
        self.entries: dict[bytes, Entry] = {}
        self.revision = 0
        self._keks = dict(keks)
        self._presume = presume
        self._newest: dict[tuple[Provider, str], tuple[int, str]] = {}

    def conforms(self, form: StoredForm) -> bool:
        """Whether this is what the rewrite is to bring about."""
        if form.findings:
            return False
        current = self._current(form)
        return current is None or current == form.kek_id

    def why(self, form: StoredForm) -> str:
        """Why it is not: a finding's name."""
        return form.findings or "stale-kek"

    def replace(self, read: Mapping[bytes, tuple[StoredForm, int]], revision: int, now: float | None) -> None:
        """Everything that there is at a revision: what is not among it was deleted."""
        for key, (form, written) in read.items():
            self._put(key, form, written, now)
        for key, entry in self.entries.items():
            if key not in read and entry.form is not None and entry.revision <= revision:
                entry.form, entry.revision, entry.changed = None, revision, now
        self.revision = max(self.revision, revision)
        self._count(self.entries.values())

    def apply(self, changes: Iterable[tuple[bytes, StoredForm | None, int]], now: float) -> None:
        """(key, form, revision) of each change; form: None where it was deleted."""
        before = dict(self._newest)
        touched = []
        for key, form, revision in changes:
            self._put(key, form, revision, now)
            touched.append(self.entries[key])
            if form is not None and not self.conforms(form) and self.entries[key].revision == revision:
                self.entries[key].counted = True
            self.revision = max(self.revision, revision)
        # where the presumed KEK is another one now, what was as wanted is not any more
        self._count(touched if before == self._newest else self.entries.values())

    def _put(self, key: bytes, form: StoredForm | None, revision: int, now: float | None) -> None:
        entry = self.entries.get(key)
        if entry is None:
            self.entries[key] = Entry(form, revision, changed=now)
        elif revision > entry.revision:
            if form is not None and not self.conforms(form):
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
        known = self._keks.get(form.key_name)
        if known is not None or not self._presume:
            return known
        return self._newest.get((form.provider, form.key_name), (0, form.kek_id))[1]
