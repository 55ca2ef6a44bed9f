"""Every stored value of one key: the evidence read as a scan reads it, and the rest of it left alone."""

import os
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from auditor.arrays.dtypes import Ints
from auditor.audit import custody, unexamined
from auditor.errors import UsageError
from auditor.evidence import exhibit, reading
from auditor.evidence.batch import RecordBatch
from auditor.history import versions
from auditor.history.model import History
from auditor.judgement import criteria, opening, selection
from auditor.judgement.policy import Policy
from auditor.judgement.selection import Selection
from auditor.kubernetes import fragments, prefixes, registry
from auditor.kubernetes.resources import Resource
from auditor.model.evidence import Cluster, Unexamined
from auditor.model.vocabulary import Opened, Provider, State
from auditor.observer import SILENT, Observer
from auditor.options import Options
from auditor.text import printable, restore, shown

Part = tuple[RecordBatch, prefixes.Prefixes, NDArray[np.int32]]


def history(files: exhibit.Exhibit, options: Options, key: str, observer: Observer = SILENT) -> History:
    """The object under an etcd key or, of the first resource of the options, a `namespace/name`.

    Raises UsageError where no such key was read, and UnreadableEvidence.
    """
    given = criteria.prepare(options)
    read = reading.read(files, quick=False)
    batches = read.batches
    classified = [prefixes.classify(batch) for batch in batches]
    likely = [each.provider != Provider.UNKNOWN for each in classified]
    stored, found = fragments.attribute(
        batches, classified, registry.classify(batches, likely, options.storage_prefixes)
    )
    wanted = _keys(key, options.resources[0].rstrip("."), found)
    every = {each: _parts(each, batches, stored, found) for each in wanted}
    there = [each for each, parts in every.items() if parts]
    if len(there) > 1:
        names = ", ".join(map(printable, there))
        raise UsageError(f"{_argument(key)} is more than one key: give one of {names}")
    if not there:
        raise UsageError(_absent(key, wanted, files.name, len(read.gaps)))
    parts = every[there[0]]
    selections = _selections(parts, found.table, read)
    given = criteria.with_published(given, [(each.batch, each.prefixes) for each in selections])
    configured = given.policy.configured
    if given.keyring is not None:
        # what one object's values are held to takes the others of its resource: nothing is judged here
        neutral = replace(given, policy=Policy(compromised=given.policy.compromised), current_keks={})
        selections = [opening.open_all(each, neutral, given.keyring, keep=True) for each in selections]
    selection.compare(selections)
    tombstones = [batch.take(batch.has(State.TOMBSTONE)) for batch, _, _ in parts]
    made = versions.build(selections, tombstones)
    evidence, gaps = custody.finish(files, read, Cluster(prefixes=found.prefixes), observer)
    closed = sum(each.opened is Opened.NO_KEY for each in made)
    standing = read.standing or unexamined.standing(files)
    return History(
        evidence=evidence,
        resource=_resource(parts, found.table),
        key=printable(there[0]),
        versions=made,
        gaps=(*read.gaps, *gaps),
        unexamined=(
            *read.unexamined,
            *(
                [Unexamined(f"{closed:,} encrypted values", "not opened: no key", decisive=configured)]
                if closed
                else []
            ),
            standing,
        ),
        notes=given.notes,
    )


def _argument(key: str) -> str:
    return shown(key)


def _keys(text: str, resource: str, found: registry.Keys) -> list[bytes]:
    r"""The etcd keys that a text may mean; it may have the escapes of a report, \xNN."""
    try:
        raw = restore(text)
    except UnicodeEncodeError:
        raw = os.fsencode(text)
    if raw.startswith(b"/"):
        return [raw]
    paths = [entry.path for entry in found.table if entry.name == resource and entry.path and not entry.exempt]
    return [restore(path) + b"/" + raw for path in dict.fromkeys(paths)]


def _parts(
    key: bytes, batches: Sequence[RecordBatch], stored: Sequence[prefixes.Prefixes], found: registry.Keys
) -> list[Part]:
    """The rows of every batch that hold this key, or are a fragment of the object that it names."""
    parts = []
    for batch, each, resource in zip(batches, stored, found.resource, strict=True):
        rows = np.sort(
            np.concatenate([registry.find_key(batch, key), _headless(key, batch, each, resource, found.table)])
        )
        if rows.size:
            parts.append((batch.take(rows), each.take(rows), resource[rows]))
    return parts


def _headless(
    key: bytes, batch: RecordBatch, each: prefixes.Prefixes, resource: NDArray[np.int32], table: tuple[Resource, ...]
) -> Ints:
    """Fragments that lost their key and say that they are of this one."""
    rows = np.flatnonzero((batch.key_at < 0) & (each.provider == Provider.IDENTITY))
    if not rows.size:
        return rows
    every = np.ones(len(table), np.bool_)
    chosen = selection.select(
        [(batch.take(rows), each.take(rows), resource[rows])], table, every, main=False, plaintext=True
    )
    return rows[[row for row in range(len(chosen)) if chosen.key(row) == key]]


def _selections(parts: Sequence[Part], table: tuple[Resource, ...], read: reading.Reading) -> list[Selection]:
    every = np.ones(len(table), np.bool_)
    made = [
        selection.select(mine, table, every, main=read.serves(name), plaintext=True, beside=name in read.companions)
        for (name, _), mine in selection.grouped(parts)
    ]
    return [each for each in made if len(each)]


def _resource(parts: Sequence[Part], table: tuple[Resource, ...]) -> str:
    return next((table[of].name for _, _, resource in parts for of in resource.tolist() if table[of].name), "")


def _absent(key: str, wanted: Sequence[bytes], name: str, gaps: int) -> str:
    asked = " or ".join(map(printable, wanted)) or _argument(key)
    unread = f"; {gaps:,} parts of it were not read, and may hold it" if gaps else ""
    if not wanted:
        return f"{name} holds no object of that resource: name another with --resource, or give the etcd key{unread}"
    return f"{name} holds no key {asked}{unread}"
