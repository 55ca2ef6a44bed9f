"""The objects of the evidence that refer to Secrets, with their owners.

Protobuf is read by columns; JSON and CBOR are decoded only where their bytes hold the name of a Secret that is asked
for. Encrypted values are opened for it with the keys of the run, and forgotten.
"""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from itertools import compress
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

import numpy as np

from auditor.arrays.buffer import Buffer
from auditor.arrays.dtypes import Bools, Ints
from auditor.arrays.parallel import chunks, split_by
from auditor.evidence.reading import Reading
from auditor.kubernetes import references, secret_names, trees
from auditor.kubernetes.references import Owners, Reference, Through
from auditor.kubernetes.store import Classified, Store
from auditor.kubernetes.wire_columns import unwrap
from auditor.model.vocabulary import Encoding, Opened, Place, Provider, State
from auditor.text import restore

if TYPE_CHECKING:
    from auditor.encryption.keyring import Keyring

SecretName: TypeAlias = tuple[bytes, bytes]
"""Namespace and name of a Secret."""
SILENT = frozenset({
    "secrets", "events", "events.events.k8s.io", "leases.coordination.k8s.io", "endpoints",
    "endpointslices.discovery.k8s.io", "controllerrevisions.apps",
})  # fmt: skip
"""Resources that refer to no Secret, or only as copies of what others say."""
CONTROLLED = frozenset({"replicasets.apps", "jobs.batch", "replicationcontrollers"})
"""Resources whose objects own Pods, and have owners of their own."""
PORTION = 1 << 9
"""Encrypted values that are opened together."""
FEW_NAMES = 1000
"""Names that are looked for one by one in CBOR, which separates no texts; with more of them all is decoded."""
HINTS = (references.PROVIDER_CLASS, *secret_names.INJECTIONS)
"""Fields that lead to a Secret without its name."""
_TEXT = re.compile(rb'["/]([^"/\\]{1,253})(?=")')
"""A text in JSON, or what follows its last slash. Names of objects are never escaped."""
_REFUSALS = (ValueError, RecursionError, TypeError, AttributeError, KeyError, OverflowError, EOFError, MemoryError)
"""What trees.parse() and the walk of a tree may raise."""


class Subject(NamedTuple):
    """An object. Texts are bytes, as stored."""

    resource: str
    namespace: bytes
    name: bytes


class Owner(NamedTuple):
    """The controller that an object names."""

    api_version: bytes
    kind: bytes
    name: bytes


class Edge(NamedTuple):
    """One reference of one version of an object."""

    reference: Reference
    subject: Subject
    mod_revision: int
    """Revision of the version; 0 for the current one."""


@dataclass
class Referrers:
    """The references of the evidence, and what of it was not read."""

    edges: dict[Edge, None] = field(default_factory=dict)
    """The references, each once, in the order of the evidence."""
    owners: dict[Subject, Owner] = field(default_factory=dict)
    """Controllers of objects; the current version counts."""
    present: set[bytes] = field(default_factory=set)
    """Etcd keys of current objects."""
    unread: bool = False
    """Whether a current object that could refer to a Secret was not read."""
    resources: Mapping[tuple[str, str], str] = field(default_factory=dict)
    """Names of the evidence's resources by group and plural."""


def collect(
    store: Store, reading: Reading, keyring: "Keyring | None", names: Collection[bytes], *, earlier: bool
) -> Referrers:
    """The references of every object that can be read to Secrets of these names.

    Args:
        store: all values of the evidence.
        reading: says whether the API server reads the latest values of a source.
        keyring: opens encrypted objects; None for no keys.
        names: of Secrets.
        earlier: whether earlier versions of the objects are read too.
    """
    found = Referrers(resources=_plurals(store))
    may_refer = np.array([_may_refer(entry.name, exempt=entry.exempt) for entry in store.resources], np.bool_)
    codes = np.array([references.message_code(entry.name) for entry in store.resources], np.int64)
    wanted = frozenset(names)
    for part in store.parts:
        batch = part.batch
        served = batch.at(Place.LATEST) if reading.serves(batch.source) else np.zeros(len(batch), np.bool_)
        served |= batch.has(State.NOT_YET_APPLIED)
        rows = np.flatnonzero(may_refer[part.resource] & part.stores & (batch.key_at >= 0) & (served | earlier))
        if rows.size:
            _Part(part.take(rows), served[rows], store, codes, wanted, found).read(keyring)
    found.unread |= bool(reading.gaps) or not found.present
    return found


def _may_refer(resource: str, *, exempt: bool) -> bool:
    return bool(resource) and not exempt and resource not in SILENT


def _plurals(store: Store) -> dict[tuple[str, str], str]:
    names = (entry.name for entry in store.resources if entry.name)
    return {(name.partition(".")[2], name.partition(".")[0]): name for name in names}


class _Part:
    """The objects of one batch that may refer to Secrets."""

    def __init__(
        self,
        part: Classified,
        current: Bools,
        store: Store,
        messages: Ints,
        names: frozenset[bytes],
        found: Referrers,
    ) -> None:
        self._part, self._current, self._store, self._messages = part, current, store, messages
        self._names, self._found = names, found
        batch = part.batch
        self._subjects: dict[int, Subject] = {}
        found.present.update(batch.data.slices(batch.key_at[current], batch.key_size[current]))

    def read(self, keyring: "Keyring | None") -> None:
        """Add the references of all objects, those of encrypted ones too where there are keys."""
        batch, claims = self._part.batch, self._part.prefixes
        plain = claims.provider == Provider.IDENTITY
        rows = np.flatnonzero(plain & (claims.encoding == Encoding.PROTOBUF))
        at, size, whole = unwrap(batch.data, batch.value_at[rows], batch.value_size[rows])
        self._miss(rows[~whole])
        self._protobuf(batch.data, at[whole], size[whole], rows[whole])
        for encoding in (Encoding.JSON, Encoding.CBOR):
            for row in np.flatnonzero(plain & (claims.encoding == encoding)).tolist():
                self._tree(row, batch.value(row), encoding)
        rows = np.flatnonzero(~plain)
        if keyring is None:
            self._miss(rows)
            return
        for code, places in split_by(self._part.resource[rows].astype(np.int64)):
            for portion in chunks(places.size, PORTION):
                self._open(keyring, self._store.resources[code].name, rows[places[portion]])

    def _subject(self, row: int) -> Subject:
        """The object that an etcd key names."""
        if row not in self._subjects:
            resource = self._store.resources[self._part.resource[row]]
            space, _, name = self._part.batch.key(row)[len(restore(resource.path)) + 1 :].rpartition(b"/")
            self._subjects[row] = Subject(resource.name, space, name)
        return self._subjects[row]

    def _miss(self, rows: Ints) -> None:
        """Note that these objects were not read: of earlier versions nothing is promised."""
        self._found.unread |= bool(self._current[rows].any())

    def _open(self, keyring: "Keyring", resource: str, rows: Ints) -> None:
        batch = self._part.batch
        keys = batch.data.slices(batch.key_at[rows], batch.key_size[rows])
        stored = batch.data.slices(batch.value_at[rows], batch.value_size[rows])
        texts: list[bytes] = []
        places: list[int] = []
        for row, attempt in zip(rows.tolist(), keyring.open(resource, keys, stored), strict=True):
            if attempt.opened is not Opened.YES:
                self._miss(np.array([row]))
            elif attempt.encoding is Encoding.PROTOBUF:
                texts.append(attempt.plaintext)
                places.append(row)
            else:
                self._tree(row, attempt.plaintext, attempt.encoding)
        if texts:
            length = np.array([len(text) for text in texts], np.int64)
            buffer = Buffer(b"".join(texts))
            at, size, whole = unwrap(buffer, np.cumsum(length) - length, length)
            row_of = np.array(places, np.int64)
            self._miss(row_of[~whole])
            self._protobuf(buffer, at[whole], size[whole], row_of[whole])

    def _tree(self, row: int, value: bytes, encoding: Encoding) -> None:
        """Add the references of an object in JSON or CBOR, if its bytes hold the name of a Secret."""
        if not self._holds_name(value, encoding):
            return
        subject = self._subject(row)
        try:
            tree = trees.parse(value, encoding)
            declared = list(references.of_tree(tree, subject.resource))
            named = [Reference(name, space, Through.NAME) for space, name in secret_names.of_tree(tree, self._names)]
            owner = references.owner_of(tree)
        except _REFUSALS:
            self._miss(np.array([row]))
            return
        if owner is not None:
            self._own(row, Owner(*owner))
        for reference in (*declared, *named):
            self._add(row, reference)

    def _holds_name(self, value: bytes, encoding: Encoding) -> bool:
        if encoding is Encoding.JSON:
            return not self._names.isdisjoint(_TEXT.findall(value)) or any(hint in value for hint in HINTS)
        return len(self._names) > FEW_NAMES or any(name in value for name in (*self._names, *HINTS))

    def _protobuf(self, buffer: Buffer, at: Ints, size: Ints, rows: Ints) -> None:
        """Add the references of objects in protobuf. rows: of the part."""
        extract = references.of_protobuf(buffer, at, size, self._messages[self._part.resource[rows]])
        self._miss(rows[extract.malformed])
        found = extract.references
        names = buffer.slices(found.name_at, found.name_size)
        kept = np.array([name in self._names for name in names], np.bool_)
        found = found.take(np.flatnonzero(kept))
        spaces = buffer.slices(found.namespace_at, np.maximum(found.namespace_size, 0))
        own = (found.namespace_size < 0).tolist()
        for row, name, space, is_own in dict.fromkeys(
            zip(rows[found.row].tolist(), compress(names, kept.tolist()), spaces, own, strict=True)
        ):
            self._add(row, Reference(name, None if is_own else space, Through.REFERENCE))
        for place, reference in extract.others:
            self._add(int(rows[place]), reference)
        referring = np.zeros(rows.size, np.bool_)
        referring[found.row] = True
        referring[[place for place, _ in extract.others]] = True
        self._owners(buffer, extract.owners, rows, referring)

    def _owners(self, buffer: Buffer, owners: Owners, rows: Ints, referring: Bools) -> None:
        """Add the controllers of objects that refer to a Secret, or that may own such ones."""
        owned = np.array([entry.name in CONTROLLED for entry in self._store.resources], np.bool_)
        owners = owners.take(np.flatnonzero(referring[owners.row] | owned[self._part.resource[rows[owners.row]]]))
        groups = buffer.slices(owners.group_at, np.maximum(owners.group_size, 0))
        kinds = buffer.slices(owners.kind_at, owners.kind_size)
        names = buffer.slices(owners.name_at, owners.name_size)
        for row, *cells in zip(rows[owners.row].tolist(), groups, kinds, names, strict=True):
            self._own(row, Owner(*cells))

    def _own(self, row: int, owner: Owner) -> None:
        subject = self._subject(row)
        if self._current[row] or subject not in self._found.owners:
            self._found.owners[subject] = owner

    def _add(self, row: int, reference: Reference) -> None:
        revision = 0 if self._current[row] else int(self._part.batch.mod_revision[row])
        if revision >= 0:
            subject = self._subject(row)
            if reference.namespace is None:
                own = subject.namespace or secret_names.CLUSTER_NAMESPACES.get(subject.resource, b"")
                reference = reference._replace(namespace=own)
            self._found.edges[Edge(reference, subject, revision)] = None


def versions(store: Store, subjects: Collection[Subject]) -> dict[Subject, list[int]]:
    """The revisions of every write of some objects, deletions too, ascending."""
    resources = {subject.resource for subject in subjects}
    wanted = np.array([entry.name in resources for entry in store.resources], np.bool_)
    paths = [len(restore(entry.path)) + 1 for entry in store.resources]
    revisions: dict[Subject, set[int]] = {}
    for part in store.parts:
        batch = part.batch
        rows = np.flatnonzero(wanted[part.resource] & (batch.key_at >= 0) & (batch.mod_revision >= 0))
        keys = batch.data.slices(batch.key_at[rows], batch.key_size[rows])
        cells = zip(keys, part.resource[rows].tolist(), batch.mod_revision[rows].tolist(), strict=True)
        for key, code, revision in cells:
            subject = Subject(store.resources[code].name, *key[paths[code] :].rpartition(b"/")[::2])
            if subject in subjects:
                revisions.setdefault(subject, set()).add(revision)
    return {subject: sorted(own) for subject, own in revisions.items()}
