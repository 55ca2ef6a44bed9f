"""The display names of objects that refer to Secrets: their own, or of the controllers at the top of their owners."""

from collections.abc import Container
from functools import cache
from typing import NamedTuple

import numpy as np

from auditor.arrays.dtypes import Ints
from auditor.arrays.join import groups
from auditor.arrays.parallel import split_by
from auditor.audit.referrers import Collection, Objects, Owner, may_refer_to
from auditor.kubernetes.resources import path_of
from auditor.kubernetes.store import Store
from auditor.text import NAME, NAMESPACE, encode, marked, printable, printables, restore

CONTROLLED = frozenset({"replicasets.apps", "jobs.batch", "replicationcontrollers"})
"""Resources whose objects own Pods, and have owners of their own."""
CLIMBED = CONTROLLED | {"pods"}
"""Resources in whose stead the controller is named."""
_ENDINGS = (("", "s"), ("", "es"), ("y", "ies"))
"""Endings of a kind in lower case, and of its plural."""


class Subject(NamedTuple):
    """An object. Texts are bytes, as stored."""

    resource: str
    namespace: bytes
    name: bytes


class DisplayNames:
    """How reports name the objects of a collection, and their revisions, by number: a batch's base and the row."""

    bases: list[int]
    """Number of the first object of each batch."""
    revisions: Ints
    """Revision of each object's version; 0 for a current one, -1 where it is not known."""

    def __init__(self, collection: Collection, store: Store) -> None:
        self._objects, self._store = collection.objects, store
        sizes = [len(objects.part) for objects in collection.objects]
        self.bases = np.cumsum([0, *sizes])[:-1].tolist()
        parts = [np.where(each.current, 0, each.part.batch.mod_revision) for each in collection.objects]
        self.revisions = np.concatenate(parts) if parts else np.zeros(0, np.int64)
        self._paths = [len(restore(entry.path)) + 1 for entry in store.resources]
        self._plurals = _plurals(store)
        self._prefixes = tuple(map(encode, store.storage_prefixes))
        self._display = np.empty(self.revisions.size, object)
        self._is_named = np.zeros(self.revisions.size, np.bool_)
        self._tops: dict[tuple[Owner, bytes, bool], str] = {}
        self._resources: dict[tuple[bytes, bytes], str] = {}
        self._owners: list[Owner] = []
        self._owner_of = np.full(self.revisions.size, -1)
        self._note_owners()
        self._present: set[bytes] = set()
        self._chain: dict[Subject, Owner] = {}
        kinds = [(owner.api_version, owner.kind) for owner in self._owners]
        owning = {self._resource(*kind) for kind in set(kinds)} - {""}
        self._known = np.array([bool(self._resources[kind]) for kind in kinds], np.bool_)
        for objects, base in zip(self._objects, self.bases, strict=True):
            self._index(objects, base, owning)

    def of(self, numbers: Ints) -> list[str]:
        """The display names of some objects, with marks for redaction."""
        missing = np.zeros(self._display.size, np.bool_)
        missing[numbers] = True
        missing &= ~self._is_named
        if missing.any():
            self._name(np.flatnonzero(missing))
            self._is_named |= missing
        names: list[str] = self._display[numbers].tolist()
        return names

    def subject(self, number: int) -> Subject:
        """Resource, namespace and name of an object, by its etcd key."""
        place = int(np.searchsorted(self.bases, number, side="right")) - 1
        return self._subject(self._objects[place], number - self.bases[place])

    def successors(self) -> Ints:
        """The revision at which each object's version was replaced or deleted; 0 where that is not known."""
        wanted = np.array([may_refer_to(each.name, exempt=each.exempt) for each in self._store.resources], np.bool_)
        rows = [np.flatnonzero(wanted[part.resource] & (part.batch.key_at >= 0)) for part in self._store.parts]
        batches = [part.batch for part in self._store.parts]
        own = [objects.part.batch for objects in self._objects]
        strings = [(batch.data, batch.key_at[at], batch.key_size[at]) for batch, at in zip(batches, rows, strict=True)]
        codes, _ = groups([*strings, *((batch.data, batch.key_at, batch.key_size) for batch in own)])
        written = np.concatenate([batch.mod_revision[at] for batch, at in zip(batches, rows, strict=True)])
        key = np.concatenate(codes[: len(batches)])
        order = np.lexsort((written, key))
        key, written = key[order], written[order]
        mine, since = np.concatenate(codes[len(batches) :]), np.concatenate([batch.mod_revision for batch in own])
        # numbers that sort by key, then revision
        span = int(max(written.max(initial=0), since.max(initial=0))) + 2
        place = np.searchsorted(key * span + written, mine * span + since, side="right")
        after = np.minimum(place, max(key.size - 1, 0))
        known = (place < key.size) & (key[after] == mine)
        return np.where(known, written[after], 0)

    def _note_owners(self) -> None:
        """Number the controllers, and note which each object has."""
        number_of: dict[Owner, int] = {}
        for objects, base in zip(self._objects, self.bases, strict=True):
            for rows, codes, owners in objects.owners:
                numbers = np.array([number_of.setdefault(owner, len(number_of)) for owner in owners], np.int64)
                self._owner_of[rows + base] = numbers[codes]
        self._owners = list(number_of)

    def _index(self, objects: Objects, base: int, owning: Container[str]) -> None:
        """Note the keys of current objects that may be owners, and the owners of those that may own Pods."""
        batch, resource = objects.part.batch, objects.part.resource
        may_own = np.array([entry.name in owning for entry in self._store.resources], np.bool_)
        rows = np.flatnonzero(objects.current & may_own[resource])
        self._present.update(batch.data.slices(batch.key_at[rows], batch.key_size[rows]))
        owned = np.array([entry.name in CONTROLLED for entry in self._store.resources], np.bool_)
        owner_of = self._owner_of[base : base + len(objects.part)]
        for row in np.flatnonzero(owned[resource] & (owner_of >= 0)).tolist():
            subject = self._subject(objects, row)
            if objects.current[row] or subject not in self._chain:
                self._chain[subject] = self._owners[owner_of[row]]

    def _subject(self, objects: Objects, row: int) -> Subject:
        code = objects.part.resource[row]
        namespace, _, name = objects.part.batch.key(row)[self._paths[code] :].rpartition(b"/")
        return Subject(self._store.resources[code].name, namespace, name)

    def _name(self, numbers: Ints) -> None:
        """Make the display names of some objects, of each batch together."""
        places = np.searchsorted(self.bases, numbers, side="right") - 1
        for place, which in split_by(places):
            self._name_own(self._objects[place], numbers[which], numbers[which] - self.bases[place])
            self._name_owned(self._objects[place], numbers[which], numbers[which] - self.bases[place])

    def _name_own(self, objects: Objects, numbers: Ints, rows: Ints) -> None:
        """The display names of objects by their own names: those of one resource and namespace together."""
        batch = objects.part.batch
        size = max(len(objects.spaces), 1)
        for code, which in split_by(objects.part.resource[rows].astype(np.int64) * size + objects.space[rows]):
            resource, space = self._store.resources[code // size], objects.spaces[code % size]
            head = self._paths[code // size] + (len(space) + 1 if space else 0)
            at, length = batch.key_at[rows[which]] + head, batch.key_size[rows[which]] - head
            names = printables(batch.data.slices(at, np.maximum(length, 0)))
            before, _, end = _shown(resource.name, printable(space), "/").rpartition("/")
            self._display[numbers[which]] = [f"{before}{name}{end}" for name in names]

    def _name_owned(self, objects: Objects, numbers: Ints, rows: Ints) -> None:
        """The display names of objects that have a controller: those of one controller together."""
        climbed = np.array([entry.name in CLIMBED for entry in self._store.resources], np.bool_)
        owner = np.where(climbed[objects.part.resource[rows]], self._owner_of[numbers], -1)
        which = np.flatnonzero((owner >= 0) & np.append(self._known, False)[owner])
        size = max(len(objects.spaces), 1)
        code = (owner[which] * size + objects.space[rows[which]]) * 2 + objects.current[rows[which]]
        for each, places in split_by(code):
            space = objects.spaces[each // 2 % size]
            if name := self._top(self._owners[each // 2 // size], space, current=bool(each % 2)):
                self._display[numbers[which[places]]] = name

    def _top(self, first: Owner, namespace: bytes, *, current: bool) -> str:
        """The display name of the topmost controller that the evidence has; empty where it has none.

        Args:
            first: the first controller.
            namespace: of the objects.
            current: whether the controllers must be current objects: those of earlier versions may be gone.
        """
        known = (first, namespace, current)
        if known in self._tops:
            return self._tops[known]
        top: Subject | None = None
        seen: set[Subject] = set()
        owner: Owner | None = first
        while owner is not None:
            above = Subject(self._resource(owner.api_version, owner.kind), namespace, owner.name)
            if not above.resource or above in seen or (current and not self._exists(above)):
                break
            seen.add(above)
            top = above
            owner = self._chain.get(above) if above.resource in CLIMBED else None
        self._tops[known] = "" if top is None else _shown(top.resource, printable(top.namespace), printable(top.name))
        return self._tops[known]

    def _resource(self, api_version: bytes, kind: bytes) -> str:
        """The resource of a kind; empty where the evidence has none, and for a Node, which owns no Pods."""
        if (api_version, kind) not in self._resources:
            group, slash, _ = api_version.partition(b"/")
            singular = printable(kind).lower()
            plurals = [singular.removesuffix(end) + plural for end, plural in _ENDINGS if singular.endswith(end)]
            known = (self._plurals.get((printable(group) if slash else "", plural)) for plural in plurals)
            resource = next(filter(None, known), "")
            self._resources[api_version, kind] = "" if resource == "nodes" else resource
        return self._resources[api_version, kind]

    def _exists(self, subject: Subject) -> bool:
        path = encode(_path(subject.resource))
        keys = (b"/".join((prefix, path, subject.namespace, subject.name)) for prefix in self._prefixes)
        return any(key in self._present for key in keys)


@cache
def _path(resource: str) -> str:
    return path_of(resource)


def _plurals(store: Store) -> dict[tuple[str, str], str]:
    """Names of the evidence's resources by group and plural."""
    names = (entry.name for entry in store.resources if entry.name)
    return {(name.partition(".")[2], name.partition(".")[0]): name for name in names}


def _shown(resource: str, namespace: str, name: str) -> str:
    """The display name of an object, of printable names."""
    space = f"{marked(namespace, NAMESPACE)}/" if namespace else ""
    return f"{resource}/{space}{marked(name, NAME)}"
