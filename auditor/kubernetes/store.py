"""The stored values of the evidence, classified: the one object between the readers and what judges their records."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from auditor.arrays.dtypes import Bools, Ints
from auditor.evidence.batch import RecordBatch
from auditor.kubernetes import fragments, objects, prefixes, registry
from auditor.kubernetes.prefixes import Prefixes
from auditor.kubernetes.resources import Resource
from auditor.model.vocabulary import Encoding, Provider
from auditor.text import printable

ASKED = 16
"""Readable objects of a resource that may not decode before the next part is asked for its group."""


@dataclass(frozen=True, slots=True)
class Classified:
    """n records of one source and one buffer, by what their first bytes claim and what their etcd keys name."""

    batch: RecordBatch
    prefixes: Prefixes
    """Provider, encoding and key name of each value."""
    resource: NDArray[np.int32]
    """The resource of each value, an index into Store.resources."""

    def __len__(self) -> int:
        return len(self.batch)

    @property
    def outside(self) -> Bools:
        """The records of no resource: under no storage prefix, or of a kind that only a key could name."""
        outside: Bools = self.resource == registry.OUTSIDE
        return outside

    @property
    def stores(self) -> Bools:
        """The records that store a value: all but tombstones and the empty record of --bump-revision."""
        return ~prefixes.no_value(self.batch)

    def take(self, rows: Ints | Bools) -> "Classified":
        return Classified(self.batch.take(rows), self.prefixes.take(rows), self.resource[rows])


def concatenate(parts: Sequence[Classified]) -> Classified:
    """Parts of one source and one buffer as one."""
    return Classified(
        RecordBatch.concatenate([part.batch for part in parts]),
        Prefixes.concatenate([part.prefixes for part in parts]),
        np.concatenate([part.resource for part in parts]),
    )


@dataclass(frozen=True, slots=True)
class Store:
    """All records that were read, in the order of the readers."""

    parts: tuple[Classified, ...]
    resources: tuple[Resource, ...]
    """Every resource met; registry.OUTSIDE is the code of what is of none."""
    storage_prefixes: tuple[str, ...]
    """The prefixes given, or those under which a built-in resource lies."""

    @property
    def batches(self) -> Iterator[RecordBatch]:
        return (part.batch for part in self.parts)

    def match(self, names: frozenset[str]) -> Bools:
        """Which of the resources go by one of the names, shape (len(resources),); `*` is all but the exempt."""
        return registry.match(self.resources, names)

    def by_source(self) -> list[list[Classified]]:
        """The parts of each source and buffer, by source: values that are not contiguous in a file lie in another."""
        grouped: dict[tuple[str, int], list[Classified]] = {}
        buffers: dict[int, int] = {}
        for part in self.parts:
            buffer = buffers.setdefault(id(part.batch.data), len(buffers))
            grouped.setdefault((part.batch.source, buffer), []).append(part)
        return [grouped[key] for key in sorted(grouped)]


def classify(batches: Sequence[RecordBatch], storage_prefixes: Sequence[str] = ()) -> Store:
    """Records by prefix, key and, where the key is lost or names something else, content.

    storage_prefixes: those given; none for all under which a built-in resource with such a value lies.
    """
    claims = [prefixes.classify(batch) for batch in batches]
    known = registry.Registry(storage_prefixes)
    codes = known.classify(
        batches, [prefixes.likely(batch, claim) for batch, claim in zip(batches, claims, strict=True)]
    )
    parts = [
        Classified(batch, *fragments.attribute(batch, claim, resource, known))
        for batch, claim, resource in zip(batches, claims, codes, strict=True)
    ]
    return Store(tuple(parts), tuple(_grouped(parts, known.resources)), tuple(known.storage_prefixes))


def _grouped(parts: Sequence[Classified], resources: Sequence[Resource]) -> Iterator[Resource]:
    """The resources, those of no table with the group that one of their readable objects states."""
    for code, resource in enumerate(resources):
        if not resource.unlisted:
            yield resource
            continue
        version = next(filter(None, (_api_version(part, code) for part in parts)), b"")
        group, slash, _ = version.partition(b"/")
        if not version:
            yield resource
        else:
            name = f"{resource.name}.{printable(group)}" if slash else resource.name
            yield replace(resource, name=name, unlisted=False)


def _api_version(part: Classified, code: int) -> bytes:
    """What the first of some readable objects of a resource says; empty where none does."""
    rows = np.flatnonzero((part.resource == code) & (part.prefixes.provider == Provider.IDENTITY))
    for row in rows[:ASKED].tolist():
        decoded = objects.decode(part.batch.value(row), Encoding(int(part.prefixes.encoding[row])), content=False)
        if decoded.api_version:
            return decoded.api_version
    return b""
