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
from auditor.model.findings import AbsentFinding, Baseline, Finding, Rows
from auditor.model.vocabulary import FindingKind, Place, Severity

NEW, UNCHANGED = "new", "still there"
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
ASKED = (
    "resources", "storage_prefixes", "encryption_configs", "kms_plugins", "current_keks", "expect", "compromised_keys",
    "hunt", "hunt_min_length", "hunt_fields", "use_found_keys", "k3s_token", "quick",
)  # fmt: skip
"""Options on which it depends what is found."""
ORDINALS = "ordinals"
NOT_KNOWN = "unknown"


class BaselineReport(NamedTuple):
    """A report that is what it was when it was written. options: of its run."""

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
    main: str,
    redaction: str,
    options: Mapping[str, Any],
) -> Compared:
    """hashes: SHA-256 of each source, empty where it was not computed; main: that of the evidence's own file.

    redaction, options: of this run. Raises UsageError where names would have to be compared and cannot be.
    """
    mine = {each for each in (*hashes.values(), main) if each}
    shared = frozenset(mine & {earlier.evidence, *(str(row["evidence"]) for row in earlier.rows)})
    same = bool(shared) and all(str(row["evidence"]) in shared for row in earlier.rows)
    if not same and (redaction != earlier.redaction or redaction.startswith(ORDINALS)):
        raise UsageError(
            f"--baseline {earlier.name} is of other evidence, and its names cannot be compared with this run's: give "
            "both the same --redact-key, or redact neither"
        )
    before = [_key(row, str(row["finding"]), str(row["evidence"]), shared) for row in earlier.rows]
    left = Counter(before)
    counts: Counter[str] = Counter()
    elsewhere: Counter[tuple[str, ...]] = Counter()
    marks: list[tuple[Finding, ...]] = []
    for number, each in enumerate(rows.findings):
        row = {name: column[number] for name, column in rows.columns.items()} if each else {}
        made = []
        for mark in each:
            key = _key(row, mark.kind.label, hashes.get(str(row["source"]), main), shared)
            said = UNCHANGED if left[key] > 0 else NEW
            left[key] -= said == UNCHANGED
            counts[said] += 1
            elsewhere[_written(row, mark.kind.label)] += said == NEW
            made.append(replace(mark, baseline=said))
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
    told = Baseline(
        earlier.name, earlier.sha256, earlier.evidence, same, counts[NEW], counts[UNCHANGED], moved, tuple(gone)
    )
    return Compared(replace(rows, findings=marks), told, tuple(_notes(earlier, options)))


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
    asked = [name for name in ASKED if _plain(options.get(name)) != earlier.options.get(name)]
    if asked:
        names = ", ".join(name.replace("_", "-") for name in asked)
        yield f"{earlier.name} was made with other options ({names}): what is gone may not have been looked for"
    if not earlier.complete:
        yield f"{earlier.name} had not read or concluded on everything: what is new may have been there"


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value
