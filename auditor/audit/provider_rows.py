"""Rows of findings on a provider: one for each source, resource, provider and key name, with the number of values.

A value under a weak provider is as its API server was told to write it: a row for each of them would hide the rest.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from auditor.audit.ids import tag
from auditor.judgement import policy
from auditor.judgement.selection import Selection
from auditor.model.findings import Cell, Finding
from auditor.model.vocabulary import FindingKind, Provider

KIND = FindingKind.WEAK_PROVIDER


class Group(NamedTuple):
    """Values with one row."""

    source: str
    """Name of their file."""
    identity: str
    """What stands for the file in the row's id: nothing for the evidence's own, whatever its name is."""
    resource: str
    """Name of their resource."""
    provider: Provider
    """Provider that their prefix claims."""
    key_name: str
    """Name of their key or KMS plugin; empty where they name none."""


def rows(selections: Sequence[Selection]) -> Iterator[tuple[dict[str, Cell], Finding]]:
    """The cells of each group's row by column, those that apply, and its finding."""
    counts: Counter[Group] = Counter()
    for values in selections:
        weak = np.flatnonzero(values.findings & np.uint16(KIND))
        pairs = np.stack((values.resource[weak], values.key_label[weak]), axis=1)
        for (resource, label), size in zip(*np.unique(pairs, axis=0, return_counts=True), strict=True):
            pair = values.key_labels[label].pair
            identity = "" if values.own else values.batch.source
            counts[Group(values.batch.source, identity, values.resources[resource].name, *pair)] += int(size)
    for group, count in sorted(counts.items()):
        text = f"{count:,} {'value' if count == 1 else 'values'}: {policy.WEAK[group.provider]}"
        cells: dict[str, Cell] = {
            "id": tag(f"{group.identity} {KIND.label} {group.resource} {group.provider.label}/{group.key_name}"),
            "judged": "finding",
            "resource": group.resource,
            "provider": group.provider.label,
            "key_name": group.key_name,
            "source": group.source,
            "detail": text,
        }
        severity = policy.severity(KIND, current=False, same_as_latest=False)
        yield cells, Finding(KIND, severity, values=count)
