"""The column `used_by`: the objects of the evidence that refer to a Secret, as reports name them.

Of Pods, ReplicaSets and Jobs the controller is named, up to the first that is none of these, where the evidence has it.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from auditor.arrays.dictionary import constant, encode_if_smaller
from auditor.arrays.dtypes import Ints
from auditor.arrays.parallel import run_starts, split_by
from auditor.audit.display_names import DisplayNames
from auditor.audit.referrers import Collection, SecretName, collect
from auditor.evidence.reading import Reading
from auditor.judgement.selection import Selection
from auditor.kubernetes.references import Through
from auditor.kubernetes.store import Store
from auditor.model.vocabulary import Place
from auditor.text import restore

if TYPE_CHECKING:
    from auditor.encryption.keyring import Keyring

NO_REFERENCE, UNKNOWN = "no reference found", "unknown"
MOST = 10
"""Objects of one cell."""
NAMES = " (names)"
"""Mark of an object that names a Secret in a field that is not declared as a reference."""
DETOURS = {
    Through.PROVIDER_CLASS: "secretproviderclasses.secrets-store.csi.x-k8s.io",
    Through.CERTIFICATE: "certificates.cert-manager.io",
}
"""Resources of objects through which others refer to Secrets."""


class Version(NamedTuple):
    """An earlier version of an object that refers to a Secret."""

    name: str
    """Display name of the object."""
    first: int
    """Its revision."""
    last: int
    """The revision before which it was current; 0 where that is not known."""


@dataclass(frozen=True, slots=True)
class Usage:
    """Who refers to the Secrets that were asked for. Display names have marks for redaction."""

    users: Mapping[SecretName, Sequence[str]]
    """Display names of current objects, sorted, those that refer first."""
    earlier: Mapping[SecretName, Sequence[Version]]
    """Earlier versions of objects."""
    lifetimes: Mapping[SecretName, Sequence[int]]
    """Revisions of the writes of Secrets that have earlier users, ascending."""
    unread: bool
    """Whether an object that could refer to a Secret was not read."""

    def cell(self, secret: SecretName, revision: int, selectors: Sequence[str] = ()) -> str:
        """The cell of one value.

        Args:
            secret: namespace and name.
            revision: mod revision of a leftover; -1 of a current value, or where it is not known.
            selectors: controllers that select it by its labels.
        """
        users = self.users.get(secret, ())
        past = self.users_at(secret, revision)
        count = len(users) + len(past) + len(selectors)
        parts = [*users[:MOST], *(f"{name} (at revision {revision})" for name in past), *selectors][:MOST]
        if count > MOST:
            parts.append(f"+{count - MOST}")
        if self.unread:
            parts.append(UNKNOWN)
        return ";".join(parts) or NO_REFERENCE

    def users_at(self, secret: SecretName, revision: int) -> list[str]:
        """The objects that referred to a Secret while one of its revisions was current, and do so no more."""
        if revision < 0 or secret not in self.earlier:
            return []
        end = next((other for other in self.lifetimes.get(secret, ()) if other > revision), 0)
        names = {
            version.name
            for version in self.earlier[secret]
            if (not end or version.first < end) and (not version.last or version.last > revision)
        }
        present = {name.removesuffix(NAMES) for name in self.users.get(secret, ())}
        return _ordered(name for name in names if name.removesuffix(NAMES) not in present)


def _ordered(names: Iterable[str]) -> list[str]:
    return sorted(names, key=lambda name: (name.endswith(NAMES), name))


def find(
    store: Store, reading: Reading, keyring: "Keyring | None", secrets: Sequence[SecretName], *, leftovers: bool
) -> Usage:
    """Who refers to some Secrets.

    Args:
        store: all values of the evidence.
        reading: says whether the API server reads the latest values of a source.
        keyring: opens encrypted objects; None for no keys.
        secrets: namespace and name of each.
        leftovers: whether some of them are leftovers, to which earlier versions of objects may have referred.
    """
    collection = collect(store, reading, keyring, secrets, earlier=leftovers)
    display = DisplayNames(collection, store)
    secret, subject, named = _edges(collection, display)
    texts = np.array(display.of(subject), object)
    users: dict[SecretName, list[str]] = {}
    past: dict[SecretName, list[Version]] = {}
    until = display.successors() if leftovers and (display.revisions[subject] > 0).any() else None
    for number, rows in split_by(secret):
        current = display.revisions[subject[rows]] == 0
        refers = set(texts[rows[current & ~named[rows]]].tolist())
        names = {name + NAMES for name in texts[rows[current & named[rows]]].tolist() if name not in refers}
        if refers or names:
            users[secrets[number]] = sorted(refers) + sorted(names)
        old = rows[~current]
        if until is not None and old.size:
            own = zip(
                texts[old].tolist(), named[old].tolist(), display.revisions[subject[old]].tolist(),
                until[subject[old]].tolist(), strict=True,
            )  # fmt: skip
            past[secrets[number]] = [Version(name + NAMES * only, first, last) for name, only, first, last in own]
    return Usage(users, past, _lifetimes(store, past), collection.unread)


def _edges(collection: Collection, display: DisplayNames) -> tuple[Ints, Ints, Ints]:
    """Secret, subject and whether it is only named, of each distinct reference, those through another object too."""
    parts = [
        (numbers, rows + base, np.full(rows.size, named))
        for objects, base in zip(collection.objects, display.bases, strict=True)
        for rows, numbers, named in objects.edges
    ]
    secret, subject, named = (
        np.concatenate([part[place] for part in parts]) if parts else np.zeros(0, np.int64) for place in range(3)
    )
    detours = [
        (base + detour.row, detour)
        for objects, base in zip(collection.objects, display.bases, strict=True)
        for detour in objects.detours
    ]
    if detours:
        by_object: dict[tuple[str, bytes, bytes], set[int]] = {}
        for number, each in zip(secret.tolist(), subject.tolist(), strict=True):
            resource, namespace, name = display.subject(each)
            if resource in DETOURS.values() and display.revisions[each] == 0:
                by_object.setdefault((resource, namespace, name), set()).add(number)
        more = [
            (number, row)
            for row, detour in detours
            for number in by_object.get((DETOURS[detour.through], detour.namespace, detour.name), ())
        ]
        secret = np.concatenate((secret, np.array([number for number, _ in more], np.int64)))
        subject = np.concatenate((subject, np.array([row for _, row in more], np.int64)))
        named = np.concatenate((named, np.zeros(len(more), np.bool_)))
    # the same field may stand in several containers: each edge counts once
    size = max(int(subject.max(initial=0)) + 1, 1)
    distinct = np.sort((secret * size + subject) * 2 + named)
    distinct = distinct[run_starts(distinct)]
    both = distinct // 2
    return both // size, both % size, (distinct % 2).astype(np.bool_)


def _lifetimes(store: Store, past: Mapping[SecretName, object]) -> dict[SecretName, list[int]]:
    """The revisions of every write of some Secrets, deletions too, ascending."""
    if not past:
        return {}
    secrets = np.array([entry.name == "secrets" for entry in store.resources], np.bool_)
    paths = [len(restore(entry.path)) + 1 for entry in store.resources]
    revisions: dict[SecretName, set[int]] = {secret: set() for secret in past}
    for part in store.parts:
        batch = part.batch
        rows = np.flatnonzero(secrets[part.resource] & (batch.key_at >= 0) & (batch.mod_revision >= 0))
        keys = batch.data.slices(batch.key_at[rows], batch.key_size[rows])
        cells = zip(keys, part.resource[rows].tolist(), batch.mod_revision[rows].tolist(), strict=True)
        for key, code, revision in cells:
            namespace, _, name = key[paths[code] :].rpartition(b"/")
            if (namespace, name) in revisions:
                revisions[namespace, name].add(revision)
    return {secret: sorted(own) for secret, own in revisions.items()}


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
        own = secrets_of(values)
        rows = np.fromiter(own, np.int64, len(own))
        chosen = (values.findings[rows] > 0) | listed
        old = values.batch.place[rows] != Place.LATEST
        for secret, picked, leftover in zip(own.values(), chosen.tolist(), old.tolist(), strict=True):
            if secret[1] and picked:
                secrets[secret] = None
                leftovers |= leftover
    return find(store, reading, keyring, list(secrets), leftovers=leftovers) if secrets else None


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
    key_at = values.batch.key_at[rows]
    keys = values.batch.data.slices(np.maximum(key_at, 0), values.batch.key_size[rows])
    paths = [len(restore(entry.path)) + 1 for entry in values.resources]
    secrets: dict[int, SecretName] = {}
    columns = (rows.tolist(), keys, (key_at >= 0).tolist(), values.resource[rows].tolist())
    for row, key, keyed, code in zip(*columns, strict=True):
        if keyed:
            namespace, _, name = key[paths[code] :].rpartition(b"/")
        else:
            decoded = values.decode(row)
            namespace, name = (decoded.namespace, decoded.name) if decoded is not None else (b"", b"")
        secrets[row] = namespace, name
    return secrets
