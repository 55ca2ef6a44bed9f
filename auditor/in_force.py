"""What the evidence says of the configurations supplied: whether each can be the one in force, and which of its keys
nothing read here uses. Noted, never judged.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from auditor.batch import Batch
from auditor.columns import Bools, Ints, counts
from auditor.encryption.configuration import Configuration, ProviderEntry
from auditor.model import KeyUse, Opened, Place, Provider
from auditor.rules import Rules
from auditor.selection import Selection
from auditor.storage import objects
from auditor.storage.keys import Keys
from auditor.text import NAME, marked, printable

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
    given: Rules,
    selections: Sequence[Selection],
    batches: Sequence[Batch],
    found: Keys,
    used: Sequence[KeyUse],
    scope: Sequence[str],
) -> list[str]:
    """Notes on every configuration; scope: the resources judged."""
    main = next((each for each in selections if each.main), None)
    if not given.configurations or main is None:
        return []
    seen = sorted({main.resource[of].name for of, _ in counts(main.of.astype(np.int64))}) if "*" in scope else []
    names = list(dict.fromkeys([*(name for name in scope if name != "*"), *seen]))
    proofs = [
        proof
        for batch, resource in zip(batches, found.resource, strict=True)
        if batch.source == main.batch.source
        for proof in _proofs(batch, found.of(frozenset({"nodes"}))[resource])
    ]
    return [
        f"{each.source}: {note}"
        for each in given.configurations
        for note in (*_writing(each, given, main, names), *_proven(each, proofs), *_unused(each, used, names))
    ]


def _writing(each: Configuration, given: Rules, main: Selection, names: Sequence[str]) -> Iterator[str]:
    """Whether the write key of each resource opens the newest values of it; resources of one answer share a note."""
    told: dict[str, list[str]] = {}
    for name in names:
        for entry in (each.providers_for(name) or ())[:1]:
            answer, what = _written(main, name, entry, given)
            told.setdefault(answer, []).append(what)
    for answer, of in told.items():
        more = f" and {len(of) - MOST:,} more resources" if len(of) > MOST else ""
        yield f"{answer} {', '.join(of[:MOST])}{more}"


def _written(main: Selection, name: str, entry: ProviderEntry, given: Rules) -> tuple[str, str]:
    """What is to be said of a resource's write provider, and of which values."""
    plain = entry.provider is Provider.IDENTITY
    writer, opens = ("its write provider identity", "fit") if plain else (f"its write key {_key(entry)}", "open")
    unknown = f"whether {writer} is in force cannot be told from"
    rows = _newest_first(main, name)
    if not rows.size:
        return unknown, f"{name} (no value was read)"
    count = _leading(main, rows, name, entry, given)
    newest, oldest = int(main.batch.main[rows[0]]), int(main.batch.main[rows[count - 1]])
    under = _label(*main.labels[main.label[rows[0]]])
    if count == 1:
        return f"{writer} {opens}s the newest", f"value of {name} (revision {newest:,})"
    if count:
        return f"{writer} {opens}s the newest", f"{count:,} values of {name} (revisions {oldest:,} to {newest:,})"
    if under == _key(entry) and main.opened[rows[0]] == Opened.NO_KEY:
        return unknown, f"{name} (revision {newest:,}, the newest, was not opened)"
    by = " by its prefix" if under == _key(entry) else ""
    return f"{writer} does not {opens} the newest value of", f"{name} (revision {newest:,} is{by} under {under})"


def _newest_first(main: Selection, name: str) -> Ints:
    """The rows of a resource that a root leads to, the newest revision first."""
    wanted = np.array([each.name == name for each in main.resource], np.bool_)
    rows = np.flatnonzero(wanted[main.of] & (main.batch.place <= Place.DELETED) & (main.batch.main >= 0))
    newest: Ints = rows[np.lexsort((main.batch.sub[rows], main.batch.main[rows]))[::-1]]
    return newest


def _leading(main: Selection, rows: Ints, name: str, entry: ProviderEntry, given: Rules) -> int:
    """How many of these values, from the first on, are as an entry's first key writes them."""
    if entry.provider is Provider.IDENTITY:
        good = main.values.provider[rows] == Provider.IDENTITY
    else:
        mine = np.array([_label(*label) == _key(entry) for label in main.labels], np.bool_)
        good = mine[main.label[rows]] & (main.opened[rows] == Opened.YES)
    count = int(np.argmin(np.append(good, np.False_)))
    if given.keyring is None or not entry.keys:
        return count
    alike = [each for each in given.keyring.order(name) if each.label == (entry.provider, entry.keys[0].name)]
    if len(alike) < 2:
        return count
    own = next(each for each in alike if each.secret == entry.keys[0].secret)
    for number, row in enumerate(rows[:count].tolist()):
        if not own.opens(main.batch.key(row), main.batch.value(row)):
            return number
    return count


def _proofs(batch: Batch, wanted: Bools) -> Iterator[Proof]:
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


def _unused(each: Configuration, used: Sequence[KeyUse], names: Sequence[str]) -> Iterator[str]:
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
    return _label(entry.provider, printable(name.encode("utf-8", "surrogateescape")))


def _label(provider: Provider, name: str) -> str:
    return "/".join(part for part in (provider.label, name) if part)
