"""Fingerprints of results, by which collectors of SARIF tell one night's findings from another's."""

import hashlib
import json
from collections import Counter
from collections.abc import Mapping
from typing import Any

from auditor.model.findings import AbsentFinding, Cell
from auditor.model.vocabulary import VALUELESS_LABELS, FindingKind, Place

FINGERPRINT = "etcdAuditorFinding/v2"
"""v1 was the id, which is an offset: another object at the same offset of another night's snapshot had the same."""
LINE_HASH = "primaryLocationLineHash"
"""The fingerprint that GitHub compares by."""


class Fingerprints:
    """The fingerprints of one run's results, each once: what identifies a finding in its own evidence.

    That is its kind, the place, the object and, outside `latest`, the revision that wrote it, as the baseline compares;
    for a value without an etcd key its own evidence and offset. Copies of one revision are numbered.
    """

    def __init__(self, cluster: str) -> None:
        """cluster: uid of the Kubernetes cluster; empty where it is unknown."""
        self._cluster = cluster
        self._counts: Counter[str] = Counter()

    def of(self, row: Mapping[str, Any]) -> dict[str, str]:
        """The fingerprints of a finding by its row."""
        if row["finding"] == FindingKind.WEAK_PROVIDER.label:  # of a provider, whatever values are under it
            names = ["finding", "resource", "provider", "key_name"]
        else:
            names = ["finding", "place", "resource", "key"]
            names += [] if row["place"] == Place.LATEST.label else ["mod_revision"]
            without_key = row["key"] in {"", "unknown"} or row["finding"] in VALUELESS_LABELS
            names += ["evidence", "source", "offset", "id"] if without_key else []
        identity = [self._cluster, *(str(row.get(name, "")) for name in names)]
        digest = hashlib.sha256(json.dumps(identity, ensure_ascii=True).encode("ascii")).hexdigest()
        self._counts[digest] += 1
        number = self._counts[digest]
        return {FINGERPRINT: f"{digest[:32]}:{number}", LINE_HASH: f"{digest[:16]}:{number}"}


def absent_row(finding: AbsentFinding) -> dict[str, Cell]:
    """The cells of the row of an absent finding that a fingerprint is made of."""
    return {
        "finding": finding.finding,
        "place": finding.place,
        "resource": finding.resource,
        "key": finding.key,
        "provider": finding.provider,
        "key_name": finding.key_name,
        "mod_revision": finding.mod_revision,
        "source": finding.source,
        "offset": finding.offset,
        "id": finding.id,
    }
