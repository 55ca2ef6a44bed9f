"""The comparison as one JSON document; diff.schema.json beside this file describes it."""

import json
from importlib.resources import files
from typing import IO, Any

from auditor.diff.compare import Comparison, leftovers
from auditor.diff.objects import Content, FormChange
from auditor.diff.rows import COLUMNS
from auditor.model.audit import Audit
from auditor.model.vocabulary import Severity
from auditor.reports import json_sections, seals
from auditor.reports.diff import words
from auditor.text import hex_id

VERSION = 2
"""The format's version. It grows where a reader of the older one would misread the document."""
ROWS = "objects"
"""The section of the rows."""
SCHEMA = f"urn:etcd-auditor:diff:{VERSION}"


def schema() -> dict[str, Any]:
    """The JSON Schema (draft 2020-12) of a document."""
    text = files("auditor.reports.diff").joinpath("diff.schema.json").read_text(encoding="utf-8")
    document: dict[str, Any] = json.loads(text)
    return document


def document(comparison: Comparison, fail_on: Severity) -> dict[str, Any]:
    """The document, of plain values only."""
    conclusion = words.verdict(comparison, fail_on)
    sections: dict[str, Any] = {
        "format": "etcd-auditor diff",
        "version": VERSION,
        "schema": SCHEMA,
        "conclusion": conclusion,
        "exit_code": comparison.exit_code(fail_on),
        "fail_on": fail_on.label,
        "complete": comparison.complete,
        "before": _side(comparison.before),
        "after": _side(comparison.after),
        "tally": {
            "objects": sum(comparison.objects.values()),
            "rewritten": comparison.rewritten,
            "not_as_expected_before": comparison.unlike,
            "forms": {form.label: comparison.of(form) for form in FormChange},
            "contents": {content.label: comparison.with_content(content) for content in list(Content)[1:]},
            "forms_and_contents": [
                {"form": form.label, "content": content.label, "objects": count}
                for (form, content), count in comparison.objects.items()
            ],
            "keys": [
                {"provider": provider.label, "key_name": name, "before": before, "after": after}
                for provider, name, before, after in comparison.keys
            ],
        },
        "not_examined": [json_sections.unexamined(part) for part in comparison.unexamined],
        "notes": list(comparison.notes),
        **({"settings": dict(comparison.after.run.origins)} if comparison.after.run.origins else {}),
        **json_sections.calls_made((*comparison.before.run.kms, *comparison.after.run.kms)),
        "columns": COLUMNS,
        "objects": [
            dict(zip(comparison.columns, row, strict=True)) for row in zip(*comparison.columns.values(), strict=True)
        ],
    }
    return {**sections, "hashes": seals.seal_sections(sections, ROWS)}


def write(comparison: Comparison, fail_on: Severity, out: IO[str]) -> None:
    """The document, one object a line."""
    whole = document(comparison, fail_on)
    rows, hashes = whole.pop(ROWS), whole.pop("hashes")
    for number, (name, part) in enumerate(whole.items()):
        out.write(",\n " if number else "{\n ")
        text = json.dumps(part, indent=1, ensure_ascii=True).replace("\n", "\n ")
        out.write(f"{json.dumps(name)}: {text}")
    out.write(',\n "objects": [')
    for number, row in enumerate(rows):
        out.write(",\n  " if number else "\n  ")
        out.write(json.dumps(row, ensure_ascii=True))
    out.write("\n ]" if rows else "]")
    text = json.dumps(hashes, indent=1, ensure_ascii=True).replace("\n", "\n ")
    out.write(f',\n "hashes": {text}\n}}\n')


def _side(audit: Audit) -> dict[str, Any]:
    evidence = audit.evidence
    return {
        "name": evidence.name,
        "kind": evidence.description,
        "size": evidence.size,
        "sha256": evidence.sha256,
        "sources": json_sections.files(evidence),
        "trailer": evidence.trailer.value,
        "changed": evidence.changed,
        "revision": evidence.backend.revision or None,
        "compacted": evidence.backend.compacted,
        "cluster": evidence.cluster.identity,
        "etcd_cluster": "" if evidence.backend.cluster_id is None else hex_id(evidence.backend.cluster_id),
        "policy": audit.policy,
        "complete": audit.complete,
        "findings": [
            {"finding": finding.label, "severity": severity.label, "values": count}
            for finding, severity, count in audit.tally.findings
        ],
        "left_behind": [
            {"place": place.label, "values": count, "readable": readable}
            for place, (count, readable) in leftovers(audit).items()
        ],
        "readable_and_current": audit.tally.current_holders,
        "gaps": [json_sections.gap(gap) for gap in audit.gaps],
        "not_examined": [json_sections.unexamined(part) for part in audit.unexamined],
        "notes": list(audit.notes),
    }
