"""Names of the objects of a resource: what `show` lists without a key, and suggests for one that does not exist."""

from collections.abc import Iterator

import numpy as np

from auditor.evidence import exhibit, readers
from auditor.kubernetes.store import Store, classify
from auditor.options import Options
from auditor.text import printables

MOST = 3
"""Names that are suggested."""


def listing(files: exhibit.Exhibit, options: Options) -> tuple[list[str], int]:
    """The objects of the first resource, `namespace/name` in ascending order, and the number of gaps.

    Raises UnreadableEvidence where nothing in the exhibit can be read.
    """
    reading = readers.read(files, quick=False)
    store = classify(reading.batches, options.storage_prefixes)
    return sorted(set(_names(store, options.resources[0].rstrip(".")))), len(reading.gaps)


def ending(store: Store, resource: str, name: str) -> list[str]:
    """The first objects of a resource whose name, or the end of it, this is."""
    last = name.rpartition("/")[2]
    same = {each for each in _names(store, resource) if each.rpartition("/")[2] == last or each.endswith(name)}
    return sorted(same)[:MOST]


def _names(store: Store, resource: str) -> Iterator[str]:
    codes = [code for code, entry in enumerate(store.resources) if entry.name == resource and entry.path]
    for part in store.parts:
        for code in codes:
            rows = np.flatnonzero((part.resource == code) & (part.batch.key_at >= 0))
            keys = printables(part.batch.data.slices(part.batch.key_at[rows], part.batch.key_size[rows]))
            start = len(store.resources[code].path) + 1
            yield from (key[start:] for key in keys)
