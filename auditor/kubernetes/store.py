"""The store: all records of the evidence, classified. Readers end here, and judgement begins."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from auditor.arrays.dtypes import Bools, Ints
from auditor.evidence.batch import RecordBatch
from auditor.kubernetes import fragments, framing, objects, payloads, prefixes, registry
from auditor.kubernetes.prefixes import Prefixes
from auditor.kubernetes.resources import Resource
from auditor.model.vocabulary import Encoding, Provider
from auditor.text import printable

ASKED = 16
"""Readable objects of a resource that may not decode before the next part is asked for its group."""


@dataclass(frozen=True, slots=True)
class Classified:
    """n records of one source and one buffer, with their prefixes and resources."""

    batch: RecordBatch
    """The records."""
    prefixes: Prefixes
    """Provider, encoding and key name of each value."""
    resource: NDArray[np.int32]
    """Resource of each value, an index into Store.resources."""

    def __len__(self) -> int:
        return len(self.batch)

    @property
    def outside(self) -> Bools:
        """Whether each record is of no resource: under no storage prefix, or of a kind that only a key could name."""
        outside: Bools = self.resource == registry.OUTSIDE
        return outside

    @property
    def stores(self) -> Bools:
        """Whether each record stores a value: not a tombstone, nor the empty record of --bump-revision."""
        return ~prefixes.no_value(self.batch)

    def take(self, rows: Ints | Bools) -> "Classified":
        """Some of the records."""
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
    """All records of the evidence, in the order of the readers."""

    parts: tuple[Classified, ...]
    """The records, one part for each batch of a reader."""
    resources: tuple[Resource, ...]
    """Every resource of the evidence; registry.OUTSIDE is the code of records of none."""
    storage_prefixes: tuple[str, ...]
    """Storage prefixes of the options, or else of the built-in resources in the evidence."""

    @property
    def batches(self) -> Iterator[RecordBatch]:
        """The records without their classification."""
        return (part.batch for part in self.parts)

    def match(self, names: frozenset[str]) -> Bools:
        """Whether each resource has one of the names, shape (len(resources),); `*` is every one but the exempt."""
        return registry.match(self.resources, names)

    def by_source(self) -> list[list[Classified]]:
        """The parts of every source and buffer, by source. Reassembled values have a buffer of their own."""
        groups: dict[tuple[str, int], list[Classified]] = {}
        buffers: dict[int, int] = {}
        for part in self.parts:
            buffer = buffers.setdefault(id(part.batch.data), len(buffers))
            groups.setdefault((part.batch.source, buffer), []).append(part)
        return [groups[key] for key in sorted(groups)]


def classify(batches: Sequence[RecordBatch], storage_prefixes: Sequence[str] = ()) -> Store:
    """Records by prefix, key and, where the key is lost or names something else, content.

    What values hold beside their one object or payload is carved, and follows behind all of them.

    storage_prefixes: of the options; none for those of the built-in resources with the value of an object.
    """
    claims = [payloads.refused(batch, prefixes.classify(batch)) for batch in batches]
    more = [part for batch, claim in zip(batches, claims, strict=True) for part in framing.beside(batch, claim)]
    batches, claims = [*batches, *more], [*claims, *map(prefixes.classify, more)]
    index = registry.Registry(storage_prefixes)
    likely = [prefixes.likely(batch, claim) for batch, claim in zip(batches, claims, strict=True)]
    codes = index.classify(batches, likely)
    parts = [
        Classified(batch, *fragments.attribute(batch, claim, resource, index))
        for batch, claim, resource in zip(batches, claims, codes, strict=True)
    ]
    return grouped(Store(tuple(parts), tuple(index.resources), tuple(index.storage_prefixes)), _versions)


def grouped(store: Store, versions: Callable[[Classified, int], Iterator[bytes]]) -> Store:
    """The store, its resources of no table under the API group that one of their objects states.

    Args:
        store: All values of the evidence.
        versions: The apiVersions that objects of a part state, by the code of their resource.
    """

    def named(code: int, resource: Resource) -> Resource:
        stated = (version for part in store.parts for version in versions(part, code)) if resource.unlisted else ()
        group, slash, _ = next(filter(None, stated), b"").partition(b"/")
        if not group:
            return resource
        return replace(resource, name=f"{resource.name}.{printable(group)}" if slash else resource.name, unlisted=False)

    return replace(store, resources=tuple(named(*each) for each in enumerate(store.resources)))


def _versions(part: Classified, code: int) -> Iterator[bytes]:
    """What some readable objects of a resource say."""
    rows = np.flatnonzero((part.resource == code) & (part.prefixes.provider == Provider.IDENTITY))
    for row in rows[:ASKED].tolist():
        encoding = Encoding(int(part.prefixes.encoding[row]))
        yield objects.decode(part.batch.value(row), encoding, content=False).api_version
