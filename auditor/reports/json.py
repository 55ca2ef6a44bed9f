"""The whole audit as one JSON document; report.schema.json beside this file describes it."""

import json
from importlib.resources import files
from typing import IO, Any

from auditor.model.audit import Audit, Run
from auditor.model.table import COLUMNS, NUMBERS, findings, value_rows
from auditor.model.vocabulary import Encoding, FindingKind, Opened, PageKind, Place, Provider, SameAsLatest, Severity
from auditor.reports import controls, csv, json_sections, key_table, seals, verdict, words
from auditor.reports.csv import Sheet
from auditor.reports.format_version import VERSION
from auditor.reports.interface import Report

SCHEMA = f"urn:etcd-auditor:report:{VERSION}"
VALUES: dict[str, tuple[str, ...]] = {
    "place": ("", *(place.label for place in Place)),
    "finding": tuple(finding.label for finding in FindingKind),
    "severity": tuple(severity.label for severity in Severity),
    "judged": ("pass", "finding", "out of scope"),
    "provider": ("", *(provider.label for provider in Provider)),
    "encoding": tuple(encoding.label for encoding in Encoding),
    "decrypted": ("", *(opened.label for opened in Opened)),
    "same_as_latest": tuple(same.label for same in SameAsLatest),
}
"""The values of columns with a closed list of them."""
KINDS = {
    PageKind.BRANCH: "branch",
    PageKind.LEAF: "leaf",
    PageKind.META: "meta",
    PageKind.FREELIST: "freelist",
    PageKind.OVERFLOW: "overflow",
    PageKind.FREED: "freed",
    PageKind.PREVIOUS_ROOT: "previous-root",
    PageKind.PAST_HIGH_WATER: "past-high-water",
}
"""Names of the kinds of pages, in the order of the document."""


def schema() -> dict[str, Any]:
    """The JSON Schema (draft 2020-12) of a document."""
    text = files("auditor.reports").joinpath("report.schema.json").read_text(encoding="utf-8")
    document: dict[str, Any] = json.loads(text)
    return document


def document(audit: Audit, fail_on: Severity) -> dict[str, Any]:
    """The document, of plain values only. `findings` is a table: `columns` names and explains its columns."""
    head, rows, tail = _parts(audit, fail_on)
    return {**head, "findings": rows, **tail}


def write(audit: Audit, fail_on: Severity, out: IO[str]) -> None:
    """Write the document, one finding a line: an indented tree of 50,000 would take ten times as long."""
    head, rows, tail = _parts(audit, fail_on)
    for name, part in head.items():
        out.write("{\n" if name == "format" else ",\n")
        out.write(f" {json.dumps(name)}: {_text(part)}")
    out.write(',\n "findings": [')
    for number, row in enumerate(rows):
        out.write(",\n  " if number else "\n  ")
        out.write(json.dumps(row, ensure_ascii=True))
    out.write("\n ]" if rows else "]")
    for name, part in tail.items():
        out.write(f",\n {json.dumps(name)}: {_text(part)}")
    out.write("\n}\n")


def custody(audit: Audit, fail_on: Severity, sheet: Sheet) -> dict[str, Any]:
    """The document without its findings, which other formats embed for `etcd-auditor verify`."""
    head, tail = _around(audit, fail_on, sheet)
    return {**head, **tail}


def _text(part: Any) -> str:
    return json.dumps(part, indent=1, ensure_ascii=True).replace("\n", "\n ")


def _parts(audit: Audit, fail_on: Severity) -> tuple[dict[str, Any], list[dict[str, Any]], dict[str, Any]]:
    """The sections before the findings, the findings, and the sections behind them."""
    table = findings(audit.rows, audit.evidence)
    head, tail = _around(audit, fail_on, csv.sheet(table))
    return head, [dict(zip(COLUMNS, row, strict=True)) for row in table.rows()], tail


def _around(audit: Audit, fail_on: Severity, sheet: Sheet) -> tuple[dict[str, Any], dict[str, Any]]:
    """The sections before the findings, and those behind them. sheet: the findings."""
    head = {
        "format": "etcd-auditor",
        "version": VERSION,
        "schema": SCHEMA,
        "verdict": audit.verdict(fail_on).value,
        "conclusion": verdict.sentences(audit, fail_on),
        "exit_code": audit.exit_code(fail_on),
        "fail_on": fail_on.label,
        "complete": audit.complete,
        "policy": audit.policy,
        "resources": list(audit.resources),
        "evidence": json_sections.evidence(audit.evidence),
        "parts": [json_sections.exhibit(part, fail_on) for part in audit.parts],
        "pages": _pages(audit),
        "counts": {
            "stored_values": sum(row.values for row in audit.coverage),
            "inventory": len(value_rows(audit.rows)),
            "findings": len(sheet),
            "gaps": len(audit.gaps),
            "not_examined": len(audit.unexamined),
            "ledger": [json_sections.balance(own) for own in audit.ledger],
        },
        "tally": _tally(audit),
        "coverage": [json_sections.coverage(row) for row in audit.coverage],
        "keys": key_table.entries(audit),
        "gaps": [json_sections.gap(gap) for gap in audit.gaps],
        "not_examined": [json_sections.unexamined(part) for part in audit.unexamined],
        "notes": list(audit.notes),
        "next": verdict.next_steps(audit),
        "control": _control(audit),
        "time": None if audit.chronology is None else json_sections.chronology(audit.chronology),
        "current": None if audit.current is None else json_sections.current(audit.current),
        "baseline": None if audit.baseline is None else json_sections.baseline(audit.baseline),
        "accepted": [json_sections.acceptance(entry) for entry in audit.acceptances],
        "redaction": "" if audit.redaction is None else audit.redaction.label,
        "controls": controls.table(audit),
        "columns": {name: _column(name) for name in COLUMNS},
    }
    return head, {"run": _run(audit.run), "hashes": seals.seal(head, sheet)}


def _column(name: str) -> dict[str, Any]:
    column: dict[str, Any] = {"meaning": COLUMNS[name], "type": "number" if name in NUMBERS else "text"}
    if name in VALUES:
        column["values"] = list(VALUES[name])
    return column


def _pages(audit: Audit) -> dict[str, Any]:
    """The number of the database's pages by kind; the page of each finding stands in its row."""
    return {
        "source": audit.pages.source,
        "page_size": audit.pages.page_size,
        "pages": len(audit.pages.kinds),
        "kinds": {name: audit.pages.kinds.count(code) for code, name in KINDS.items()},
    }


def _tally(audit: Audit) -> dict[str, Any]:
    tally = audit.tally
    accepted = {(finding, severity): count for finding, severity, count in tally.accepted}
    return {
        "places": [
            {"place": place.label, "provider": provider.label, "key_name": name, "values": count, "decrypted": opened}
            for place, provider, name, count, opened in tally.places
        ],
        "findings": [
            {
                "finding": finding.label,
                "severity": severity.label,
                "values": count,
                "accepted": accepted.get((finding, severity), 0),
            }
            for finding, severity, count in tally.findings
        ],
        "readable": {
            "values": tally.readable,
            "distinct_contents": tally.contents,
            "distinct_objects": tally.objects,
            "same_as_latest": tally.current_holders,
            "not_compared": tally.undetermined,
            "places": [place.label for place in tally.readable_places],
            "freed_pages": list(tally.freed_pages),
        },
    }


def _control(audit: Audit) -> dict[str, Any] | None:
    """The positive control of this run."""
    if audit.control is None:
        return None
    planted = [{"place": place.label, "found": detected} for place, detected in audit.control.planted]
    return {"found": audit.control.success, "planted": planted, "said": words.control(audit)}


def _run(run: Run) -> dict[str, Any]:
    document: dict[str, Any] = {
        "version": run.version,
        "started": run.started,
        "finished": run.finished,
        "case": run.case,
        **({"settings": dict(run.origins)} if run.origins else {}),
        "options": {name: list(value) if isinstance(value, tuple) else value for name, value in run.options},
        "tools": dict(run.tools),
        "log": [{"seconds": seconds, "step": step} for seconds, step in run.log],
        "plugins": [
            {"provider": provider.label, "name": name, "calls": calls} for provider, name, calls in run.plugins
        ],
        "kms": json_sections.kms(run.kms),
        "provenance": dict(run.provenance),
    }
    return {**document, "sha256": seals.seal_run(document)}


class JsonReport(Report):
    """The whole audit."""

    def __init__(self, fail_on: Severity) -> None:
        self._fail_on = fail_on

    def write(self, audit: Audit, out: IO[str]) -> None:
        write(audit, self._fail_on, out)
