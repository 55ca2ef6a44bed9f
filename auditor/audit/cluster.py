"""The identity of the Kubernetes cluster, and the age of the evidence, by its readable objects."""

from collections.abc import Iterator

import numpy as np

from auditor.evidence.reading import Reading
from auditor.kubernetes import objects, registry, times
from auditor.kubernetes.store import Store
from auditor.model.evidence import Cluster, PrefixCluster
from auditor.model.vocabulary import Encoding, Place
from auditor.text import moment, printable, restore

NEWEST = 256
"""Number of the last records in which the newest time is looked for."""


def identify(store: Store, evidence: Reading) -> Cluster:
    """The kube-system namespace's identity under every storage prefix, and the newest time in the last records."""
    clusters = tuple(_under(prefix, store, evidence) for prefix in sorted(store.storage_prefixes))
    known = {(each.uid, each.created) for each in clusters if each.uid}
    uid, created = known.pop() if len(known) == 1 else ("", "")
    newest = max(_times(store, evidence), default=0)
    return Cluster(uid, created, moment(newest) if newest else "", store.storage_prefixes, clusters)


def _under(prefix: str, store: Store, evidence: Reading) -> PrefixCluster:
    """The cluster under one storage prefix."""
    uid = created = ""
    values, own = 0, False
    key = restore(f"{prefix}/namespaces/kube-system")
    start = restore(f"{prefix}/")
    for part in store.parts:
        batch = part.batch
        keyed = np.flatnonzero((batch.key_at >= 0) & part.stores)
        values += int(batch.data.starts_with(batch.key_at[keyed], batch.key_size[keyed], start).sum())
        for row in registry.find_key(batch, key).tolist():
            if batch.place[row] == Place.LATEST and evidence.serves(batch.source):
                own = True
                namespace = objects.decode(batch.value(row), Encoding(int(part.prefixes.encoding[row])))
                uid, created = printable(namespace.uid), moment(namespace.created)
    return PrefixCluster(prefix, uid, created, values, own)


def _times(store: Store, evidence: Reading) -> Iterator[int]:
    """The newest time in each of the last records under a root."""
    for part in store.parts:
        batch, encodings = part.batch, part.prefixes.encoding
        if not evidence.serves(batch.source) or (batch.place > Place.DELETED).any():
            continue
        ordered = (np.diff(batch.mod_revision) >= 0).all()
        last = slice(-NEWEST, None) if ordered else np.argsort(batch.mod_revision)[-NEWEST:]
        for row in np.arange(len(batch))[last].tolist():
            if encodings[row] and store.resources[part.resource[row]].prefix:
                yield times.newest(batch.value(row), Encoding(int(encodings[row])))
