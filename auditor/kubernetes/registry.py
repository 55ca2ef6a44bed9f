"""Classify etcd keys: storage prefix and resource of every record, by distinct paths instead of by key.

Keys: k8s.io/apiserver pkg/storage/etcd3/store.go (prepareKey): `/` prefix `/` resource path.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from auditor.arrays.dtypes import Bools, Ints
from auditor.arrays.factorize import factorize
from auditor.arrays.parallel import parallel_for
from auditor.evidence.batch import RecordBatch
from auditor.kubernetes.resources import BUILT_IN, EXEMPT_KEYS, Resource, resource_at
from auditor.text import printable

DEEPEST = 6
"""Segments of a key looked at for prefix and resource: a prefix of up to four, and a group's two."""
NO_RESOURCE = Resource("", "", "")
EXEMPT_OTHER = Resource("", "", "", exempt=True)


@dataclass(frozen=True, slots=True)
class Keys:
    """The resource of every record: `resource` holds, for each batch, indices (int32) into `table`."""

    table: tuple[Resource, ...]
    resource: tuple[NDArray[np.int32], ...]
    prefixes: tuple[str, ...]

    def of(self, wanted: frozenset[str]) -> Bools:
        """Which entries of the table are one of these resources; `*` is every one but the exempt."""
        named = [
            not entry.exempt and (entry.name in wanted or ("*" in wanted and entry is not NO_RESOURCE))
            for entry in self.table
        ]
        return np.array(named, np.bool_)


def classify(batches: Sequence[RecordBatch], objects: Sequence[Bools], given: Sequence[str]) -> Keys:
    """Find every record's resource. `objects` says which values look like stored Kubernetes objects.

    Prefixes are those `given`, or else all those under which a built-in resource with such a value lies.
    """
    finder = _Finder(tuple(f"/{prefix.strip('/')}".rstrip("/") for prefix in given), detect=not given)
    rows = [np.arange(len(batch)) for batch in batches]
    resource = [np.zeros(len(batch), np.int32) for batch in batches]
    for depth in range(2, DEEPEST + 1):
        grouped = []
        for batch, mine, likely in zip(batches, rows, objects, strict=True):
            end = _path_length(batch, mine, depth)
            number, heads = factorize(batch.data, batch.key_at[mine], end)
            texts = [batch.data.slice(int(batch.key_at[mine[head]]), int(end[head])) for head in heads.tolist()]
            stored = np.bincount(number, likely[mine], len(texts)) > 0
            finder.look(texts, stored, depth)
            grouped.append((number, texts))
        left = False
        for i, (number, texts) in enumerate(grouped):
            decided = np.array([finder.decide(text, depth) for text in texts], np.int32)[number]
            resource[i][rows[i][decided >= 0]] = decided[decided >= 0]
            rows[i] = rows[i][decided < 0]
            left |= bool(rows[i].size)
        if not left:
            break
    return Keys(tuple(finder.table), tuple(resource), tuple(finder.prefixes))


class _Finder:
    """Decides on distinct paths; grows the table of resources and the list of prefixes as it sees them."""

    def __init__(self, given: tuple[str, ...], *, detect: bool) -> None:
        self.table = [NO_RESOURCE, EXEMPT_OTHER]
        self.prefixes = list(given)
        self.detect = detect
        self._index: dict[Resource, int] = {}

    def look(self, texts: list[bytes], stored: Bools, depth: int) -> None:
        """Learn the prefixes under which a built-in resource lies."""
        if not self.detect:
            return
        for text, likely in zip(texts, stored.tolist(), strict=True):
            if likely and text.startswith(b"/"):
                parts = printable(text).split("/")
                prefix = "/".join(parts[:depth])
                known = len(parts) == depth + 1 and parts[depth] in BUILT_IN
                if known and not self._under(printable(text)) and prefix not in self.prefixes:
                    self.prefixes.append(prefix)

    def decide(self, text: bytes, depth: int) -> int:
        """Index of the resource that a path of `depth` segments belongs to; -1 where more segments are needed."""
        path = printable(text)
        prefix = self._under(path)
        if prefix is None and path.startswith(EXEMPT_KEYS):
            return 1
        if prefix is None:
            return -1 if depth < DEEPEST and text.count(b"/") == depth else 0
        rest = path[len(prefix) + 1 :].split("/")
        found = resource_at(prefix, rest)
        if found is None:
            return -1 if depth < DEEPEST and text.count(b"/") == depth else 0
        index = self._index.setdefault(found, len(self.table))
        if index == len(self.table):
            self.table.append(found)
        return index

    def _under(self, path: str) -> str | None:
        return next((prefix for prefix in self.prefixes if path.startswith(f"{prefix}/")), None)


def _path_length(batch: RecordBatch, rows: Ints, depth: int) -> Ints:
    """Length of each key up to the end of its segment number `depth`, or of the whole key if it has fewer."""
    found = np.empty(rows.size, np.int64)

    def measure(part: slice) -> None:
        at, length = batch.key_at[rows[part]], batch.key_len[rows[part]].astype(np.int64)
        slash = batch.data.find_nth(at, length, ord("/"), depth)
        found[part] = np.where(slash < 0, length, slash)

    parallel_for(rows.size, measure)
    return found


def find_key(batch: RecordBatch, key: bytes) -> Ints:
    """The rows of a batch that hold exactly this key."""
    rows = np.flatnonzero(batch.key_len == len(key))
    return rows[batch.data.starts_with(batch.key_at[rows], batch.key_size[rows], key)]
