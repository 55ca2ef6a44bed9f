"""The labels of objects that refer to Secrets: their own, or those of the controllers at the top of their owners."""

from collections.abc import Iterator
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


class Labels:
    """Labels, revisions and names of the objects of a collection, each by its number: the batch's base and the row."""

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
        self._labels: dict[int, str] = {}
        self._tops: dict[tuple[Owner, bytes, bool], str] = {}
        self._resources: dict[tuple[bytes, bytes], str] = {}
        self._owner_of = dict(self._owners())
        self._present: set[bytes] = set()
        self._chain: dict[Subject, Owner] = {}
        for objects, base in zip(self._objects, self.bases, strict=True):
            self._index(objects, base)

    def of(self, numbers: Ints) -> list[str]:
        """The labels of some objects, with marks for redaction."""
        missing = [number for number in numbers.tolist() if number not in self._labels]
        if missing:
            self._name(np.array(missing))
        return list(map(self._labels.__getitem__, numbers.tolist()))

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

    def _owners(self) -> Iterator[tuple[int, Owner]]:
        for objects, base in zip(self._objects, self.bases, strict=True):
            for rows, owners in objects.owners:
                yield from zip((rows + base).tolist(), owners, strict=True)

    def _index(self, objects: Objects, base: int) -> None:
        """Note the keys of current objects, and the owners of those that may own Pods."""
        batch, resource = objects.part.batch, objects.part.resource
        self._present.update(batch.data.slices(batch.key_at[objects.current], batch.key_size[objects.current]))
        owned = np.array([entry.name in CONTROLLED for entry in self._store.resources], np.bool_)
        for row in np.flatnonzero(owned[resource]).tolist():
            owner = self._owner_of.get(base + row)
            subject = self._subject(objects, row)
            if owner is not None and (objects.current[row] or subject not in self._chain):
                self._chain[subject] = owner

    def _subject(self, objects: Objects, row: int) -> Subject:
        code = objects.part.resource[row]
        namespace, _, name = objects.part.batch.key(row)[self._paths[code] :].rpartition(b"/")
        return Subject(self._store.resources[code].name, namespace, name)

    def _name(self, numbers: Ints) -> None:
        """Make the labels of some objects, of each batch together."""
        places = np.searchsorted(self.bases, numbers, side="right") - 1
        for place, which in split_by(places):
            part, rows = self._objects[place].part, numbers[which] - self.bases[place]
            keys = printables(part.batch.data.slices(part.batch.key_at[rows], part.batch.key_size[rows]))
            current = self._objects[place].current[rows].tolist()
            cells = zip(numbers[which].tolist(), keys, part.resource[rows].tolist(), current, strict=True)
            for number, key, code, is_current in cells:
                resource = self._store.resources[code]
                namespace, _, name = key[len(resource.path) + 1 :].rpartition("/")
                owner = self._owner_of.get(number) if resource.name in CLIMBED else None
                space = restore(namespace) if "\\" in namespace else namespace.encode()
                label = self._top(owner, space, current=is_current) if owner is not None else ""
                self._labels[number] = label or _label(resource.name, namespace, name)

    def _top(self, first: Owner, namespace: bytes, *, current: bool) -> str:
        """The label of the topmost controller that the evidence has; empty where it has none.

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
        self._tops[known] = "" if top is None else _label(top.resource, printable(top.namespace), printable(top.name))
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


def _label(resource: str, namespace: str, name: str) -> str:
    """The label of an object, of printable names."""
    space = f"{marked(namespace, NAMESPACE)}/" if namespace else ""
    return f"{resource}/{space}{marked(name, NAME)}"
