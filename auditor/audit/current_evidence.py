"""The evidence of --current, newer and of the same cluster: how far it can say what is still current."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from auditor.evidence.reading import Reading
from auditor.judgement import current_values, secret_values
from auditor.judgement.leftovers import Standard
from auditor.judgement.selection import Selection
from auditor.model.evidence import Cluster, CurrentReference
from auditor.model.vocabulary import Opened, Provider
from auditor.text import plural


@dataclass(frozen=True, slots=True, kw_only=True)
class CurrentEvidence:
    """Newer evidence, opened and judged."""

    name: str
    """Printable name."""
    reading: Reading
    cluster: Cluster
    selections: Sequence[Selection]


Judge: TypeAlias = Callable[[frozenset[str]], CurrentEvidence]
"""Judges newer evidence; called with the names of the resources that are judged in the older."""


def standard(newer: CurrentEvidence, cluster: Cluster, reading: Reading) -> tuple[Standard, CurrentReference]:
    """The standard of leftovers, and what a report says of it.

    Evidence of another cluster, or older, answers nothing. Where it was read in part it proves what it holds, and not
    what it does not.

    Args:
        newer: The newer evidence.
        cluster: Of the audited evidence.
        reading: Of the audited evidence.
    """
    refusal = _refusal(newer, cluster, reading)
    limits = [refusal] if refusal else list(_limits(newer, cluster, reading))
    backend = newer.reading.backend
    said = CurrentReference(
        name=newer.name,
        description=newer.reading.description,
        revision=backend.revision,
        newest=newer.cluster.newest,
        limits=tuple(limits),
    )
    selections = () if refusal else tuple(newer.selections)
    return Standard(selections=selections, complete=not limits, newer=True), said


def _refusal(newer: CurrentEvidence, cluster: Cluster, reading: Reading) -> str:
    """Why it says nothing of what is current; empty where it does."""
    backend, other = reading.backend, newer.reading.backend
    if _same_cluster(newer, cluster, reading) is False:
        return "it is of another cluster"
    if not any(current_values.current(values).any() for values in newer.selections):
        return "it holds no current value of these resources"
    if other.revision < backend.revision:
        return f"it is older: at revision {other.revision:,}, where the audited evidence is at {backend.revision:,}"
    return ""


def _limits(newer: CurrentEvidence, cluster: Cluster, reading: Reading) -> Iterator[str]:
    """Why what it does not hold may be current all the same."""
    if _same_cluster(newer, cluster, reading) is None:
        yield "neither a kube-system namespace nor an etcd cluster id shows that it is of the same cluster"
    if not (newer.reading.backend.revision and reading.backend.revision):
        yield "the revisions do not show that it is newer"
    if gaps := len(newer.reading.gaps):
        yield f"{plural(gaps, 'part')} of it {'was' if gaps == 1 else 'were'} not read"
    yield from (f"{part.what}: {part.reason}" for part in newer.reading.unexamined if part.may_be_current)
    if closed := sum(_closed(values) for values in newer.selections):
        yield f"{plural(closed, 'current Secret')} in it {'was' if closed == 1 else 'were'} not decrypted"


def _closed(values: Selection) -> int:
    """The number of current Secrets that are neither readable nor opened."""
    readable = (values.prefixes.provider == Provider.IDENTITY) | (values.opened == Opened.YES)
    return int(np.count_nonzero(current_values.current(values) & secret_values.are_secrets(values) & ~readable))


def _same_cluster(newer: CurrentEvidence, cluster: Cluster, reading: Reading) -> bool | None:
    """Whether both are of one cluster; None where it cannot be told."""
    if cluster.uid and newer.cluster.uid:
        return cluster.uid == newer.cluster.uid
    own, other = reading.backend.cluster_id, newer.reading.backend.cluster_id
    return own == other if own is not None and other is not None else None
