"""Values whose etcd key is lost: of which resource they are, as far as their own bytes say."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from auditor.batch import Batch
from auditor.model import Encoding, Provider, State
from auditor.storage import objects
from auditor.storage.keys import Keys
from auditor.storage.resources import Resource
from auditor.storage.values import Values

KINDS = {b"Secret": "secrets", b"ConfigMap": "configmaps"}
UNTOLD = Resource("unknown", "", "")
"""The resource of a fragment that does not say what it is."""


def attribute(batches: Sequence[Batch], stored: Sequence[Values], found: Keys) -> tuple[list[Values], Keys]:
    """The same with the values without a key under a resource of their own: by kind, or UNTOLD.

    A readable object of another kind than KINDS stays under no resource. What ends as a v1 Secret ends is readable.
    """
    table = list(found.table)
    places: dict[str, int] = {}

    def index(name: str) -> int:
        if name not in places:
            places[name] = len(table)
            table.append(UNTOLD if name == UNTOLD.name else Resource(name, "", ""))
        return places[name]

    judged, resources = [], []
    for batch, each, resource in zip(batches, stored, found.resource, strict=True):
        rows = np.flatnonzero((batch.key_at < 0) & (batch.value_len > 0))
        if rows.size:
            resource = resource.copy()
            each = replace(each, provider=each.provider.copy(), encoding=each.encoding.copy())
        for row in rows.tolist():
            name = _resource(batch, each, row)
            resource[row] = index(name) if name else 0
        judged.append(each)
        resources.append(resource)
    return judged, Keys(tuple(table), tuple(resources), found.prefixes)


def _resource(batch: Batch, each: Values, row: int) -> str:
    """The resource's name, empty for an object of another kind; a Secret's tail becomes readable protobuf."""
    if each.provider[row] == Provider.IDENTITY:
        cut = bool(batch.state[row] & State.TAIL_LOST)
        said = objects.decode(batch.value(row), Encoding(int(each.encoding[row])), cut=cut)
        return KINDS.get(said.kind, "" if said.kind else UNTOLD.name)
    if each.provider[row] == Provider.UNKNOWN and objects.tail(batch.value(row)).kind:
        each.provider[row], each.encoding[row] = Provider.IDENTITY, Encoding.PROTOBUF
        return "secrets"
    return UNTOLD.name
