"""Every stored value of one key: evidence that is read like a scan's, and nothing judged."""

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from functools import partial
from itertools import pairwise
from typing import TypeAlias

import numpy as np

from auditor.arrays.dtypes import Ints
from auditor.audit import chronology, custody, redaction, remarks, unexamined
from auditor.errors import UsageError
from auditor.evidence import exhibit, readers
from auditor.evidence.reading import Reading
from auditor.history import access, names, versions
from auditor.history.model import History, Version
from auditor.judgement import leftovers, opening, secret_values, selection, unwrapping
from auditor.judgement.criteria import Criteria, prepare, with_published
from auditor.judgement.policy import Policy
from auditor.kubernetes import registry
from auditor.kubernetes.resources import Resource
from auditor.kubernetes.store import Classified, Store, classify
from auditor.model.chronology import Chronology
from auditor.model.evidence import Cluster, Evidence, Unexamined
from auditor.model.vocabulary import Opened, Place, Provider, State
from auditor.observer import SILENT, Observer
from auditor.options import Options
from auditor.text import plural, printable, restore, shown

SECRETS = frozenset({secret_values.RESOURCE})
Unwrap: TypeAlias = Callable[[Sequence[selection.Selection], Criteria], Criteria]
"""The criteria with the data keys that --kms brings for some values."""


def history(files: exhibit.Exhibit, options: Options, key: str, observer: Observer = SILENT) -> History:
    """The history of an object.

    Args:
        files: The exhibit.
        options: The resource of a `namespace/name`, and the keys that open values.
        key: An etcd key, or the `namespace/name` of an object of the first resource.
        observer: Its methods are called with the progress of hashing, and before calls of --kms.

    Raises:
        UsageError: No such key was read, or the calls of --kms were not confirmed.
        UnreadableEvidence: Nothing in the exhibit can be read.
    """
    with closing(prepare(options)) as criteria:
        return _history(files, options, key, criteria, observer)


def _history(files: exhibit.Exhibit, options: Options, key: str, criteria: Criteria, observer: Observer) -> History:
    """history() with the keys of the options."""
    reading = readers.read(files, quick=False)
    store = classify(reading.batches, reading.storage_prefixes or options.storage_prefixes)
    candidates = _keys(key, options.resources[0].rstrip("."), store)
    parts_by_key = {raw: _parts(raw, store) for raw in candidates}
    present = [raw for raw, parts in parts_by_key.items() if parts]
    if len(present) > 1:
        every = ", ".join(map(printable, present))
        raise UsageError(f"{_argument(key)} is more than one key: give one of {every}")
    if not present:
        similar = names.ending(store, options.resources[0].rstrip("."), shown(key)) if candidates else []
        raise UsageError(_absent(key, candidates, files, len(reading.gaps), similar))
    object_store = replace(store, parts=tuple(parts_by_key[present[0]]))
    unwrap = partial(unwrapping.unwrap, options=options, observer=observer)
    selections, criteria = _open(object_store, store, reading, criteria, unwrap)
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
        unexamined=(
            *(*reading.unexamined, *_unopened(object_versions, criteria)),
            *(*unexamined.untried(selections, criteria), UNSWEPT, standing),
        ),
        notes=(
            *_notes(criteria),
            *(files.notes if files.live is not None else ()),
            *access.notes(present[0], _resource(object_store), store, reading, criteria.keyring),
        ),
        chronology=_chronology(store, reading, evidence, object_versions),
        kms=tuple(calls for client in criteria.clients for calls in client.tracks()),
    )


UNSWEPT = Unexamined(
    "what no reader accounts for", "show takes no sweep: scan searches those bytes, too", decisive=False
)


def _chronology(store: Store, reading: Reading, evidence: Evidence, object_versions: Sequence[Version]) -> Chronology:
    """The bounds of the object's revisions; a revision ends where a later one of the same store replaced it."""
    revisions = sorted({version.mod_revision for version in object_versions if version.mod_revision >= 0})
    served = sorted(
        {
            version.mod_revision
            for version in object_versions
            if version.place <= Place.DELETED and version.mod_revision >= 0 and reading.serves(version.source)
        }
    )
    times = chronology.chronology(store, reading, evidence, revisions, dict(pairwise(served)))
    return redaction.Redactor(None).chronology(times)


def _notes(criteria: Criteria) -> Iterator[str]:
    """Notes on keys and on calls."""
    yield from criteria.notes
    yield from remarks.calls_made(criteria)


def _unopened(object_versions: Sequence[Version], criteria: Criteria) -> list[Unexamined]:
    """The encrypted versions that no supplied key opens: decisive where a configuration was given."""
    count = sum(version.opened is Opened.NO_KEY for version in object_versions)
    if not count:
        return []
    return [Unexamined(plural(count, "encrypted value"), "not decrypted: no key", decisive=criteria.policy.configured)]


def _open(
    store: Store, whole: Store, reading: Reading, criteria: Criteria, unwrap: Unwrap
) -> tuple[list[selection.Selection], Criteria]:
    """The values by source, opened with every key, and the criteria with the published keys that are among them.

    Args:
        store: The object's values.
        whole: All values of the evidence: a Secret is compared with every current one.
        reading: Says which files the API server reads.
        criteria: The keys.
        unwrap: Asks for wrapped keys: for the object's own, since 50,000 Secrets of KMS v1 have as many.
    """
    selections = _select(store, reading)
    criteria = unwrap(selections, with_published(criteria, selections))
    selections = _opened(selections, criteria, keep=True)
    current = selections
    if any(secret_values.are_secrets(values).any() for values in selections):
        secrets = [part.take(part.batch.at(Place.LATEST) & whole.match(SECRETS)[part.resource]) for part in whole.parts]
        current = _opened(_select(replace(whole, parts=tuple(secrets)), reading), criteria, keep=False)
    standard = leftovers.Standard(selections=current, complete=reading.has_all_current)
    return leftovers.compare(selections, standard, keyring=criteria.keyring), criteria


def _select(store: Store, reading: Reading) -> list[selection.Selection]:
    """The values of every resource of a store, by source."""
    every_resource = np.ones(len(store.resources), np.bool_)
    selections = selection.select_by_source(store, every_resource, reading, plaintext=True)
    return [values for values in selections if len(values)]


def _opened(selections: list[selection.Selection], criteria: Criteria, *, keep: bool) -> list[selection.Selection]:
    """The values opened with every key."""
    if criteria.keyring is None:
        return selections
    # judging one object's values takes all others of its resource: nothing is judged here
    neutral = replace(criteria, policy=Policy(compromised=criteria.policy.compromised), current_keks={})
    return [opening.open_all(values, neutral, criteria.keyring, keep=keep) for values in selections]


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


def _absent(key: str, candidates: Sequence[bytes], files: exhibit.Exhibit, gaps: int, similar: Sequence[str]) -> str:
    keys = " or ".join(map(printable, candidates)) or _argument(key)
    lacking = f"; {plural(gaps, 'part')} of it {'was' if gaps == 1 else 'were'} not read, and may hold it"
    name, unread = files.name, lacking if gaps else ""
    if files.live is not None and files.unexamined:
        name = f"what was read of {name}"
        unread += f"; not read: {'; '.join(each.what for each in files.unexamined)}"
    if not candidates:
        return f"{name} holds no object of that resource: name another with --resource, or give the etcd key{unread}"
    exists = f"; {' and '.join(similar)} {'exists' if len(similar) == 1 else 'exist'}" if similar else ""
    exists = exists or "; without a KEY its objects are listed"
    return f"{name} holds no key {keys}{exists}{unread}"
