"""An earlier report beside this run: what is new, what is still there and what is gone.

Of one and the same file a finding is known by its `id`, which says where it lies. In another file the same bytes lie
elsewhere, so there a finding is known by what does not depend on the bytes around it: the finding, its place, its
resource and etcd key, and, outside `latest`, the revision that wrote it. Copies of one revision in one place are
counted. What moved from one place to another (`history` to `freed`) is gone there and new here, and is counted.
"""

import hashlib
import os
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from auditor.errors import UsageError
from auditor.model.audit import Redaction
from auditor.model.findings import AbsentFinding, Baseline, Finding, Rows
from auditor.model.vocabulary import BaselineState, FindingKind, Place, RedactionMethod, Severity
from auditor.text import printable

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


def load(path: Path) -> BaselineReport:
    """Raises UsageError for what is no JSON report of ours, or is not what it was."""
    from auditor.verify import files, report
    from auditor.verify.checks import Check

    raw, name = files.read(path), printable(os.fsencode(path.name))
    if not report.looks_like_one(raw):
        raise UsageError(f"--baseline {name} is no JSON report of etcd-auditor")
    document = report.load(name, raw)
    if isinstance(document, Check):
        raise UsageError(f"--baseline {name}: {document.said}")
    if "findings" not in document:
        raise UsageError(f"--baseline {name} holds no findings: give the JSON report")
    for check in report.check(name, document, raw):
        if not check.holds:
            raise UsageError(f"--baseline {name}: {check.said}; see etcd-auditor verify")
    rows, evidence, options = report.rows(document), document.get("evidence"), document["run"].get("options")
    known = all(str(row[column]) in labels for row in rows for column, labels in WORDS.items())
    if not (known and isinstance(evidence, dict) and isinstance(options, dict)):
        raise UsageError(f"--baseline {name}: it holds what no report of ours does")
    return BaselineReport(
        name,
        hashlib.sha256(raw).hexdigest(),
        str(evidence.get("sha256", "")),
        rows,
        options,
        str(document.get("redaction", "")),
        bool(document.get("complete")),
    )


def compare(
    earlier: BaselineReport,
    rows: Rows,
    hashes: Mapping[str, str],
    main: str,
    redaction: Redaction | None,
    options: Mapping[str, Any],
) -> Compared:
    """hashes: SHA-256 of each source, empty where it was not computed; main: that of the evidence's own file.

    redaction, options: of this run. Raises UsageError where names would have to be compared and cannot be.
    """
    mine = {each for each in (*hashes.values(), main) if each}
    shared = frozenset(mine & {earlier.evidence, *(str(row["evidence"]) for row in earlier.rows)})
    same = bool(shared) and all(str(row["evidence"]) in shared for row in earlier.rows)
    ordinals = redaction is not None and redaction.method is RedactionMethod.ORDINALS
    if not same and (ordinals or earlier.redaction != ("" if redaction is None else redaction.label)):
        raise UsageError(
            f"--baseline {earlier.name} is of other evidence, and its names cannot be compared with this run's: give "
            "both the same --redact-key, or redact neither"
        )
    before = [_key(row, str(row["finding"]), str(row["evidence"]), shared) for row in earlier.rows]
    left = Counter(before)
    counts: Counter[BaselineState] = Counter()
    elsewhere: Counter[tuple[str, ...]] = Counter()
    marks: list[tuple[Finding, ...]] = []
    for number, each in enumerate(rows.findings):
        row = {name: column[number] for name, column in rows.columns.items()} if each else {}
        made = []
        for mark in each:
            key = _key(row, mark.kind.label, hashes.get(str(row["source"]), main), shared)
            state = BaselineState.UNCHANGED if left[key] > 0 else BaselineState.NEW
            left[key] -= state is BaselineState.UNCHANGED
            counts[state] += 1
            elsewhere[_written(row, mark.kind.label)] += state is BaselineState.NEW
            made.append(replace(mark, baseline=state))
        marks.append(tuple(made))
    gone: list[AbsentFinding] = []
    moved = 0
    for row, key in zip(earlier.rows, before, strict=True):
        if left[key] > 0:
            left[key] -= 1
            gone.append(_gone(row))
            written = _written(row, str(row["finding"]))
            moved += elsewhere[written] > 0
            elsewhere[written] -= 1
    summary = Baseline(
        name=earlier.name,
        sha256=earlier.sha256,
        evidence=earlier.evidence,
        same_evidence=same,
        new=counts[BaselineState.NEW],
        still=counts[BaselineState.UNCHANGED],
        moved=moved,
        gone=tuple(gone),
    )
    return Compared(replace(rows, findings=marks), summary, tuple(_notes(earlier, options)))


def _key(row: Mapping[str, Any], finding: str, evidence: str, shared: frozenset[str]) -> tuple[str, ...]:
    """What one finding is known by."""
    if evidence in shared:
        return finding, evidence, str(row["id"])
    told = [finding, *(str(row[name]) for name in ("place", "resource", "key"))]
    if row["key"] in {"", NOT_KNOWN}:
        told += [str(row[name]) for name in ("namespace", "name", "uid")]
    if row["place"] != Place.LATEST.label:
        told.append(str(row["mod_revision"]))
    if finding in ELSEWHERE:
        told += [str(row["source"]), NUMBERED.sub("", NOTED.sub("", str(row["detail"])))]
    return tuple(told)


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
