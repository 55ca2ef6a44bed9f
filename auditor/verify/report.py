"""A report against its own hashes: the parts that differ, and the findings."""

import json
import re
from collections.abc import Iterator
from typing import Any

from auditor.errors import UsageError
from auditor.model.table import Table
from auditor.reports import csv, format_version, sarif, seals
from auditor.reports import json as json_report
from auditor.verify import page, sealed
from auditor.verify.checks import MOST_DIFFERENCES, Check, differs, safe, same

FORMAT = "etcd-auditor"
OTHERS = {f"etcd-auditor {name}": f"etcd-auditor {name}" for name in ("diff", "keys", "watch", "fleet report")} | {
    "etcd-auditor history": "etcd-auditor show"
}
"""Formats of JSON without hashes of itself, and what wrote them."""
EMBEDDED = re.compile(rb'<script type="application/json" id="custody">(.*?)</script>', re.DOTALL)
"""The element of an HTML report with the document of auditor.reports.json.custody(); `<` is written as \\u003c."""
BEGINNING = 256
"""Bytes at the start of a SARIF file that name its schema."""
_SURROGATE = re.compile("[\ud800-\udfff]")
"""A surrogate: JSON can escape one, UTF-8 cannot encode it, and no report of etcd-auditor has one."""


class _DuplicateMember(ValueError):
    """A member that stands twice in a JSON object: which one counts depends on the reader."""


def looks_like_one(raw: bytes) -> bool:
    """Whether these bytes can be a report with hashes of itself: JSON, or HTML that embeds its custody.

    SARIF is JSON too and holds no hashes of itself: the checksums beside it vouch for it.
    """
    if sarif.SCHEMA.encode() in raw[:BEGINNING]:
        return False
    return _is_json(raw) or EMBEDDED.search(raw) is not None or page.is_page(raw)


def load(name: str, raw: bytes) -> dict[str, Any] | Check:
    """The document, or the check that it fails. Raises UsageError for anything but a report of etcd-auditor."""
    embedded = None if _is_json(raw) else EMBEDDED.search(raw)
    if embedded is None and page.is_page(raw):
        return differs(name, "it is a page of etcd-auditor's, and holds no custody")
    try:
        document = json.loads((embedded[1] if embedded else raw).decode("utf-8"), object_pairs_hook=_members)
    except json.JSONDecodeError as error:
        return differs(name, f"it is no JSON from line {error.lineno}, column {error.colno} on")
    except UnicodeDecodeError as error:
        return differs(name, f"byte {error.start} is no UTF-8")
    except _DuplicateMember as error:
        return differs(name, f"the member {safe(error)} stands twice in one object")
    except (ValueError, RecursionError):
        return differs(name, "it is no JSON that can be read")
    if isinstance(document, dict) and "hashes" not in document and (kind := OTHERS.get(str(document.get("format")))):
        raise UsageError(
            f"{name} is the JSON of {kind}, which holds no hashes of itself: the SHA256SUMS that was written beside it "
            "vouches for it, and none that lies here lists it"
        )
    if not isinstance(document, dict) or not (document.get("format") == FORMAT or "hashes" in document):
        raise UsageError(f"{name} is JSON, and no report of etcd-auditor")
    if embedded and document.get("format") == FORMAT:
        document["findings"] = page.findings(raw)
    version = document.get("version")
    if isinstance(version, int) and version > format_version.VERSION:
        raise UsageError(
            f"{name} has the format version {version}; this etcd-auditor knows those up to {format_version.VERSION}"
        )
    return document


def check(name: str, document: dict[str, Any], raw: bytes) -> Iterator[Check]:
    """Every section, the run, the findings and a page's parts against their hashes in the document.

    Args:
        name: The report's name, for the checks.
        document: The parsed report.
        raw: The report's own bytes.
    """
    if document.get("format") in OTHERS:
        yield from sealed.check(name, document)
        if not _is_json(raw):
            yield from page.check(name, raw, document)
        return
    hashes = document.get("hashes")
    if not isinstance(hashes, dict) or not isinstance(hashes.get("sections"), dict):
        yield differs(name, "it holds no hashes of its sections")
        return
    hashes_of_sections = hashes["sections"]
    present = [part for part in document if part not in seals.UNSEALED]
    # the list of sections is closed: one that was left out together with its hash is missed too
    sections = format_version.sections(document) or json_report.schema()["required"]
    expected = dict.fromkeys([*sections, *hashes_of_sections])
    changed = [part for part in present if hashes_of_sections.get(part) != seals.section(document[part])]
    differences = [
        *_listed([part for part in expected if part not in document], "missing"),
        *_listed([part for part in present if part not in sections], "no part of a report"),
        *_listed(changed, "not what it was"),
    ]
    run = document.get("run")
    if not isinstance(run, dict) or run.get("sha256") != seals.seal_run(run):
        differences.append("section run is not what it was")
    yield from (differs(name, text) for text in differences)
    if not differences:
        yield same(name, f"{len(hashes_of_sections) + 1} sections, by the hashes in it")
    if "findings" in document:
        yield from _findings(name, document["findings"], hashes, format_version.columns(document))
    if not _is_json(raw):  # by what the report is, not by what the page looks like
        yield from page.check(name, raw, document)


def _listed(parts: list[str], what: str) -> Iterator[str]:
    """What is said of sections of which one thing is true: of the first with a line each, of the others together."""
    for part in parts[:MOST_DIFFERENCES]:
        yield f"section {safe(part)} is {what}"
    if (more := len(parts) - MOST_DIFFERENCES) > 0:
        yield f"the same is true of {more:,} more sections, the last of them {safe(parts[-1])}"


def rows(document: dict[str, Any]) -> list[dict[str, Any]]:
    """The findings that have all columns of one."""
    findings, columns = document.get("findings"), format_version.columns(document)
    return [row for row in findings if _is_row(row, columns)] if isinstance(findings, list) else []


def _findings(name: str, findings: Any, hashes: dict[str, Any], columns: tuple[str, ...]) -> Iterator[Check]:
    """The findings, in columns of the document's version, against their hashes."""
    if not isinstance(findings, list) or not all(_is_row(row, columns) for row in findings):
        rows = findings if isinstance(findings, list) else ()
        malformed = next((number for number, row in enumerate(rows, 1) if not _is_row(row, columns)), 0)
        yield differs(
            name, f"finding {malformed} has not the columns of a finding" if malformed else "it holds no findings"
        )
        return
    table = Table({column: [row[column] for row in findings] for column in columns})
    whole, lines = seals.lines(csv.sheet(table))
    if hashes.get("findings") == whole:
        yield same(name, f"{len(findings):,} findings, by the hash of them as CSV")
        return
    yield differs(name, "its findings are not what they were")
    expected = hashes.get("rows")
    if not isinstance(expected, list) or len(expected) != len(lines):
        count = len(expected) if isinstance(expected, list) else 0
        yield differs(name, f"{len(lines):,} findings stand in it, {count:,} were reported")
        return
    differences = [number for number, (line, seal) in enumerate(zip(lines, expected, strict=True)) if line != seal]
    for number in differences[:MOST_DIFFERENCES]:
        id_ = safe(findings[number]["id"])
        yield differs(name, f"finding {number + 1:,} of {len(lines):,} (id {id_}) is not what it was")
    if (more := len(differences) - MOST_DIFFERENCES) > 0:
        yield differs(name, f"{more:,} more findings are not what they were")


def _is_row(row: Any, columns: tuple[str, ...]) -> bool:
    return isinstance(row, dict) and row.keys() == set(columns) and all(map(_is_cell, row.values()))


def _is_cell(cell: Any) -> bool:
    return type(cell) is int or (type(cell) is str and (cell.isascii() or not _SURROGATE.search(cell)))


def _members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members: dict[str, Any] = {}
    for name, member in pairs:
        if name in members:
            raise _DuplicateMember(name)
        members[name] = member
    return members


def _is_json(raw: bytes) -> bool:
    return raw.lstrip()[:1] == b"{"
