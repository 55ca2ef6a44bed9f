"""Values whose etcd key is lost or names something else: of which resource they are, as far as their own bytes say."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from auditor.evidence.batch import RecordBatch
from auditor.kubernetes import objects
from auditor.kubernetes.prefixes import Prefixes
from auditor.kubernetes.registry import OUTSIDE, SECRET_ELSEWHERE, Registry, match
from auditor.kubernetes.resources import Resource, of_kind
from auditor.model.vocabulary import Encoding, Provider, State
from auditor.text import printable

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
UNENCRYPTED = frozenset({b"Endpoints", b"RangeAllocation"})
"""Kinds of what kube-apiserver writes without its transformers: masterleases, ranges. No key tells them apart here."""
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

    A readable object of a kind of no resource stays under none. What ends as a v1 Secret ends is readable.
    A plain object of KINDS under the key of another resource, or of none, is of its own: no key hides a Secret.
    A plain value without an object's head is UNIDENTIFIED, unless its key names one of KINDS.
    """
    headless = np.flatnonzero((batch.key_at < 0) & (batch.value_len > 0))
    strays = list(_strays(batch, prefixes, resource, registry))
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
    batch: RecordBatch, prefixes: Prefixes, resource: NDArray[np.int32], registry: Registry
) -> Iterator[tuple[int, Resource]]:
    """Plain values that are something else than their keys name: objects of KINDS, wherever they lie, and under a
    storage prefix what begins as an object and does not go on as one.
    """
    resources = registry.resources
    rows = np.flatnonzero((prefixes.provider == Provider.IDENTITY) & (batch.key_at >= 0))
    under = np.array([bool(entry.prefix) for entry in resources], np.bool_)[resource[rows]]
    # eight bytes tell nearly all: only what they do not rule out is looked at again
    telling = batch.data.words(batch.value_at[rows] + TELLING.start)
    for name, heads in HEADS.items():
        foreign = ~match(resources, frozenset({name}))[resource[rows]]
        for head in heads:
            alike = rows[foreign & (telling == np.uint64(int.from_bytes(head[TELLING], "little")))]
            at, length = batch.value_at[alike], batch.value_size[alike]
            for row in alike[batch.data.starts_with(at, length, head)].tolist():
                yield row, _by_content(resources[resource[row]], name, registry)
    yield from _trees(batch, prefixes, rows, resource, registry)
    headless = ((telling & np.uint64(0xFF)) != TYPE_META) & (prefixes.encoding[rows] == Encoding.PROTOBUF)
    known = match(resources, frozenset(KINDS.values()))[resource[rows]]
    for row in rows[under & headless & ~known].tolist():
        yield row, UNIDENTIFIED


def _trees(
    batch: RecordBatch,
    prefixes: Prefixes,
    rows: NDArray[np.int64],
    resource: NDArray[np.int32],
    registry: Registry,
) -> Iterator[tuple[int, Resource]]:
    """JSON and CBOR in any order and spacing: decoded where the name of one of KINDS stands in them at all."""
    for kind, name in KINDS.items():
        foreign = ~match(registry.resources, frozenset({name}))[resource[rows]]
        for row in rows[foreign & np.isin(prefixes.encoding[rows], (Encoding.JSON, Encoding.CBOR))].tolist():
            begin = int(batch.value_at[row])
            if next(batch.data.occurrences(kind, begin, begin + int(batch.value_len[row])), None) is None:
                continue
            decoded = objects.decode(batch.value(row), Encoding(int(prefixes.encoding[row])), content=False)
            if (decoded.api_version, decoded.kind) == (b"v1", kind):
                yield row, _by_content(registry.resources[resource[row]], name, registry)


def _by_content(named: Resource, name: str, registry: Registry) -> Resource:
    """A resource by what its objects say they are; their keys name another, or none."""
    if not named.prefix and not registry.detects:
        return SECRET_ELSEWHERE if name == "secrets" else named
    return replace(named, name=name, exempt=False, by_content=True)


def _resource(batch: RecordBatch, prefixes: Prefixes, row: int) -> str:
    """The resource's name, empty for an object of another kind; a Secret's tail becomes readable protobuf."""
    if prefixes.provider[row] == Provider.IDENTITY:
        cut = bool(batch.state[row] & State.TAIL_LOST)
        decoded = objects.decode(batch.value(row), Encoding(int(prefixes.encoding[row])), cut=cut)
        if not decoded.kind.isalnum() or (cut and batch.value(row).endswith(decoded.kind)):
            return UNIDENTIFIED.name  # there is none, or it is cut, or its last bytes are overwritten
        if decoded.kind in KINDS and decoded.api_version in {b"", b"v1"}:
            return KINDS[decoded.kind]
        protobuf = prefixes.encoding[row] == Encoding.PROTOBUF
        if decoded.kind in UNENCRYPTED or not (decoded.name or protobuf):  # JSON without a name only refers to one
            return ""
        return of_kind(printable(decoded.api_version), printable(decoded.kind))
    if prefixes.provider[row] == Provider.UNKNOWN and objects.tail(batch.value(row)).kind:
        prefixes.provider[row], prefixes.encoding[row] = Provider.IDENTITY, Encoding.PROTOBUF
        return "secrets"
    return UNIDENTIFIED.name
