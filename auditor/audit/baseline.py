"""The baseline: findings of an earlier report in comparison with those of this run, new, unchanged or absent.

In the same file the identity of a finding is its `id`, which is an offset. In another file the same bytes lie
elsewhere; the identity is then independent of the bytes around them: the kind of finding, its place, resource and etcd
key, and, outside `latest`, the revision that wrote it. Copies of one revision in one place are counted. A value that
moves from one place to another (`history` to `freed`) is absent in the first and new in the second, and is counted.
"""

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any, NamedTuple

from auditor.errors import UsageError
from auditor.model.audit import Redaction
from auditor.model.findings import AbsentFinding, Baseline, Finding, Rows
from auditor.model.vocabulary import VALUELESS_LABELS, BaselineState, FindingKind, Place, RedactionMethod, Severity

REMARK = re.compile(r"(^|; )(baseline: |accepted until \d{4}-\d\d-\d\d: ).*", re.DOTALL)
"""Remarks that auditor.model.table adds to a detail."""
VALUE_NUMBER = re.compile(r" value=#\d+")
"""Number of a value, which belongs to one run."""
PROVIDERS = FindingKind.WEAK_PROVIDER.label
"""Label of the finding with one row a provider and key name."""
WORDS = {
    "finding": frozenset(kind.label for kind in FindingKind),
    "severity": frozenset(level.label for level in Severity),
    "place": frozenset(["", *(place.label for place in Place)]),
}
"""Columns of labels, and the labels of each."""
COMPARED_OPTIONS = (
    "resources", "storage_prefixes", "encryption_configs", "kms_plugins", "kms", "kms_prove", "current_keks", "expect",
    "compromised_keys",
    "hunt", "hunt_min_length", "hunt_fields", "use_found_keys", "k3s_token", "quick",
)  # fmt: skip
"""Options on which findings depend, as a report's `run.options` names them (auditor.options.settings)."""
NOT_KNOWN = "unknown"


class BaselineReport(NamedTuple):
    """An earlier report, with valid seals."""

    name: str
    """Printable name of its file."""
    sha256: str
    """SHA-256 of its file."""
    evidence: str
    """SHA-256 of the evidence that it is of."""
    rows: list[dict[str, Any]]
    """Its findings."""
    options: dict[str, Any]
    """Options of its run, by name."""
    redaction: str
    """Label of its redaction; empty where names stay."""
    complete: bool
    """Whether its run read and concluded everything."""


class Comparison(NamedTuple):
    """The outcome of the comparison."""

    rows: Rows
    """Rows of the run, with the state of each finding."""
    baseline: Baseline
    """Counts, and the absent findings."""
    notes: tuple[str, ...]
    """Notes on the limits of the comparison."""


def compare(
    earlier: BaselineReport,
    rows: Rows,
    hashes: Mapping[str, str],
    database: str,
    redaction: Redaction | None,
    options: Mapping[str, Any],
) -> Comparison:
    """The findings of this run in comparison with those of an earlier report. Raises UsageError (_check_names).

    Args:
        earlier: the earlier report.
        rows: of this run.
        hashes: SHA-256 of each source; empty where it is not computed.
        database: SHA-256 of the evidence's own file.
        redaction: of this run.
        options: of this run, by name.
    """
    present = {sha256 for sha256 in (*hashes.values(), database) if sha256}
    shared = frozenset(present & {earlier.evidence, *(str(row["evidence"]) for row in earlier.rows)})
    same = bool(shared) and all(str(row["evidence"]) in shared for row in earlier.rows)
    if not same:
        _check_names(earlier, redaction)
    earlier_rows = _merged(earlier.rows)
    keys = [_key(row, str(row["finding"]), str(row["evidence"]), shared) for row in earlier_rows]
    unmatched = Counter(keys)
    new_writes: Counter[tuple[str, ...]] = Counter()

    def with_state(row: Mapping[str, Any], finding: Finding) -> Finding:
        if finding.grouped:  # the row of its group has the state
            return finding
        key = _key(row, finding.kind.label, hashes.get(str(row["source"]), database), shared)
        state = _state(key, unmatched)
        new_writes[_write(row, finding.kind.label)] += state is BaselineState.NEW
        return replace(finding, baseline=state)

    table: list[tuple[Finding, ...]] = []
    for number, findings in enumerate(rows.findings):
        row = {name: column[number] for name, column in rows.columns.items()} if findings else {}
        table.append(tuple(with_state(row, finding) for finding in findings))
    counts = Counter(finding.baseline for findings in table for finding in findings)
    absent, moved = _absent(earlier_rows, keys, unmatched, new_writes)
    new, unchanged = counts[BaselineState.NEW], counts[BaselineState.UNCHANGED]
    head = {"name": earlier.name, "sha256": earlier.sha256, "evidence": earlier.evidence}
    baseline = Baseline(**head, same_evidence=same, new=new, unchanged=unchanged, moved=moved, absent=absent)
    return Comparison(replace(rows, findings=table), baseline, tuple(_notes(earlier, options)))


def _state(key: tuple[str, ...], unmatched: Counter[tuple[str, ...]]) -> BaselineState:
    """The state of a finding with this identity; uses up one of the earlier ones."""
    state = BaselineState.UNCHANGED if unmatched[key] > 0 else BaselineState.NEW
    unmatched[key] -= state is BaselineState.UNCHANGED
    return state


def _check_names(earlier: BaselineReport, redaction: Redaction | None) -> None:
    """Refuse reports whose names are not comparable. Raises UsageError."""
    ordinals = redaction is not None and redaction.method is RedactionMethod.ORDINALS
    if ordinals or earlier.redaction != ("" if redaction is None else redaction.label):
        raise UsageError(
            f"--baseline {earlier.name} is of other evidence, and its names cannot be compared with this run's: give "
            "both the same --redact-key, or redact neither"
        )


def _absent(
    earlier_rows: list[dict[str, Any]],
    keys: list[tuple[str, ...]],
    unmatched: Counter[tuple[str, ...]],
    new_writes: Counter[tuple[str, ...]],
) -> tuple[tuple[AbsentFinding, ...], int]:
    """The absent findings, and the number of them that are new in another place.

    Args:
        earlier_rows: findings of the earlier report.
        keys: identity of each of them.
        unmatched: absent findings by identity; used up.
        new_writes: new findings by write; used up.
    """
    absent: list[AbsentFinding] = []
    moved = 0
    for row, key in zip(earlier_rows, keys, strict=True):
        if unmatched[key] > 0:
            unmatched[key] -= 1
            absent.append(_absent_finding(row))
            write = _write(row, str(row["finding"]))
            moved += new_writes[write] > 0
            new_writes[write] -= 1
    return tuple(absent), moved


def _key(row: Mapping[str, Any], finding: str, evidence: str, shared: frozenset[str]) -> tuple[str, ...]:
    """The identity of a finding."""
    if finding == PROVIDERS:
        same = evidence if evidence in shared else ""
        return finding, same, *(str(row[name]) for name in ("resource", "provider", "key_name"))
    if evidence in shared:
        return finding, evidence, str(row["id"])
    identity = [finding, *(str(row[name]) for name in ("place", "resource", "key"))]
    if row["key"] in {"", NOT_KNOWN}:
        identity += [str(row[name]) for name in ("namespace", "name", "uid")]
    if row["place"] != Place.LATEST.label:
        identity.append(str(row["mod_revision"]))
    if finding in VALUELESS_LABELS:
        identity += [str(row["source"]), VALUE_NUMBER.sub("", REMARK.sub("", str(row["detail"])))]
    return tuple(identity)


def _merged(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The rows of a report, one a group where one of format version 1 has one a value."""
    merged: dict[tuple[str, ...], dict[str, Any]] = {}
    for number, row in enumerate(rows):
        group = tuple(str(row[name]) for name in ("source", "resource", "provider", "key_name"))
        merged.setdefault(group if row["finding"] == PROVIDERS else (str(number),), row)
    return list(merged.values())


def _write(row: Mapping[str, Any], finding: str) -> tuple[str, ...]:
    """The identity of one write of an object, in any place."""
    return finding, *(str(row[name]) for name in ("resource", "key", "mod_revision"))


def _absent_finding(row: Mapping[str, Any]) -> AbsentFinding:
    return AbsentFinding(
        id=str(row["id"]),
        finding=str(row["finding"]),
        severity=str(row["severity"]),
        place=str(row["place"]),
        resource=str(row["resource"]),
        namespace=str(row["namespace"]),
        name=str(row["name"]),
        key=str(row["key"]),
        provider=str(row["provider"]),
        key_name=str(row["key_name"]),
        source=str(row["source"]),
        offset=row["offset"],
        mod_revision=row["mod_revision"],
    )


def _notes(earlier: BaselineReport, options: Mapping[str, Any]) -> Iterator[str]:
    """Notes on options that differ, and on an incomplete report."""
    # an option that is younger than the report was not used in it
    differing = [
        name for name in COMPARED_OPTIONS if (_plain(options.get(name)) or None) != (earlier.options.get(name) or None)
    ]
    if differing:
        names = ", ".join(name.replace("_", "-") for name in differing)
        yield f"{earlier.name} was made with other options ({names}): what is gone may not have been looked for"
    if not earlier.complete:
        yield f"{earlier.name} had not read or concluded on everything: what is new may have been there"


def _plain(value: Any) -> Any:
    """An option's value as JSON has it."""
    return list(value) if isinstance(value, tuple) else value
