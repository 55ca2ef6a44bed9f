"""The findings as SARIF 2.1.0 (OASIS, errata 01), for code scanning and for tools that collect results.

Rows are those of the CSV, with all their columns but WITHHELD as properties. Texts from evidence stand in properties
and, with what SARIF would read as a link or a placeholder escaped, in messages. A region is one of bytes, since
evidence has no lines; the line that GitHub requires is the first.
"""

import json
from collections.abc import Iterator
from functools import cache
from typing import IO, Any
from urllib.parse import quote

from auditor.judgement.policy import FIXED
from auditor.model.audit import Audit
from auditor.model.findings import AbsentFinding, Cell
from auditor.model.table import COLUMNS, findings, pairs_of
from auditor.model.vocabulary import FindingKind, Place, Severity
from auditor.reports import controls, seals, verdict
from auditor.reports.fingerprints import Fingerprints, absent_row
from auditor.reports.interface import Report
from auditor.reports.meaning import MEANING
from auditor.text import restore

VERSION = "2.1.0"
SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
MOST_RESULTS = 25_000
"""Results of one run that GitHub takes (docs.github.com, SARIF support for code scanning)."""
FIRST_LINE = {"startLine": 1, "startColumn": 1, "endLine": 1, "endColumn": 2}
"""Required of every region by GitHub. Evidence has no lines: where there is an offset, that tells the place."""
LEVELS = {Severity.LOW: "note", Severity.MEDIUM: "warning", Severity.HIGH: "error", Severity.CRITICAL: "error"}
SCORES = {Severity.LOW: "3.0", Severity.MEDIUM: "5.5", Severity.HIGH: "8.0", Severity.CRITICAL: "9.5"}
"""GitHub's security-severity, in the middle of its bands."""
HIGHEST = {**FIXED, FindingKind.PLAINTEXT: Severity.CRITICAL, FindingKind.CONFIGURATION: Severity.HIGH}
"""The severity of a rule; a result has that of its row."""
WITHHELD = frozenset({"valid_until", "used_by"})
"""Columns that say what to attack first: code scanning shows its results to many."""
_ESCAPES = str.maketrans({"[": "\\[", "]": "\\]", "{": "{{", "}": "}}"})
RULES = {finding.label: number for number, finding in enumerate(FindingKind)}
FRAMEWORKS = tuple(controls.VERSIONS)
BY_LABEL = {finding.label: finding for finding in FindingKind}
SEVERITIES = {severity.label: severity for severity in Severity}


def write(audit: Audit, fail_on: Severity, out: IO[str]) -> None:
    """One result a line; nothing but ASCII."""
    run = _run(audit, fail_on)
    out.write(f'{{\n "$schema": {json.dumps(SCHEMA)},\n "version": "{VERSION}",\n "runs": [\n  {{\n   "results": [')
    encode = json.JSONEncoder(ensure_ascii=True, check_circular=False).encode
    for number, result in enumerate(results(audit)):
        out.write(",\n    " if number else "\n    ")
        out.write(encode(result))
    out.write("\n   ]")
    for name, part in run.items():
        text = json.dumps(part, indent=1, ensure_ascii=True).replace("\n", "\n   ")
        out.write(f",\n   {json.dumps(name)}: {text}")
    out.write("\n  }\n ]\n}\n")


def results(audit: Audit) -> Iterator[dict[str, Any]]:
    """One result a finding, in the order of the CSV; behind them the findings that only the baseline has."""
    table = findings(audit.rows, audit.evidence)
    kinds = [finding for _, finding in pairs_of(audit.rows)]
    backup = controls.is_backup(audit)
    index = {each.name: number for number, each in enumerate(audit.evidence.sources)}
    prints = Fingerprints(audit.evidence.cluster.identity)
    for cells, finding in zip(table.rows(), kinds, strict=True):
        row = dict(zip(COLUMNS, cells, strict=True))
        result = _result(row, index, prints, backup=backup)
        if finding.baseline is not None:
            result["baselineState"] = finding.baseline.value
        if audit.acceptances:  # in SARIF a missing list means unknown, an empty one none
            result["suppressions"] = [_suppression(finding.accepted)] if finding.accepted else []
        yield result
    for absent in audit.baseline.absent if audit.baseline is not None else ():
        yield _absent(absent, prints)


def _result(row: dict[str, Cell], index: dict[str, int], prints: Fingerprints, *, backup: bool) -> dict[str, Any]:
    label = str(row["finding"])
    finding = BY_LABEL[label]
    return {
        "ruleId": label,
        "ruleIndex": RULES[label],
        "kind": "fail",
        "level": LEVELS[SEVERITIES[str(row["severity"])]],
        "message": {"text": _message(row)},
        "locations": [_location(row, index)],
        "partialFingerprints": prints.of(row),
        "taxa": _taxa(finding, controls.PLACES.get(str(row["place"])), backup=backup),
        "properties": {name: cell for name, cell in row.items() if name not in WITHHELD},
    }


@cache
def _taxa(finding: FindingKind, place: Place | None, *, backup: bool) -> list[dict[str, Any]]:
    relevant = controls.of(finding, place, backup=backup)
    return [{"id": each.id, "toolComponent": _component(each.framework)} for each in relevant]


def _suppression(accepted: str) -> dict[str, str]:
    return {"kind": "external", "status": "accepted", "justification": accepted}


def _absent(finding: AbsentFinding, prints: Fingerprints) -> dict[str, Any]:
    what = "/".join(filter(None, (finding.namespace, finding.name))) or finding.source
    return {
        "ruleId": finding.finding,
        "ruleIndex": RULES[finding.finding],
        "kind": "fail",
        "level": LEVELS[SEVERITIES[finding.severity]],
        "baselineState": "absent",
        "message": {
            "text": escape(
                f"Gone since the baseline: {finding.finding} of {finding.resource} {what} in {finding.place}."
            )
        },
        "locations": [
            {"physicalLocation": {"artifactLocation": {"uri": uri(finding.source)}, "region": dict(FIRST_LINE)}}
        ],
        "partialFingerprints": prints.of(absent_row(finding)),
        "properties": {"id": finding.id},
    }


def _message(row: dict[str, Cell]) -> str:
    what = "/".join(str(row[name]) for name in ("namespace", "name") if row[name])
    where = f"{row['place']}, offset {row['offset']}" if row["offset"] != "" else str(row["source"])
    detail = f" ({row['detail']})" if row["detail"] else ""
    subject = f"{row['resource']} {what}" if what else str(row["source"])
    means, _ = MEANING[BY_LABEL[str(row["finding"])]]
    return escape(f"{means} It is {subject} in {where}{detail}.")


def _location(row: dict[str, Cell], index: dict[str, int]) -> dict[str, Any]:
    source = str(row["source"])
    place: dict[str, Any] = {"artifactLocation": {"uri": uri(source)}, "region": dict(FIRST_LINE)}
    if source in index:
        place["artifactLocation"]["index"] = index[source]
    if isinstance(row["offset"], int) and isinstance(row["size"], int):
        place["region"] |= {"byteOffset": row["offset"], "byteLength": row["size"]}
    location: dict[str, Any] = {"physicalLocation": place}
    if row["key"]:
        location["logicalLocations"] = [
            {"name": str(row["name"]), "fullyQualifiedName": str(row["key"]), "kind": str(row["resource"]) or "key"}
        ]
    return location


def _run(audit: Audit, fail_on: Severity) -> dict[str, Any]:
    driver = {
        "name": "etcd-auditor",
        "version": audit.run.version,
        "semanticVersion": audit.run.version,
        "shortDescription": {"text": "Which Secrets can be read out of an etcd snapshot, and where they lie."},
        "rules": [_rule(finding) for finding in FindingKind],
        "supportedTaxonomies": [_component(name) for name in FRAMEWORKS],
    }
    return {
        "tool": {"driver": driver},
        "taxonomies": [_taxonomy(name) for name in FRAMEWORKS],
        "artifacts": [_artifact(each.name, each.size, each.sha256) for each in audit.evidence.sources],
        "invocations": [_invocation(audit, fail_on)],
        "columnKind": "unicodeCodePoints",
        "properties": {
            "conclusion": verdict.sentences(audit, fail_on),
            "complete": audit.complete,
            "policy": audit.policy,
            "case": audit.run.case,
            "notes": list(audit.notes),
            "findingsSha256": seals.findings(audit),
        },
    }


def _rule(finding: FindingKind) -> dict[str, Any]:
    means, stops = MEANING[finding]
    relevant = [each for each in controls.CONTROLS if finding & each.findings]
    check = "dd if=FILE bs=1 skip=OFFSET count=SIZE shows the bytes that a result names."
    return {
        "id": finding.label,
        "name": finding.label.title().replace("-", ""),
        "shortDescription": {"text": means},
        "fullDescription": {"text": f"{means} {stops}"},
        "help": {"text": f"{means}\nWhat would stop it: {stops}\nBy hand: {check}"},
        "defaultConfiguration": {"level": LEVELS[HIGHEST[finding]]},
        "relationships": [
            {
                "target": {"id": control.id, "toolComponent": _component(control.framework)},
                "kinds": ["relevant"],
                "description": {"text": controls.WORDING},
            }
            for control in relevant
        ],
        "properties": {
            "tags": ["security", *(f"{each.framework} {each.id}" for each in relevant)],
            "precision": "very-high",
            "security-severity": SCORES[HIGHEST[finding]],
        },
    }


def _component(framework: str) -> dict[str, Any]:
    return {"name": framework, "index": FRAMEWORKS.index(framework)}


def _taxonomy(framework: str) -> dict[str, Any]:
    taxonomy: dict[str, Any] = {
        "name": framework,
        "shortDescription": {"text": controls.WORDING},
        "isComprehensive": False,
        "taxa": [
            {"id": control.id, "shortDescription": {"text": control.title}}
            for control in controls.CONTROLS
            if control.framework == framework
        ],
    }
    if version := controls.VERSIONS[framework]:
        taxonomy["version"] = version
    return taxonomy


def _artifact(name: str, size: int, sha256: str) -> dict[str, Any]:
    artifact: dict[str, Any] = {
        "location": {"uri": uri(name)},
        "length": size,
        "roles": ["analysisTarget"],
        "mimeType": "application/octet-stream",
    }
    if sha256:
        artifact["hashes"] = {"sha-256": sha256}
    return artifact


def _invocation(audit: Audit, fail_on: Severity) -> dict[str, Any]:
    notifications = [
        {
            "level": "error",
            "message": {"text": escape(gap.reason)},
            "descriptor": {"id": "gap"},
            "properties": {"source": gap.source, "offset": gap.offset, "length": gap.length},
        }
        for gap in audit.gaps
    ]
    notifications += [
        {
            "level": "warning" if part.decisive else "note",
            "message": {"text": escape(f"{part.what}: {part.reason}")},
            "descriptor": {"id": "not-examined"},
        }
        for part in audit.unexamined
    ]
    return {
        "executionSuccessful": True,
        "exitCode": audit.exit_code(fail_on),
        "startTimeUtc": audit.run.started,
        "endTimeUtc": audit.run.finished,
        "toolExecutionNotifications": notifications,
    }


@cache
def uri(name: str) -> str:
    """A file's name as a relative reference; characters of schemes, queries and escapes are percent-encoded."""
    return quote(restore(name), safe="/")


def escape(text: str) -> str:
    """Text for a message: brackets would begin a link, braces a placeholder (SARIF 2.1.0, 3.11.5 and 3.11.6)."""
    return text.translate(_ESCAPES)


class SarifReport(Report):
    """One result a finding."""

    def __init__(self, fail_on: Severity) -> None:
        self._fail_on = fail_on

        self._results = 0

    def write(self, audit: Audit, out: IO[str]) -> None:
        absent = len(audit.baseline.absent) if audit.baseline is not None else 0
        self._results = len(pairs_of(audit.rows)) + absent
        write(audit, self._fail_on, out)

    def caution(self, name: str) -> str:
        """A warning where GitHub would refuse or cut the file; empty where it takes all."""
        if self._results <= MOST_RESULTS:
            return ""
        return (
            f"{name} has {self._results:,} results, and GitHub takes no more than {MOST_RESULTS:,}: narrow the scan "
            "(--storage-prefix, --resource), or give the file to a tool that takes all"
        )
