"""Every stored value of one key: evidence that is read like a scan's, and nothing judged."""

import os
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from auditor.arrays.dtypes import Ints
from auditor.audit import custody, unexamined
from auditor.errors import UsageError
from auditor.evidence import exhibit, readers
from auditor.evidence.reading import Reading
from auditor.history import versions
from auditor.history.model import History, Version
from auditor.judgement import leftovers, opening, selection
from auditor.judgement.criteria import Criteria, prepare, with_published
from auditor.judgement.policy import Policy
from auditor.kubernetes import registry
from auditor.kubernetes.resources import Resource
from auditor.kubernetes.store import Classified, Store, classify
from auditor.model.evidence import Cluster, Unexamined
from auditor.model.vocabulary import Opened, Provider, State
from auditor.observer import SILENT, Observer
from auditor.options import Options
from auditor.text import printable, restore, shown


def history(files: exhibit.Exhibit, options: Options, key: str, observer: Observer = SILENT) -> History:
    """The history of an object.

    Args:
        files: The exhibit.
        options: The resource of a `namespace/name`, and the keys that open values.
        key: An etcd key, or the `namespace/name` of an object of the first resource.
        observer: Its methods are called with the progress of hashing.

    Raises:
        UsageError: No such key was read.
        UnreadableEvidence: Nothing in the exhibit can be read.
    """
    criteria = prepare(options)
    reading = readers.read(files, quick=False)
    store = classify(reading.batches, options.storage_prefixes)
    candidates = _keys(key, options.resources[0].rstrip("."), store)
    parts_by_key = {raw: _parts(raw, store) for raw in candidates}
    present = [raw for raw, parts in parts_by_key.items() if parts]
    if len(present) > 1:
        names = ", ".join(map(printable, present))
        raise UsageError(f"{_argument(key)} is more than one key: give one of {names}")
    if not present:
        raise UsageError(_absent(key, candidates, files.name, len(reading.gaps)))
    object_store = replace(store, parts=tuple(parts_by_key[present[0]]))
    selections, criteria = _open(object_store, reading, criteria)
    tombstones = [batch.take(batch.has(State.TOMBSTONE)) for batch in object_store.batches]
    object_versions = versions.build(selections, tombstones)
    evidence, gaps = custody.finish(files, reading, Cluster(prefixes=store.storage_prefixes), observer)
    standing = reading.standing or unexamined.standing(files)
    return History(
        evidence=evidence,
        resource=_resource(object_store),
        key=printable(present[0]),
        versions=object_versions,
        gaps=(*reading.gaps, *gaps),
        unexamined=(*reading.unexamined, *_unopened(object_versions, criteria), UNSWEPT, standing),
        notes=criteria.notes,
    )


UNSWEPT = Unexamined(
    "what no reader accounts for", "show takes no sweep: scan searches those bytes, too", decisive=False
)


def _unopened(object_versions: Sequence[Version], criteria: Criteria) -> list[Unexamined]:
    """The encrypted versions that no supplied key opens: decisive where a configuration was given."""
    count = sum(version.opened is Opened.NO_KEY for version in object_versions)
    if not count:
        return []
    return [Unexamined(f"{count:,} encrypted values", "not opened: no key", decisive=criteria.policy.configured)]


def _open(store: Store, reading: Reading, criteria: Criteria) -> tuple[list[selection.Selection], Criteria]:
    """The values by source, opened with every key, and the criteria with the published keys that are among them."""
    every_resource = np.ones(len(store.resources), np.bool_)
    selections = selection.select_by_source(store, every_resource, reading, plaintext=True)
    selections = [values for values in selections if len(values)]
    criteria = with_published(criteria, selections)
    if criteria.keyring is not None:
        # judging one object's values takes all others of its resource: nothing is judged here
        neutral = replace(criteria, policy=Policy(compromised=criteria.policy.compromised), current_keks={})
        selections = [opening.open_all(values, neutral, criteria.keyring, keep=True) for values in selections]
    return leftovers.compare(selections), criteria


def _argument(key: str) -> str:
    return shown(key)


def _keys(text: str, resource: str, store: Store) -> list[bytes]:
    r"""The etcd keys that a text may mean; it may have the escapes of a report, \xNN."""
    try:
        raw = restore(text)
    except UnicodeEncodeError:
        raw = os.fsencode(text)
    if raw.startswith(b"/"):
        return [raw]
    paths = [entry.path for entry in store.resources if entry.name == resource and entry.path and not entry.exempt]
    return [restore(path) + b"/" + raw for path in dict.fromkeys(paths)]


def _parts(key: bytes, store: Store) -> list[Classified]:
    """The rows of every part that hold this key, or a fragment of its object."""
    parts = (part.take(_rows(key, part, store.resources)) for part in store.parts)
    return [part for part in parts if len(part)]


def _rows(key: bytes, part: Classified, resources: tuple[Resource, ...]) -> Ints:
    return np.sort(np.concatenate([registry.find_key(part.batch, key), _headless(key, part, resources)]))


def _headless(key: bytes, part: Classified, resources: tuple[Resource, ...]) -> Ints:
    """Fragments without their etcd key whose object has this one."""
    rows = np.flatnonzero((part.batch.key_at < 0) & (part.prefixes.provider == Provider.IDENTITY))
    if not rows.size:
        return rows
    every = np.ones(len(resources), np.bool_)
    fragments = selection.select([part.take(rows)], resources, every, authoritative=False, plaintext=True)
    return rows[[row for row in range(len(fragments)) if fragments.key(row) == key]]


def _resource(store: Store) -> str:
    names = (store.resources[code].name for part in store.parts for code in part.resource.tolist())
    return next(filter(None, names), "")


def _absent(key: str, candidates: Sequence[bytes], name: str, gaps: int) -> str:
    keys = " or ".join(map(printable, candidates)) or _argument(key)
    unread = f"; {gaps:,} parts of it were not read, and may hold it" if gaps else ""
    if not candidates:
        return f"{name} holds no object of that resource: name another with --resource, or give the etcd key{unread}"
    return f"{name} holds no key {keys}{unread}"
