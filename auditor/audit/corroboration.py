"""Corroboration of the supplied configurations by the evidence: whether each can be the current one, and unused keys.

The outcome is notes, never findings.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from auditor.arrays.dtypes import Bools, Ints
from auditor.encryption.configuration import Configuration, ProviderEntry
from auditor.evidence.batch import RecordBatch
from auditor.judgement.criteria import Criteria
from auditor.judgement.selection import Selection
from auditor.kubernetes import objects
from auditor.kubernetes.store import Store
from auditor.model.findings import KeyUsage
from auditor.model.vocabulary import Opened, Place, Provider
from auditor.text import NAME, marked, printable, shown

HASH_ANNOTATION = b".io/encryption-config-hash"
"""Behind `k3s` or `rke2`: k3s pkg/secretsencrypt/config.go (EncryptionHashAnnotation)."""
_HASHED = re.compile(rb"([a-z_]+)-([0-9a-f]{64})")
"""Stage, and the SHA-256 of the file's bytes (WriteEncryptionHashAnnotation)."""
ROTATION_STAGES = frozenset({"reencrypt_request", "reencrypt_active"})
"""Stages whose hash is of the keys (GenReencryptHash, in older versions) or of the file before its rotation."""
MOST = 5
"""Resources named in one note."""


@dataclass(frozen=True, slots=True)
class HashAnnotation:
    """The annotation of a current Node that names a configuration by its hash. Texts are printable."""

    node: str
    """Name of the Node."""
    name: str
    """Name of the annotation."""
    stage: str
    """Stage of the key rotation."""
    sha256: str
    """SHA-256 of the configuration file that the Node's API server reads."""


def observe(
    criteria: Criteria,
    authoritative: Sequence[Selection],
    store: Store,
    used: Sequence[KeyUsage],
    names: Sequence[str],
) -> Iterator[str]:
    """Notes on every configuration.

    Args:
        criteria: with the configurations.
        authoritative: the judged values that an API server reads.
        store: all stored values of the evidence.
        used: use of every key.
        names: of the resources.
    """
    if not criteria.configurations:
        return
    nodes = store.match(frozenset({"nodes"}))
    annotations = [
        annotation
        for part in store.parts
        if part.batch.source in {values.batch.source for values in authoritative}
        for annotation in _hash_annotations(part.batch, nodes[part.resource])
    ]
    for configuration in criteria.configurations:
        for note in (
            *_on_write_keys(configuration, criteria, authoritative, names),
            *_on_annotations(configuration, annotations),
            *_on_unused_keys(configuration, used, names),
        ):
            yield f"{configuration.source}: {note}"


def _on_write_keys(
    configuration: Configuration, criteria: Criteria, authoritative: Sequence[Selection], names: Sequence[str]
) -> Iterator[str]:
    """Whether the write key of each resource decrypts its newest values; resources with one outcome share a note."""
    outcomes: dict[str, list[str]] = {}
    for name in names:
        for entry in (configuration.providers_for(name) or ())[:1]:
            outcome, subject = _write_key_outcome(authoritative, name, entry, criteria)
            outcomes.setdefault(outcome, []).append(subject)
    for outcome, subjects in outcomes.items():
        more = f" and {len(subjects) - MOST:,} more resources" if len(subjects) > MOST else ""
        yield f"{outcome} {', '.join(subjects[:MOST])}{more}"


def _write_key_outcome(
    authoritative: Sequence[Selection], name: str, entry: ProviderEntry, criteria: Criteria
) -> tuple[str, str]:
    """Whether a resource's write provider writes its newest values, as a clause, and the values that it is about."""
    plain = entry.provider is Provider.IDENTITY
    writer, verb = (
        ("its write provider identity", "fit") if plain else (f"its write key {_key_label(entry)}", "decrypt")
    )
    unknown = f"whether {writer} is in force cannot be told from"
    which, rows = _newest_first(authoritative, name)
    if not rows.size:
        return unknown, f"{name} (no value was read)"
    count = _leading_count(authoritative, which, rows, name, entry, criteria)
    values, first = authoritative[which[0]], int(rows[0])
    newest = int(values.batch.mod_revision[first])
    under = _label(*values.key_labels[values.key_label[first]].pair)
    if count == 1:
        return f"{writer} {verb}s the newest", f"value of {name} (revision {newest:,})"
    if count:
        oldest = int(authoritative[which[count - 1]].batch.mod_revision[rows[count - 1]])
        return f"{writer} {verb}s the newest", f"{count:,} values of {name} (revisions {oldest:,} to {newest:,})"
    if under == _key_label(entry) and values.opened[first] == Opened.NO_KEY:
        return unknown, f"{name} (revision {newest:,}, the newest, was not decrypted)"
    by = " by its prefix" if under == _key_label(entry) else ""
    return f"{writer} does not {verb} the newest value of", f"{name} (revision {newest:,} is{by} under {under})"


def _newest_first(authoritative: Sequence[Selection], name: str) -> tuple[Ints, Ints]:
    """The values of a resource that a root leads to, newest revision first: number of the selection, and row in it."""
    which, rows, mod_revisions, sub_revisions = [], [], [], []
    for number, values in enumerate(authoritative):
        batch = values.batch
        of_resource = np.array([resource.stored_as == name for resource in values.resources], np.bool_)[values.resource]
        rooted = np.flatnonzero(of_resource & (batch.place <= Place.DELETED) & (batch.mod_revision >= 0))
        which.append(np.full(rooted.size, number, np.int64))
        rows.append(rooted)
        mod_revisions.append(batch.mod_revision[rooted])
        sub_revisions.append(batch.sub_revision[rooted])
    order = np.lexsort((np.concatenate(sub_revisions), np.concatenate(mod_revisions)))[::-1]
    return np.concatenate(which)[order], np.concatenate(rows)[order]


def _leading_count(
    authoritative: Sequence[Selection], which: Ints, rows: Ints, name: str, entry: ProviderEntry, criteria: Criteria
) -> int:
    """The number of leading values that an entry's first key writes.

    Args:
        authoritative: the selections.
        which: number of each value's selection.
        rows: row of each value in its selection.
        name: of the resource.
        entry: its write provider.
        criteria: with the keyring.
    """
    fits = np.zeros(rows.size, np.bool_)
    for number, values in enumerate(authoritative):
        own = which == number
        if entry.provider is Provider.IDENTITY:
            fits[own] = values.prefixes.provider[rows[own]] == Provider.IDENTITY
        else:
            labels = np.array([_label(*label.pair) == _key_label(entry) for label in values.key_labels], np.bool_)
            fits[own] = labels[values.key_label[rows[own]]] & (values.opened[rows[own]] == Opened.YES)
    count = int(np.argmin(np.append(fits, np.False_)))
    if criteria.keyring is None or not entry.keys:
        return count
    key = entry.keys[0]
    namesakes = [
        candidate for candidate in criteria.keyring.order(name) if candidate.label == (entry.provider, key.name)
    ]
    if len(namesakes) < 2:
        return count
    first = next(candidate for candidate in namesakes if candidate.secret == key.secret)
    for number, (source, row) in enumerate(zip(which[:count].tolist(), rows[:count].tolist(), strict=True)):
        batch = authoritative[source].batch
        if not first.opens(batch.key(row), batch.value(row)):
            return number
    return count


def _hash_annotations(batch: RecordBatch, nodes: Bools) -> Iterator[HashAnnotation]:
    """The annotations of the current Nodes. nodes: whether each record is that of a Node."""
    for row in np.flatnonzero(nodes & batch.at(Place.LATEST)).tolist():
        value = batch.value(row)
        for name, text in objects.annotations(value).items() if HASH_ANNOTATION in value else ():
            if name.endswith(HASH_ANNOTATION) and (hashed := _HASHED.fullmatch(text)):
                node = batch.key(row).rpartition(b"/")[2]
                yield HashAnnotation(printable(node), printable(name), hashed[1].decode(), hashed[2].decode())


def _on_annotations(configuration: Configuration, annotations: Sequence[HashAnnotation]) -> Iterator[str]:
    """Whether the file is the one that annotations of k3s or RKE2 name."""
    nodes: dict[str, list[str]] = {}
    for annotation in annotations:
        stage = f"(stage {annotation.stage})"
        if annotation.sha256 == configuration.sha256:
            outcome = f"it matches the annotation {annotation.name} {stage}"
        elif annotation.stage in ROTATION_STAGES:
            outcome = f"the annotation {annotation.name} proves nothing of it while keys are rotated {stage}"
        else:
            outcome = f"it differs from what the annotation {annotation.name} names {stage}"
        nodes.setdefault(outcome, []).append(marked(annotation.node, NAME))
    for outcome, names in nodes.items():
        yield f"{outcome} of {'node' if len(names) == 1 else 'nodes'} {', '.join(names)}"


def _on_unused_keys(configuration: Configuration, used: Sequence[KeyUsage], names: Sequence[str]) -> Iterator[str]:
    """Keys that no value in the evidence needs."""
    needed = {_label(use.provider, use.key_name) for use in used if use.values}
    listed = [
        _key_label(entry, number)
        for resource in names
        for entry in configuration.providers_for(resource) or ()
        for number in range(max(1, len(entry.keys)))
        if entry.provider is not Provider.IDENTITY
    ]
    if unused := [key for key in dict.fromkeys(listed) if key not in needed]:
        yield f"nothing read here is under {', '.join(unused)}; other backups and members may be"


def _key_label(entry: ProviderEntry, number: int = 0) -> str:
    name = entry.keys[number].name if entry.keys else entry.name
    return _label(entry.provider, shown(name))


def _label(provider: Provider, name: str) -> str:
    return "/".join(part for part in (provider.label, name) if part)
