"""The objects of the evidence that refer to Secrets, by columns: which Secret, which object, which of its versions.

Protobuf is read by columns; JSON and CBOR are decoded only where their bytes hold the name of a Secret that is asked
for. Encrypted values are opened for it with the keys of the run, and forgotten.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

import numpy as np

from auditor.arrays.buffer import Buffer
from auditor.arrays.dtypes import Bools, Ints
from auditor.arrays.factorize import factorize
from auditor.arrays.parallel import chunks, split_by
from auditor.evidence.reading import Reading
from auditor.kubernetes import json_text, references, secret_names, trees
from auditor.kubernetes.references import ANY, Owners, Reference, References, Through
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
PORTION = 1 << 9
"""Encrypted values that are opened together."""
FEW_NAMES = 1000
"""Names that are looked for one by one in CBOR, which separates no texts; with more of them all is decoded."""
HINTS = (references.PROVIDER_CLASS, *secret_names.INJECTIONS)
"""Fields that lead to a Secret without its name."""
_TEXT = re.compile(rb'["/]([^"/\\]{1,253})(?=")')
"""A text in JSON, or what follows its last slash. Names of objects are never escaped."""
_MOST_CODES = 1 << 40
"""Codes of several columns together that are not numbered anew."""
_REFUSALS = (ValueError, RecursionError, TypeError, AttributeError, KeyError, OverflowError, EOFError, MemoryError)
"""What trees.parse() and the walk of a tree may raise."""


class Owner(NamedTuple):
    """The controller that an object names."""

    api_version: bytes
    kind: bytes
    name: bytes


class Detour(NamedTuple):
    """A reference to an object that names a Secret, such as a Certificate."""

    row: int
    through: Through
    namespace: bytes
    name: bytes


@dataclass
class Objects:
    """The objects of one batch that may refer to Secrets, and their references: rows are those of `part`."""

    part: Classified
    current: Bools
    """Whether the API server reads each, or would."""
    edges: list[tuple[Ints, Ints, bool]] = field(default_factory=list)
    """Rows, numbers of the Secrets they refer to, and whether they only name them."""
    detours: list[Detour] = field(default_factory=list)
    owners: list[tuple[Ints, Ints, list[Owner]]] = field(default_factory=list)
    """Rows, and the controller of each: its index in a list of distinct ones."""
    space: Ints = field(init=False)
    """Index of each row's namespace."""
    spaces: list[bytes] = field(init=False)
    """The distinct namespaces; empty for that of cluster-scoped objects."""


class Collection(NamedTuple):
    """All references, and whether an object that could refer to a Secret was not read."""

    objects: list[Objects]
    unread: bool


def collect(
    store: Store, reading: Reading, keyring: "Keyring | None", secrets: Sequence[SecretName], *, earlier: bool
) -> Collection:
    """The references of every object that can be read to some Secrets.

    Args:
        store: all values of the evidence.
        reading: says whether the API server reads the latest values of a source.
        keyring: opens encrypted objects; None for no keys.
        secrets: namespace and name of each; a Secret's number is its place here.
        earlier: whether earlier versions of the objects are read too.
    """
    may_refer = np.array([may_refer_to(entry.name, exempt=entry.exempt) for entry in store.resources], np.bool_)
    targets = _Targets(secrets)
    found = []
    unread = bool(reading.gaps)
    for part in store.parts:
        batch = part.batch
        served = batch.at(Place.LATEST) if reading.serves(batch.source) else np.zeros(len(batch), np.bool_)
        served |= batch.has(State.NOT_YET_APPLIED)
        rows = np.flatnonzero(may_refer[part.resource] & part.stores & (batch.key_at >= 0) & (served | earlier))
        if rows.size:
            reader = _Reader(Objects(part.take(rows), served[rows]), store, targets)
            reader.read(keyring)
            found.append(reader.objects)
            unread |= reader.unread
    return Collection(found, unread or not any(objects.current.any() for objects in found))


def may_refer_to(resource: str, *, exempt: bool) -> bool:
    """Whether objects of a resource may refer to Secrets."""
    return bool(resource) and not exempt and resource not in SILENT


class _Targets:
    """The Secrets that are asked for, by name."""

    def __init__(self, secrets: Sequence[SecretName]) -> None:
        self.names = frozenset(name for _, name in secrets)
        self.number = {secret: number for number, secret in enumerate(secrets)}
        self._by_name: dict[bytes, list[int]] = {}
        for number, (_, name) in enumerate(secrets):
            self._by_name.setdefault(name, []).append(number)

    def of(self, namespace: bytes, name: bytes) -> Iterable[int]:
        """The numbers of the Secrets of a name in a namespace, or in ANY."""
        if namespace == ANY:
            return self._by_name.get(name, ())
        return (self.number[namespace, name],) if (namespace, name) in self.number else ()


class _Reader:
    """Reads the references of one batch."""

    def __init__(self, objects: Objects, store: Store, targets: _Targets) -> None:
        self.objects, self.unread = objects, False
        self._store, self._targets = store, targets
        self._messages = np.array([references.message_code(entry.name) for entry in store.resources], np.int64)
        batch, resource = objects.part.batch, objects.part.resource
        head = np.array([len(restore(entry.path)) + 1 for entry in store.resources], np.int64)[resource]
        rest = np.maximum(batch.key_size - head, 0)
        size = np.maximum(batch.data.find(batch.key_at + head, rest, ord("/")), 0)
        # kcp's are CLUSTER/NAMESPACE: up to the second slash, where there is one
        more = batch.data.find(batch.key_at + head + size + 1, np.maximum(rest - size - 1, 0), ord("/"))
        size += np.where((size > 0) & (more >= 0), more + 1, 0)
        objects.space, heads = factorize(batch.data, batch.key_at + head, size)
        objects.spaces = batch.data.slices((batch.key_at + head)[heads], size[heads])

    def read(self, keyring: "Keyring | None") -> None:
        """Read all objects, encrypted ones too where there are keys."""
        batch, claims = self.objects.part.batch, self.objects.part.prefixes
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
        for code, places in split_by(self.objects.part.resource[rows].astype(np.int64)):
            for portion in chunks(places.size, PORTION):
                self._open(keyring, self._store.resources[code].name, rows[places[portion]])

    def _miss(self, rows: Ints) -> None:
        """Note that these objects were not read: of earlier versions nothing is promised."""
        self.unread |= bool(self.objects.current[rows].any())

    def _open(self, keyring: "Keyring", resource: str, rows: Ints) -> None:
        batch = self.objects.part.batch
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
            buffer, row_of = Buffer(b"".join(texts)), np.array(places, np.int64)
            at, size, whole = unwrap(buffer, np.cumsum(length) - length, length)
            self._miss(row_of[~whole])
            self._protobuf(buffer, at[whole], size[whole], row_of[whole])

    def _tree(self, row: int, value: bytes, encoding: Encoding) -> None:
        """Read an object in JSON or CBOR, if its bytes hold the name of a Secret."""
        if not self._holds_name(value, encoding):
            return
        if encoding is Encoding.JSON and json_text.is_deep(value):  # a name may stand below
            self._miss(np.array([row]))
        resource = self._store.resources[self.objects.part.resource[row]].name
        try:
            tree = trees.parse(value, encoding)
            found = list(references.of_tree(tree, resource))
            named = secret_names.of_tree(tree, self._targets.names)
            found += [Reference(name, space, Through.NAME) for space, name in named]
            owner = references.owner_of(tree)
        except _REFUSALS:
            self._miss(np.array([row]))
            return
        if owner is not None:
            self.objects.owners.append((np.array([row]), np.zeros(1, np.int64), [Owner(*owner)]))
        for reference in found:
            self._add(row, reference)

    def _holds_name(self, value: bytes, encoding: Encoding) -> bool:
        names = self._targets.names
        if encoding is Encoding.JSON:
            return not names.isdisjoint(_TEXT.findall(value)) or any(hint in value for hint in HINTS)
        return len(names) > FEW_NAMES or any(name in value for name in (*names, *HINTS))

    def _add(self, row: int, reference: Reference) -> None:
        name, namespace, through = reference
        if namespace is None:
            resource = self._store.resources[self.objects.part.resource[row]].name
            namespace = self.objects.spaces[self.objects.space[row]] or secret_names.CLUSTER_NAMESPACES.get(
                resource, b""
            )
        if through in {Through.PROVIDER_CLASS, Through.CERTIFICATE}:
            self.objects.detours.append(Detour(row, through, namespace, name))
            return
        numbers = np.array(list(self._targets.of(namespace, name)), np.int64)
        self.objects.edges.append((np.full(numbers.size, row), numbers, through is Through.NAME))

    def _protobuf(self, buffer: Buffer, at: Ints, size: Ints, rows: Ints) -> None:
        """Read objects in protobuf. rows: of the batch."""
        extract = references.of_protobuf(buffer, at, size, self._messages[self.objects.part.resource[rows]])
        self._miss(rows[extract.malformed])
        self._match(buffer, extract.references, rows)
        for place, reference in extract.others:
            self._add(int(rows[place]), reference)
        self._own(buffer, extract.owners, rows)

    def _match(self, buffer: Buffer, found: References, rows: Ints) -> None:
        """Add the references to Secrets that are asked for: distinct pairs of namespace and name are looked up once."""
        codes, heads = factorize(buffer, found.name_at, found.name_size)
        names = buffer.slices(found.name_at[heads], found.name_size[heads])
        kept = np.flatnonzero(np.array([name in self._targets.names for name in names], np.bool_)[codes])
        found, codes = found.take(kept), codes[kept]
        space = self.objects.space[rows[found.row]]
        spaces = list(self.objects.spaces)
        stated = np.flatnonzero(found.namespace_size >= 0)
        texts = buffer.slices(found.namespace_at[stated], found.namespace_size[stated])
        code_of = {text: code for code, text in enumerate(spaces)}
        for text in texts:
            if code_of.setdefault(text, len(spaces)) == len(spaces):
                spaces.append(text)
        space[stated] = [code_of[text] for text in texts]
        pairs, inverse = np.unique(space * max(len(names), 1) + codes, return_inverse=True)
        looked_up = (
            self._targets.number.get((spaces[pair // len(names)], names[pair % len(names)])) for pair in pairs.tolist()
        )
        numbers = np.array([-1 if number is None else number for number in looked_up], np.int64)[inverse]
        self.objects.edges.append((rows[found.row[numbers >= 0]], numbers[numbers >= 0], False))

    def _own(self, buffer: Buffer, owners: Owners, rows: Ints) -> None:
        """Add the controllers: equal ones, of which an object of many copies has thousands, are one."""
        parts = [
            (owners.group_at, np.maximum(owners.group_size, 0)),
            (owners.kind_at, owners.kind_size),
            (owners.name_at, owners.name_size),
        ]
        code, count = np.zeros(len(owners), np.int64), 1
        for at, size in parts:
            codes, distinct = factorize(buffer, at, size)
            if count * distinct.size > _MOST_CODES:
                code = np.unique(code, return_inverse=True)[1]
                count = len(owners)
            code, count = code * distinct.size + codes, count * distinct.size
        _, heads, code = np.unique(code, return_index=True, return_inverse=True)
        texts = [buffer.slices(at[heads], size[heads]) for at, size in parts]
        self.objects.owners.append((rows[owners.row], code, list(map(Owner, *texts))))
