"""An earlier report beside this run: what is new, what is still there and what is gone.

Of one and the same file a finding is known by its `id`, which says where it lies. In another file the same bytes lie
elsewhere, so there a finding is known by what does not depend on the bytes around it: the finding, its place, its
resource and etcd key, and, outside `latest`, the revision that wrote it. Copies of one revision in one place are
counted. What moved from one place to another (`history` to `freed`) is gone there and new here, and is counted.
"""

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any, NamedTuple

from auditor.errors import UsageError
from auditor.model.audit import Redaction
from auditor.model.findings import AbsentFinding, Baseline, Finding, Rows
from auditor.model.vocabulary import BaselineState, FindingKind, Place, RedactionMethod, Severity

NOTED = re.compile(r"(^|; )(baseline: |accepted until \d{4}-\d\d-\d\d: ).*", re.DOTALL)
"""What this module and acceptance.py add to a detail."""
NUMBERED = re.compile(r" value=#\d+")
"""Numbers of equal values are those of one run."""
ELSEWHERE = frozenset(
    each.label for each in (FindingKind.CONFIGURATION, FindingKind.COPIED_VALUE, FindingKind.KEY_PRESENT)
)
WORDS = {
    "finding": frozenset(each.label for each in FindingKind),
    "severity": frozenset(each.label for each in Severity),
    "place": frozenset(["", *(each.label for each in Place)]),
}
"""Columns of which every cell is a word of ours."""
COMPARED_OPTIONS = (
    "resources", "storage_prefixes", "encryption_configs", "kms_plugins", "current_keks", "expect", "compromised_keys",
    "hunt", "hunt_min_length", "hunt_fields", "use_found_keys", "k3s_token", "quick",
)  # fmt: skip
"""Options on which findings depend, as a report's `run.options` names them (auditor.options.settings)."""
NOT_KNOWN = "unknown"


class BaselineReport(NamedTuple):
    """A report that is what it was when it was written. options: of its run; redaction: as the document says it."""

    name: str
    sha256: str
    evidence: str
    rows: list[dict[str, Any]]
    options: dict[str, Any]
    redaction: str
    complete: bool


class Compared(NamedTuple):
    rows: Rows
    baseline: Baseline
    notes: tuple[str, ...]


def compare(
    earlier: BaselineReport,
    rows: Rows,
    hashes: Mapping[str, str],
    database: str,
    redaction: Redaction | None,
    options: Mapping[str, Any],
) -> Compared:
    """hashes: SHA-256 of each source, empty where it was not computed; database: that of the evidence's own file.

    options, redaction: of this run. Raises UsageError where names would have to be compared and cannot be.
    """
    present = {each for each in (*hashes.values(), database) if each}
    shared = frozenset(present & {earlier.evidence, *(str(row["evidence"]) for row in earlier.rows)})
    same = bool(shared) and all(str(row["evidence"]) in shared for row in earlier.rows)
    ordinals = redaction is not None and redaction.method is RedactionMethod.ORDINALS
    if not same and (ordinals or earlier.redaction != ("" if redaction is None else redaction.label)):
        raise UsageError(
            f"--baseline {earlier.name} is of other evidence, and its names cannot be compared with this run's: give "
            "both the same --redact-key, or redact neither"
        )
    keys = [_key(row, str(row["finding"]), str(row["evidence"]), shared) for row in earlier.rows]
    open_ = Counter(keys)
    counts: Counter[BaselineState] = Counter()
    elsewhere: Counter[tuple[str, ...]] = Counter()
    compared: list[tuple[Finding, ...]] = []
    for number, findings in enumerate(rows.findings):
        row = {name: column[number] for name, column in rows.columns.items()} if findings else {}
        states = []
        for finding in findings:
            key = _key(row, finding.kind.label, hashes.get(str(row["source"]), database), shared)
            state = BaselineState.UNCHANGED if open_[key] > 0 else BaselineState.NEW
            open_[key] -= state is BaselineState.UNCHANGED
            counts[state] += 1
            elsewhere[_written(row, finding.kind.label)] += state is BaselineState.NEW
            states.append(replace(finding, baseline=state))
        compared.append(tuple(states))
    gone, moved = _absent(earlier, keys, open_, elsewhere)
    baseline = Baseline(
        name=earlier.name,
        sha256=earlier.sha256,
        evidence=earlier.evidence,
        same_evidence=same,
        new=counts[BaselineState.NEW],
        unchanged=counts[BaselineState.UNCHANGED],
        moved=moved,
        absent=gone,
    )
    return Compared(replace(rows, findings=compared), baseline, tuple(_notes(earlier, options)))


def _absent(
    earlier: BaselineReport,
    keys: list[tuple[str, ...]],
    open_: Counter[tuple[str, ...]],
    elsewhere: Counter[tuple[str, ...]],
) -> tuple[tuple[AbsentFinding, ...], int]:
    """The findings that were not found again, and how many of them are new in another place.

    open_: how many of each key were not; elsewhere: how many of each write are new. Both are used up.
    """
    gone: list[AbsentFinding] = []
    moved = 0
    for row, key in zip(earlier.rows, keys, strict=True):
        if open_[key] > 0:
            open_[key] -= 1
            gone.append(_gone(row))
            written = _written(row, str(row["finding"]))
            moved += elsewhere[written] > 0
            elsewhere[written] -= 1
    return tuple(gone), moved


def _key(row: Mapping[str, Any], finding: str, evidence: str, shared: frozenset[str]) -> tuple[str, ...]:
    """What one finding is known by."""
    if evidence in shared:
        return finding, evidence, str(row["id"])
    known = [finding, *(str(row[name]) for name in ("place", "resource", "key"))]
    if row["key"] in {"", NOT_KNOWN}:
        known += [str(row[name]) for name in ("namespace", "name", "uid")]
    if row["place"] != Place.LATEST.label:
        known.append(str(row["mod_revision"]))
    if finding in ELSEWHERE:
        known += [str(row["source"]), NUMBERED.sub("", NOTED.sub("", str(row["detail"])))]
    return tuple(known)


def _written(row: Mapping[str, Any], finding: str) -> tuple[str, ...]:
    """What one write of an object is known by, wherever it lies now."""
    return finding, *(str(row[name]) for name in ("resource", "key", "mod_revision"))


def _gone(row: Mapping[str, Any]) -> AbsentFinding:
    return AbsentFinding(
        id=str(row["id"]),
        finding=str(row["finding"]),
        severity=str(row["severity"]),
        place=str(row["place"]),
        resource=str(row["resource"]),
        namespace=str(row["namespace"]),
        name=str(row["name"]),
        key=str(row["key"]),
        source=str(row["source"]),
        offset=row["offset"],
    )


def _notes(earlier: BaselineReport, options: Mapping[str, Any]) -> Iterator[str]:
    differing = [name for name in COMPARED_OPTIONS if _plain(options.get(name)) != earlier.options.get(name)]
    if differing:
        names = ", ".join(name.replace("_", "-") for name in differing)
        yield f"{earlier.name} was made with other options ({names}): what is gone may not have been looked for"
    if not earlier.complete:
        yield f"{earlier.name} had not read or concluded on everything: what is new may have been there"


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value
