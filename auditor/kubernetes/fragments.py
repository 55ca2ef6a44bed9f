"""Values whose etcd key is lost or names something else: of which resource they are, as far as their own bytes say."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from auditor.evidence.batch import RecordBatch
from auditor.kubernetes import objects
from auditor.kubernetes.prefixes import Prefixes
from auditor.kubernetes.registry import OUTSIDE, Registry, match
from auditor.kubernetes.resources import Resource
from auditor.model.vocabulary import Encoding, Provider, State

KINDS = {b"Secret": "secrets", b"ConfigMap": "configmaps"}
HEADS = {
    name: (
        b"k8s\0\n%c\n\x02v1\x12%c%b" % (len(kind) + 6, len(kind), kind),
        b'{"kind":"%b","apiVersion":"v1",' % kind,
    )
    for kind, name in KINDS.items()
}
"""How a plain object of each resource begins: runtime.Unknown's TypeMeta (k8s.io/apimachinery pkg/runtime
generated.proto), and JSON as Go writes a TypeMeta."""
TELLING = slice(4, 12)
"""Bytes of a head that differ from those of nearly everything else."""
TYPE_META = ord("\n")
"""How every object goes on behind its magic: the TypeMeta of its runtime.Unknown, field 1."""
UNIDENTIFIED = Resource("unknown", "", "")
"""The resource of a fragment, or of a damaged value under an unusual key, that does not say what it is."""


def attribute(
    batch: RecordBatch, prefixes: Prefixes, resource: NDArray[np.int32], registry: Registry
) -> tuple[Prefixes, NDArray[np.int32]]:
    """The same with the values without a key under a resource of their own: by kind, or UNIDENTIFIED.

    A readable object of another kind than KINDS stays under no resource. What ends as a v1 Secret ends is readable.
    A plain object of KINDS under the key of another resource is of its own: one letter of a key hides no Secret.
    A plain value without an object's head is UNIDENTIFIED, unless its key names one of KINDS.
    """
    headless = np.flatnonzero((batch.key_at < 0) & (batch.value_len > 0))
    strays = list(_strays(batch, prefixes, resource, registry.resources))
    if headless.size:
        prefixes = replace(prefixes, provider=prefixes.provider.copy(), encoding=prefixes.encoding.copy())
    if headless.size or strays:
        resource = resource.copy()
    for row, stray in strays:
        resource[row] = registry.code(stray)
    for row in headless.tolist():
        name = _resource(batch, prefixes, row)
        own = UNIDENTIFIED if name == UNIDENTIFIED.name else Resource(name, "", "")
        resource[row] = registry.code(own) if name else OUTSIDE
    return prefixes, resource


def _strays(
    batch: RecordBatch, prefixes: Prefixes, resource: NDArray[np.int32], resources: Sequence[Resource]
) -> Iterator[tuple[int, Resource]]:
    """Plain values under a storage prefix, and under the key of something else than they are: objects of KINDS, and
    what begins as an object and does not go on as one.
    """
    under = np.array([bool(entry.prefix) for entry in resources], np.bool_)[resource]
    rows = np.flatnonzero(under & (prefixes.provider == Provider.IDENTITY))
    # eight bytes tell nearly all: only what they do not rule out is looked at again
    telling = batch.data.words(batch.value_at[rows] + TELLING.start)
    for name, heads in HEADS.items():
        foreign = ~match(resources, frozenset({name}))[resource[rows]]
        for head in heads:
            alike = rows[foreign & (telling == np.uint64(int.from_bytes(head[TELLING], "little")))]
            at, length = batch.value_at[alike], batch.value_size[alike]
            for row in alike[batch.data.starts_with(at, length, head)].tolist():
                named = resources[resource[row]]
                yield row, replace(named, name=name, exempt=False, by_content=True)
    headless = ((telling & np.uint64(0xFF)) != TYPE_META) & (prefixes.encoding[rows] == Encoding.PROTOBUF)
    for row in rows[headless & ~match(resources, frozenset(KINDS.values()))[resource[rows]]].tolist():
        yield row, UNIDENTIFIED


def _resource(batch: RecordBatch, prefixes: Prefixes, row: int) -> str:
    """The resource's name, empty for an object of another kind; a Secret's tail becomes readable protobuf."""
    if prefixes.provider[row] == Provider.IDENTITY:
        cut = bool(batch.state[row] & State.TAIL_LOST)
        decoded = objects.decode(batch.value(row), Encoding(int(prefixes.encoding[row])), cut=cut)
        return KINDS.get(decoded.kind, "" if decoded.kind else UNIDENTIFIED.name)
    if prefixes.provider[row] == Provider.UNKNOWN and objects.tail(batch.value(row)).kind:
        prefixes.provider[row], prefixes.encoding[row] = Provider.IDENTITY, Encoding.PROTOBUF
        return "secrets"
    return UNIDENTIFIED.name
