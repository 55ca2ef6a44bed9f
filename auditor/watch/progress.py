"""How far a rewrite has come: what the tracker knows, and a clock -> numbers."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from operator import itemgetter

from auditor.model.vocabulary import Opened, Provider
from auditor.text import printable
from auditor.watch.tracker import Entry, StoredForm, Tracker

WINDOW = 60.0
"""Seconds over which the rate is taken."""


@dataclass(frozen=True, slots=True)
class Name:
    """An object by its names, printable."""

    resource: str
    namespace: str
    name: str
    key: str


@dataclass(frozen=True, slots=True)
class Remaining:
    """An object that is not as wanted. why: the finding. stuck: why it seems not to be coming, or empty."""

    object: Name
    form: StoredForm
    why: str
    revision: int
    stuck: str


@dataclass(slots=True)
class NamespaceProgress:
    """The objects of one namespace. total is remaining + rewritten + deleted; present is what there is now."""

    total: int = 0
    remaining: int = 0
    rewritten: int = 0
    deleted: int = 0
    present: int = 0

    def add(self, other: "NamespaceProgress") -> None:
        self.total += other.total
        self.remaining += other.remaining
        self.rewritten += other.rewritten
        self.deleted += other.deleted
        self.present += other.present


@dataclass(frozen=True, slots=True)
class Progress:
    """The rewrite as of a revision. all: the sums of namespaces, by name.

    total counts every object that was ever seen in another form than the wanted one. under: (provider, key name, KEK
    id, whether wanted, values). unopened: values as wanted by their prefix that no supplied key was there to open.
    rate: rewritten a second, over the last WINDOW. seconds_left: None where that cannot be told. still: seconds since
    anything was rewritten, None before the first. left: what remains, where it was asked for; stuck: some of it.
    """

    revision: int
    all: NamespaceProgress
    namespaces: Mapping[str, NamespaceProgress]
    under: tuple[tuple[Provider, str, str, bool, int], ...]
    unopened: int
    rate: float
    seconds_left: float | None
    idle: float | None
    stuck: tuple[Remaining, ...] = field(repr=False)
    remaining: tuple[Remaining, ...] = field(repr=False)


Root = tuple[str, bytes]
"""A resource, and what the keys of its objects begin with."""


class _Counts:
    """What is counted on the way through the keys. deadline: rewritten before it, a key has passed over others."""

    def __init__(self, tracker: Tracker, deadline: float) -> None:
        self.folders: dict[bytes, NamespaceProgress] = {}
        self.under: dict[tuple[Provider, str, str, bool], int] = {}
        self.remaining: list[tuple[bytes, StoredForm, Entry]] = []
        self.rewrites: list[float] = []
        self.passed: dict[bytes, bytes] = {}
        self.unopened = 0
        self._tracker = tracker
        self._deadline = deadline
        self._wanted: dict[StoredForm, bool] = {}

    def add(self, key: bytes, entry: Entry) -> None:
        folder = key.rpartition(b"/")[0]
        share = self.folders.get(folder) or self.folders.setdefault(folder, NamespaceProgress())
        form = entry.form
        if form is None:
            share.total += entry.counted
            share.deleted += entry.counted
            return
        share.present += 1
        if form not in self._wanted:
            self._wanted[form] = self._tracker.conforms(form)
        wanted = self._wanted[form]
        code = form.provider, form.key_name, form.kek_id, wanted
        self.under[code] = self.under.get(code, 0) + 1
        share.total += entry.counted or not wanted
        if not wanted:
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

    def namespaces(self, roots: Sequence[Root]) -> dict[str, NamespaceProgress]:
        namespaces: dict[str, NamespaceProgress] = {}
        for folder, share in sorted(self.folders.items()):
            name = _name(folder + b"/", roots).namespace
            namespaces.setdefault(name, NamespaceProgress()).add(share)
        return namespaces

    def named(self, roots: Sequence[Root], *, every: bool) -> tuple[Remaining, ...]:
        """What remains, by key; unless every, only what is stuck."""
        reasons = ((key, form, entry, _stuck(key, entry, self.passed)) for key, form, entry in self.remaining)
        chosen = sorted((each for each in reasons if every or each[3]), key=itemgetter(0))
        return tuple(
            Remaining(_name(key, roots), form, self._tracker.why(form), entry.revision, stuck)
            for key, form, entry, stuck in chosen
        )


def measure(
    tracker: Tracker, roots: Sequence[Root], began: float, now: float, patience: float, *, name_all: bool = False
) -> Progress:
    """began: when the watch did. patience: seconds after which an object that was passed over counts as stuck.

    name_all: name everything that remains, which takes a second for 100,000 objects.
    """
    counts = _Counts(tracker, now - patience)
    for key, entry in tracker.entries.items():
        counts.add(key, entry)
    namespaces = counts.namespaces(roots)
    whole = NamespaceProgress()
    for share in namespaces.values():
        whole.add(share)
    named = counts.named(roots, every=name_all)
    window = min(WINDOW, max(now - began, 1e-9))
    rate = sum(moment >= now - window for moment in counts.rewrites) / window
    seconds = whole.remaining / rate if rate else None
    return Progress(
        revision=tracker.revision,
        all=whole,
        namespaces=namespaces,
        under=tuple((*code, count) for code, count in sorted(counts.under.items())),
        unopened=counts.unopened,
        rate=rate,
        seconds_left=seconds if whole.remaining else 0.0,
        idle=now - max(counts.rewrites) if counts.rewrites else None,
        stuck=tuple(each for each in named if each.stuck),
        remaining=named if name_all else (),
    )


def _stuck(key: bytes, entry: Entry, passed: Mapping[bytes, bytes]) -> str:
    if entry.regressions:
        return "it was written again, and not as wanted: an API server writes with another configuration"
    if key < passed.get(key.rpartition(b"/")[0], b""):
        return "passed over: objects behind it were rewritten"
    return ""


def _name(key: bytes, roots: Sequence[Root]) -> Name:
    for resource, root in roots:
        if key.startswith(root):
            namespace, _, name = key[len(root) :].rpartition(b"/")
            return Name(resource, printable(namespace), printable(name), printable(key))
    return Name("", "", printable(key), printable(key))
