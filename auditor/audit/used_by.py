"""The column `used_by`: the objects of the evidence that refer to a Secret, as reports name them.

Of Pods, ReplicaSets and Jobs the controller is named, up to the first that is none of these, where the evidence has it.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from auditor.arrays.dictionary import constant, encode_if_smaller
from auditor.audit.referrers import CONTROLLED, Edge, Owner, Referrers, SecretName, Subject, collect, versions
from auditor.evidence.reading import Reading
from auditor.judgement.selection import Selection
from auditor.kubernetes.references import ANY, Through
from auditor.kubernetes.resources import path_of
from auditor.kubernetes.store import Store
from auditor.model.vocabulary import Place
from auditor.text import NAME, NAMESPACE, encode, marked, printable, restore

if TYPE_CHECKING:
    from auditor.encryption.keyring import Keyring

NO_REFERENCE, UNKNOWN = "no reference found", "unknown"
MOST = 10
"""Objects of one cell."""
_CLIMBED = CONTROLLED | {"pods"}
_ENDINGS = (("", "s"), ("", "es"), ("y", "ies"))
"""Endings of a kind in lower case, and of its plural."""
PROVIDER_CLASSES = "secretproviderclasses.secrets-store.csi.x-k8s.io"
CERTIFICATES = "certificates.cert-manager.io"


class User(NamedTuple):
    """An object that refers to a Secret."""

    through: Through
    """REFERENCE or NAME."""
    subject: Subject


class Version(NamedTuple):
    """An earlier version of an object that refers to a Secret."""

    user: User
    first: int
    """Its revision."""
    last: int
    """The revision before which it was current; 0 where that is not known."""


@dataclass(frozen=True, slots=True)
class Usage:
    """Who refers to the Secrets that were asked for."""

    users: Mapping[SecretName, Sequence[User]]
    """Current objects, those that refer first, by name."""
    earlier: Mapping[SecretName, Sequence[Version]]
    """Earlier versions of objects."""
    lifetimes: Mapping[SecretName, Sequence[int]]
    """Revisions of the writes of Secrets that have earlier users, ascending."""
    unread: bool
    """Whether an object that could refer to a Secret was not read."""

    def cell(self, secret: SecretName, revision: int, selectors: Sequence[str] = ()) -> str:
        """The cell of one value, with marks for redaction.

        Args:
            secret: namespace and name.
            revision: mod revision of a leftover; -1 of a current value, or where it is not known.
            selectors: controllers that select it by its labels.
        """
        parts = [_label(user) for user in self.users.get(secret, ())]
        present = {user.subject for user in self.users.get(secret, ())}
        parts += [
            f"{_label(user)} (at revision {revision})"
            for user in self.users_at(secret, revision)
            if user.subject not in present
        ]
        parts += selectors
        if len(parts) > MOST:
            parts[MOST:] = [f"+{len(parts) - MOST}"]
        if self.unread:
            parts.append(UNKNOWN)
        return ";".join(parts) or NO_REFERENCE

    def users_at(self, secret: SecretName, revision: int) -> list[User]:
        """The objects that referred to a Secret while one of its revisions was current."""
        if revision < 0 or secret not in self.earlier:
            return []
        end = next((other for other in self.lifetimes.get(secret, ()) if other > revision), 0)
        users = {
            version.user
            for version in self.earlier[secret]
            if (not end or version.first < end) and (not version.last or version.last > revision)
        }
        return sorted(users, key=_order)


def _order(user: User) -> tuple[bool, Subject]:
    return user.through is Through.NAME, user.subject


def _label(user: User) -> str:
    resource, namespace, name = user.subject
    parts = [resource, marked(printable(namespace), NAMESPACE) if namespace else "", marked(printable(name), NAME)]
    return "/".join(filter(None, parts)) + (" (names)" if user.through is Through.NAME else "")


def find(
    store: Store, reading: Reading, keyring: "Keyring | None", secrets: Collection[SecretName], *, leftovers: bool
) -> Usage:
    """Who refers to some Secrets.

    Args:
        store: all values of the evidence.
        reading: says whether the API server reads the latest values of a source.
        keyring: opens encrypted objects; None for no keys.
        secrets: namespace and name of each.
        leftovers: whether some of them are leftovers, to which earlier versions of objects may have referred.
    """
    names = {name for _, name in secrets}
    referrers = collect(store, reading, keyring, names, earlier=leftovers)
    by_name: dict[bytes, list[SecretName]] = {}
    for secret in secrets:
        by_name.setdefault(secret[1], []).append(secret)
    search = _Search(referrers, store, by_name)
    users: dict[SecretName, dict[Subject, User]] = {}
    past: dict[SecretName, list[tuple[User, Edge]]] = {}
    for secret, user, edge in search.resolved():
        if edge.mod_revision:
            past.setdefault(secret, []).append((user, edge))
        else:
            own = users.setdefault(secret, {})
            if own.setdefault(user.subject, user).through is Through.NAME:
                own[user.subject] = user
    writes = versions(store, {edge.subject for own in past.values() for _, edge in own})
    secret_writes = versions(store, {Subject("secrets", *secret) for secret in past})
    return Usage(
        users={secret: sorted(own.values(), key=_order) for secret, own in users.items()},
        earlier={secret: [_version(user, edge, writes) for user, edge in own] for secret, own in past.items()},
        lifetimes={(subject.namespace, subject.name): own for subject, own in secret_writes.items()},
        unread=referrers.unread,
    )


def _version(user: User, edge: Edge, writes: Mapping[Subject, Sequence[int]]) -> Version:
    last = next((other for other in writes.get(edge.subject, ()) if other > edge.mod_revision), 0)
    return Version(user, edge.mod_revision, last)


class _Search:
    """The references of the evidence, resolved to Secrets and to the objects that are named for them."""

    def __init__(self, referrers: Referrers, store: Store, secrets: Mapping[bytes, Sequence[SecretName]]) -> None:
        self._referrers, self._secrets = referrers, secrets
        self._prefixes = tuple(map(encode, store.storage_prefixes))
        self._tops: dict[tuple[Subject, bool], Subject] = {}

    def resolved(self) -> Iterator[tuple[SecretName, User, Edge]]:
        """Secret and user of each reference, those through another object too."""
        through: dict[tuple[str, bytes, bytes], list[SecretName]] = {}
        for edge in self._referrers.edges:
            if edge.reference.through in {Through.REFERENCE, Through.NAME}:
                for secret in self._targets(edge):
                    yield secret, self._user(edge), edge
                    if edge.subject.resource in {PROVIDER_CLASSES, CERTIFICATES} and not edge.mod_revision:
                        through.setdefault(edge.subject, []).append(secret)
        resources = {Through.PROVIDER_CLASS: PROVIDER_CLASSES, Through.CERTIFICATE: CERTIFICATES}
        for edge in self._referrers.edges:
            _, namespace, way = edge.reference
            if way in resources:
                for secret in through.get((resources[way], namespace or b"", edge.reference.name), ()):
                    yield secret, self._user(edge), edge

    def _targets(self, edge: Edge) -> Iterator[SecretName]:
        for secret in self._secrets.get(edge.reference.name, ()):
            if edge.reference.namespace in {secret[0], ANY}:
                yield secret

    def _user(self, edge: Edge) -> User:
        named = edge.reference.through is Through.NAME
        current = not edge.mod_revision
        if (edge.subject, current) not in self._tops:
            self._tops[edge.subject, current] = self._top(edge.subject, current=current)
        return User(Through.NAME if named else Through.REFERENCE, self._tops[edge.subject, current])

    def _top(self, subject: Subject, *, current: bool) -> Subject:
        """The controller at the top, as far as the evidence has it; for an earlier version as far as it is named."""
        seen = {subject}
        while subject.resource in _CLIMBED and (owner := self._referrers.owners.get(subject)) is not None:
            resource = self._resource(owner)
            above = Subject(resource, subject.namespace, owner.name)
            if not resource or above in seen or (current and not self._exists(above)):
                break
            seen.add(above)
            subject = above
        return subject

    def _resource(self, owner: Owner) -> str:
        """The resource of an owner's kind; empty where the evidence has none, and for a Node, which owns no Pods."""
        group, slash, _ = owner.api_version.partition(b"/")
        kind = printable(owner.kind).lower()
        if not slash and kind == "node":
            return ""
        plurals = [kind.removesuffix(end) + plural for end, plural in _ENDINGS if kind.endswith(end)]
        known = (self._referrers.resources.get((printable(group) if slash else "", plural)) for plural in plurals)
        return next(filter(None, known), "")

    def _exists(self, subject: Subject) -> bool:
        path = encode(path_of(subject.resource))
        keys = (b"/".join((prefix, path, subject.namespace, subject.name)) for prefix in self._prefixes)
        return any(key in self._referrers.present for key in keys)


def of_selections(
    selections: Sequence[Selection], store: Store, reading: Reading, keyring: "Keyring | None", *, listed: bool
) -> Usage | None:
    """Who refers to the Secrets that reports name; None where there are none.

    Args:
        selections: the judged values.
        store: all values of the evidence.
        reading: says whether the API server reads the latest values of a source.
        keyring: opens encrypted objects; None for no keys.
        listed: whether reports name every value, not only those with findings.
    """
    secrets: dict[SecretName, None] = {}
    leftovers = False
    for values in selections:
        for row, secret in secrets_of(values).items():
            if secret[1] and (listed or values.findings[row]):
                secrets[secret] = None
                leftovers |= values.batch.place[row] != Place.LATEST
    return find(store, reading, keyring, secrets.keys(), leftovers=leftovers) if secrets else None


def column(usage: Usage | None, values: Selection, selectors: Sequence[tuple[str, ...]]) -> Sequence[str]:
    """The cell of every value of a selection; empty for those of other resources, and without a usage.

    Args:
        usage: of all Secrets.
        values: the selection.
        selectors: controllers that select each Secret by its labels.
    """
    cells = [""] * len(values)
    if usage is None:
        return constant("", len(values))
    current = (values.served | values.batch.at(Place.LATEST)).tolist()
    revisions = values.batch.mod_revision.tolist()
    for row, secret in secrets_of(values).items():
        cells[row] = (
            usage.cell(secret, -1 if current[row] else revisions[row], selectors[row]) if secret[1] else UNKNOWN
        )
    return encode_if_smaller(cells)


def secrets_of(values: Selection) -> dict[int, SecretName]:
    """Namespace and name of every value that is a Secret's, by row; empty where the name is lost."""
    names = np.array([entry.name == "secrets" for entry in values.resources], np.bool_)
    rows = np.flatnonzero(names[values.resource])
    keys = values.batch.data.slices(np.maximum(values.batch.key_at[rows], 0), values.batch.key_size[rows])
    paths = [len(restore(entry.path)) + 1 for entry in values.resources]
    secrets: dict[int, SecretName] = {}
    for row, key, code in zip(rows.tolist(), keys, values.resource[rows].tolist(), strict=True):
        if values.batch.key_at[row] >= 0:
            namespace, _, name = key[paths[code] :].rpartition(b"/")
        else:
            decoded = values.decode(row)
            namespace, name = (decoded.namespace, decoded.name) if decoded is not None else (b"", b"")
        secrets[row] = namespace, name
    return secrets
