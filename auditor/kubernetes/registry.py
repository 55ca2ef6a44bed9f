"""Storage prefix and resource of every record, by the distinct paths of the etcd keys.

Keys: k8s.io/apiserver pkg/storage/etcd3/store.go (prepareKey): `/` prefix `/` resource path.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from auditor.arrays.dtypes import Bools, Ints
from auditor.arrays.factorize import factorize
from auditor.arrays.parallel import parallel_for
from auditor.evidence.batch import RecordBatch
from auditor.kubernetes.resources import BUILT_IN, EXEMPT_KEYS, Resource, resource_at
from auditor.text import printable

DEEPEST = 6
"""Segments of a key that hold prefix and resource: up to four of a prefix, and two of a group's resource."""
NO_RESOURCE = Resource("", "", "")
EXEMPT_OTHER = Resource("", "", "", exempt=True)
SECRET_ELSEWHERE = Resource("", "", "", by_content=True)
"""Readable Secrets under none of the storage prefixes that are given: not judged, and not passed over."""


OUTSIDE, EXEMPT = 0, 1
"""Codes of NO_RESOURCE and EXEMPT_OTHER in every registry."""


def match(resources: Sequence[Resource], names: frozenset[str]) -> Bools:
    """Whether each resource has one of the names, shape (len(resources),); `*` is every one but the exempt."""
    matches = [
        not resource.exempt and (resource.name in names or ("*" in names and bool(resource.name)))
        for resource in resources
    ]
    return np.array(matches, np.bool_)


class Registry:
    """The resources of the evidence, by code, and the storage prefixes.

    Prefixes are those of the options, or else all prefixes of a built-in resource with the value of an object.
    """

    def __init__(self, storage_prefixes: Sequence[str] = ()) -> None:
        self.resources = [NO_RESOURCE, EXEMPT_OTHER]
        self.storage_prefixes = [f"/{prefix.strip('/')}".rstrip("/") for prefix in storage_prefixes]
        self.detects = not storage_prefixes
        self._codes = {resource: code for code, resource in enumerate(self.resources)}

    def code(self, resource: Resource) -> int:
        """The index of a resource; a new one is added."""
        code = self._codes.setdefault(resource, len(self.resources))
        if code == len(self.resources):
            self.resources.append(resource)
        return code

    def classify(self, batches: Sequence[RecordBatch], objects: Sequence[Bools]) -> list[NDArray[np.int32]]:
        """The code of every record's resource.

        Args:
            batches: the records.
            objects: whether each value of each batch looks like a Kubernetes object.
        """
        rows = [np.arange(len(batch)) for batch in batches]
        codes = [np.zeros(len(batch), np.int32) for batch in batches]
        for depth in range(2, DEEPEST + 1):
            # of each batch: number of the path of each undecided row, and the distinct paths of `depth` segments
            grouped = []
            for batch, undecided, likely in zip(batches, rows, objects, strict=True):
                end = _path_length(batch, undecided, depth)
                number, heads = factorize(batch.data, batch.key_at[undecided], end)
                texts = [
                    batch.data.slice(int(batch.key_at[undecided[head]]), int(end[head])) for head in heads.tolist()
                ]
                self._detect_prefixes(texts, np.bincount(number, likely[undecided], len(texts)) > 0, depth)
                grouped.append((number, texts))
            for i, (number, texts) in enumerate(grouped):
                decided = np.array([self._decide(text, depth) for text in texts], np.int32)[number]
                codes[i][rows[i][decided >= 0]] = decided[decided >= 0]
                rows[i] = rows[i][decided < 0]
            if not any(undecided.size for undecided in rows):
                break
        return codes

    def _detect_prefixes(self, texts: list[bytes], objects: Bools, depth: int) -> None:
        """Add the storage prefixes of paths to built-in resources."""
        if not self.detects:
            return
        for text, likely in zip(texts, objects.tolist(), strict=True):
            if likely and text.startswith(b"/"):
                parts = printable(text).split("/")
                if len(parts) == depth + 1 and not self._prefix_of(printable(text)):
                    # the path of a resource has one segment, or two
                    ends = (end for end in (depth, depth - 1) if end > 1 and "/".join(parts[end:]) in BUILT_IN)
                    self.storage_prefixes += ["/".join(parts[:end]) for end in ends][:1]

    def _decide(self, text: bytes, depth: int) -> int:
        """The code of the resource of a path of `depth` segments; -1 where more segments are needed."""
        path = printable(text)
        prefix = self._prefix_of(path)
        if prefix is None and path.startswith(EXEMPT_KEYS):
            return EXEMPT
        if prefix is None:
            return -1 if depth < DEEPEST and text.count(b"/") == depth else OUTSIDE
        rest = path[len(prefix) + 1 :].split("/")
        resource = resource_at(prefix, rest)
        if resource is None:
            return -1 if depth < DEEPEST and text.count(b"/") == depth else OUTSIDE
        return self.code(resource)

    def _prefix_of(self, path: str) -> str | None:
        """The storage prefix of a path; None for a path under none."""
        return next((prefix for prefix in self.storage_prefixes if path.startswith(f"{prefix}/")), None)


def _path_length(batch: RecordBatch, rows: Ints, depth: int) -> Ints:
    """The length of each key up to the end of its segment number `depth`; of keys with fewer segments, all of it."""
    lengths = np.empty(rows.size, np.int64)

    def measure(part: slice) -> None:
        at, length = batch.key_at[rows[part]], batch.key_len[rows[part]].astype(np.int64)
        slash = batch.data.find_nth(at, length, ord("/"), depth)
        lengths[part] = np.where(slash < 0, length, slash)

    parallel_for(rows.size, measure)
    return lengths


def find_key(batch: RecordBatch, key: bytes) -> Ints:
    """The rows of a batch with exactly this key."""
    rows = np.flatnonzero(batch.key_len == len(key))
    return rows[batch.data.starts_with(batch.key_at[rows], batch.key_size[rows], key)]
