"""What the evidence says of the configurations supplied: whether each can be the one in force, and which of its keys
nothing read here uses. Noted, never judged.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from auditor.arrays.dtypes import Bools, Ints
from auditor.arrays.parallel import value_counts
from auditor.encryption.configuration import Configuration, ProviderEntry
from auditor.evidence.batch import RecordBatch
from auditor.judgement.criteria import Criteria
from auditor.judgement.selection import Selection
from auditor.kubernetes import objects
from auditor.kubernetes.registry import Keys
from auditor.model.findings import KeyUsage
from auditor.model.vocabulary import Opened, Place, Provider
from auditor.text import NAME, marked, printable, shown

ANNOTATION = b".io/encryption-config-hash"
"""Behind `k3s` or `rke2`: k3s pkg/secretsencrypt/config.go (EncryptionHashAnnotation)."""
_HASHED = re.compile(rb"([a-z_]+)-([0-9a-f]{64})")
"""Stage, and the SHA-256 of the file's bytes (WriteEncryptionHashAnnotation)."""
ROTATING = frozenset({"reencrypt_request", "reencrypt_active"})
"""Stages whose hash is of the keys (GenReencryptHash, in older versions) or of the file before its rotation."""
MOST = 5
"""Resources named in one note."""


@dataclass(frozen=True, slots=True)
class Proof:
    """What the annotation of a current Node says. node, name and stage are printable."""

    node: str
    name: str
    stage: str
    sha256: str


def observe(
    given: Criteria,
    selections: Sequence[Selection],
    batches: Sequence[RecordBatch],
    found: Keys,
    used: Sequence[KeyUsage],
    scope: Sequence[str],
) -> list[str]:
    """Notes on every configuration; scope: the resources judged."""
    mains = [each for each in selections if each.authoritative]
    if not given.configurations or not mains:
        return []
    seen = sorted({each.resources[of].name for each in mains for of, _ in value_counts(each.resource.astype(np.int64))})
    seen = seen if "*" in scope else []
    names = list(dict.fromkeys([*(name for name in scope if name != "*"), *seen]))
    proofs = [
        proof
        for batch, resource in zip(batches, found.resource, strict=True)
        if batch.source in {each.batch.source for each in mains}
        for proof in _proofs(batch, found.of(frozenset({"nodes"}))[resource])
    ]
    return [
        f"{each.source}: {note}"
        for each in given.configurations
        for note in (*_writing(each, given, mains, names), *_proven(each, proofs), *_unused(each, used, names))
    ]


def _writing(each: Configuration, given: Criteria, mains: Sequence[Selection], names: Sequence[str]) -> Iterator[str]:
    """Whether the write key of each resource opens the newest values of it; resources of one answer share a note."""
    told: dict[str, list[str]] = {}
    for name in names:
        for entry in (each.providers_for(name) or ())[:1]:
            answer, what = _written(mains, name, entry, given)
            told.setdefault(answer, []).append(what)
    for answer, of in told.items():
        more = f" and {len(of) - MOST:,} more resources" if len(of) > MOST else ""
        yield f"{answer} {', '.join(of[:MOST])}{more}"


def _written(mains: Sequence[Selection], name: str, entry: ProviderEntry, given: Criteria) -> tuple[str, str]:
    """What is to be said of a resource's write provider, and of which values."""
    plain = entry.provider is Provider.IDENTITY
    writer, opens = ("its write provider identity", "fit") if plain else (f"its write key {_key(entry)}", "open")
    unknown = f"whether {writer} is in force cannot be told from"
    which, rows = _newest_first(mains, name)
    if not rows.size:
        return unknown, f"{name} (no value was read)"
    count = _leading(mains, which, rows, name, entry, given)
    main, first = mains[which[0]], int(rows[0])
    newest = int(main.batch.mod_revision[first])
    under = _label(*main.key_labels[main.key_label[first]])
    if count == 1:
        return f"{writer} {opens}s the newest", f"value of {name} (revision {newest:,})"
    if count:
        oldest = int(mains[which[count - 1]].batch.mod_revision[rows[count - 1]])
        return f"{writer} {opens}s the newest", f"{count:,} values of {name} (revisions {oldest:,} to {newest:,})"
    if under == _key(entry) and main.opened[first] == Opened.NO_KEY:
        return unknown, f"{name} (revision {newest:,}, the newest, was not opened)"
    by = " by its prefix" if under == _key(entry) else ""
    return f"{writer} does not {opens} the newest value of", f"{name} (revision {newest:,} is{by} under {under})"


def _newest_first(mains: Sequence[Selection], name: str) -> tuple[Ints, Ints]:
    """The values of a resource that a root leads to, the newest revision first: which selection, and row of it."""
    which, rows, main, sub = [], [], [], []
    for number, each in enumerate(mains):
        wanted = np.array([resource.name == name for resource in each.resources], np.bool_)
        mine = np.flatnonzero(
            wanted[each.resource] & (each.batch.place <= Place.DELETED) & (each.batch.mod_revision >= 0)
        )
        which.append(np.full(mine.size, number, np.int64))
        rows.append(mine)
        main.append(each.batch.mod_revision[mine])
        sub.append(each.batch.sub_revision[mine])
    order = np.lexsort((np.concatenate(sub), np.concatenate(main)))[::-1]
    return np.concatenate(which)[order], np.concatenate(rows)[order]


def _leading(
    mains: Sequence[Selection], which: Ints, rows: Ints, name: str, entry: ProviderEntry, given: Criteria
) -> int:
    """How many of these values, from the first on, are as an entry's first key writes them."""
    good = np.zeros(rows.size, np.bool_)
    for number, main in enumerate(mains):
        mine = which == number
        if entry.provider is Provider.IDENTITY:
            good[mine] = main.prefixes.provider[rows[mine]] == Provider.IDENTITY
        else:
            labels = np.array([_label(*label) == _key(entry) for label in main.key_labels], np.bool_)
            good[mine] = labels[main.key_label[rows[mine]]] & (main.opened[rows[mine]] == Opened.YES)
    count = int(np.argmin(np.append(good, np.False_)))
    if given.keyring is None or not entry.keys:
        return count
    alike = [each for each in given.keyring.order(name) if each.label == (entry.provider, entry.keys[0].name)]
    if len(alike) < 2:
        return count
    own = next(each for each in alike if each.secret == entry.keys[0].secret)
    for number, (main, row) in enumerate(zip(which[:count].tolist(), rows[:count].tolist(), strict=True)):
        if not own.opens(mains[main].batch.key(row), mains[main].batch.value(row)):
            return number
    return count


def _proofs(batch: RecordBatch, wanted: Bools) -> Iterator[Proof]:
    """What the current Nodes among these rows are annotated with."""
    for row in np.flatnonzero(wanted & batch.at(Place.LATEST)).tolist():
        value = batch.value(row)
        for name, said in objects.annotations(value).items() if ANNOTATION in value else ():
            if name.endswith(ANNOTATION) and (hashed := _HASHED.fullmatch(said)):
                node = batch.key(row).rpartition(b"/")[2]
                yield Proof(printable(node), printable(name), hashed[1].decode(), hashed[2].decode())


def _proven(each: Configuration, proofs: Sequence[Proof]) -> Iterator[str]:
    """Whether the file is the one that k3s or RKE2 said it was using."""
    told: dict[str, list[str]] = {}
    for proof in proofs:
        if proof.sha256 == each.sha256:
            what = f"it matches the annotation {proof.name} (stage {proof.stage})"
        elif proof.stage in ROTATING:
            what = f"the annotation {proof.name} proves nothing of it while keys are rotated (stage {proof.stage})"
        else:
            what = f"it differs from what the annotation {proof.name} names (stage {proof.stage})"
        told.setdefault(what, []).append(marked(proof.node, NAME))
    for what, where in told.items():
        yield f"{what} of {'node' if len(where) == 1 else 'nodes'} {', '.join(where)}"


def _unused(each: Configuration, used: Sequence[KeyUsage], names: Sequence[str]) -> Iterator[str]:
    """Keys that could be there for other evidence only."""
    needed = {_label(use.provider, use.key_name) for use in used if use.values}
    listed = [
        _key(entry, number)
        for resource in names
        for entry in each.providers_for(resource) or ()
        for number in range(max(1, len(entry.keys)))
        if entry.provider is not Provider.IDENTITY
    ]
    if unused := [key for key in dict.fromkeys(listed) if key not in needed]:
        yield f"nothing read here is under {', '.join(unused)}; other backups and members may be"


def _key(entry: ProviderEntry, number: int = 0) -> str:
    name = entry.keys[number].name if entry.keys else entry.name
    return _label(entry.provider, shown(name))


def _label(provider: Provider, name: str) -> str:
    return "/".join(part for part in (provider.label, name) if part)
