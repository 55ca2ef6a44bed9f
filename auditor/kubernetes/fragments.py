"""Values whose etcd key is lost or names something else: of which resource they are, as far as their own bytes say."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from auditor.evidence.batch import RecordBatch
from auditor.kubernetes import objects
from auditor.kubernetes.prefixes import Prefixes
from auditor.kubernetes.registry import Keys
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


def attribute(batches: Sequence[RecordBatch], stored: Sequence[Prefixes], found: Keys) -> tuple[list[Prefixes], Keys]:
    """The same with the values without a key under a resource of their own: by kind, or UNTOLD.

    A readable object of another kind than KINDS stays under no resource. What ends as a v1 Secret ends is readable.
    A plain object of KINDS under the key of another resource is of its own: one letter of a key hides no Secret.
    A plain value without an object's head is UNTOLD, unless its key names one of KINDS.
    """
    table = {each: number for number, each in enumerate(found.table)}
    judged, resources = [], []
    for batch, each, resource in zip(batches, stored, found.resource, strict=True):
        rows = np.flatnonzero((batch.key_at < 0) & (batch.value_len > 0))
        strays = list(_strays(batch, each, found, resource))
        if rows.size:
            each = replace(each, provider=each.provider.copy(), encoding=each.encoding.copy())
        if rows.size or strays:
            resource = resource.copy()
        for row, stray in strays:
            resource[row] = table.setdefault(stray, len(table))
        for row in rows.tolist():
            name = _resource(batch, each, row)
            told = UNIDENTIFIED if name == UNIDENTIFIED.name else Resource(name, "", "")
            resource[row] = table.setdefault(told, len(table)) if name else 0
        judged.append(each)
        resources.append(resource)
    return judged, Keys(tuple(table), tuple(resources), found.prefixes)


def _strays(
    batch: RecordBatch, each: Prefixes, found: Keys, resource: NDArray[np.int32]
) -> Iterator[tuple[int, Resource]]:
    """Plain values under a storage prefix, and under the key of something else than they are: objects of KINDS, and
    what begins as an object and does not go on as one.
    """
    under = np.array([bool(entry.prefix) for entry in found.table], np.bool_)[resource]
    rows = np.flatnonzero(under & (each.provider == Provider.IDENTITY))
    # eight bytes tell nearly all: only what they do not rule out is looked at again
    telling = batch.data.words(batch.value_at[rows] + TELLING.start)
    for name, heads in HEADS.items():
        foreign = ~found.of(frozenset({name}))[resource[rows]]
        for head in heads:
            alike = rows[foreign & (telling == np.uint64(int.from_bytes(head[TELLING], "little")))]
            at, length = batch.value_at[alike], batch.value_size[alike]
            for row in alike[batch.data.starts_with(at, length, head)].tolist():
                named = found.table[resource[row]]
                yield row, replace(named, name=name, exempt=False, by_content=True)
    headless = ((telling & np.uint64(0xFF)) != TYPE_META) & (each.encoding[rows] == Encoding.PROTOBUF)
    for row in rows[headless & ~found.of(frozenset(KINDS.values()))[resource[rows]]].tolist():
        yield row, UNIDENTIFIED


def _resource(batch: RecordBatch, each: Prefixes, row: int) -> str:
    """The resource's name, empty for an object of another kind; a Secret's tail becomes readable protobuf."""
    if each.provider[row] == Provider.IDENTITY:
        cut = bool(batch.state[row] & State.TAIL_LOST)
        said = objects.decode(batch.value(row), Encoding(int(each.encoding[row])), cut=cut)
        return KINDS.get(said.kind, "" if said.kind else UNIDENTIFIED.name)
    if each.provider[row] == Provider.UNKNOWN and objects.tail(batch.value(row)).kind:
        each.provider[row], each.encoding[row] = Provider.IDENTITY, Encoding.PROTOBUF
        return "secrets"
    return UNIDENTIFIED.name
