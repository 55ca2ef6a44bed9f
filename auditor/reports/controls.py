"""Controls of known frameworks that a finding may be relevant to. None is judged here: the assessor decides.

Leftovers (history, freed pages, the WAL) say nothing about a configuration, and are not put under controls that
inspect one. Sources: CIS Kubernetes Benchmark v1.9 to v1.12, section 1.2; NIST SP 800-53 Rev. 5; DISA STIG for
Kubernetes. The titles are ours.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from auditor.model.audit import Audit
from auditor.model.vocabulary import EvidenceKind, FindingKind, Place, Provider

WORDING = "may be relevant to; the assessor decides"


@dataclass(frozen=True, slots=True)
class Control:
    """A control of a framework."""

    framework: str
    id: str
    title: str
    findings: FindingKind
    """The findings that it may concern."""
    current: bool = False
    """Of the values only those in `latest`."""
    leftovers: bool = False
    """Of the values only those elsewhere."""
    backups: bool = False
    """Only evidence that is a backup, an API snapshot."""


CIS, NIST, STIG = "CIS Kubernetes Benchmark", "NIST SP 800-53", "DISA STIG Kubernetes"
VERSIONS = {CIS: "v1.9-v1.12", NIST: "Rev. 5", STIG: ""}
_EXPOSED = FindingKind.PLAINTEXT | FindingKind.KNOWN_KEY | FindingKind.KEY_PRESENT | FindingKind.COPIED_VALUE
CONTROLS = (
    Control(CIS, "1.2.27", "the API server is given an encryption configuration",
            FindingKind.PLAINTEXT | FindingKind.CONFIGURATION, current=True),
    Control(CIS, "1.2.28", "the providers of the encryption configuration are suitable",
            FindingKind.PLAINTEXT | FindingKind.CONFIGURATION | FindingKind.KNOWN_KEY | FindingKind.STALE_PROVIDER
            | FindingKind.WEAK_PROVIDER, current=True),
    Control(NIST, "SC-28(1)", "cryptographic protection of information at rest",
            _EXPOSED | FindingKind.CONFIGURATION | FindingKind.UNRECOGNISED | FindingKind.WEAK_PROVIDER),
    Control(NIST, "SC-12", "establishment and management of cryptographic keys",
            FindingKind.KNOWN_KEY | FindingKind.KEY_PRESENT | FindingKind.UNDECRYPTABLE | FindingKind.ORPHANED
            | FindingKind.STALE_KEY | FindingKind.STALE_KEK),
    Control(NIST, "CP-9(8)", "cryptographic protection of backups", _EXPOSED, backups=True),
    Control(NIST, "MP-6", "sanitization of media", _EXPOSED, leftovers=True),
    Control(STIG, "V-274882", "Secrets are encrypted at rest by the API server's configuration",
            FindingKind.PLAINTEXT | FindingKind.CONFIGURATION, current=True),
)  # fmt: skip
PLACES = {place.label: place for place in Place}
BACKUPS = frozenset({EvidenceKind.API_SNAPSHOT, EvidenceKind.NO_TRAILER})


def of(finding: FindingKind, place: Place | None, *, backup: bool) -> tuple[Control, ...]:
    """The controls that a finding may be relevant to.

    Args:
        finding: The kind of the finding.
        place: The place of the value; None for findings of a configuration.
        backup: Whether the evidence is a backup.
    """
    return tuple(
        control
        for control in CONTROLS
        if finding & control.findings
        and (backup or not control.backups)
        and (place in {None, Place.LATEST} or not control.current)
        and (place not in {None, Place.LATEST} or not control.leftovers)
    )


def is_backup(audit: Audit) -> bool:
    return audit.evidence.kind in BACKUPS


def table(audit: Audit) -> list[dict[str, Any]]:
    """Each control with the findings and the coverage of the selected resources that it may concern."""
    backup = is_backup(audit)
    counts: Counter[tuple[FindingKind, str]] = Counter()
    by_id = {id(findings): findings for findings in audit.rows.findings}  # rows share their lists: few are visited
    shared = Counter(zip(map(id, audit.rows.findings), audit.rows.columns.get("place", ()), strict=True))
    for (number, place), count in shared.items():
        for finding in by_id[number]:
            if finding.values:  # its values are counted one by one
                continue
            counts[finding.kind, str(place)] += count
    return [
        {
            "framework": control.framework,
            "framework_version": VERSIONS[control.framework],
            "control": control.id,
            "title": control.title,
            "wording": WORDING,
            "findings": list(_findings(control, counts, backup=backup)),
            "coverage": None if control.backups and not backup else _coverage(control, audit),
        }
        for control in CONTROLS
    ]


def _findings(control: Control, counts: Counter[tuple[FindingKind, str]], *, backup: bool) -> Iterator[dict[str, Any]]:
    for (finding, place), count in sorted(counts.items(), key=lambda entry: (entry[0][0], entry[0][1])):
        if control in of(finding, PLACES.get(place), backup=backup):
            yield {"finding": finding.label, "place": place, "values": count}


def _coverage(control: Control, audit: Audit) -> dict[str, int]:
    """Values of the selected resources that the control may concern: all, without a key readable, and opened."""
    rows = [
        row
        for row in audit.tally.places
        if (row[0] is Place.LATEST or not control.current) and (row[0] is not Place.LATEST or not control.leftovers)
    ]
    return {
        "values": sum(row[3] for row in rows),
        "readable": sum(row[3] for row in rows if row[1] is Provider.IDENTITY),
        "decrypted": sum(row[4] for row in rows),
    }
