"""The progress of a rewrite: a tracker and a clock -> numbers."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from operator import itemgetter

from auditor.model.vocabulary import FindingKind, Opened, Provider
from auditor.text import printable
from auditor.watch.tracker import Entry, StoredForm, Tracker

UNDECRYPTABLE = FindingKind.UNDECRYPTABLE.label
WINDOW = 60.0
"""Seconds over which the rate is measured."""


@dataclass(frozen=True, slots=True)
class Name:
    """An object by its names, printable."""

    resource: str
    namespace: str
    name: str
    key: str


@dataclass(frozen=True, slots=True)
class Remaining:
    """An object that the rewrite has not reached."""

    object: Name
    form: StoredForm
    why: str
    """The finding."""
    revision: int
    stuck: str
    """Why the rewrite seems to have missed it; empty where it may still come."""
    created: bool
    """Whether it was created in this form while the watch ran."""


@dataclass(slots=True)
class NamespaceProgress:
    """The objects of one namespace, in numbers."""

    total: int = 0
    """remaining + rewritten + deleted."""
    remaining: int = 0
    rewritten: int = 0
    deleted: int = 0
    present: int = 0
    """The objects that exist now."""

    def add(self, other: "NamespaceProgress") -> None:
        self.total += other.total
        self.remaining += other.remaining
        self.rewritten += other.rewritten
        self.deleted += other.deleted
        self.present += other.present


@dataclass(frozen=True, slots=True)
class Progress:
    """The rewrite as of a revision."""

    revision: int
    all: NamespaceProgress
    """The sums over all namespaces. Its total counts every object that ever had another form than the target."""
    namespaces: Mapping[str, NamespaceProgress]
    """By the namespace's name."""
    under: tuple[tuple[Provider, str, str, bool, int], ...]
    """(provider, key name, KEK id, whether that is the target, values)."""
    unopened: int
    """Values whose prefix conforms, and that none of the supplied keys could open."""
    useless: tuple[tuple[Provider, str, int], ...]
    """(provider, key name, values that name it) of every supplied key that opens none of them: a wrong key."""
    created_otherwise: int
    """Objects that were created in another form than the target while the watch ran, whatever became of them."""
    rate: float
    """Objects rewritten a second, over the last WINDOW."""
    seconds_left: float | None
    """None where it cannot be estimated."""
    idle: float | None
    """Seconds since the last object was rewritten; None before the first."""
    stuck: tuple[Remaining, ...] = field(repr=False)
    created: tuple[Remaining, ...] = field(repr=False)
    """The objects that were created in another form than the target, and still are in one."""
    remaining: tuple[Remaining, ...] = field(repr=False)
    """Every object that remains, on request."""
    doubts: tuple[str, ...] = ()
    """Reasons for which what the members answer may be wrong."""
    absent: tuple[str, ...] = ()
    """The resources of which there is no object."""
    prefixes: tuple[str, ...] = ()
    """The storage prefixes that are read."""

    @property
    def unjudged(self) -> int:
        """Objects under a key whose supplied secret opens none of them: as wanted by prefix, or not, cannot be told."""
        return sum(count for *_, count in self.useless)

    @property
    def over(self) -> bool:
        """Whether nothing remains that a rewrite could reach, or a longer watch could tell."""
        return self.all.remaining == self.unjudged


Root = tuple[str, bytes]
"""A resource, and the prefix of its objects' keys."""


class _Counts:
    """The counts of one pass through the keys.

    passed: of each folder the last key that was rewritten before the deadline; keys before it are passed over.
    """

    def __init__(self, tracker: Tracker, deadline: float) -> None:
        self.folders: dict[bytes, NamespaceProgress] = {}
        self.under: dict[tuple[Provider, str, str, bool], int] = {}
        self.remaining: list[tuple[bytes, StoredForm, Entry]] = []
        self.rewrites: list[float] = []
        self.passed: dict[bytes, bytes] = {}
        self.unopened = 0
        self.created_otherwise = 0
        self.failures: dict[tuple[Provider, str], int] = {}
        self.opening: set[tuple[Provider, str]] = set()
        self._tracker = tracker
        self._deadline = deadline
        self._conforming: dict[StoredForm, bool] = {}

    def add(self, key: bytes, entry: Entry) -> None:
        folder = key.rpartition(b"/")[0]
        share = self.folders.get(folder) or self.folders.setdefault(folder, NamespaceProgress())
        form = entry.form
        self.created_otherwise += entry.created_otherwise
        if form is None:
            share.total += entry.counted
            share.deleted += entry.counted
            return
        share.present += 1
        if form not in self._conforming:
            self._conforming[form] = self._tracker.conforms(form)
        conforms = self._conforming[form]
        code = form.provider, form.key_name, form.kek_id, conforms
        self.under[code] = self.under.get(code, 0) + 1
        self._try(form)
        share.total += entry.counted or not conforms
        if not conforms:
            share.remaining += 1
            self.remaining.append((key, form, entry))
            return
        self.unopened += form.provider > Provider.IDENTITY and form.opened is not Opened.YES
        if not entry.counted:
            return
        share.rewritten += 1
        if entry.changed is not None:
            self.rewrites.append(entry.changed)
            if entry.changed <= self._deadline:
                self.passed[folder] = max(self.passed.get(folder, b""), key)

    def _try(self, form: StoredForm) -> None:
        """Note whether the key that a value names opens it."""
        label = form.provider, form.key_name
        if form.opened is Opened.YES:
            self.opening.add(label)
        elif form.findings == UNDECRYPTABLE:
            self.failures[label] = self.failures.get(label, 0) + 1

    @property
    def useless(self) -> tuple[tuple[Provider, str, int], ...]:
        return tuple((*label, count) for label, count in sorted(self.failures.items()) if label not in self.opening)

    def namespaces(self, roots: Sequence[Root]) -> dict[str, NamespaceProgress]:
        namespaces: dict[str, NamespaceProgress] = {}
        for folder, share in sorted(self.folders.items()):
            name = _name(folder + b"/", roots).namespace
            namespaces.setdefault(name, NamespaceProgress()).add(share)
        return namespaces

    def absent(self, roots: Sequence[Root]) -> tuple[str, ...]:
        present = {_name(folder + b"/", roots).resource for folder, share in self.folders.items() if share.present}
        return tuple(dict.fromkeys(name for name, _ in roots if name not in present))

    def objects(self, roots: Sequence[Root], *, every: bool) -> tuple[Remaining, ...]:
        """The objects that remain, by key; unless `every`, only those that are stuck."""
        reasons = ((key, form, entry, _stuck(key, entry, self.passed)) for key, form, entry in self.remaining)
        selection = sorted((each for each in reasons if every or each[3] or _created(each[2])), key=itemgetter(0))
        return tuple(
            Remaining(_name(key, roots), form, self._tracker.why(form), entry.revision, stuck, _created(entry))
            for key, form, entry, stuck in selection
        )


def measure(
    tracker: Tracker, roots: Sequence[Root], began: float, now: float, patience: float, *, name_all: bool = False
) -> Progress:
    """The progress so far.

    Args:
        tracker: The state of every key.
        roots: The resources, and where their keys begin.
        began: The time at which the watch began, by the clock of `now`.
        now: The present time.
        patience: Seconds after which an object that was passed over counts as stuck.
        name_all: Name every object that remains, which takes a second for 100,000 of them.
    """
    counts = _Counts(tracker, now - patience)
    for key, entry in tracker.entries.items():
        counts.add(key, entry)
    namespaces = counts.namespaces(roots)
    whole = NamespaceProgress()
    for share in namespaces.values():
        whole.add(share)
    objects = counts.objects(roots, every=name_all)
    window = min(WINDOW, max(now - began, 1e-9))
    rate = sum(moment >= now - window for moment in counts.rewrites) / window
    seconds = whole.remaining / rate if rate else None
    return Progress(
        revision=tracker.revision,
        all=whole,
        namespaces=namespaces,
        under=tuple((*code, count) for code, count in sorted(counts.under.items())),
        unopened=counts.unopened,
        useless=counts.useless,
        created_otherwise=counts.created_otherwise,
        rate=rate,
        seconds_left=seconds if whole.remaining else 0.0,
        idle=now - max(counts.rewrites) if counts.rewrites else None,
        stuck=tuple(each for each in objects if each.stuck),
        created=tuple(each for each in objects if each.created),
        remaining=objects if name_all else (),
        absent=counts.absent(roots),
    )


def _created(entry: Entry) -> bool:
    """Whether an object that remains was created so; one that was written again is stuck for another reason."""
    return entry.created_otherwise and not entry.regressions


def _stuck(key: bytes, entry: Entry, passed: Mapping[bytes, bytes]) -> str:
    if entry.regressions:
        return "it was written again, and not as wanted: an API server writes with another configuration"
    if not entry.created and key < passed.get(key.rpartition(b"/")[0], b""):
        return "passed over: objects behind it were rewritten"
    return ""


def _name(key: bytes, roots: Sequence[Root]) -> Name:
    for resource, root in roots:
        if key.startswith(root):
            namespace, _, name = key[len(root) :].rpartition(b"/")
            return Name(resource, printable(namespace), printable(name), printable(key))
    return Name("", "", printable(key), printable(key))
